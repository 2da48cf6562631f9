// SPDX-License-Identifier: BSD-3-Clause
//
// Remote Direct Memory Access Protocol (RFC 5040, 7306): Read Requests, Immediate Data, and the
// Terminate message that names why a stream ends.
// Pure functions and plain values: no I/O, no allocation; whoever drives a connection calls them.
// Encoders write MPA's length, the headers and the fixed body, but not pad and CRC (mpa.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "provider/iwarp/ddp.h"

namespace rpma::iwarp {

// ---- Causes ------------------------------------------------------------------------------------

[[nodiscard]] constexpr std::uint8_t cause_layer(Cause cause) noexcept {
  return static_cast<std::uint8_t>(static_cast<unsigned>(cause) >> 12);
}
[[nodiscard]] constexpr std::uint8_t cause_type(Cause cause) noexcept {
  return static_cast<std::uint8_t>((static_cast<unsigned>(cause) >> 8) & 0xF);
}
[[nodiscard]] constexpr std::uint8_t cause_code(Cause cause) noexcept {
  return static_cast<std::uint8_t>(static_cast<unsigned>(cause) & 0xFF);
}
[[nodiscard]] constexpr Cause make_cause(unsigned layer, unsigned type, unsigned code) noexcept {
  return static_cast<Cause>((layer & 0xF) << 12 | (type & 0xF) << 8 | (code & 0xFF));
}
// Whether the triple has a meaning in RFC 5040, 5041, 5044 or 6581.
[[nodiscard]] bool cause_is_known(Cause cause) noexcept;
// What it means, for people: "tagged: base or bounds". Never null.
[[nodiscard]] const char* cause_name(Cause cause) noexcept;

// ---- Read Request ------------------------------------------------------------------------------

inline constexpr std::size_t kReadRequestBodyBytes = 28;
inline constexpr std::size_t kReadRequestFrameBytes = 52;  // with the CRC field; there is no pad

struct ReadRequest {
  std::uint32_t sink_stag = 0;
  std::uint64_t sink_offset = 0;
  std::uint32_t length_bytes = 0;
  std::uint32_t source_stag = 0;
  std::uint64_t source_offset = 0;
};

// Writes 48 bytes, to which encode_trailer() adds four; 0 when `out` is too small.
[[nodiscard]] std::size_t encode_read_request(std::span<std::byte> out, std::uint32_t sequence,
                                              const ReadRequest& request) noexcept;
// Whether the segment is a whole Read Request and nothing else (row Q1): kNone, or the cause.
[[nodiscard]] Cause check_read_request(const Segment& segment) noexcept;
// `body` are the 28 bytes behind the untagged header; nothing when there are not exactly 28.
[[nodiscard]] std::optional<ReadRequest> decode_read_request(
    std::span<const std::byte> body) noexcept;

// ---- Immediate Data (RFC 7306) -----------------------------------------------------------------

inline constexpr std::size_t kImmediateBodyBytes = 8;
inline constexpr std::size_t kImmediateFrameBytes = 32;

// Writes 28 bytes: our value stands big-endian in the first four of the eight bytes of data.
[[nodiscard]] std::size_t encode_immediate(std::span<std::byte> out, std::uint32_t sequence,
                                           std::uint32_t value) noexcept;
[[nodiscard]] Cause check_immediate(const Segment& segment) noexcept;
[[nodiscard]] std::optional<std::uint32_t> decode_immediate(
    std::span<const std::byte> body) noexcept;

// ---- Terminate ---------------------------------------------------------------------------------

// Length field, untagged header, control word, segment length, terminated untagged and Read header.
inline constexpr std::size_t kTerminateBytesMax = 72;
inline constexpr std::size_t kTerminateFrameBytesMax = kTerminateBytesMax + 4;

// Writes a Terminate in the form of RFC 5040, without trailer. `terminated` is the FPDU that was at
// fault, from its length field on, as far as it is at hand; which of its headers are copied follows
// from the cause, and none are when they did not arrive whole. Returns the bytes written, a size
// that needs no pad, or 0 when `out` is too small or the cause is kNone.
[[nodiscard]] std::size_t encode_terminate(std::span<std::byte> out, Cause cause,
                                           std::span<const std::byte> terminated) noexcept;

struct Terminate {
  Cause cause = Cause::kNone;
  bool swapped = false;  // little-endian siw's form: nibbles and flags exchanged
  bool has_segment_length = false;
  std::uint16_t segment_length_bytes = 0;
  std::span<const std::byte> ddp_header;   // 14 or 18 bytes, or empty
  std::span<const std::byte> read_header;  // 28 bytes, or empty
};

// Decodes the body behind the untagged header, leniently: RFC form and siw's form, headers only as
// far as they are there. `startup` (no FPDU passed yet) settles the triples that mean something in
// both forms. Nothing when there are not even the four control bytes.
[[nodiscard]] std::optional<Terminate> decode_terminate(std::span<const std::byte> body,
                                                        bool startup) noexcept;

}  // namespace rpma::iwarp
