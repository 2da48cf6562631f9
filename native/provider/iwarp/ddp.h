// SPDX-License-Identifier: BSD-3-Clause
//
// Direct Data Placement (RFC 5041): segment headers, the checks that need nothing but the header
// (reference rows 1-5), and the tracker that checks that segments follow each other as they must.
// Pure functions and plain values: no I/O, no allocation; whoever drives a connection calls them.
// All offsets count from the start of the FPDU, so headers include MPA's two length bytes and
// every field after the control bytes is aligned to four.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace rpma::iwarp {

enum class Opcode : std::uint8_t {
  kWrite = 0x0,
  kReadRequest = 0x1,
  kReadResponse = 0x2,
  kSend = 0x3,
  kSendInvalidate = 0x4,
  kSendSolicited = 0x5,
  kSendSolicitedInvalidate = 0x6,
  kTerminate = 0x7,
  kImmediate = 0x8,
  kImmediateSolicited = 0x9,
  kExtension = 0xF,
};

// Why a stream ends: layer << 12 | type << 8 | code, as a Terminate message names it. A value that
// came from a peer may be none of these; rdmap.h tells names and known values.
enum class Cause : std::uint16_t {
  kRdmapLocal = 0x0000,
  kRemoteInvalidStag = 0x0100,
  kRemoteBounds = 0x0101,
  kRemoteAccess = 0x0102,
  kRemoteStream = 0x0103,
  kRemoteWrap = 0x0104,
  kRemoteInvalidate = 0x0109,
  kRemoteProtection = 0x01FF,
  kOperationVersion = 0x0205,
  kOperationOpcode = 0x0206,
  kOperationStream = 0x0207,
  kOperationGlobal = 0x0208,
  kOperationInvalidate = 0x0209,
  kOperationOther = 0x02FF,
  kDdpLocal = 0x1000,
  kTaggedInvalidStag = 0x1100,
  kTaggedBounds = 0x1101,
  kTaggedStream = 0x1102,
  kTaggedWrap = 0x1103,
  kTaggedVersion = 0x1104,
  kUntaggedQueue = 0x1201,
  kUntaggedNoBuffer = 0x1202,
  kUntaggedSequence = 0x1203,
  kUntaggedOffset = 0x1204,
  kUntaggedTooLong = 0x1205,
  kUntaggedVersion = 0x1206,
  kMpaClosed = 0x2001,
  kMpaCrc = 0x2002,
  kMpaFraming = 0x2003,
  kMpaSetup = 0x2004,
  kMpaLocal = 0x2005,
  kMpaInboundReads = 0x2006,
  kMpaReadyToReceive = 0x2007,
  kNone = 0xFFFF,
};

inline constexpr std::size_t kTaggedHeaderBytes = 16;
inline constexpr std::size_t kUntaggedHeaderBytes = 20;
// ULPDU bytes of the headers: without MPA's length field.
inline constexpr std::size_t kTaggedUlpduBytes = kTaggedHeaderBytes - 2;
inline constexpr std::size_t kUntaggedUlpduBytes = kUntaggedHeaderBytes - 2;
inline constexpr std::size_t kUlpduBytesMax = 65535;
inline constexpr std::size_t kTaggedPayloadBytesMax = kUlpduBytesMax - kTaggedUlpduBytes;
inline constexpr std::size_t kUntaggedPayloadBytesMax = kUlpduBytesMax - kUntaggedUlpduBytes;

inline constexpr std::uint32_t kSendQueueNumber = 0;
inline constexpr std::uint32_t kRequestQueueNumber = 1;
inline constexpr std::uint32_t kTerminateQueueNumber = 2;
inline constexpr std::uint32_t kAnswerQueueNumber = 3;
inline constexpr std::uint32_t kQueueCount = 4;
inline constexpr std::uint32_t kFirstSequence = 1;

// Sets of opcodes, one bit each: which ones the connection understands (row 4).
using OpcodeSet = std::uint16_t;

[[nodiscard]] constexpr OpcodeSet opcode_bit(Opcode opcode) noexcept {
  return static_cast<OpcodeSet>(1u << static_cast<unsigned>(opcode));
}

inline constexpr OpcodeSet kPlainOpcodes = 0x00FF;
inline constexpr OpcodeSet kImmediateOpcodes =
    opcode_bit(Opcode::kImmediate) | opcode_bit(Opcode::kImmediateSolicited);
inline constexpr OpcodeSet kExtendedOpcodes =
    kPlainOpcodes | kImmediateOpcodes | opcode_bit(Opcode::kExtension);

[[nodiscard]] constexpr bool opcode_is_tagged(Opcode opcode) noexcept {
  return opcode == Opcode::kWrite || opcode == Opcode::kReadResponse;
}

[[nodiscard]] constexpr bool opcode_is_send(Opcode opcode) noexcept {
  return opcode >= Opcode::kSend && opcode <= Opcode::kSendSolicitedInvalidate;
}

struct TaggedHeader {
  Opcode opcode = Opcode::kWrite;
  bool last = true;
  std::uint32_t stag = 0;
  std::uint64_t tagged_offset = 0;
};

struct UntaggedHeader {
  Opcode opcode = Opcode::kSend;
  bool last = true;
  std::uint32_t invalidate_stag = 0;
  std::uint32_t queue = kSendQueueNumber;
  std::uint32_t sequence = kFirstSequence;
  std::uint32_t message_offset = 0;
};

// Write MPA's length field and the DDP and RDMAP header in front of `payload_bytes` of payload.
// Return the bytes written (16 or 20), or 0 for what must never be sent: an empty segment that is
// not the last of its message, a payload that does not fit an FPDU, a non-last payload that is no
// multiple of four, an opcode of the other class, a tagged range or a message offset that wraps,
// an unknown queue.
[[nodiscard]] std::size_t encode_tagged_header(std::span<std::byte> out, const TaggedHeader& header,
                                               std::size_t payload_bytes) noexcept;
[[nodiscard]] std::size_t encode_untagged_header(std::span<std::byte> out,
                                                 const UntaggedHeader& header,
                                                 std::size_t payload_bytes) noexcept;

// A received segment's header. `stag` is the sink's tag of a tagged segment and the tag to
// invalidate of an untagged one.
struct Segment {
  Opcode opcode = Opcode::kWrite;
  bool tagged = false;
  bool last = false;
  std::uint32_t ulpdu_bytes = 0;
  std::uint32_t header_bytes = 0;   // 16 or 20, from the start of the FPDU
  std::uint32_t payload_bytes = 0;  // behind the header, without pad and CRC
  std::uint32_t stag = 0;
  std::uint64_t tagged_offset = 0;
  std::uint32_t queue = 0;
  std::uint32_t sequence = 0;
  std::uint32_t message_offset = 0;
};

enum class ParseState : std::uint8_t { kNeedMore, kComplete, kFault };

struct SegmentParse {
  ParseState state = ParseState::kNeedMore;
  Cause cause = Cause::kNone;    // of kFault
  std::size_t needed_bytes = 0;  // of kNeedMore: parse again when this many bytes are there
  Segment segment;               // of kComplete
};

// Decodes the header of the FPDU that begins at bytes[0] and makes the checks of rows 1-5: length,
// DDP version, RDMAP version, opcode, tagged flag. Needs the header only, not the payload.
[[nodiscard]] SegmentParse parse_segment(std::span<const std::byte> bytes,
                                         OpcodeSet opcodes) noexcept;

// What one direction of a stream expects next. It enforces that messages of one class do not
// interleave and segments are contiguous (rows 6, U1, U2, U4, T6) and that no segment is empty
// unless it ends its message. A Terminate is let through in any state.
class SegmentTracker {
 public:
  // `first_sequence` is 1 on the wire; tests begin just before the wrap.
  explicit SegmentTracker(std::uint32_t first_sequence = kFirstSequence) noexcept;

  // kNone, and the segment becomes part of the stream; otherwise the cause, and nothing changed.
  [[nodiscard]] Cause accept(const Segment& segment) noexcept;

  // True while a message has begun and not ended: the end of the TCP stream is then a loss.
  [[nodiscard]] bool in_message() const noexcept { return tagged_open_ || untagged_open_; }
  // True when the last accepted segment was the first of its message.
  [[nodiscard]] bool at_message_start() const noexcept { return at_message_start_; }
  [[nodiscard]] std::uint32_t next_sequence(std::uint32_t queue) const noexcept;

 private:
  [[nodiscard]] Cause accept_tagged(const Segment& segment) noexcept;
  [[nodiscard]] Cause accept_untagged(const Segment& segment) noexcept;

  bool tagged_open_ = false;
  bool untagged_open_ = false;
  bool at_message_start_ = false;
  Opcode tagged_opcode_ = Opcode::kWrite;
  Opcode untagged_opcode_ = Opcode::kSend;
  std::uint32_t tagged_stag_ = 0;
  std::uint32_t untagged_queue_ = 0;
  std::uint64_t tagged_next_ = 0;
  std::uint32_t untagged_next_ = 0;
  std::array<std::uint32_t, kQueueCount> next_sequence_;
};

}  // namespace rpma::iwarp
