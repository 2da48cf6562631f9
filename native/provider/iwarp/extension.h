// SPDX-License-Identifier: BSD-3-Clause
//
// Our extension of RDMAP, opcode 0xF, spoken only where both sides negotiated it: flush, atomic
// write, their answers, and Send with an immediate value. docs/internals/wire-protocol.md draws it.
// Pure functions and plain values: no I/O, no allocation; whoever drives a connection calls them.
// All integers are big-endian but the eight data bytes of an atomic write, which travel as they
// shall lie in memory. Encoders write MPA's length and the headers, but not pad and CRC (mpa.h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "abi.generated.h"
#include "provider/iwarp/ddp.h"

namespace rpma::iwarp {

// The values are abi/layout.json's.
using ExtensionSub = abi::ExtensionSub;
using ExtensionType = abi::ExtensionType;
using ExtensionStatus = abi::ExtensionStatus;

// Capability bits, the same in a Reply's trailer and in the hello.
inline constexpr std::uint16_t kCapabilityFlush = abi::kExtensionCapabilitiesFlush;
inline constexpr std::uint16_t kCapabilityAtomicWrite = abi::kExtensionCapabilitiesAtomicWrite;
inline constexpr std::uint16_t kCapabilitySendImmediate = abi::kExtensionCapabilitiesSendImmediate;
inline constexpr std::uint16_t kCapabilityCrc = abi::kExtensionCapabilitiesCrc;

// ---- Requests, queue 1 -------------------------------------------------------------------------

inline constexpr std::size_t kFlushBodyBytes = 32;
inline constexpr std::size_t kAtomicWriteBodyBytes = 40;
inline constexpr std::size_t kFlushFrameBytes = 56;        // with the CRC field; there is no pad
inline constexpr std::size_t kAtomicWriteFrameBytes = 64;  // likewise

// A flush or an atomic write. `type` is a raw byte: an unknown one is answered, not terminated.
struct ExtensionRequest {
  ExtensionSub sub = ExtensionSub::Flush;
  std::uint8_t version = 1;
  std::uint8_t type = 0;
  std::uint32_t id = 0;
  std::uint32_t stag = 0;
  std::uint64_t tagged_offset = 0;
  std::uint64_t length_bytes = 0;   // 8 in an atomic write
  std::array<std::byte, 8> data{};  // of an atomic write
};

// Writes 52 or 60 bytes, to which encode_trailer() adds four; 0 when `out` is too small, `sub` is
// no request, the version is not ours, or the length of an atomic write is not 8.
[[nodiscard]] std::size_t encode_extension_request(std::span<std::byte> out, std::uint32_t sequence,
                                                   const ExtensionRequest& request) noexcept;

struct ExtensionRequestParse {
  Cause cause = Cause::kNone;
  ExtensionRequest request;  // when the cause is kNone
};

// `body` is the payload of a segment of opcode 0xF on queue 1. Checks that it is one whole message
// of a known sub-operation, of a version we speak and of exactly its length.
[[nodiscard]] ExtensionRequestParse decode_extension_request(
    const Segment& segment, std::span<const std::byte> body) noexcept;

// ---- Answers, queue 3 --------------------------------------------------------------------------

inline constexpr std::size_t kAnswerBodyBytes = 12;
inline constexpr std::size_t kAnswerFrameBytes = 36;  // with the CRC field; there is no pad

struct ExtensionAnswer {
  ExtensionSub sub = ExtensionSub::FlushAnswer;
  std::uint8_t version = 1;
  std::uint8_t status = 0;      // ExtensionStatus; an unknown one is a failed operation
  std::uint8_t durability = 0;  // abi::Durability
  std::uint32_t id = 0;
  std::uint32_t error_number = 0;  // the target's errno, 0 when none
};

// Writes 32 bytes, to which encode_trailer() adds four; 0 when `out` is too small or `sub` is no
// answer.
[[nodiscard]] std::size_t encode_extension_answer(std::span<std::byte> out, std::uint32_t sequence,
                                                  const ExtensionAnswer& answer) noexcept;

struct ExtensionAnswerParse {
  Cause cause = Cause::kNone;
  ExtensionAnswer answer;  // when the cause is kNone
};

// `body` is the payload of a segment of opcode 0xF on queue 3.
[[nodiscard]] ExtensionAnswerParse decode_extension_answer(
    const Segment& segment, std::span<const std::byte> body) noexcept;

// ---- Send with immediate, queue 0 --------------------------------------------------------------

// Stands in front of the message in its first segment only; message offsets count it.
inline constexpr std::size_t kSendImmediateHeaderBytes = 8;

struct SendImmediate {
  std::uint8_t version = 1;
  std::uint32_t value = 0;
};

// Writes the eight bytes of that header, behind which the message's own bytes follow.
[[nodiscard]] std::size_t encode_send_immediate(std::span<std::byte> out,
                                                const SendImmediate& header) noexcept;

struct SendImmediateParse {
  Cause cause = Cause::kNone;
  SendImmediate header;  // when the cause is kNone
};

// `body` is the payload of the first segment (message offset 0) of such a message.
[[nodiscard]] SendImmediateParse decode_send_immediate(const Segment& segment,
                                                       std::span<const std::byte> body) noexcept;

}  // namespace rpma::iwarp
