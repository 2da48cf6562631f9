// SPDX-License-Identifier: BSD-3-Clause
//
// Regions and their persists against the life of connections: a closed region is quiet exactly when
// nothing touches it any more, closing it costs no connection that makes progress, and what fails
// at one region is not blamed on another.
#include <atomic>
#include <semaphore>
#include <thread>

#include "test/raw_peer.h"

namespace rpma::test {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kAll = 0xDF;
constexpr std::uint32_t kAllPersistent = 0xFF;
constexpr std::size_t kPage = 4096;

core::Status gone() { return core::Status::failure(abi::Code::Closed, "destroyed"); }

/** What a persist does, watched and held by the test. */
struct Persist {
  std::counting_semaphore<1024> gate{0};
  std::atomic<bool> held{false};  // each call waits at the gate
  std::atomic<int> inside{0};
  std::atomic<int> calls{0};
  core::Status outcome;

  core::Status run() {
    calls.fetch_add(1);
    inside.fetch_add(1);
    if (held.load()) static_cast<void>(gate.try_acquire_for(10s));
    inside.fetch_sub(1);
    return outcome;
  }
  void open() {
    held.store(false);
    gate.release(4);
  }
};

struct Persistent {
  Memory memory;
  std::shared_ptr<memory::PersistTarget> target;
  std::shared_ptr<Persist> persist = std::make_shared<Persist>();
};

Persistent make_persistent(rma::Peer& peer, std::size_t size, abi::PmemDurability kind) {
  // A file of its own each: the identity is never looked up.
  static std::atomic<std::uint64_t> inode{0};
  Persistent made;
  auto mapping = memory::Mapping::anonymous(size);
  CHECK(mapping.ok());
  made.memory.mapping = *mapping;
  memory::PersistTarget::Parts parts;
  parts.file = std::make_shared<memory::PersistFile>(memory::FileIdentity{1, ++inode});
  parts.base = made.memory.mapping->data();
  parts.size = size;
  parts.kind = kind;
  parts.function = [persist = made.persist](std::byte*, std::size_t) { return persist->run(); };
  made.target = std::make_shared<memory::PersistTarget>(std::move(parts));
  memory::RegionOptions options;
  options.data = made.memory.mapping->data();
  options.length = size;
  options.usage = kAllPersistent;
  options.mapping = made.memory.mapping;
  options.persist = made.target;
  auto region = peer.device().register_memory(std::move(options));
  CHECK(region.ok());
  made.memory.region = std::move(region).value();
  return made;
}

abi::Submission persistent_flush(const memory::Region& region, double length) {
  abi::Submission flush = at(operation(abi::Operation::Flush, 2, length), region, 0);
  flush.flush_type = static_cast<std::uint8_t>(abi::FlushType::Persistent);
  return flush;
}

/** Closes a region; the value becomes how many persists ran when it was quiet, -1 before. */
std::shared_ptr<std::atomic<int>> close_region(rma::Peer& peer, const Persistent& region) {
  auto inside = std::make_shared<std::atomic<int>>(-1);
  peer.device().deregister(region.memory.region, [inside, persist = region.persist] {
    inside->store(persist->inside.load());
  });
  return inside;
}

// ---- A plain peer's writes, persisted by the Read that is its flush ----------------------------

provider::DeviceOptions direct_write() {
  provider::DeviceOptions options;
  options.direct_write_to_pmem = true;
  return options;
}

TEST(a_region_closed_after_a_write_does_not_fail_the_next_read_elsewhere) {
  // What was written there is no concern any more, and the file may be unmapped by now.
  HostileTarget target(direct_write());
  const Persistent closed = make_persistent(*target.peer, kPage, abi::PmemDurability::Storage);
  const Persistent open = make_persistent(*target.peer, kPage, abi::PmemDurability::Storage);
  const Memory inbox = make_memory(*target.peer, kPage, kAll);
  RawPair pair = target.connect();
  const std::array<std::byte, 8> data{};
  CHECK(pair.connection->post(operation(abi::Operation::Receive, 1, 64), inbox.region).ok());
  CHECK(pair.raw.write(*closed.memory.region, data) && pair.raw.send(data));
  // The message came behind the write.
  CHECK_EQ(completions(target.bell, *pair.connection->completion_queue(), 1).size(), 1u);
  const auto quiet = close_region(*target.peer, closed);
  REQUIRE(wait_until([&] { return quiet->load() == 0; }));
  closed.target->retire();
  CHECK(pair.raw.read(*open.memory.region, 8));
  CHECK_EQ(pair.raw.receive().opcode(), iwarp::Opcode::kReadResponse);
  CHECK_EQ(closed.persist->calls.load(), 0);
  CHECK(!open.memory.region->poisoned());
  CHECK_EQ(pair.connection->queue_pair().state(), abi::ConnectionState::Established);
  target.peer->close();
}

TEST(a_failed_persist_ends_the_connection_and_poisons_no_other_region) {
  // The Read that is the flush has its source elsewhere; that memory is sound.
  HostileTarget target(direct_write());
  const Persistent failing = make_persistent(*target.peer, kPage, abi::PmemDurability::Storage);
  failing.persist->outcome = core::Status::from_errno(EIO, "msync");
  const Memory sound = make_memory(*target.peer, kPage, kAll);
  RawPair pair = target.connect();
  const std::array<std::byte, 8> data{};
  CHECK(pair.raw.write(*failing.memory.region, data));
  CHECK(pair.raw.read(*sound.region, 8));
  CHECK_EQ(pair.raw.receive().cause(), iwarp::Cause::kRdmapLocal);
  const provider::Event event = target.event(*pair.connection);
  CHECK_EQ(event.type, abi::ConnectionEvent::Lost);
  CHECK_EQ(event.cause.sys_errno, EIO);
  const std::string detail = event.cause.detail != nullptr ? event.cause.detail : "";
  CHECK(detail.find("persist") != std::string::npos);
  CHECK(!sound.region->poisoned());
  CHECK(target.serves(*sound.region));
  target.peer->close();
}

// ---- Closing a region that is in use -----------------------------------------------------------

TEST(a_region_is_quiet_only_after_the_persist_that_outlives_its_connection) {
  // The program unmaps the file when it is quiet; msync must not be in it then.
  const auto peer = open_peer();
  const auto other = open_peer();
  const Persistent region = make_persistent(*other, kPage, abi::PmemDurability::Storage);
  Pair pair = connect(peer, other);
  region.persist->held.store(true);
  CHECK(pair.client->post(persistent_flush(*region.memory.region, 8), {}).ok());
  pair.client->kick();
  REQUIRE(wait_until([&] { return region.persist->inside.load() == 1; }));
  pair.client->queue_pair().abort(gone());
  CHECK_EQ(next_event(pair.bell, *pair.server), abi::ConnectionEvent::Lost);
  const auto quiet = close_region(*other, region);
  CHECK_EQ(quiet->load(), -1);
  region.persist->open();
  CHECK(wait_until([&] { return quiet->load() != -1; }));
  CHECK_EQ(quiet->load(), 0);
  region.target->retire();
  peer->close();
  other->close();
}

TEST(a_persist_longer_than_the_grace_costs_no_connection) {
  // A slow disk is not an other side that does not read: its flush is answered when it is durable.
  const auto peer = open_peer();
  const auto other = open_peer();
  const Persistent region = make_persistent(*other, kPage, abi::PmemDurability::Storage);
  Pair pair = connect(peer, other);
  region.persist->held.store(true);
  CHECK(pair.client->post(persistent_flush(*region.memory.region, 8), {}).ok());
  pair.client->kick();
  REQUIRE(wait_until([&] { return region.persist->inside.load() == 1; }));
  const auto quiet = close_region(*other, region);
  const auto ended = [&] {
    return pair.client->queue_pair().state() != abi::ConnectionState::Established ||
           pair.server->queue_pair().state() != abi::ConnectionState::Established;
  };
  CHECK(!wait_until(ended, abi::kRevokeGraceMs + 300));
  CHECK_EQ(quiet->load(), -1);
  region.persist->open();
  const auto done = completions(pair.bell, *pair.client->completion_queue(), 1);
  REQUIRE(done.size() == 1);
  CHECK_EQ(done[0].status, 0);
  CHECK_EQ(done[0].durability, static_cast<std::uint8_t>(abi::Durability::Persisted));
  CHECK(wait_until([&] { return quiet->load() == 0; }));
  CHECK(!ended());
  peer->close();
  other->close();
}

/** Takes whole Reads of this many bytes at a pace, and tells how many came before the stream ended
 * or said something else. */
std::uint64_t take_steadily(RawPeer& raw, std::uint64_t bytes) {
  constexpr std::uint64_t kBytesPerMillisecond = 96 * 1024;
  const auto start = std::chrono::steady_clock::now();
  std::uint64_t taken = 0;
  while (taken < bytes) {
    // A pace, not a wait for something: the reader is slower than the wire.
    std::this_thread::sleep_until(start + taken / kBytesPerMillisecond * 1ms);
    const RawFrame frame = raw.receive();
    if (frame.opcode() != iwarp::Opcode::kReadResponse) break;
    const std::size_t ulpdu = std::to_integer<std::size_t>(frame.bytes[0]) << 8 |
                              std::to_integer<std::size_t>(frame.bytes[1]);
    taken += ulpdu - iwarp::kTaggedUlpduBytes;
  }
  return taken;
}

TEST(a_slow_steady_reader_gets_all_of_its_reads_from_a_region_closed_meanwhile) {
  // The answers were owed before the close, and they take longer than the grace; only who takes
  // nothing during it is ended.
  constexpr std::uint32_t kReads = 4;
  constexpr std::uint32_t kReadBytes = 32U << 20;
  HostileTarget target;
  const Memory memory = make_memory(*target.peer, kReadBytes, kAll);
  RawPair pair = target.connect();
  for (std::uint32_t i = 0; i < kReads; ++i) CHECK(pair.raw.read(*memory.region, kReadBytes));
  // The last request is in: each holds the region, and the answers fill TCP.
  REQUIRE(wait_until([&] { return memory.region->users() == kReads; }));
  const auto quiet = std::make_shared<std::atomic<bool>>(false);
  const auto start = std::chrono::steady_clock::now();
  target.peer->device().deregister(memory.region, [quiet] { quiet->store(true); });
  CHECK(!quiet->load());
  CHECK_EQ(take_steadily(pair.raw, std::uint64_t{kReads} * kReadBytes),
           std::uint64_t{kReads} * kReadBytes);
  CHECK(std::chrono::steady_clock::now() - start > abi::kRevokeGraceMs * 1ms);
  CHECK(wait_until([&] { return quiet->load(); }));
  CHECK_EQ(pair.connection->queue_pair().state(), abi::ConnectionState::Established);
  target.peer->close();
}

TEST(a_reader_that_takes_nothing_does_not_keep_a_closed_region_for_ever) {
  // Without an end its answer would hold the memory as long as the other side likes.
  constexpr std::uint32_t kReadBytes = 32U << 20;
  HostileTarget target;
  const Memory memory = make_memory(*target.peer, kReadBytes, kAll);
  RawPair pair = target.connect();
  CHECK(pair.raw.read(*memory.region, kReadBytes));
  REQUIRE(wait_until([&] { return memory.region->users() == 1; }));
  const auto quiet = std::make_shared<std::atomic<bool>>(false);
  target.peer->device().deregister(memory.region, [quiet] { quiet->store(true); });
  CHECK(!quiet->load());
  CHECK(wait_until([&] { return quiet->load(); }, 4 * abi::kRevokeGraceMs));
  CHECK_EQ(target.event(*pair.connection).type, abi::ConnectionEvent::Lost);
  target.peer->close();
}

// ---- What a connection leaves behind -----------------------------------------------------------

TEST(a_persist_in_slices_stops_with_its_connection) {
  // Nobody waits for the rest, and the thread that would do it serves every other connection.
  constexpr std::size_t kSlices = 64;
  constexpr std::size_t kSize = kSlices * abi::kPersistSliceBytes;
  const auto peer = open_peer();
  const auto other = open_peer();
  const Persistent region = make_persistent(*other, kSize, abi::PmemDurability::Pmem);
  Pair pair = connect(peer, other);
  region.persist->held.store(true);
  const auto flush = persistent_flush(*region.memory.region, static_cast<double>(kSize));
  CHECK(pair.client->post(flush, {}).ok());
  pair.client->kick();
  REQUIRE(wait_until([&] { return region.persist->inside.load() == 1; }));
  // The thread that runs the slices also ends connections: it finds this end before the next slice.
  pair.server->queue_pair().abort(gone());
  region.persist->open();
  CHECK_EQ(next_event(pair.bell, *pair.server), abi::ConnectionEvent::Closed);
  const auto quiet = close_region(*other, region);
  CHECK(wait_until([&] { return quiet->load() == 0; }));
  other->close();
  CHECK_EQ(region.persist->calls.load(), 1);
  peer->close();
}

TEST(the_scratch_of_emulated_flushes_goes_with_its_connection) {
  // A plain peer cannot flush; the Read that stands for it has a sink of ours, a connection each.
  constexpr int kRounds = 10;
  const auto peer = open_peer();
  RawListener listener;
  const Memory remote = make_memory(*peer, kPage, kAll);
  const std::int64_t before = core::counters().regions.load();
  for (int i = 0; i < kRounds; ++i) {
    const auto bell = std::make_shared<Bell>();
    auto connection = rma::Connection::outgoing(peer, listener.address(), {});
    REQUIRE(connection.ok());
    watch(bell, **connection);
    CHECK((*connection)->connect({}).ok());
    RawPeer raw = listener.accept();
    CHECK(raw.open() && raw.accept_plainly());
    CHECK_EQ(next_event(bell, **connection), abi::ConnectionEvent::Established);
    const auto flush = at(operation(abi::Operation::Flush, 1, 8), *remote.region, 0);
    CHECK((*connection)->post(flush, {}).ok());
    CHECK_EQ(core::counters().regions.load(), before + 1);
    (*connection)->kick();
    (*connection)->queue_pair().abort(gone());
    CHECK_EQ(next_event(bell, **connection), abi::ConnectionEvent::Closed);
    const auto done = completions(bell, *(*connection)->completion_queue(), 1);
    CHECK_EQ(done.size(), 1u);
    *connection = nullptr;
    REQUIRE(wait_until([&] { return core::counters().regions.load() == before; }, 2000));
  }
  peer->close();
}

// ---- A flush that fails ------------------------------------------------------------------------

void publish_behind_a_failed_flush(abi::PmemDurability kind) {
  const auto peer = open_peer();
  const auto other = open_peer();
  const Persistent log = make_persistent(*other, kPage, kind);
  log.persist->held.store(true);
  log.persist->outcome = core::Status::from_errno(EIO, "msync");
  Pair pair = connect(peer, other);
  abi::Submission publish =
      at(operation(abi::Operation::AtomicWrite, 3, 8), *log.memory.region, 64);
  std::memset(publish.value, 0x77, sizeof(publish.value));
  CHECK(pair.client->post(persistent_flush(*log.memory.region, 8), {}).ok());
  CHECK(pair.client->post(publish, {}).ok());
  pair.client->kick();
  CHECK(pair.bell->until([&] { return log.persist->inside.load() == 1; }));
  log.persist->open();
  const auto done = completions(pair.bell, *pair.client->completion_queue(), 2);
  CHECK_EQ(done.size(), 2u);
  CHECK_EQ(int{done[0].status}, static_cast<int>(abi::CompletionStatus::RemoteOperation));
  CHECK_EQ(done[0].provider_error, EIO);
  CHECK_EQ(int{done[1].status}, static_cast<int>(abi::CompletionStatus::Flushed));
  CHECK(next_event(pair.bell, *pair.client) == abi::ConnectionEvent::Lost);
  CHECK(next_event(pair.bell, *pair.server) == abi::ConnectionEvent::Lost);
  const std::array<std::byte, 8> untouched{};
  CHECK(std::memcmp(log.memory.data() + 64, untouched.data(), untouched.size()) == 0);
  peer->close();
  other->close();
}

TEST(an_atomic_write_behind_a_failed_flush_of_storage_publishes_nothing) {
  // Write, flush, atomic write, posted without waiting, are crash-safe in that order, also when the
  // flush fails.
  publish_behind_a_failed_flush(abi::PmemDurability::Storage);
}

TEST(an_atomic_write_behind_a_failed_flush_of_pmem_publishes_nothing) {
  publish_behind_a_failed_flush(abi::PmemDurability::Pmem);
}

TEST(nothing_lives_on) { CHECK_EQ(core::live_total(), 0); }

}  // namespace
}  // namespace rpma::test
CHECK_MAIN()
