// SPDX-License-Identifier: BSD-3-Clause
//
// Marker PDU Aligned framing (RFC 5044, 6581): the Request and Reply that begin a connection, the
// negotiation of our extension that travels in them, and the frame (FPDU) around every segment.
// Pure functions and plain values: no I/O, no allocation; whoever drives a connection calls them.
// A decoded SetupFrame borrows its private data from the bytes it was parsed from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "abi.generated.h"
#include "provider/iwarp/ddp.h"

namespace rpma::iwarp {

// ---- Request and Reply -------------------------------------------------------------------------

inline constexpr std::size_t kSetupHeaderBytes = 20;
inline constexpr std::size_t kEnhancedWordBytes = 4;
inline constexpr std::size_t kSetupPrivateDataBytesMax = 512;  // RFC 5044, taken from others
inline constexpr std::size_t kSetupFrameBytesMax = kSetupHeaderBytes + kSetupPrivateDataBytesMax;
inline constexpr std::size_t kApplicationDataBytesMax = 251;  // what we send; more breaks siw
inline constexpr std::uint8_t kMpaRevision = 2;

enum class SetupKind : std::uint8_t { kRequest, kReply };

// The first four bytes of private data when S is set in revision 2 (RFC 6581).
struct EnhancedWord {
  bool peer_to_peer = false;  // A
  bool ready_send = false;    // B
  bool ready_write = false;   // C
  bool ready_read = false;    // D
  std::uint16_t inbound_reads = 0;
  std::uint16_t outbound_reads = 0;
};

struct SetupFrame {
  SetupKind kind = SetupKind::kRequest;
  std::uint8_t revision = 0;
  bool markers = false;   // M: the sender insists on markers, which we refuse
  bool crc = false;       // C
  bool rejected = false;  // R, of a Reply only
  bool enhanced = false;  // S, in revision 2
  bool has_word = false;  // false although `enhanced`: siw's reject of a malformed Request
  std::uint8_t reserved = 0;
  EnhancedWord word;
  std::span<const std::byte> private_data;  // behind the word; an answer's trailer still included
  std::size_t frame_bytes = 0;              // bytes behind these already are FPDUs
};

enum class SetupFault : std::uint8_t {
  kNone,
  kKey,                // neither a Request nor a Reply
  kOtherKind,          // a Request where a Reply belongs, or the reverse
  kRevision,           // newer than 2
  kPrivateDataLength,  // more than 512 bytes
  kEnhancedWord,       // S set, and less than four bytes of private data
};

[[nodiscard]] const char* setup_fault_name(SetupFault fault) noexcept;

struct SetupParse {
  ParseState state = ParseState::kNeedMore;
  SetupFault fault = SetupFault::kNone;  // of kFault
  std::size_t needed_bytes = 0;          // of kNeedMore: total bytes from the start of the frame
  SetupFrame frame;                      // of kComplete
};

// Decodes the frame at bytes[0], as far as it has arrived. A wrong key is told at its first wrong
// byte, so a stranger who sends something else is not waited for.
[[nodiscard]] SetupParse parse_setup(std::span<const std::byte> bytes, SetupKind expected) noexcept;

struct RequestFields {
  bool crc = false;
  bool offer_extension = true;
  std::uint16_t inbound_reads = 0;
  std::uint16_t outbound_reads = 0;
  std::span<const std::byte> private_data{};  // at most 251 bytes
};

struct ReplyFields {
  bool crc = false;  // C is set when this or the Request says so
  bool rejected = false;
  std::uint16_t inbound_reads = 0;
  std::uint16_t outbound_reads = 0;
  std::span<const std::byte> private_data{};  // at most 251 bytes
  // Answers the offer with these capability bits. Refused when the Request offered nothing.
  std::optional<std::uint16_t> capabilities{};
};

// Write a whole frame; return its size, or 0 when `out` is too small or the frame must never be
// sent. M is never set, R never in a Request, and the private data of a Reply to an S=1 Request is
// 4 to 255 bytes long, the word included (only an offering peer gets up to 16 more): anything else
// crashes hosts that run siw. encode_reply() mirrors the Request's revision and S, and honours A.
[[nodiscard]] std::size_t encode_request(std::span<std::byte> out,
                                         const RequestFields& fields) noexcept;
[[nodiscard]] std::size_t encode_reply(std::span<std::byte> out, const SetupFrame& request,
                                       const ReplyFields& fields) noexcept;

// ---- Negotiation of the extension --------------------------------------------------------------

inline constexpr std::uint32_t kExtensionMagic = 0x52504D41u;  // "RPMA"
inline constexpr std::uint8_t kExtensionVersion = abi::kExtensionVersion;
inline constexpr std::size_t kAnswerTrailerBytes = 16;

// True for a Request with our offer: A=0, B=1, C=0, D=1.
[[nodiscard]] bool setup_is_offer(const SetupFrame& request) noexcept;

struct SetupAnswer {
  std::uint8_t version = 0;
  std::uint16_t capabilities = 0;
  std::span<const std::byte> private_data;  // the application's part of the Reply's private data
};

// The answer in a Reply to our offer. Nothing when pattern, magic and lengths do not all agree: the
// peer is plain then and the whole private data is the application's. Ask only after an offer.
[[nodiscard]] std::optional<SetupAnswer> setup_answer(const SetupFrame& reply) noexcept;

// The initiator's first FPDU towards its own kind: an empty RDMA Write that carries in STag and TO
// what it can do. Whoever does not know it must take it as a Write of nothing (RFC 5041).
struct Hello {
  std::uint8_t version = kExtensionVersion;
  std::uint8_t flags = 0;
  std::uint16_t capabilities = 0;
  std::uint32_t nonce = 0;
};

inline constexpr std::size_t kHelloFrameBytes = 20;

// Writes the whole FPDU and returns its size, or 0 when `out` is too small or the version is 0.
[[nodiscard]] std::size_t encode_hello(std::span<std::byte> out, const Hello& hello,
                                       bool crc) noexcept;
// The hello in a segment, or nothing when it is an ordinary one.
[[nodiscard]] std::optional<Hello> decode_hello(const Segment& segment) noexcept;

// ---- FPDU --------------------------------------------------------------------------------------

inline constexpr std::size_t kUlpduLengthBytes = 2;
inline constexpr std::size_t kCrcBytes = 4;
inline constexpr std::size_t kTrailerBytesMax = 7;  // three bytes of pad and the CRC field
inline constexpr std::size_t kFpduBytesMax = 65544;

// Pad that brings length field and ULPDU to a multiple of four.
[[nodiscard]] constexpr std::size_t fpdu_pad_bytes(std::size_t ulpdu_bytes) noexcept {
  return (4 - ((kUlpduLengthBytes + ulpdu_bytes) & 3)) & 3;
}
// Pad and CRC field, which is always there.
[[nodiscard]] constexpr std::size_t fpdu_trailer_bytes(std::size_t ulpdu_bytes) noexcept {
  return fpdu_pad_bytes(ulpdu_bytes) + kCrcBytes;
}
[[nodiscard]] constexpr std::size_t fpdu_bytes(std::size_t ulpdu_bytes) noexcept {
  return kUlpduLengthBytes + ulpdu_bytes + fpdu_trailer_bytes(ulpdu_bytes);
}

// Largest payload, a multiple of four, of a segment whose FPDU has at most `frame_bytes_max` bytes
// in all; 0 when not even four bytes fit.
[[nodiscard]] constexpr std::size_t payload_bytes_max(std::size_t frame_bytes_max,
                                                      std::size_t header_bytes) noexcept {
  const std::size_t ulpdu_bound = kUlpduLengthBytes + kUlpduBytesMax;
  const std::size_t fixed = header_bytes + kCrcBytes;
  if (frame_bytes_max <= fixed) return 0;
  const std::size_t by_frame = frame_bytes_max - fixed;
  const std::size_t by_length = ulpdu_bound - header_bytes;
  return (by_frame < by_length ? by_frame : by_length) & ~std::size_t{3};
}
[[nodiscard]] constexpr std::size_t tagged_payload_bytes_max(std::size_t frame_bytes_max) noexcept {
  return payload_bytes_max(frame_bytes_max, kTaggedHeaderBytes);
}
[[nodiscard]] constexpr std::size_t untagged_payload_bytes_max(
    std::size_t frame_bytes_max) noexcept {
  return payload_bytes_max(frame_bytes_max, kUntaggedHeaderBytes);
}

// Write pad and CRC field behind the payload (4 to 7 bytes) and return their count, 0 when `out`
// is too small. `crc_state` is the running state over length field, header and payload.
[[nodiscard]] std::size_t encode_trailer(std::span<std::byte> out, std::size_t ulpdu_bytes,
                                         std::uint32_t crc_state) noexcept;
[[nodiscard]] std::size_t encode_trailer_without_crc(std::span<std::byte> out,
                                                     std::size_t ulpdu_bytes) noexcept;

// True when the CRC field of `trailer` (pad and CRC) fits the running state over what came before.
[[nodiscard]] bool trailer_is_intact(std::span<const std::byte> trailer,
                                     std::uint32_t crc_state) noexcept;
// True when `fpdu` is exactly one FPDU and its CRC fits.
[[nodiscard]] bool fpdu_is_intact(std::span<const std::byte> fpdu) noexcept;

}  // namespace rpma::iwarp
