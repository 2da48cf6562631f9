// SPDX-License-Identifier: BSD-3-Clause
//
// The receive side of a connection: takes bytes from TCP, cuts them into frames, checks CRC, header
// and sequence, and gives each frame to its sink in stream order. With CRC on a frame is verified
// in staging before the sink sees it; with CRC off the payload of a large tagged frame is received
// directly into the memory it names, once its header has been validated. Used under the queue
// pair's driver lock only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "memory/region_table.h"
#include "provider/iwarp/buffer_pool.h"
#include "provider/iwarp/ddp.h"
#include "provider/iwarp/first_sequence.h"
#include "provider/iwarp/mpa.h"
#include "provider/statistics.h"

namespace rpma::iwarp {

/** What becomes of a frame. */
struct Verdict {
  enum class Kind : std::uint8_t { Taken, Stall, Fail } kind = Kind::Taken;
  Cause cause = Cause::kNone;
  static Verdict taken() { return {}; }
  static Verdict stall() { return {Kind::Stall, Cause::kNone}; }
  static Verdict fail(Cause cause) { return {Kind::Fail, cause}; }
};

/** Memory into which a frame's payload may be received now. */
struct DirectTarget {
  std::byte* data = nullptr;  // null: not for this frame, it goes through staging
  memory::RegionUse use;      // of a Write's target; a Read's sink is held by its operation
  std::shared_ptr<memory::Region> region;
};

class FrameSink {
 public:
  virtual ~FrameSink() = default;
  /** A whole, verified frame. Stalled, the same frame is given again by a later run. */
  virtual Verdict on_frame(const Segment& segment, std::span<const std::byte> fpdu) = 0;
  /** Where the payload of a large tagged frame goes, once its header has passed every check. */
  virtual DirectTarget direct_target(const Segment& segment) = 0;
  /** The payload for which direct_target() gave memory is complete. */
  virtual Verdict on_direct(const Segment& segment) = 0;
};

class Receiver {
 public:
  enum class Outcome : std::uint8_t {
    Drained,  // TCP has nothing more now
    Budget,   // there is more, but the turn is over
    Stalled,  // the sink does not take the next frame
    Ended,    // the other side sent FIN; at a frame's border when clean()
    Failed,   // see cause() and error()
  };

  Receiver(BufferPool& pool, FrameSink& sink, provider::ConnectionCounts& counts)
      : pool_(pool), sink_(sink), counts_(counts) {}

  void configure(bool crc, OpcodeSet opcodes) {
    crc_ = crc;
    opcodes_ = opcodes;
  }
  /** Bytes that arrived together with the set-up frame; false when there is no memory for them. */
  [[nodiscard]] bool prime(std::span<const std::byte> bytes);
  Outcome run(int fd, std::uint32_t frames, std::uint64_t bytes);

  [[nodiscard]] Cause cause() const { return cause_; }
  [[nodiscard]] int error() const { return error_; }
  /** The frame at fault, as far as it is here, for a Terminate. */
  [[nodiscard]] std::span<const std::byte> fault() const;
  /** No frame and no message has begun and not ended. */
  [[nodiscard]] bool clean() const { return begin_ == end_ && !direct_ && !tracker_.in_message(); }
  [[nodiscard]] bool ended() const { return fin_; }
  /** A whole frame lies in staging: the socket's readiness will not tell of it. */
  [[nodiscard]] bool has_frame() const;
  [[nodiscard]] bool passed_any() const { return frames() > 0; }
  /** Frames taken so far; any thread. */
  [[nodiscard]] std::uint64_t frames() const {
    return counts_.get(provider::Statistic::FramesReceived);
  }
  /** The connection has ended: staging is for others. */
  void release() {
    buffer_.give_back();
    begin_ = end_ = 0;
  }

 private:
  // Below this a copy from staging costs less than a system call of its own.
  static constexpr std::size_t kDirectBytesMin = 16 * 1024;

  // A whole frame, and room to read on behind a short one.
  static constexpr std::size_t kStagingBytesLeast = abi::kStagingReceiveBytesLeast;
  static_assert(kStagingBytesLeast >= kFpduBytesMax);

  enum class Step : std::uint8_t { Taken, NeedMore, Stalled, Failed };
  Outcome work(int fd, std::uint32_t frames, std::uint64_t bytes, std::uint64_t& received);
  Step next_frame();
  bool admit();
  Step fail(Cause cause);
  Step start_direct();
  Step receive_direct(int fd, std::uint64_t* received);
  bool borrow();
  bool fill(int fd, std::uint64_t* received, Outcome* outcome);
  void drop_front(std::size_t bytes);
  void release_empty();
  [[nodiscard]] std::span<const std::byte> staged() const {
    return {buffer_.get() + begin_, end_ - begin_};
  }

  BufferPool& pool_;
  FrameSink& sink_;
  provider::ConnectionCounts& counts_;
  bool crc_ = false;
  OpcodeSet opcodes_ = kPlainOpcodes;
  SegmentTracker tracker_{first_sequence()};

  BufferPool::Buffer buffer_;  // null while nothing is staged
  std::size_t begin_ = 0;
  std::size_t end_ = 0;

  Segment front_;  // the frame at begin_, once admitted
  bool admitted_ = false;
  bool direct_ = false;  // front_'s payload is being received in place; its header is consumed
  std::array<std::byte, kTaggedHeaderBytes> direct_header_{};
  std::size_t direct_done_ = 0;
  bool short_read_ = false;
  bool fin_ = false;
  Cause cause_ = Cause::kNone;
  int error_ = 0;
};

}  // namespace rpma::iwarp
