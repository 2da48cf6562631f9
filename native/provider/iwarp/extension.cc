// SPDX-License-Identifier: BSD-3-Clause
//
// The extension's messages. A message of another version, another length or an unknown
// sub-operation is the peer's defect, because both sides named what they speak; it ends the stream.
// Any thread; borrows its arguments during the call only.
#include "provider/iwarp/extension.h"

#include <cstring>

#include "core/bytes.h"
#include "provider/iwarp/mpa.h"

namespace rpma::iwarp {
namespace {

constexpr std::size_t kSubAt = 0;
constexpr std::size_t kVersionAt = 1;
constexpr std::size_t kTypeAt = 2;    // of requests
constexpr std::size_t kStatusAt = 2;  // of answers
constexpr std::size_t kDurabilityAt = 3;
constexpr std::size_t kIdAt = 4;
constexpr std::size_t kStagAt = 8;
constexpr std::size_t kErrorAt = 8;
constexpr std::size_t kOffsetAt = 16;
constexpr std::size_t kLengthAt = 24;
constexpr std::size_t kDataAt = 32;
constexpr std::size_t kValueAt = 4;  // of a Send with immediate

// Bytes of a request's body, 0 for what is none.
std::size_t request_body_bytes(ExtensionSub sub) noexcept {
  switch (sub) {
    case ExtensionSub::Flush:
      return kFlushBodyBytes;
    case ExtensionSub::AtomicWrite:
      return kAtomicWriteBodyBytes;
    default:
      return 0;
  }
}

bool is_answer(ExtensionSub sub) noexcept {
  return sub == ExtensionSub::FlushAnswer || sub == ExtensionSub::AtomicWriteAnswer;
}

bool version_is_spoken(std::uint8_t version) noexcept {
  return version != 0 && version <= kExtensionVersion;
}

std::size_t encode_header(std::span<std::byte> out, std::uint32_t queue, std::uint32_t sequence,
                          std::size_t body_bytes) noexcept {
  if (out.size() < kUntaggedHeaderBytes + body_bytes) return 0;
  UntaggedHeader header;
  header.opcode = Opcode::kExtension;
  header.queue = queue;
  header.sequence = sequence;
  return encode_untagged_header(out, header, body_bytes);
}

// One whole message in one segment on its queue, all of it at hand.
Cause check_whole(const Segment& segment, std::uint32_t queue,
                  std::span<const std::byte> body) noexcept {
  if (segment.opcode != Opcode::kExtension) return Cause::kOperationOpcode;
  if (segment.queue != queue) return Cause::kUntaggedQueue;
  if (!segment.last || segment.message_offset != 0) return Cause::kUntaggedOffset;
  return body.size() != segment.payload_bytes ? Cause::kMpaFraming : Cause::kNone;
}

Cause check_body_bytes(std::size_t found, std::size_t expected) noexcept {
  if (found < expected) return Cause::kMpaFraming;
  return found > expected ? Cause::kUntaggedTooLong : Cause::kNone;
}

}  // namespace

std::size_t encode_extension_request(std::span<std::byte> out, std::uint32_t sequence,
                                     const ExtensionRequest& request) noexcept {
  const std::size_t body_bytes = request_body_bytes(request.sub);
  if (body_bytes == 0 || !version_is_spoken(request.version)) return 0;
  if (request.sub == ExtensionSub::AtomicWrite && request.length_bytes != request.data.size()) {
    return 0;
  }
  if (encode_header(out, kRequestQueueNumber, sequence, body_bytes) == 0) return 0;
  std::byte* body = out.data() + kUntaggedHeaderBytes;
  std::memset(body, 0, body_bytes);
  core::store_u8(body + kSubAt, static_cast<std::uint8_t>(request.sub));
  core::store_u8(body + kVersionAt, request.version);
  core::store_u8(body + kTypeAt, request.type);
  core::store_be32(body + kIdAt, request.id);
  core::store_be32(body + kStagAt, request.stag);
  core::store_be64(body + kOffsetAt, request.tagged_offset);
  core::store_be64(body + kLengthAt, request.length_bytes);
  if (request.sub == ExtensionSub::AtomicWrite) {
    std::memcpy(body + kDataAt, request.data.data(), request.data.size());
  }
  return kUntaggedHeaderBytes + body_bytes;
}

ExtensionRequestParse decode_extension_request(const Segment& segment,
                                               std::span<const std::byte> body) noexcept {
  ExtensionRequestParse parse;
  parse.cause = check_whole(segment, kRequestQueueNumber, body);
  if (parse.cause != Cause::kNone) return parse;
  if (body.size() < kIdAt) {
    parse.cause = Cause::kMpaFraming;
    return parse;
  }
  ExtensionRequest& request = parse.request;
  request.sub = static_cast<ExtensionSub>(core::load_u8(body.data() + kSubAt));
  request.version = core::load_u8(body.data() + kVersionAt);
  const std::size_t body_bytes = request_body_bytes(request.sub);
  if (!version_is_spoken(request.version)) {
    parse.cause = Cause::kOperationVersion;
  } else if (body_bytes == 0) {
    parse.cause = Cause::kOperationOpcode;
  } else {
    parse.cause = check_body_bytes(body.size(), body_bytes);
  }
  if (parse.cause != Cause::kNone) return parse;
  request.type = core::load_u8(body.data() + kTypeAt);
  request.id = core::load_be32(body.data() + kIdAt);
  request.stag = core::load_be32(body.data() + kStagAt);
  request.tagged_offset = core::load_be64(body.data() + kOffsetAt);
  request.length_bytes = core::load_be64(body.data() + kLengthAt);
  if (request.sub == ExtensionSub::AtomicWrite) {
    std::memcpy(request.data.data(), body.data() + kDataAt, request.data.size());
  }
  return parse;
}

std::size_t encode_extension_answer(std::span<std::byte> out, std::uint32_t sequence,
                                    const ExtensionAnswer& answer) noexcept {
  if (!is_answer(answer.sub) || !version_is_spoken(answer.version)) return 0;
  if (encode_header(out, kAnswerQueueNumber, sequence, kAnswerBodyBytes) == 0) return 0;
  std::byte* body = out.data() + kUntaggedHeaderBytes;
  core::store_u8(body + kSubAt, static_cast<std::uint8_t>(answer.sub));
  core::store_u8(body + kVersionAt, answer.version);
  core::store_u8(body + kStatusAt, answer.status);
  core::store_u8(body + kDurabilityAt, answer.durability);
  core::store_be32(body + kIdAt, answer.id);
  core::store_be32(body + kErrorAt, answer.error_number);
  return kUntaggedHeaderBytes + kAnswerBodyBytes;
}

ExtensionAnswerParse decode_extension_answer(const Segment& segment,
                                             std::span<const std::byte> body) noexcept {
  ExtensionAnswerParse parse;
  parse.cause = check_whole(segment, kAnswerQueueNumber, body);
  if (parse.cause != Cause::kNone) return parse;
  if (body.size() < kIdAt) {
    parse.cause = Cause::kMpaFraming;
    return parse;
  }
  ExtensionAnswer& answer = parse.answer;
  answer.sub = static_cast<ExtensionSub>(core::load_u8(body.data() + kSubAt));
  answer.version = core::load_u8(body.data() + kVersionAt);
  if (!version_is_spoken(answer.version)) {
    parse.cause = Cause::kOperationVersion;
  } else if (!is_answer(answer.sub)) {
    parse.cause = Cause::kOperationOpcode;
  } else {
    parse.cause = check_body_bytes(body.size(), kAnswerBodyBytes);
  }
  if (parse.cause != Cause::kNone) return parse;
  answer.status = core::load_u8(body.data() + kStatusAt);
  answer.durability = core::load_u8(body.data() + kDurabilityAt);
  answer.id = core::load_be32(body.data() + kIdAt);
  answer.error_number = core::load_be32(body.data() + kErrorAt);
  return parse;
}

std::size_t encode_send_immediate(std::span<std::byte> out, const SendImmediate& header) noexcept {
  if (out.size() < kSendImmediateHeaderBytes || !version_is_spoken(header.version)) return 0;
  core::store_u8(out.data() + kSubAt, static_cast<std::uint8_t>(ExtensionSub::SendImmediate));
  core::store_u8(out.data() + kVersionAt, header.version);
  core::store_be16(out.data() + 2, 0);
  core::store_be32(out.data() + kValueAt, header.value);
  return kSendImmediateHeaderBytes;
}

SendImmediateParse decode_send_immediate(const Segment& segment,
                                         std::span<const std::byte> body) noexcept {
  SendImmediateParse parse;
  if (segment.opcode != Opcode::kExtension) {
    parse.cause = Cause::kOperationOpcode;
  } else if (segment.queue != kSendQueueNumber) {
    parse.cause = Cause::kUntaggedQueue;
  } else if (segment.message_offset != 0) {
    parse.cause = Cause::kUntaggedOffset;
  } else if (segment.payload_bytes < kSendImmediateHeaderBytes ||
             body.size() < kSendImmediateHeaderBytes) {
    parse.cause = Cause::kMpaFraming;
  }
  if (parse.cause != Cause::kNone) return parse;
  const auto sub = static_cast<ExtensionSub>(core::load_u8(body.data() + kSubAt));
  parse.header.version = core::load_u8(body.data() + kVersionAt);
  if (!version_is_spoken(parse.header.version)) {
    parse.cause = Cause::kOperationVersion;
  } else if (sub != ExtensionSub::SendImmediate) {
    parse.cause = Cause::kOperationOpcode;
  }
  if (parse.cause != Cause::kNone) return parse;
  parse.header.value = core::load_be32(body.data() + kValueAt);
  return parse;
}

}  // namespace rpma::iwarp
