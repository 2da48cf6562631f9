// SPDX-License-Identifier: BSD-3-Clause
//
// MPA's set-up frames, the negotiation inside them, and the frame around segments. Everything a
// stranger can send passes through parse_setup(), so each length is compared before it is used;
// everything we send is built here, so what must never be sent is refused here.
// Any thread; borrows its arguments during the call only, but for the spans it documents.
#include "provider/iwarp/mpa.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "abi.generated.h"
#include "core/bytes.h"
#include "provider/iwarp/crc32c.h"

namespace rpma::iwarp {
namespace {

constexpr std::string_view kRequestKey = "MPA ID Req Frame";
constexpr std::string_view kReplyKey = "MPA ID Rep Frame";
constexpr std::size_t kKeyBytes = 16;
static_assert(kRequestKey.size() == kKeyBytes && kReplyKey.size() == kKeyBytes);
static_assert(kSetupPrivateDataBytesMax == abi::kPrivateDataBytesAccepted);
static_assert(kSetupFrameBytesMax == abi::kSetupFrameBytes);
static_assert(kApplicationDataBytesMax == abi::kPrivateDataBytes);

constexpr std::uint8_t kFlagMarkers = 0x80;
constexpr std::uint8_t kFlagCrc = 0x40;
constexpr std::uint8_t kFlagRejected = 0x20;
constexpr std::uint8_t kFlagEnhanced = 0x10;
constexpr std::uint8_t kFlagReserved = 0x0F;

constexpr std::uint16_t kWordHighBit = 0x8000;  // A in the first half, C in the second
constexpr std::uint16_t kWordLowBit = 0x4000;   // B and D
constexpr std::uint16_t kWordReads = 0x3FFF;

constexpr std::size_t kFlagsAt = 16;
constexpr std::size_t kRevisionAt = 17;
constexpr std::size_t kLengthAt = 18;

// Offsets in the fixed part of an answer's trailer.
constexpr std::size_t kTrailerVersionAt = 4;
constexpr std::size_t kTrailerLengthAt = 5;
constexpr std::size_t kTrailerDataLengthAt = 6;
constexpr std::size_t kTrailerCapabilitiesAt = 8;

std::string_view key_of(SetupKind kind) noexcept {
  return kind == SetupKind::kRequest ? kRequestKey : kReplyKey;
}

bool begins_with_key(std::span<const std::byte> bytes, SetupKind kind) noexcept {
  const std::size_t count = std::min(bytes.size(), kKeyBytes);
  return count == 0 || std::memcmp(bytes.data(), key_of(kind).data(), count) == 0;
}

SetupParse setup_fault(SetupFault fault) noexcept {
  SetupParse parse;
  parse.state = ParseState::kFault;
  parse.fault = fault;
  return parse;
}

SetupParse setup_needs(std::size_t bytes) noexcept {
  SetupParse parse;
  parse.needed_bytes = bytes;
  return parse;
}

EnhancedWord decode_word(const std::byte* from) noexcept {
  const std::uint16_t first = core::load_be16(from);
  const std::uint16_t second = core::load_be16(from + 2);
  EnhancedWord word;
  word.peer_to_peer = (first & kWordHighBit) != 0;
  word.ready_send = (first & kWordLowBit) != 0;
  word.inbound_reads = first & kWordReads;
  word.ready_write = (second & kWordHighBit) != 0;
  word.ready_read = (second & kWordLowBit) != 0;
  word.outbound_reads = second & kWordReads;
  return word;
}

void encode_word(std::byte* to, const EnhancedWord& word) noexcept {
  const unsigned first = (word.peer_to_peer ? kWordHighBit : 0u) |
                         (word.ready_send ? kWordLowBit : 0u) | word.inbound_reads;
  const unsigned second = (word.ready_write ? kWordHighBit : 0u) |
                          (word.ready_read ? kWordLowBit : 0u) | word.outbound_reads;
  core::store_be16(to, static_cast<std::uint16_t>(first));
  core::store_be16(to + 2, static_cast<std::uint16_t>(second));
}

void encode_answer_trailer(std::byte* to, std::size_t data_bytes,
                           std::uint16_t capabilities) noexcept {
  core::store_be32(to, kExtensionMagic);
  core::store_u8(to + kTrailerVersionAt, kExtensionVersion);
  core::store_u8(to + kTrailerLengthAt, kAnswerTrailerBytes);
  core::store_be16(to + kTrailerDataLengthAt, static_cast<std::uint16_t>(data_bytes));
  core::store_be64(to + kTrailerCapabilitiesAt, capabilities);
}

struct SetupContent {
  SetupKind kind;
  std::uint8_t flags;
  std::uint8_t revision;
  const EnhancedWord* word;  // null: none
  std::span<const std::byte> private_data;
  const std::uint16_t* capabilities;  // null: no trailer
};

std::size_t encode_setup(std::span<std::byte> out, const SetupContent& content) noexcept {
  const std::size_t word_bytes = content.word != nullptr ? kEnhancedWordBytes : 0;
  const std::size_t trailer_bytes = content.capabilities != nullptr ? kAnswerTrailerBytes : 0;
  const std::size_t data_bytes = content.private_data.size();
  const std::size_t total = kSetupHeaderBytes + word_bytes + data_bytes + trailer_bytes;
  if (data_bytes > kApplicationDataBytesMax || out.size() < total) return 0;
  std::byte* to = out.data();
  std::memcpy(to, key_of(content.kind).data(), kKeyBytes);
  core::store_u8(to + kFlagsAt, content.flags);
  core::store_u8(to + kRevisionAt, content.revision);
  core::store_be16(to + kLengthAt, static_cast<std::uint16_t>(total - kSetupHeaderBytes));
  to += kSetupHeaderBytes;
  if (content.word != nullptr) encode_word(to, *content.word);
  to += word_bytes;
  if (data_bytes > 0) std::memcpy(to, content.private_data.data(), data_bytes);
  to += data_bytes;
  if (content.capabilities != nullptr) {
    encode_answer_trailer(to, data_bytes, *content.capabilities);
  }
  return total;
}

// 0x3FFF would mean "not negotiated", which siw does not know, and it ends a connection whose Reply
// names more than 128.
bool reads_are_sendable(std::uint16_t inbound, std::uint16_t outbound) noexcept {
  return inbound <= abi::kReadsMax && outbound <= abi::kReadsMax;
}

// What a Reply says to a Request that asks for the peer-to-peer model: one kind of first frame that
// the Request named too, the empty Write before the empty Read. We never offer the empty Send,
// because it would take a receive.
void answer_peer_to_peer(const EnhancedWord& asked, EnhancedWord& answer) noexcept {
  answer.peer_to_peer = true;
  answer.ready_read = !asked.ready_write && asked.ready_read;
  answer.ready_write = !answer.ready_read;
}

}  // namespace

const char* setup_fault_name(SetupFault fault) noexcept {
  switch (fault) {
    case SetupFault::kNone:
      return "none";
    case SetupFault::kKey:
      return "not an MPA frame";
    case SetupFault::kOtherKind:
      return "an MPA Request in place of a Reply, or the reverse";
    case SetupFault::kRevision:
      return "unknown MPA revision";
    case SetupFault::kPrivateDataLength:
      return "more than 512 bytes of private data";
    case SetupFault::kEnhancedWord:
      return "private data too short for the IRD and ORD word";
  }
  return "unknown";
}

SetupParse parse_setup(std::span<const std::byte> bytes, SetupKind expected) noexcept {
  if (!begins_with_key(bytes, expected)) {
    const SetupKind other =
        expected == SetupKind::kRequest ? SetupKind::kReply : SetupKind::kRequest;
    return setup_fault(begins_with_key(bytes, other) ? SetupFault::kOtherKind : SetupFault::kKey);
  }
  if (bytes.size() < kSetupHeaderBytes) return setup_needs(kSetupHeaderBytes);

  SetupParse parse;
  SetupFrame& frame = parse.frame;
  const std::uint8_t flags = core::load_u8(bytes.data() + kFlagsAt);
  const std::size_t length = core::load_be16(bytes.data() + kLengthAt);
  frame.kind = expected;
  frame.revision = core::load_u8(bytes.data() + kRevisionAt);
  if (frame.revision > kMpaRevision) return setup_fault(SetupFault::kRevision);
  if (length > kSetupPrivateDataBytesMax) return setup_fault(SetupFault::kPrivateDataLength);
  frame.markers = (flags & kFlagMarkers) != 0;
  frame.crc = (flags & kFlagCrc) != 0;
  frame.rejected = expected == SetupKind::kReply && (flags & kFlagRejected) != 0;
  // Revision 1 has no such flag; there it is one of the reserved bits, which say nothing.
  frame.enhanced = frame.revision >= 2 && (flags & kFlagEnhanced) != 0;
  frame.reserved = flags & kFlagReserved;
  frame.has_word = frame.enhanced && length >= kEnhancedWordBytes;
  // A rejection is one whatever its private data looks like: siw sends one without the word.
  if (frame.enhanced && !frame.has_word && !frame.rejected) {
    return setup_fault(SetupFault::kEnhancedWord);
  }
  frame.frame_bytes = kSetupHeaderBytes + length;
  if (bytes.size() < frame.frame_bytes) return setup_needs(frame.frame_bytes);

  frame.private_data = bytes.subspan(kSetupHeaderBytes, length);
  if (frame.has_word) {
    frame.word = decode_word(frame.private_data.data());
    frame.private_data = frame.private_data.subspan(kEnhancedWordBytes);
  }
  parse.state = ParseState::kComplete;
  return parse;
}

std::size_t encode_request(std::span<std::byte> out, const RequestFields& fields) noexcept {
  if (!reads_are_sendable(fields.inbound_reads, fields.outbound_reads)) return 0;
  EnhancedWord word;
  word.inbound_reads = fields.inbound_reads;
  word.outbound_reads = fields.outbound_reads;
  word.ready_send = fields.offer_extension;
  word.ready_read = fields.offer_extension;
  const unsigned flags = kFlagEnhanced | (fields.crc ? kFlagCrc : 0u);
  return encode_setup(out, {SetupKind::kRequest, static_cast<std::uint8_t>(flags), kMpaRevision,
                            &word, fields.private_data, nullptr});
}

std::size_t encode_reply(std::span<std::byte> out, const SetupFrame& request,
                         const ReplyFields& fields) noexcept {
  if (request.kind != SetupKind::kRequest || request.revision > kMpaRevision) return 0;
  if (request.enhanced != request.has_word) return 0;
  if (request.markers && !fields.rejected) return 0;
  if (!reads_are_sendable(fields.inbound_reads, fields.outbound_reads)) return 0;
  const bool answers = fields.capabilities.has_value();
  if (answers && (fields.rejected || !setup_is_offer(request))) return 0;

  EnhancedWord word;
  word.inbound_reads = fields.inbound_reads;
  word.outbound_reads = fields.outbound_reads;
  word.ready_write = answers;
  if (request.word.peer_to_peer && !fields.rejected) answer_peer_to_peer(request.word, word);
  const unsigned flags = (request.enhanced ? kFlagEnhanced : 0u) |
                         (fields.crc || request.crc ? kFlagCrc : 0u) |
                         (fields.rejected ? kFlagRejected : 0u);
  return encode_setup(out, {SetupKind::kReply, static_cast<std::uint8_t>(flags), request.revision,
                            request.enhanced ? &word : nullptr, fields.private_data,
                            answers ? &*fields.capabilities : nullptr});
}

bool setup_is_offer(const SetupFrame& request) noexcept {
  const EnhancedWord& word = request.word;
  return request.kind == SetupKind::kRequest && request.has_word && !word.peer_to_peer &&
         word.ready_send && !word.ready_write && word.ready_read;
}

std::optional<SetupAnswer> setup_answer(const SetupFrame& reply) noexcept {
  const EnhancedWord& word = reply.word;
  if (reply.kind != SetupKind::kReply || reply.rejected || !reply.has_word) return std::nullopt;
  if (word.peer_to_peer || word.ready_send || !word.ready_write || word.ready_read) {
    return std::nullopt;
  }
  const std::size_t total = reply.private_data.size();
  if (total < kAnswerTrailerBytes) return std::nullopt;
  // The fixed part ends the private data. A later version may put more in front of it; this one
  // then steps over what it does not know.
  const std::byte* fixed = reply.private_data.data() + (total - kAnswerTrailerBytes);
  const std::uint8_t version = core::load_u8(fixed + kTrailerVersionAt);
  const std::size_t trailer_bytes = core::load_u8(fixed + kTrailerLengthAt);
  const std::size_t data_bytes = core::load_be16(fixed + kTrailerDataLengthAt);
  if (core::load_be32(fixed) != kExtensionMagic || version == 0) return std::nullopt;
  if (trailer_bytes < kAnswerTrailerBytes || data_bytes + trailer_bytes != total) {
    return std::nullopt;
  }
  SetupAnswer answer;
  answer.version = version;
  answer.capabilities =
      static_cast<std::uint16_t>(core::load_be64(fixed + kTrailerCapabilitiesAt) & 0xFFFF);
  answer.private_data = reply.private_data.first(data_bytes);
  return answer;
}

std::size_t encode_hello(std::span<std::byte> out, const Hello& hello, bool crc) noexcept {
  if (hello.version == 0 || out.size() < kHelloFrameBytes) return 0;
  TaggedHeader header;
  header.opcode = Opcode::kWrite;
  header.last = true;
  header.stag = kExtensionMagic;
  header.tagged_offset = static_cast<std::uint64_t>(hello.version) << 56 |
                         static_cast<std::uint64_t>(hello.flags) << 48 |
                         static_cast<std::uint64_t>(hello.capabilities) << 32 | hello.nonce;
  const std::size_t header_bytes = encode_tagged_header(out, header, 0);
  const auto trailer = out.subspan(header_bytes);
  const std::size_t trailer_bytes =
      crc ? encode_trailer(trailer, kTaggedUlpduBytes,
                           crc32c(kCrc32cBegin, out.data(), header_bytes))
          : encode_trailer_without_crc(trailer, kTaggedUlpduBytes);
  return header_bytes + trailer_bytes;
}

std::optional<Hello> decode_hello(const Segment& segment) noexcept {
  if (segment.opcode != Opcode::kWrite || !segment.tagged || !segment.last ||
      segment.payload_bytes != 0 || segment.stag != kExtensionMagic) {
    return std::nullopt;
  }
  Hello hello;
  hello.version = static_cast<std::uint8_t>(segment.tagged_offset >> 56);
  hello.flags = static_cast<std::uint8_t>((segment.tagged_offset >> 48) & 0xFF);
  hello.capabilities = static_cast<std::uint16_t>((segment.tagged_offset >> 32) & 0xFFFF);
  hello.nonce = static_cast<std::uint32_t>(segment.tagged_offset & 0xFFFFFFFF);
  if (hello.version == 0) return std::nullopt;
  return hello;
}

std::size_t encode_trailer(std::span<std::byte> out, std::size_t ulpdu_bytes,
                           std::uint32_t crc_state) noexcept {
  const std::size_t pad_bytes = fpdu_pad_bytes(ulpdu_bytes);
  if (out.size() < pad_bytes + kCrcBytes) return 0;
  constexpr std::array<std::byte, 3> kPad{};
  std::memcpy(out.data(), kPad.data(), pad_bytes);
  const std::uint32_t state = crc32c(crc_state, kPad.data(), pad_bytes);
  core::store_le32(out.data() + pad_bytes, crc32c_finish(state));
  return pad_bytes + kCrcBytes;
}

std::size_t encode_trailer_without_crc(std::span<std::byte> out, std::size_t ulpdu_bytes) noexcept {
  const std::size_t trailer_bytes = fpdu_trailer_bytes(ulpdu_bytes);
  if (out.size() < trailer_bytes) return 0;
  std::memset(out.data(), 0, trailer_bytes);
  return trailer_bytes;
}

bool trailer_is_intact(std::span<const std::byte> trailer, std::uint32_t crc_state) noexcept {
  if (trailer.size() < kCrcBytes || trailer.size() > kTrailerBytesMax) return false;
  // The pad is covered as it came: siw does not clear it.
  const std::size_t pad_bytes = trailer.size() - kCrcBytes;
  const std::uint32_t state = crc32c(crc_state, trailer.data(), pad_bytes);
  return core::load_le32(trailer.data() + pad_bytes) == crc32c_finish(state);
}

bool fpdu_is_intact(std::span<const std::byte> fpdu) noexcept {
  if (fpdu.size() < kUlpduLengthBytes + kCrcBytes) return false;
  if (fpdu.size() != fpdu_bytes(core::load_be16(fpdu.data()))) return false;
  const std::size_t covered = fpdu.size() - kCrcBytes;
  return core::load_le32(fpdu.data() + covered) == crc32c_of(fpdu.data(), covered);
}

}  // namespace rpma::iwarp
