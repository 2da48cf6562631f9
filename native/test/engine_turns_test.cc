// SPDX-License-Identifier: BSD-3-Clause
//
// What a driver takes from one connection before it lets others in: at most abi::kDriveFrames
// frames, and no further frame once abi::kDriveBytes have come. Shown without clocks: the progress
// thread is held up until a flood and, behind it, a read of another connection wait in their
// sockets; what the read finds is what the flood was allowed before it.
#include <sys/socket.h>

#include <semaphore>

#include "provider/iwarp/receiver.h"
#include "test/raw_peer.h"

namespace rpma::test {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kUsage = abi::kMemoryUsageReadSource | abi::kMemoryUsageWriteDestination;

/** Holds up the thread that notifies, until it is let go. */
class Barrier final : public provider::Notifier {
 public:
  void notify(std::uint64_t) override {
    held_.release();
    static_cast<void>(go_.try_acquire_for(10s));
  }
  bool holds() { return held_.try_acquire_for(10s); }
  void let_go() { go_.release(); }

 private:
  std::counting_semaphore<> held_{0};
  std::counting_semaphore<> go_{0};
};

/** A Write of one byte of 1, cut by hand: RawPeer writes at a region's begin only. */
bool mark(RawPeer& raw, const memory::Region& region, std::uint64_t offset) {
  iwarp::TaggedHeader header;
  header.stag = region.key();
  header.tagged_offset = region.base() + offset;
  std::vector<std::byte> frame(iwarp::kTaggedHeaderBytes);
  if (iwarp::encode_tagged_header(frame, header, 1) != frame.size()) return false;
  frame.push_back(std::byte{1});
  std::array<std::byte, 8> trailer;
  const std::size_t size =
      iwarp::encode_trailer_without_crc(trailer, frame.size() - iwarp::kUlpduLengthBytes);
  frame.insert(frame.end(), trailer.begin(), trailer.begin() + static_cast<std::ptrdiff_t>(size));
  return raw.send_bytes(frame);
}

/** A byte that the progress thread may write at this moment, as any program of a target may look.
 */
__attribute__((noinline, no_sanitize("thread"))) std::byte peek(const volatile std::byte* at) {
  return *at;
}

TEST(a_flood_of_frames_lets_others_in_after_a_turn) {
  constexpr std::size_t kFrames = 2000;
  HostileTarget target;
  const Memory memory = make_memory(*target.peer, kFrames, kUsage);
  RawPair flood = target.connect();
  RawPair quiet = target.connect();
  RawPair third = target.connect();
  const auto barrier = std::make_shared<Barrier>();
  third.connection->queue_pair().set_notify({barrier, 0});
  third.raw.close();
  REQUIRE(barrier->holds());
  for (std::size_t n = 0; n < kFrames; ++n) REQUIRE(mark(flood.raw, *memory.region, n));
  CHECK(quiet.raw.read(*memory.region, kFrames));
  barrier->let_go();
  const RawFrame answer = quiet.raw.receive();
  CHECK_EQ(answer.opcode(), iwarp::Opcode::kReadResponse);
  REQUIRE(answer.bytes.size() > iwarp::kTaggedHeaderBytes + kFrames);
  const auto payload = std::span(answer.bytes).subspan(iwarp::kTaggedHeaderBytes, kFrames);
  const auto taken = std::count(payload.begin(), payload.end(), std::byte{1});
  std::printf("# %td of %zu frames came before the read\n", taken, kFrames);
  // What is left in staging is taken in a turn of its own, which may come first, too.
  CHECK(taken <= static_cast<std::ptrdiff_t>(2 * abi::kDriveFrames));
  // Nothing is lost by it.
  CHECK(wait_until([&] { return peek(memory.data() + kFrames - 1) == std::byte{1}; }));
  target.peer->close();
}

/** Counts what it is given. */
class Counting final : public iwarp::FrameSink {
 public:
  iwarp::Verdict on_frame(const iwarp::Segment&, std::span<const std::byte> fpdu) override {
    ++frames;
    bytes += fpdu.size();
    return iwarp::Verdict::taken();
  }
  iwarp::DirectTarget direct_target(const iwarp::Segment&) override { return {}; }
  iwarp::Verdict on_direct(const iwarp::Segment&) override { return iwarp::Verdict::taken(); }
  std::size_t frames = 0;
  std::size_t bytes = 0;
};

TEST(a_turn_ends_with_its_frames_or_with_its_bytes) {
  constexpr std::size_t kPayload = 4000;
  constexpr std::size_t kSent = 24;
  int ends[2] = {-1, -1};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
  RawPeer raw{iwarp::Socket(ends[0])};
  const iwarp::Socket socket(ends[1]);
  const std::vector<std::byte> payload(kPayload);
  for (std::size_t n = 0; n < kSent; ++n) REQUIRE(raw.send(payload));
  iwarp::BufferPool pool;
  Counting sink;
  provider::ConnectionCounts counts;
  iwarp::Receiver receiver(pool, sink, counts);
  using Outcome = iwarp::Receiver::Outcome;
  // By bytes: all that TCP had has come at once, so the first frame is the last of this turn.
  CHECK_EQ(receiver.run(socket.fd(), 1000, kPayload), Outcome::Budget);
  CHECK_EQ(sink.frames, 1);
  // By frames, out of staging.
  CHECK_EQ(receiver.run(socket.fd(), 5, 1 << 30), Outcome::Budget);
  CHECK_EQ(sink.frames, 6);
  CHECK(receiver.has_frame());
  CHECK_EQ(receiver.run(socket.fd(), 1000, 1 << 30), Outcome::Drained);
  CHECK_EQ(sink.frames, kSent);
}

TEST(nothing_lives_on) { CHECK_EQ(core::live_total(), 0); }

}  // namespace
}  // namespace rpma::test
CHECK_MAIN()
