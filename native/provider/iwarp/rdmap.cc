// SPDX-License-Identifier: BSD-3-Clause
//
// Read Requests, Immediate Data and Terminate messages. What arrives is decoded leniently where
// only a diagnosis depends on it (Terminate) and strictly where memory does (Read Request).
// Any thread; a decoded Terminate borrows its headers from the body it was decoded from.
#include "provider/iwarp/rdmap.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/bytes.h"

namespace rpma::iwarp {
namespace {

struct NamedCause {
  Cause cause;
  const char* name;
};

constexpr std::array<NamedCause, 33> kNamedCauses{{
    {Cause::kRdmapLocal, "remote memory access: local failure"},
    {Cause::kRemoteInvalidStag, "remote protection: unknown key"},
    {Cause::kRemoteBounds, "remote protection: base or bounds"},
    {Cause::kRemoteAccess, "remote protection: access rights"},
    {Cause::kRemoteStream, "remote protection: key of another stream"},
    {Cause::kRemoteWrap, "remote protection: address wraps"},
    {Cause::kRemoteInvalidate, "remote protection: key cannot be invalidated"},
    {Cause::kRemoteProtection, "remote protection: unspecified"},
    {Cause::kOperationVersion, "remote operation: RDMAP version"},
    {Cause::kOperationOpcode, "remote operation: unexpected opcode"},
    {Cause::kOperationStream, "remote operation: failure of this stream"},
    {Cause::kOperationGlobal, "remote operation: failure of all streams"},
    {Cause::kOperationInvalidate, "remote operation: key cannot be invalidated"},
    {Cause::kOperationOther, "remote operation: unspecified"},
    {Cause::kDdpLocal, "data placement: local failure"},
    {Cause::kTaggedInvalidStag, "tagged buffer: unknown key"},
    {Cause::kTaggedBounds, "tagged buffer: base or bounds"},
    {Cause::kTaggedStream, "tagged buffer: key of another stream"},
    {Cause::kTaggedWrap, "tagged buffer: address wraps"},
    {Cause::kTaggedVersion, "tagged buffer: DDP version"},
    {Cause::kUntaggedQueue, "untagged buffer: queue number"},
    {Cause::kUntaggedNoBuffer, "untagged buffer: no receive posted"},
    {Cause::kUntaggedSequence, "untagged buffer: sequence number"},
    {Cause::kUntaggedOffset, "untagged buffer: message offset"},
    {Cause::kUntaggedTooLong, "untagged buffer: message too long"},
    {Cause::kUntaggedVersion, "untagged buffer: DDP version"},
    {Cause::kMpaClosed, "framing: connection lost"},
    {Cause::kMpaCrc, "framing: checksum mismatch"},
    {Cause::kMpaFraming, "framing: length or marker"},
    {Cause::kMpaSetup, "framing: bad Request or Reply"},
    {Cause::kMpaLocal, "framing: local failure"},
    {Cause::kMpaInboundReads, "framing: too few inbound reads"},
    {Cause::kMpaReadyToReceive, "framing: no common ready-to-receive frame"},
}};

const NamedCause* find_cause(Cause cause) noexcept {
  const auto found = std::ranges::find(kNamedCauses, cause, &NamedCause::cause);
  return found != kNamedCauses.end() ? &*found : nullptr;
}

constexpr std::size_t kControlWordBytes = 4;
constexpr std::size_t kSegmentLengthBytes = 2;
constexpr std::uint8_t kTaggedBit = 0x80;
constexpr std::uint8_t kOpcodeMask = 0x0F;

constexpr std::uint8_t kFlagSegmentLength = 0x80;  // M
constexpr std::uint8_t kFlagDdpHeader = 0x40;      // D
constexpr std::uint8_t kFlagReadHeader = 0x20;     // R
constexpr std::uint8_t kFlags = kFlagSegmentLength | kFlagDdpHeader | kFlagReadHeader;

// The same three in siw's order, where the first declared bit is the lowest.
constexpr std::uint8_t kSwappedSegmentLength = 0x01;
constexpr std::uint8_t kSwappedDdpHeader = 0x02;
constexpr std::uint8_t kSwappedReadHeader = 0x04;

// Which headers go along (RFC 5040, figure 10). None where the header could not be understood: a
// version that is not ours, or a frame that MPA found at fault.
bool cause_copies_header(Cause cause) noexcept {
  if (cause == Cause::kOperationVersion || cause == Cause::kTaggedVersion ||
      cause == Cause::kUntaggedVersion) {
    return false;
  }
  return cause_layer(cause) == 1 || (cause_layer(cause) == 0 && cause_type(cause) != 0);
}

bool cause_copies_read_header(Cause cause) noexcept {
  return cause_layer(cause) == 0 && cause_type(cause) == 1;
}

struct CopiedHeaders {
  std::size_t ddp_bytes = 0;
  std::size_t read_bytes = 0;
  std::uint16_t segment_length_bytes = 0;
};

CopiedHeaders headers_to_copy(Cause cause, std::span<const std::byte> terminated) noexcept {
  CopiedHeaders headers;
  if (!cause_copies_header(cause) || terminated.size() < 4) return headers;
  const std::size_t ulpdu_bytes = core::load_be16(terminated.data());
  const bool tagged = (core::load_u8(terminated.data() + 2) & kTaggedBit) != 0;
  const auto opcode = static_cast<Opcode>(core::load_u8(terminated.data() + 3) & kOpcodeMask);
  const std::size_t ddp_bytes = tagged ? kTaggedUlpduBytes : kUntaggedUlpduBytes;
  if (ulpdu_bytes < ddp_bytes || terminated.size() < 2 + ddp_bytes) return headers;
  headers.ddp_bytes = ddp_bytes;
  headers.segment_length_bytes = static_cast<std::uint16_t>(ulpdu_bytes - ddp_bytes);
  const bool is_read = !tagged && opcode == Opcode::kReadRequest;
  if (is_read && cause_copies_read_header(cause) &&
      ulpdu_bytes >= ddp_bytes + kReadRequestBodyBytes &&
      terminated.size() >= 2 + ddp_bytes + kReadRequestBodyBytes) {
    headers.read_bytes = kReadRequestBodyBytes;
  }
  return headers;
}

// Without a flag that tells the form, only the meaning does. Few triples mean something both ways:
// those of MPA and of RDMAP mirror each other, and MPA's belong to the start of a connection.
bool reads_swapped(Cause plain, Cause swapped, bool startup) noexcept {
  const bool plain_known = cause_is_known(plain);
  const bool swapped_known = cause_is_known(swapped);
  if (!plain_known || !swapped_known) return swapped_known;
  if (cause_layer(plain) == 2) return !startup;
  if (cause_layer(swapped) == 2) return startup;
  return false;
}

void decode_terminated_headers(std::span<const std::byte> rest, bool ddp_header, bool read_header,
                               Terminate& terminate) noexcept {
  if (!ddp_header || rest.size() < kSegmentLengthBytes) return;
  terminate.segment_length_bytes =
      terminate.has_segment_length ? core::load_be16(rest.data()) : std::uint16_t{0};
  rest = rest.subspan(kSegmentLengthBytes);
  if (rest.empty()) return;
  const bool tagged = (core::load_u8(rest.data()) & kTaggedBit) != 0;
  const std::size_t ddp_bytes = tagged ? kTaggedUlpduBytes : kUntaggedUlpduBytes;
  if (rest.size() < ddp_bytes) return;
  terminate.ddp_header = rest.first(ddp_bytes);
  rest = rest.subspan(ddp_bytes);
  if (read_header && rest.size() >= kReadRequestBodyBytes) {
    terminate.read_header = rest.first(kReadRequestBodyBytes);
  }
}

// One whole message of exactly `body_bytes` in one segment on its queue.
Cause check_single(const Segment& segment, std::uint32_t queue, std::size_t body_bytes) noexcept {
  if (segment.queue != queue) return Cause::kUntaggedQueue;
  if (!segment.last || segment.message_offset != 0) return Cause::kUntaggedOffset;
  if (segment.payload_bytes < body_bytes) return Cause::kMpaFraming;
  return segment.payload_bytes > body_bytes ? Cause::kUntaggedTooLong : Cause::kNone;
}

}  // namespace

bool cause_is_known(Cause cause) noexcept { return find_cause(cause) != nullptr; }

const char* cause_name(Cause cause) noexcept {
  if (cause == Cause::kNone) return "none";
  const NamedCause* named = find_cause(cause);
  return named != nullptr ? named->name : "unknown cause";
}

std::size_t encode_read_request(std::span<std::byte> out, std::uint32_t sequence,
                                const ReadRequest& request) noexcept {
  constexpr std::size_t kBytes = kUntaggedHeaderBytes + kReadRequestBodyBytes;
  if (out.size() < kBytes) return 0;
  UntaggedHeader header;
  header.opcode = Opcode::kReadRequest;
  header.queue = kRequestQueueNumber;
  header.sequence = sequence;
  if (encode_untagged_header(out, header, kReadRequestBodyBytes) == 0) return 0;
  std::byte* body = out.data() + kUntaggedHeaderBytes;
  core::store_be32(body, request.sink_stag);
  core::store_be64(body + 4, request.sink_offset);
  core::store_be32(body + 12, request.length_bytes);
  core::store_be32(body + 16, request.source_stag);
  core::store_be64(body + 20, request.source_offset);
  return kBytes;
}

Cause check_read_request(const Segment& segment) noexcept {
  return check_single(segment, kRequestQueueNumber, kReadRequestBodyBytes);
}

std::optional<ReadRequest> decode_read_request(std::span<const std::byte> body) noexcept {
  if (body.size() != kReadRequestBodyBytes) return std::nullopt;
  ReadRequest request;
  request.sink_stag = core::load_be32(body.data());
  request.sink_offset = core::load_be64(body.data() + 4);
  request.length_bytes = core::load_be32(body.data() + 12);
  request.source_stag = core::load_be32(body.data() + 16);
  request.source_offset = core::load_be64(body.data() + 20);
  return request;
}

std::size_t encode_immediate(std::span<std::byte> out, std::uint32_t sequence,
                             std::uint32_t value) noexcept {
  constexpr std::size_t kBytes = kUntaggedHeaderBytes + kImmediateBodyBytes;
  if (out.size() < kBytes) return 0;
  UntaggedHeader header;
  header.opcode = Opcode::kImmediate;
  header.queue = kSendQueueNumber;
  header.sequence = sequence;
  if (encode_untagged_header(out, header, kImmediateBodyBytes) == 0) return 0;
  core::store_be32(out.data() + kUntaggedHeaderBytes, value);
  core::store_be32(out.data() + kUntaggedHeaderBytes + 4, 0);
  return kBytes;
}

Cause check_immediate(const Segment& segment) noexcept {
  return check_single(segment, kSendQueueNumber, kImmediateBodyBytes);
}

std::optional<std::uint32_t> decode_immediate(std::span<const std::byte> body) noexcept {
  if (body.size() != kImmediateBodyBytes) return std::nullopt;
  return core::load_be32(body.data());
}

std::size_t encode_terminate(std::span<std::byte> out, Cause cause,
                             std::span<const std::byte> terminated) noexcept {
  if (cause == Cause::kNone) return 0;
  const CopiedHeaders headers = headers_to_copy(cause, terminated);
  const std::size_t length_bytes = headers.ddp_bytes > 0 ? kSegmentLengthBytes : 0;
  const std::size_t body_bytes =
      kControlWordBytes + length_bytes + headers.ddp_bytes + headers.read_bytes;
  if (out.size() < kUntaggedHeaderBytes + body_bytes) return 0;
  UntaggedHeader header;
  header.opcode = Opcode::kTerminate;
  header.queue = kTerminateQueueNumber;
  if (encode_untagged_header(out, header, body_bytes) == 0) return 0;
  const unsigned flags = (headers.ddp_bytes > 0 ? kFlagSegmentLength | kFlagDdpHeader : 0u) |
                         (headers.read_bytes > 0 ? kFlagReadHeader : 0u);
  std::byte* body = out.data() + kUntaggedHeaderBytes;
  core::store_be16(body, static_cast<std::uint16_t>(cause));
  core::store_u8(body + 2, static_cast<std::uint8_t>(flags));
  core::store_u8(body + 3, 0);
  if (headers.ddp_bytes > 0) {
    core::store_be16(body + kControlWordBytes, headers.segment_length_bytes);
    // The DDP header begins behind the length field, and a Read's header right behind it.
    std::memcpy(body + kControlWordBytes + kSegmentLengthBytes, terminated.data() + 2,
                headers.ddp_bytes + headers.read_bytes);
  }
  return kUntaggedHeaderBytes + body_bytes;
}

std::optional<Terminate> decode_terminate(std::span<const std::byte> body, bool startup) noexcept {
  if (body.size() < kControlWordBytes) return std::nullopt;
  const std::uint8_t kind = core::load_u8(body.data());
  const std::uint8_t code = core::load_u8(body.data() + 1);
  const std::uint8_t flags = core::load_u8(body.data() + 2);
  const Cause plain = make_cause(kind >> 4, kind & 0xF, code);
  const Cause swapped = make_cause(kind & 0xF, kind >> 4, code);
  const bool flags_plain = (flags & kFlags) != 0;
  const bool flags_swapped = !flags_plain && flags != 0;

  Terminate terminate;
  terminate.swapped = flags_swapped || (!flags_plain && reads_swapped(plain, swapped, startup));
  terminate.cause = terminate.swapped ? swapped : plain;
  terminate.has_segment_length =
      (flags & (flags_swapped ? kSwappedSegmentLength : kFlagSegmentLength)) != 0;
  const bool ddp_header = (flags & (flags_swapped ? kSwappedDdpHeader : kFlagDdpHeader)) != 0;
  const bool read_header = (flags & (flags_swapped ? kSwappedReadHeader : kFlagReadHeader)) != 0;
  decode_terminated_headers(body.subspan(kControlWordBytes), ddp_header, read_header, terminate);
  return terminate;
}

}  // namespace rpma::iwarp
