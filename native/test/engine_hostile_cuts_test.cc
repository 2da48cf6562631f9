// SPDX-License-Identifier: BSD-3-Clause
//
// The same stream cut at every place: whatever TCP hands over at once, a frame comes to the same.
// This thread drives the connection itself, so that it looks after every piece. With CRC on not a
// byte may be placed before its frame is whole; with CRC off a large one is received in place.
#include "core/fault_points.h"
#include "provider/iwarp/crc32c.h"
#include "test/raw_peer.h"

namespace rpma::test {
namespace {

constexpr std::uint32_t kAll = 0xDF;
constexpr std::size_t kSmallBytes = 37;
constexpr std::size_t kLargeBytes = 40'001;
constexpr std::size_t kMemory = 1 << 16;
constexpr std::size_t kLargeAt = 4096;
constexpr std::byte kPattern{0xA5};
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr std::size_t kRandomRounds = 40;
constexpr std::size_t kStride = 7;
#else
constexpr std::size_t kRandomRounds = 300;
constexpr std::size_t kStride = 1;
#endif

using Bytes = std::vector<std::byte>;

Bytes tagged_frame(const memory::Region& region, std::size_t offset, std::size_t size,
                   std::byte value, bool crc) {
  iwarp::TaggedHeader header;
  header.stag = region.key();
  header.tagged_offset = region.base() + offset;
  Bytes frame(iwarp::kTaggedHeaderBytes);
  CHECK_EQ(iwarp::encode_tagged_header(frame, header, size), frame.size());
  frame.resize(frame.size() + size, value);
  const std::size_t ulpdu = frame.size() - iwarp::kUlpduLengthBytes;
  std::array<std::byte, iwarp::kTrailerBytesMax> trailer;
  const std::uint32_t state = iwarp::crc32c(iwarp::kCrc32cBegin, frame.data(), frame.size());
  const std::size_t tail = crc ? iwarp::encode_trailer(trailer, ulpdu, state)
                               : iwarp::encode_trailer_without_crc(trailer, ulpdu);
  frame.insert(frame.end(), trailer.begin(), trailer.begin() + static_cast<std::ptrdiff_t>(tail));
  return frame;
}

/** A small and a large Write and the memory that they name. */
struct Stage {
  const bool crc;
  HostileTarget target;
  Memory memory = make_memory(*target.peer, kMemory, kAll);
  RawPair pair;
  Bytes stream;
  std::size_t small_end = 0;
  std::size_t large_end = 0;
  std::size_t early_bytes = 0;  // seen in memory before their frame was whole

  explicit Stage(bool with_crc) : crc(with_crc), pair(target.connect(with_crc)) {
    const Bytes small = tagged_frame(*memory.region, 3, kSmallBytes, std::byte{1}, crc);
    const Bytes large = tagged_frame(*memory.region, kLargeAt, kLargeBytes, std::byte{2}, crc);
    stream = small;
    small_end = stream.size();
    stream.insert(stream.end(), large.begin(), large.end());
    large_end = stream.size();
    const Bytes again = tagged_frame(*memory.region, 3, 4, std::byte{3}, crc);
    stream.insert(stream.end(), again.begin(), again.end());
  }
  ~Stage() { target.peer->close(); }
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  std::span<const std::byte> bytes() const { return {memory.data(), kMemory}; }
  void clear() { std::fill_n(memory.data(), kMemory, kPattern); }
  void drive() {
    pair.connection->completion_queue()->take_over(-1);
    pair.connection->queue_pair().drive();
  }
  /** Sends a piece and looks: what is not here yet must not be in memory, but for a part in place.
   */
  bool send(std::size_t from, std::size_t to) {
    if (!pair.raw.send_bytes(std::span(stream).subspan(from, to - from))) return false;
    drive();
    if (to < small_end && memory.data()[3] != kPattern) return false;
    if (to < large_end && memory.data()[kLargeAt] != kPattern) {
      if (crc) return false;
      ++early_bytes;
    }
    return true;
  }
  /** Whether all of it is there, and nothing else. */
  bool complete() {
    Bytes expected(kMemory, kPattern);
    std::fill_n(expected.begin() + 3, kSmallBytes, std::byte{1});
    std::fill_n(expected.begin() + 3, 4, std::byte{3});
    std::fill_n(expected.begin() + kLargeAt, kLargeBytes, std::byte{2});
    // The last byte of the last frame comes last.
    const auto all = [&] {
      drive();
      return std::equal(expected.begin(), expected.end(), memory.data());
    };
    return wait_until(all, 2000);
  }
};

/** From now on this thread alone drives: it looks at the memory without asking anybody. */
class DriverForGood {
 public:
  DriverForGood(std::initializer_list<Stage*> stages) {
    for (Stage* const stage : stages) stage->drive();
    // What cannot be watched cannot be taken back.
    CHECK(core::fault::set("iwarp.epoll_ctl", 1, core::fault::kForever, ENOSPC));
  }
  ~DriverForGood() { core::fault::clear_all(); }
  DriverForGood(const DriverForGood&) = delete;
  DriverForGood& operator=(const DriverForGood&) = delete;
};

bool cut_once(Stage& stage, std::size_t at) {
  stage.clear();
  return stage.send(0, at) && stage.send(at, stage.stream.size()) && stage.complete();
}

void cut_everywhere(bool crc) {
  Stage stage(crc);
  const DriverForGood driver{&stage};
  std::size_t cuts = 0;
  bool right = true;
  const auto cut_range = [&](std::size_t from, std::size_t to) {
    for (std::size_t at = from; at < to && right; at += kStride, ++cuts) {
      right = cut_once(stage, at);
      if (!right) std::printf("# cut at %zu, crc %d\n", at, crc);
    }
  };
  // All borders, and the stretch in which the rest becomes too short to be received in place.
  cut_range(1, stage.small_end + 200);
  const std::size_t least_rest = 16 * 1024;
  cut_range(stage.large_end - least_rest - 60, stage.large_end - least_rest + 60);
  cut_range(stage.large_end - 60, stage.stream.size());
  CHECK(right);
  CHECK(crc == (stage.early_bytes == 0));
  std::printf("# %zu cuts, crc %d, in place %zu times\n", cuts, crc, stage.early_bytes);
}

TEST(a_stream_cut_once_at_any_byte_comes_to_the_same_staged) { cut_everywhere(true); }
TEST(a_stream_cut_once_at_any_byte_comes_to_the_same_in_place) { cut_everywhere(false); }

/** splitmix over 64 bits: the same cuts for both modes. */
std::uint64_t next_random(std::uint64_t* state) {
  std::uint64_t z = (*state += 0x9E3779B97F4A7C15u);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

TEST(random_cuts_come_to_the_same_staged_and_in_place) {
  constexpr std::uint64_t kSeed = 7601;
  Stage staged(true);
  Stage in_place(false);
  const DriverForGood driver{&staged, &in_place};
  std::uint64_t state = kSeed;
  bool right = true;
  std::size_t pieces = 0;
  for (std::size_t round = 0; round < kRandomRounds && right; ++round) {
    const std::uint64_t start = next_random(&state);
    for (Stage* const stage : {&staged, &in_place}) {
      std::uint64_t cuts = start;
      const std::size_t longest = std::size_t{1} << (1 + next_random(&cuts) % 16);
      stage->clear();
      // Short pieces all over a long stream would take a minute: they end after a while.
      for (std::size_t at = 0, sent = 0; at < stage->stream.size() && right; ++sent, ++pieces) {
        const std::size_t left = stage->stream.size() - at;
        std::size_t piece = 1 + next_random(&cuts) % longest;
        if (sent > 300) piece = 8000;
        piece = std::min(piece, left);
        right = stage->send(at, at + piece);
        at += piece;
      }
      right = right && stage->complete();
      if (!right) std::printf("# round %zu, crc %d\n", round, stage->crc);
    }
    right =
        right && std::equal(staged.bytes().begin(), staged.bytes().end(), in_place.bytes().begin());
  }
  CHECK(right);
  CHECK_EQ(staged.early_bytes, 0u);
  CHECK(in_place.early_bytes > 0);
  std::printf("# seed %llu: %zu rounds, %zu pieces, in place %zu times\n",
              static_cast<unsigned long long>(kSeed), kRandomRounds, pieces, in_place.early_bytes);
}

TEST(nothing_lives_on) { CHECK_EQ(core::live_total(), 0); }

}  // namespace
}  // namespace rpma::test
CHECK_MAIN()
