// SPDX-License-Identifier: BSD-3-Clause
//
// Segment headers and the checks that need nothing but them. A received header is looked at in the
// order of the reference (rows 1-5), so that two implementations name the same cause.
// Any thread; a SegmentTracker belongs to whoever drives its connection.
#include "provider/iwarp/ddp.h"

#include "core/bytes.h"

namespace rpma::iwarp {
namespace {

constexpr std::uint8_t kTaggedBit = 0x80;
constexpr std::uint8_t kLastBit = 0x40;
constexpr std::uint8_t kDdpVersionMask = 0x03;
constexpr std::uint8_t kDdpVersion = 0x01;
constexpr std::uint8_t kRdmapVersionMask = 0xC0;
constexpr std::uint8_t kRdmapVersion = 0x40;
constexpr std::uint8_t kOpcodeMask = 0x0F;

constexpr std::size_t kControlBytes = 4;  // length field and the two control bytes
constexpr std::size_t kDdpControlAt = 2;
constexpr std::size_t kRdmapControlAt = 3;
constexpr std::size_t kStagAt = 4;
constexpr std::size_t kTaggedOffsetAt = 8;
constexpr std::size_t kQueueAt = 8;
constexpr std::size_t kSequenceAt = 12;
constexpr std::size_t kMessageOffsetAt = 16;

// A payload that ends its message may have any length, an empty one included; every other payload
// is neither empty (an empty first segment of a Write panics hosts that run siw) nor padded.
bool payload_is_sendable(std::size_t payload_bytes, std::size_t payload_bytes_max,
                         bool last) noexcept {
  if (payload_bytes > payload_bytes_max) return false;
  return last || (payload_bytes > 0 && payload_bytes % 4 == 0);
}

bool opcode_invalidates(Opcode opcode) noexcept {
  return opcode == Opcode::kSendInvalidate || opcode == Opcode::kSendSolicitedInvalidate;
}

// Row U1: the queue that an opcode belongs to. The extension sends on three.
bool queue_fits(Opcode opcode, std::uint32_t queue) noexcept {
  switch (opcode) {
    case Opcode::kSend:
    case Opcode::kSendInvalidate:
    case Opcode::kSendSolicited:
    case Opcode::kSendSolicitedInvalidate:
    case Opcode::kImmediate:
    case Opcode::kImmediateSolicited:
      return queue == kSendQueueNumber;
    case Opcode::kReadRequest:
      return queue == kRequestQueueNumber;
    case Opcode::kTerminate:
      return queue == kTerminateQueueNumber;
    case Opcode::kExtension:
      return queue == kSendQueueNumber || queue == kRequestQueueNumber ||
             queue == kAnswerQueueNumber;
    case Opcode::kWrite:
    case Opcode::kReadResponse:
      break;
  }
  return false;
}

// Row 1: the shortest ULPDU that holds the headers of its opcode.
std::size_t ulpdu_bytes_min(Opcode opcode, bool tagged) noexcept {
  if (tagged) return kTaggedUlpduBytes;
  switch (opcode) {
    case Opcode::kReadRequest:
      return kUntaggedUlpduBytes + 28;
    case Opcode::kTerminate:
      return kUntaggedUlpduBytes + 4;
    case Opcode::kImmediate:
    case Opcode::kImmediateSolicited:
      return kUntaggedUlpduBytes + 8;
    default:
      return kUntaggedUlpduBytes;
  }
}

void encode_control(std::byte* to, std::size_t ulpdu_bytes, bool tagged, bool last,
                    Opcode opcode) noexcept {
  const unsigned ddp = (tagged ? kTaggedBit : 0u) | (last ? kLastBit : 0u) | kDdpVersion;
  const unsigned rdmap = kRdmapVersion | static_cast<unsigned>(opcode);
  core::store_be16(to, static_cast<std::uint16_t>(ulpdu_bytes));
  core::store_u8(to + kDdpControlAt, static_cast<std::uint8_t>(ddp));
  core::store_u8(to + kRdmapControlAt, static_cast<std::uint8_t>(rdmap));
}

SegmentParse segment_fault(Cause cause) noexcept {
  SegmentParse parse;
  parse.state = ParseState::kFault;
  parse.cause = cause;
  return parse;
}

SegmentParse segment_needs(std::size_t bytes) noexcept {
  SegmentParse parse;
  parse.needed_bytes = bytes;
  return parse;
}

}  // namespace

std::size_t encode_tagged_header(std::span<std::byte> out, const TaggedHeader& header,
                                 std::size_t payload_bytes) noexcept {
  if (out.size() < kTaggedHeaderBytes || !opcode_is_tagged(header.opcode)) return 0;
  if (!payload_is_sendable(payload_bytes, kTaggedPayloadBytesMax, header.last)) return 0;
  if (payload_bytes > 0 && header.tagged_offset + (payload_bytes - 1) < header.tagged_offset) {
    return 0;
  }
  encode_control(out.data(), kTaggedUlpduBytes + payload_bytes, true, header.last, header.opcode);
  core::store_be32(out.data() + kStagAt, header.stag);
  core::store_be64(out.data() + kTaggedOffsetAt, header.tagged_offset);
  return kTaggedHeaderBytes;
}

std::size_t encode_untagged_header(std::span<std::byte> out, const UntaggedHeader& header,
                                   std::size_t payload_bytes) noexcept {
  if (out.size() < kUntaggedHeaderBytes || !queue_fits(header.opcode, header.queue)) return 0;
  if (!payload_is_sendable(payload_bytes, kUntaggedPayloadBytesMax, header.last)) return 0;
  if (payload_bytes > UINT32_MAX - header.message_offset) return 0;
  if (header.invalidate_stag != 0 && !opcode_invalidates(header.opcode)) return 0;
  encode_control(out.data(), kUntaggedUlpduBytes + payload_bytes, false, header.last,
                 header.opcode);
  core::store_be32(out.data() + kStagAt, header.invalidate_stag);
  core::store_be32(out.data() + kQueueAt, header.queue);
  core::store_be32(out.data() + kSequenceAt, header.sequence);
  core::store_be32(out.data() + kMessageOffsetAt, header.message_offset);
  return kUntaggedHeaderBytes;
}

SegmentParse parse_segment(std::span<const std::byte> bytes, OpcodeSet opcodes) noexcept {
  if (bytes.size() < kControlBytes) return segment_needs(kControlBytes);
  const std::size_t ulpdu_bytes = core::load_be16(bytes.data());
  const std::uint8_t ddp = core::load_u8(bytes.data() + kDdpControlAt);
  const std::uint8_t rdmap = core::load_u8(bytes.data() + kRdmapControlAt);
  const bool tagged = (ddp & kTaggedBit) != 0;
  const auto opcode = static_cast<Opcode>(rdmap & kOpcodeMask);
  if (ulpdu_bytes < ulpdu_bytes_min(opcode, tagged)) return segment_fault(Cause::kMpaFraming);
  if ((ddp & kDdpVersionMask) != kDdpVersion) {
    return segment_fault(tagged ? Cause::kTaggedVersion : Cause::kUntaggedVersion);
  }
  if ((rdmap & kRdmapVersionMask) != kRdmapVersion) return segment_fault(Cause::kOperationVersion);
  if ((opcodes & opcode_bit(opcode)) == 0) return segment_fault(Cause::kOperationOpcode);
  if (tagged != opcode_is_tagged(opcode)) return segment_fault(Cause::kOperationOpcode);
  const std::size_t header_bytes = tagged ? kTaggedHeaderBytes : kUntaggedHeaderBytes;
  if (bytes.size() < header_bytes) return segment_needs(header_bytes);

  SegmentParse parse;
  parse.state = ParseState::kComplete;
  Segment& segment = parse.segment;
  segment.opcode = opcode;
  segment.tagged = tagged;
  segment.last = (ddp & kLastBit) != 0;
  segment.ulpdu_bytes = static_cast<std::uint32_t>(ulpdu_bytes);
  segment.header_bytes = static_cast<std::uint32_t>(header_bytes);
  segment.payload_bytes = static_cast<std::uint32_t>(ulpdu_bytes + 2 - header_bytes);
  segment.stag = core::load_be32(bytes.data() + kStagAt);
  if (tagged) {
    segment.tagged_offset = core::load_be64(bytes.data() + kTaggedOffsetAt);
  } else {
    segment.queue = core::load_be32(bytes.data() + kQueueAt);
    segment.sequence = core::load_be32(bytes.data() + kSequenceAt);
    segment.message_offset = core::load_be32(bytes.data() + kMessageOffsetAt);
  }
  return parse;
}

SegmentTracker::SegmentTracker(std::uint32_t first_sequence) noexcept {
  next_sequence_.fill(first_sequence);
}

std::uint32_t SegmentTracker::next_sequence(std::uint32_t queue) const noexcept {
  return queue < kQueueCount ? next_sequence_[queue] : 0;
}

Cause SegmentTracker::accept(const Segment& segment) noexcept {
  // A Terminate ends everything, so what it interrupts no longer matters.
  if (segment.opcode == Opcode::kTerminate) {
    return segment.queue == kTerminateQueueNumber ? Cause::kNone : Cause::kUntaggedQueue;
  }
  return segment.tagged ? accept_tagged(segment) : accept_untagged(segment);
}

Cause SegmentTracker::accept_tagged(const Segment& segment) noexcept {
  if (tagged_open_) {
    if (segment.opcode != tagged_opcode_) return Cause::kOperationOpcode;
    if (segment.stag != tagged_stag_) return Cause::kTaggedInvalidStag;
    if (segment.tagged_offset != tagged_next_) return Cause::kTaggedBounds;
  }
  if (segment.payload_bytes == 0 && !segment.last) return Cause::kTaggedBounds;
  at_message_start_ = !tagged_open_;
  tagged_open_ = !segment.last;
  tagged_opcode_ = segment.opcode;
  tagged_stag_ = segment.stag;
  tagged_next_ = segment.tagged_offset + segment.payload_bytes;
  return Cause::kNone;
}

Cause SegmentTracker::accept_untagged(const Segment& segment) noexcept {
  if (untagged_open_ && segment.opcode != untagged_opcode_) return Cause::kOperationOpcode;
  if (!queue_fits(segment.opcode, segment.queue)) return Cause::kUntaggedQueue;
  if (untagged_open_ && segment.queue != untagged_queue_) return Cause::kUntaggedQueue;
  std::uint32_t& expected = next_sequence_[segment.queue];
  if (segment.sequence != expected) return Cause::kUntaggedSequence;
  if (segment.message_offset != (untagged_open_ ? untagged_next_ : 0)) {
    return Cause::kUntaggedOffset;
  }
  if (segment.payload_bytes == 0 && !segment.last) return Cause::kUntaggedOffset;
  if (segment.payload_bytes > UINT32_MAX - segment.message_offset) return Cause::kUntaggedTooLong;
  at_message_start_ = !untagged_open_;
  untagged_open_ = !segment.last;
  untagged_opcode_ = segment.opcode;
  untagged_queue_ = segment.queue;
  untagged_next_ = segment.message_offset + segment.payload_bytes;
  if (segment.last) ++expected;
  return Cause::kNone;
}

}  // namespace rpma::iwarp
