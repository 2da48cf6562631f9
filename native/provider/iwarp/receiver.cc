// SPDX-License-Identifier: BSD-3-Clause
//
// See receiver.h.
#include "provider/iwarp/receiver.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/assert.h"
#include "core/bytes.h"
#include "core/fault_points.h"
#include "memory/guarded_copy.h"
#include "provider/iwarp/mpa.h"

namespace rpma::iwarp {

/** Sees to it that there is a staging buffer; false, with the error, when there is no memory. */
bool Receiver::borrow() {
  if (!buffer_) buffer_ = pool_.borrow(kStagingBytesLeast);
  if (!buffer_) error_ = ENOMEM;
  return static_cast<bool>(buffer_);
}

bool Receiver::prime(std::span<const std::byte> bytes) {
  if (bytes.empty()) return true;
  RPMA_ASSERT(!buffer_ && bytes.size() <= kStagingBytesLeast);
  if (!borrow()) return false;
  std::memcpy(buffer_.get(), bytes.data(), bytes.size());
  counts_.add(provider::Statistic::BytesReceived, bytes.size());
  begin_ = 0;
  end_ = bytes.size();
  return true;
}

Receiver::Outcome Receiver::run(int fd, std::uint32_t frames, std::uint64_t bytes) {
  std::uint64_t received = 0;
  const Outcome outcome = work(fd, frames, bytes, received);
  counts_.add(provider::Statistic::Turns);
  if (received > 0) counts_.add(provider::Statistic::BytesReceived, received);
  if (outcome == Outcome::Budget) counts_.add(provider::Statistic::TurnsCut);
  return outcome;
}

Receiver::Outcome Receiver::work(int fd, std::uint32_t frames, std::uint64_t bytes,
                                 std::uint64_t& received) {
  std::uint32_t taken = 0;
  for (;;) {
    const Step step = direct_ ? receive_direct(fd, &received) : next_frame();
    if (step == Step::Failed) return Outcome::Failed;
    if (step == Step::Stalled) return Outcome::Stalled;
    if (step == Step::Taken) {
      if (++taken >= frames || received >= bytes) {
        release_empty();
        return Outcome::Budget;
      }
      continue;
    }
    if (fin_) {
      release_empty();
      return Outcome::Ended;
    }
    if (received >= bytes) return Outcome::Budget;
    // TCP had less than we asked for: another call would only say so. Readiness is level-triggered.
    if (std::exchange(short_read_, false) && !direct_) {
      release_empty();
      return Outcome::Drained;
    }
    Outcome outcome = Outcome::Drained;
    if (!direct_ && !fill(fd, &received, &outcome)) {
      release_empty();
      return outcome;
    }
    // Direct reception that needs more has met the end of what TCP holds, and says so by fin_ or
    // here.
    if (direct_) {
      if (fin_) return Outcome::Ended;
      return error_ != 0 ? Outcome::Failed : Outcome::Drained;
    }
  }
}

/** Takes more bytes into staging; false when the run ends with *outcome. */
bool Receiver::fill(int fd, std::uint64_t* received, Outcome* outcome) {
  if (!buffer_) begin_ = end_ = 0;
  if (!borrow()) {
    *outcome = Outcome::Failed;
    return false;
  }
  // A frame must fit behind begin_; moving is rare and moves less than a frame.
  if (buffer_.size() - begin_ < kFpduBytesMax) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  for (;;) {
    const core::FaultAction fault = RPMA_FAULT_POINT("iwarp.recv");
    core::apply_delay(fault);
    const std::size_t room = buffer_.size() - end_;
    const ssize_t count =
        fault.fail ? (errno = fault.err, -1) : ::recv(fd, buffer_.get() + end_, room, MSG_DONTWAIT);
    if (count > 0) {
      short_read_ = static_cast<std::size_t>(count) < room;
      end_ += static_cast<std::size_t>(count);
      *received += static_cast<std::uint64_t>(count);
      return true;
    }
    if (count < 0 && errno == EINTR) continue;
    if (count == 0) {
      fin_ = true;
      *outcome = Outcome::Ended;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      *outcome = Outcome::Drained;
    } else {
      error_ = errno;
      *outcome = Outcome::Failed;
    }
    return false;
  }
}

Receiver::Step Receiver::next_frame() {
  const std::span<const std::byte> bytes = staged();
  if (bytes.size() < kUlpduLengthBytes) return Step::NeedMore;
  const std::size_t total = fpdu_bytes(core::load_be16(bytes.data()));
  if (bytes.size() < total) {
    if (crc_ || !admit()) return cause_ == Cause::kNone ? Step::NeedMore : Step::Failed;
    return start_direct();
  }
  const std::span<const std::byte> fpdu = bytes.first(total);
  if (!admitted_) {
    if (crc_ && !fpdu_is_intact(fpdu)) {
      counts_.add(provider::Statistic::ChecksumErrors);
      return fail(Cause::kMpaCrc);
    }
    if (!admit()) {
      // The whole frame is here, so a header that wants more bytes than it has is a framing fault.
      return fail(cause_ == Cause::kNone ? Cause::kMpaFraming : cause_);
    }
  }
  const Verdict verdict = sink_.on_frame(front_, fpdu);
  if (verdict.kind == Verdict::Kind::Fail) return fail(verdict.cause);
  if (verdict.kind == Verdict::Kind::Stall) return Step::Stalled;
  counts_.add(provider::Statistic::FramesReceived);
  admitted_ = false;
  drop_front(total);
  return Step::Taken;
}

/** Parses and tracks the header at the front, once; false with a cause, or without when it is not
 * here. */
bool Receiver::admit() {
  if (admitted_) return true;
  const SegmentParse parse = parse_segment(staged(), opcodes_);
  if (parse.state == ParseState::kNeedMore) return false;
  cause_ = parse.state == ParseState::kFault ? parse.cause : tracker_.accept(parse.segment);
  if (cause_ != Cause::kNone) return false;
  front_ = parse.segment;
  admitted_ = true;
  return true;
}

Receiver::Step Receiver::fail(Cause cause) {
  cause_ = cause;
  return Step::Failed;
}

Receiver::Step Receiver::start_direct() {
  const std::size_t staged_payload =
      std::min<std::size_t>(staged().size() - front_.header_bytes, front_.payload_bytes);
  if (!front_.tagged || front_.payload_bytes - staged_payload < kDirectBytesMin) {
    return Step::NeedMore;
  }
  const DirectTarget target = sink_.direct_target(front_);
  if (target.data == nullptr) return Step::NeedMore;
  const std::byte* source = staged().data() + front_.header_bytes;
  if (!memory::copy_bytes(target.data, source, staged_payload, target.region->guarded())) {
    target.region->poison();
    return fail(Cause::kDdpLocal);
  }
  std::memcpy(direct_header_.data(), staged().data(), direct_header_.size());
  direct_ = true;
  direct_done_ = staged_payload;
  drop_front(front_.header_bytes + staged_payload);
  return Step::Taken;
}

/** Payload straight into its memory, then the trailer through staging. */
Receiver::Step Receiver::receive_direct(int fd, std::uint64_t* received) {
  const std::size_t trailer = fpdu_trailer_bytes(front_.ulpdu_bytes);
  while (direct_done_ < front_.payload_bytes) {
    const DirectTarget target = sink_.direct_target(front_);
    if (target.data == nullptr) return fail(Cause::kTaggedInvalidStag);  // revoked meanwhile
    if (!borrow()) return Step::Failed;
    RPMA_ASSERT(begin_ == end_);
    begin_ = end_ = 0;
    std::array<iovec, 2> pieces{};
    pieces[0] = {target.data + direct_done_, front_.payload_bytes - direct_done_};
    pieces[1] = {buffer_.get(), 4096};  // the trailer and the next headers
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = pieces.size();
    const ssize_t count = core::attempt(RPMA_FAULT_POINT("iwarp.recvmsg"),
                                        [&] { return ::recvmsg(fd, &message, MSG_DONTWAIT); });
    if (count == 0) fin_ = true;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EFAULT) {
      target.region->poison();
      return fail(Cause::kDdpLocal);
    }
    if (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
      error_ = errno;
      return Step::Failed;
    }
    if (count <= 0) return Step::NeedMore;
    *received += static_cast<std::uint64_t>(count);
    const std::size_t placed =
        std::min<std::size_t>(static_cast<std::size_t>(count), front_.payload_bytes - direct_done_);
    direct_done_ += placed;
    end_ = static_cast<std::size_t>(count) - placed;
  }
  if (staged().size() < trailer) {
    Outcome outcome = Outcome::Drained;
    if (!fill(fd, received, &outcome)) {
      return outcome == Outcome::Failed ? Step::Failed : Step::NeedMore;
    }
    if (staged().size() < trailer) return Step::NeedMore;
  }
  drop_front(trailer);
  direct_ = false;
  admitted_ = false;
  counts_.add(provider::Statistic::FramesReceived);
  const Verdict verdict = sink_.on_direct(front_);
  return verdict.kind == Verdict::Kind::Fail ? fail(verdict.cause) : Step::Taken;
}

std::span<const std::byte> Receiver::fault() const {
  if (direct_) return direct_header_;
  const std::span<const std::byte> bytes = staged();
  if (bytes.size() < kUlpduLengthBytes) return {};
  return bytes.first(std::min(bytes.size(), fpdu_bytes(core::load_be16(bytes.data()))));
}

bool Receiver::has_frame() const {
  const std::span<const std::byte> bytes = staged();
  return !direct_ && bytes.size() >= kUlpduLengthBytes &&
         bytes.size() >= fpdu_bytes(core::load_be16(bytes.data()));
}

void Receiver::drop_front(std::size_t bytes) { begin_ += bytes; }

void Receiver::release_empty() {
  if (begin_ != end_ || !buffer_) return;
  buffer_.give_back();
  begin_ = end_ = 0;
}

}  // namespace rpma::iwarp
