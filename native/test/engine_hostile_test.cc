// SPDX-License-Identifier: BSD-3-Clause
//
// What the other side may do to us: ask for what cannot be answered, die while we read nothing,
// come and go in masses, begin frames and not end them. It costs that connection at most; the
// process, the other connections and the threads that drive go on.
#include <sys/epoll.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "core/fault_points.h"
#include "test/raw_peer.h"

namespace rpma::test {
namespace {

constexpr std::uint32_t kAll = 0xDF;
#if defined(__SANITIZE_THREAD__)
constexpr bool kMeasuresMemory = false;
constexpr int kListenRounds = 300;
#elif defined(__SANITIZE_ADDRESS__)
constexpr bool kMeasuresMemory = false;
constexpr int kListenRounds = 1000;
#else
constexpr bool kMeasuresMemory = true;
constexpr int kListenRounds = 1000;
#endif

core::Status gone() { return core::Status::failure(abi::Code::Closed, "the program died"); }

TEST(a_read_whose_answer_would_wrap_ends_that_connection_only) {
  // The sink is the other side's own affair, but no frame can carry an offset that wraps: found
  // when the answer is built, it is too late to blame the one who asked.
  HostileTarget target;
  const Memory memory = make_memory(*target.peer, 4096, kAll);
  RawPair other = target.connect();
  RawPair hostile = target.connect();
  CHECK(hostile.raw.read(*memory.region, 8, ~std::uint64_t{0} - 3));
  CHECK_EQ(hostile.raw.receive().cause(), iwarp::Cause::kRemoteWrap);
  CHECK_EQ(target.event(*hostile.connection).type, abi::ConnectionEvent::Lost);
  CHECK(!memory.region->poisoned());
  CHECK(other.raw.read(*memory.region, 8));
  CHECK_EQ(other.raw.receive().opcode(), iwarp::Opcode::kReadResponse);
  CHECK_EQ(other.connection->queue_pair().state(), abi::ConnectionState::Established);
  CHECK(target.serves(*memory.region));
  target.peer->close();
}

TEST(the_last_sink_that_does_not_wrap_is_answered) {
  // The border itself belongs to the other side: its last byte may be the last of all offsets.
  HostileTarget target;
  const Memory memory = make_memory(*target.peer, 4096, kAll);
  RawPair pair = target.connect();
  CHECK(pair.raw.read(*memory.region, 8, ~std::uint64_t{0} - 7));
  CHECK_EQ(pair.raw.receive().opcode(), iwarp::Opcode::kReadResponse);
  target.peer->close();
}

/**
 * One side floods the other, which has no receives, until its space for parked messages is full and
 * it reads no more; then the flooder's process dies. A turn is what the driver does again and
 * again.
 */
template <typename Turn>
void death_at_a_stalled_driver(Turn turn) {
  constexpr int kMessages = 40;
  constexpr double kBytes = 8000;  // together several times abi::kParkedBytes
  constexpr int kTurnsToStall = 200;
  const auto peer = open_peer();
  const auto other = open_peer();
  const Memory local = make_memory(*peer, 1 << 20, kAll);
  rma::ConnectionOptions options;
  options.queue_pair.send_queue_size = 2 * kMessages;
  options.completion_queue_size = 4 * kMessages;
  Pair pair = connect(peer, other, options, options);
  // A driver that the system puts aside for a moment would be relieved by the progress thread,
  // which notices by itself: it shall not be able to.
  REQUIRE(core::fault::set("iwarp.epoll_ctl", 1, core::fault::kForever, ENOSPC));
  turn(*pair.server);
  for (int i = 0; i < kMessages; ++i) {
    CHECK(pair.client->post(operation(abi::Operation::Send, i, kBytes), local.region).ok());
  }
  pair.client->kick();
  std::size_t sent = 0;
  const auto look = [&] {
    abi::Completion some[kMessages];
    turn(*pair.server);
    sent += pair.client->completion_queue()->poll(some, kMessages);
    return sent == kMessages;
  };
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (!look() && std::chrono::steady_clock::now() < deadline) {
  }
  CHECK_EQ(sent, static_cast<std::size_t>(kMessages));
  for (int i = 0; i < kTurnsToStall; ++i) turn(*pair.server);
  CHECK_EQ(pair.server->queue_pair().state(), abi::ConnectionState::Established);
  pair.client->queue_pair().abort(gone());
  const auto closed = [&] {
    return pair.server->queue_pair().state() == abi::ConnectionState::Closed;
  };
  const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  while (!closed() && std::chrono::steady_clock::now() < patience) turn(*pair.server);
  CHECK(closed());
  core::fault::clear_all();
  CHECK_EQ(next_event(pair.bell, *pair.server), abi::ConnectionEvent::Lost);
  peer->close();
  other->close();
}

TEST(a_poller_that_reads_nothing_notices_that_the_other_side_died) {
  // Only whoever reads meets the reset, and a stalled connection is not read.
  death_at_a_stalled_driver([](rma::Connection& connection) {
    abi::Completion some[4];
    connection.completion_queue()->take_over(-1);
    CHECK_EQ(connection.completion_queue()->poll(some, 4), 0u);
  });
}

TEST(an_event_loop_that_reads_nothing_notices_that_the_other_side_died) {
  // A hang-up is told at every turn: a loop that does not end the connection spins for ever.
  const int epoll_fd = ::epoll_create1(EPOLL_CLOEXEC);
  REQUIRE(epoll_fd >= 0);
  death_at_a_stalled_driver([epoll_fd](rma::Connection& connection) {
    epoll_event ready[4];
    connection.completion_queue()->take_over(epoll_fd);
    if (::epoll_wait(epoll_fd, ready, 4, 0) > 0) connection.queue_pair().drive();
  });
  ::close(epoll_fd);
}

TEST(a_listener_that_paused_goes_on_whenever_its_request_is_fetched) {
  // The fetch may fall into the moment in which the listener decides to pause; missed, nobody
  // wakes it up any more. Two threads that fetch and requests in a row make such moments frequent.
  const auto peer = open_peer();
  provider::ListenLimits limits;
  limits.unfetched_requests = 1;
  auto listening = peer->device().listen({"127.0.0.1", 0}, limits);
  REQUIRE(listening.ok());
  const std::shared_ptr<provider::Listener> listener = *listening;
  std::atomic<bool> stop{false};
  std::atomic<int> fetched{0};
  const auto fetch = [&] {
    while (!stop.load()) {
      if (listener->next()) fetched.fetch_add(1);
    }
  };
  std::thread fetchers[] = {std::thread(fetch), std::thread(fetch)};
  constexpr int kBurst = 4;
  int round = 0;
  bool alive = true;
  for (; round < kListenRounds && alive; ++round) {
    std::array<RawPeer, kBurst> burst;
    for (RawPeer& raw : burst) {
      raw = RawPeer::request(listener->address().port);
      alive = alive && raw.open();
    }
    alive = alive && wait_until([&] { return fetched.load() == (round + 1) * kBurst; }, 2000);
  }
  CHECK(alive);
  CHECK_EQ(round, kListenRounds);
  stop.store(true);
  for (std::thread& fetcher : fetchers) fetcher.join();
  peer->close();
}

long resident_bytes() {
  long pages = 0;
  if (std::FILE* const file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%*d %ld", &pages) != 1) pages = 0;
    static_cast<void>(std::fclose(file));
  }
  return pages * ::sysconf(_SC_PAGESIZE);
}

TEST(a_frame_that_never_ends_costs_the_bytes_that_came) {
  // A staging buffer has room for several frames; many who begin one and go silent must not make
  // us touch all of it.
  constexpr std::size_t kConnections = 64;
  constexpr std::size_t kPartBytes = 8000;  // below what is received in place
  constexpr long kBoundBytes = static_cast<long>(kConnections) * 64 * 1024;
  HostileTarget target;
  const Memory memory = make_memory(*target.peer, 65536, kAll);
  std::vector<RawPair> pairs;
  for (std::size_t i = 0; i < kConnections; ++i) pairs.push_back(target.connect());
  iwarp::TaggedHeader header;
  header.stag = memory.region->key();
  header.tagged_offset = memory.region->base();
  constexpr std::size_t kPayloadBytes = 12'000;
  std::vector<std::byte> frame(iwarp::kTaggedHeaderBytes);
  CHECK_EQ(iwarp::encode_tagged_header(frame, header, kPayloadBytes), frame.size());
  frame.resize(iwarp::fpdu_bytes(frame.size() - iwarp::kUlpduLengthBytes + kPayloadBytes));
  const auto part = std::span(frame).first(kPartBytes);
  const auto rest = std::span(frame).subspan(kPartBytes);
  const long before = resident_bytes();
  for (RawPair& pair : pairs) CHECK(pair.raw.send_bytes(part));
  // One thread reads them all: who is answered now came behind them.
  CHECK(target.serves(*memory.region));
  const long grown = resident_bytes() - before;
  if (kMeasuresMemory) {
    CHECK(before > 0);
    CHECK(grown < kBoundBytes);
  } else {
    std::printf("# resident memory is the sanitizer's: not compared\n");
  }
  for (RawPair& pair : pairs) {
    CHECK(pair.raw.send_bytes(rest) && pair.raw.read(*memory.region, 8));
    CHECK_EQ(pair.raw.receive().opcode(), iwarp::Opcode::kReadResponse);
  }
  target.peer->close();
}

TEST(messages_of_every_kind_leave_the_space_for_parked_ones) {
  // Counted in and not out, some messages that waited for receives would fill the space for ever:
  // the next one without a receive would then keep us from reading what comes behind it.
  constexpr int kMessages = abi::kParkedMessages;
  HostileTarget target;
  const Memory memory = make_memory(*target.peer, 4096, kAll);
  rma::ConnectionOptions options;
  options.queue_pair.receive_queue_size = kMessages;
  options.queue_pair.close_timeout_ms = 50;
  options.completion_queue_size = 2 * kMessages;
  RawPair pair = target.connect(false, options);
  const std::array<std::byte, 8> word{};
  for (int i = 0; i < kMessages; ++i) {
    CHECK(pair.raw.send(word, iwarp::Opcode::kSendSolicited));
  }
  // One thread reads them all: who is answered now came behind them.
  CHECK(target.serves(*memory.region));
  for (int i = 0; i < kMessages; ++i) {
    CHECK(pair.connection->post(operation(abi::Operation::Receive, i, 8), memory.region).ok());
  }
  const auto received = completions(target.bell, *pair.connection->completion_queue(), kMessages);
  CHECK_EQ(received.size(), static_cast<std::size_t>(kMessages));
  // Its FIN is behind a message: whoever does not read does not hear that it left.
  CHECK(pair.raw.send(word, iwarp::Opcode::kSendSolicited));
  pair.raw.close();
  CHECK_EQ(target.event(*pair.connection).type, abi::ConnectionEvent::Lost);
  target.peer->close();
}

TEST(nothing_lives_on) { CHECK_EQ(core::live_total(), 0); }

}  // namespace
}  // namespace rpma::test
CHECK_MAIN()
