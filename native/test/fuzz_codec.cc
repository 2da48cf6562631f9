// SPDX-License-Identifier: BSD-3-Clause
//
// Fuzz target: the codecs alone. What a parser takes, the encoder writes again to the same bytes,
// wherever one value has one form; parsing is the same whether the bytes come at once or one by
// one, and never asks for bytes that it has. No sockets, no threads: the fastest of the targets.
#include <array>
#include <cstring>
#include <span>
#include <vector>

#include "core/bytes.h"
#include "provider/iwarp/crc32c.h"
#include "provider/iwarp/extension.h"
#include "provider/iwarp/mpa.h"
#include "provider/iwarp/rdmap.h"
#include "test/fuzz_input.h"

namespace rpma::test {
namespace {

using Bytes = std::span<const std::byte>;
using iwarp::ParseState;

constexpr std::size_t kSetupFlagsAt = 16;

bool same(Bytes a, Bytes b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

bool within(Bytes part, Bytes whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

// ---- Request and Reply -------------------------------------------------------------------------

void encode_setup_again(const iwarp::SetupFrame& frame, Bytes bytes) {
  const bool plain_word = frame.has_word && !frame.word.ready_write;
  const bool ours = frame.revision == 2 && frame.enhanced && plain_word && !frame.markers &&
                    !frame.rejected && frame.reserved == 0 &&
                    frame.private_data.size() <= iwarp::kApplicationDataBytesMax;
  if (frame.kind != iwarp::SetupKind::kRequest || !ours || !iwarp::setup_is_offer(frame)) return;
  iwarp::RequestFields fields;
  fields.crc = frame.crc;
  fields.inbound_reads = frame.word.inbound_reads;
  fields.outbound_reads = frame.word.outbound_reads;
  fields.private_data = frame.private_data;
  std::array<std::byte, iwarp::kSetupFrameBytesMax> out;
  const std::size_t size = iwarp::encode_request(out, fields);
  std::vector<std::byte> due(bytes.begin(), bytes.end());
  due[kSetupFlagsAt] &= ~std::byte{0x20};  // R says nothing in a Request and is never sent in one
  if (size > 0) expect(same(std::span(out).first(size), due), "a Request becomes another");
}

void answer_setup(const iwarp::SetupFrame& request, FuzzInput& choices) {
  iwarp::ReplyFields fields;
  const std::uint8_t kind = choices.u8();
  fields.crc = (kind & 1) != 0;
  fields.rejected = (kind & 2) != 0;
  fields.inbound_reads = choices.u8();
  fields.outbound_reads = choices.u8();
  if ((kind & 4) != 0) fields.capabilities = choices.u16();
  std::array<std::byte, 256> data{};
  fields.private_data = std::span(data).first(choices.u8());
  std::array<std::byte, iwarp::kSetupFrameBytesMax> out;
  const std::size_t size = iwarp::encode_reply(out, request, fields);
  if (size == 0) return;
  const auto parse = iwarp::parse_setup(std::span(out).first(size), iwarp::SetupKind::kReply);
  expect(parse.state == ParseState::kComplete, "a Reply of ours cannot be parsed");
  expect(parse.frame.rejected == fields.rejected, "a Reply changes its mind");
  expect(parse.frame.frame_bytes == size, "a Reply with bytes left over");
  const auto answer = iwarp::setup_answer(parse.frame);
  expect(answer.has_value() == (fields.capabilities.has_value() && !fields.rejected),
         "an answer to the offer is lost, or appears");
  if (answer) {
    expect(answer->capabilities == *fields.capabilities, "capabilities change");
    expect(same(answer->private_data, fields.private_data), "private data changes");
  }
}

void setup(FuzzInput& input) {
  const std::uint8_t kind = input.u8();
  FuzzInput choices = input;
  static_cast<void>(input.take(6));
  const Bytes bytes = input.rest();
  const auto expected = (kind & 1) != 0 ? iwarp::SetupKind::kReply : iwarp::SetupKind::kRequest;
  const auto parse = iwarp::parse_setup(bytes, expected);
  for (std::size_t size = 0; size < std::min<std::size_t>(bytes.size(), 600); ++size) {
    const auto part = iwarp::parse_setup(bytes.first(size), expected);
    if (part.state == ParseState::kNeedMore) {
      expect(part.needed_bytes > size, "a parser wants what it has");
      continue;
    }
    expect(part.state == parse.state, "a parser's word depends on how much came");
    break;
  }
  if (parse.state == ParseState::kFault) {
    expect(iwarp::setup_fault_name(parse.fault) != nullptr, "a fault without a name");
  }
  if (parse.state != ParseState::kComplete) return;
  const iwarp::SetupFrame& frame = parse.frame;
  expect(frame.frame_bytes <= bytes.size(), "a frame longer than its bytes");
  expect(within(frame.private_data, bytes.first(frame.frame_bytes)), "private data from elsewhere");
  if (const auto answer = iwarp::setup_answer(frame)) {
    expect(within(answer->private_data, frame.private_data), "an answer's data from elsewhere");
  }
  encode_setup_again(frame, bytes.first(frame.frame_bytes));
  if (frame.kind == iwarp::SetupKind::kRequest) answer_setup(frame, choices);
}

// ---- Frames ------------------------------------------------------------------------------------

void encode_header_again(const iwarp::Segment& segment, Bytes header) {
  std::array<std::byte, iwarp::kUntaggedHeaderBytes> out;
  std::size_t size = 0;
  if (segment.tagged) {
    iwarp::TaggedHeader fields{segment.opcode, segment.last, segment.stag, segment.tagged_offset};
    size = iwarp::encode_tagged_header(out, fields, segment.payload_bytes);
  } else {
    iwarp::UntaggedHeader fields{segment.opcode, segment.last,     segment.stag,
                                 segment.queue,  segment.sequence, segment.message_offset};
    size = iwarp::encode_untagged_header(out, fields, segment.payload_bytes);
  }
  if (size == 0) return;  // what must never be sent may still be parsed
  expect(size == header.size(), "a header of another size");
  // Reserved bits are sent as zero whatever came.
  std::vector<std::byte> due(header.begin(), header.end());
  due[2] &= std::byte{0xC3};
  due[3] &= std::byte{0xCF};
  expect(same(std::span(out).first(size), due), "a header becomes another");
}

void read_requests(const iwarp::Segment& segment, Bytes payload) {
  if (const auto read = iwarp::decode_read_request(payload)) {
    std::array<std::byte, iwarp::kReadRequestFrameBytes> out;
    const std::size_t size = iwarp::encode_read_request(out, segment.sequence, *read);
    expect(size == iwarp::kUntaggedHeaderBytes + payload.size(), "a Read of another size");
    expect(same(std::span(out).first(size).subspan(iwarp::kUntaggedHeaderBytes), payload),
           "a Read becomes another");
  }
  if (iwarp::check_read_request(segment) == iwarp::Cause::kNone) {
    expect(iwarp::decode_read_request(payload).has_value(), "a Read that is none");
  }
  if (iwarp::check_immediate(segment) == iwarp::Cause::kNone) {
    expect(iwarp::decode_immediate(payload).has_value(), "Immediate Data that is none");
  }
}

void extension(const iwarp::Segment& segment, Bytes payload) {
  const auto asked = iwarp::decode_extension_request(segment, payload);
  if (asked.cause == iwarp::Cause::kNone) {
    std::array<std::byte, iwarp::kAtomicWriteFrameBytes> out;
    const std::size_t size = iwarp::encode_extension_request(out, segment.sequence, asked.request);
    if (size > 0) {
      iwarp::Segment again = segment;
      const auto parse = iwarp::decode_extension_request(
          again, std::span(out).first(size).subspan(iwarp::kUntaggedHeaderBytes));
      expect(parse.cause == iwarp::Cause::kNone && parse.request.id == asked.request.id &&
                 parse.request.stag == asked.request.stag &&
                 parse.request.tagged_offset == asked.request.tagged_offset &&
                 parse.request.length_bytes == asked.request.length_bytes &&
                 parse.request.data == asked.request.data &&
                 parse.request.type == asked.request.type,
             "a request of the extension becomes another");
    }
  }
  const auto answer = iwarp::decode_extension_answer(segment, payload);
  if (answer.cause == iwarp::Cause::kNone) {
    std::array<std::byte, iwarp::kAnswerFrameBytes> out;
    const std::size_t size = iwarp::encode_extension_answer(out, segment.sequence, answer.answer);
    expect(size == iwarp::kUntaggedHeaderBytes + payload.size(), "an answer of another size");
    expect(same(std::span(out).first(size).subspan(iwarp::kUntaggedHeaderBytes), payload),
           "an answer becomes another");
  }
  static_cast<void>(iwarp::decode_send_immediate(segment, payload));
}

void terminate(const iwarp::Segment& segment, Bytes payload) {
  for (const bool startup : {false, true}) {
    const auto parse = iwarp::decode_terminate(payload, startup);
    expect(parse.has_value() == (payload.size() >= 4), "a Terminate of too few bytes");
    if (!parse) continue;
    expect(iwarp::cause_name(parse->cause) != nullptr, "a cause without a name");
    expect(within(parse->ddp_header, payload) && within(parse->read_header, payload),
           "a Terminate's headers from elsewhere");
  }
  static_cast<void>(segment);
}

/** Whatever the frame: a Terminate about it can be built and says the same when it is read. */
void blame(Bytes fpdu, iwarp::Cause cause) {
  std::array<std::byte, iwarp::kTerminateBytesMax> out;
  const std::size_t size = iwarp::encode_terminate(out, cause, fpdu);
  if (cause == iwarp::Cause::kNone || size == 0) return;
  expect(iwarp::fpdu_pad_bytes(size - iwarp::kUlpduLengthBytes) == 0, "a Terminate with a pad");
  const auto parse = iwarp::decode_terminate(
      std::span(out).first(size).subspan(iwarp::kUntaggedHeaderBytes), false);
  expect(parse.has_value(), "a Terminate of ours cannot be read");
  if (!iwarp::cause_is_known(cause)) return;
  const bool setup_cause = iwarp::cause_layer(cause) == 2;
  expect(parse->cause == cause || setup_cause, "a Terminate names another cause");
}

void frames(FuzzInput& input) {
  const std::uint8_t kind = input.u8();
  const auto cause = static_cast<iwarp::Cause>(input.u16());
  const iwarp::OpcodeSet opcodes = (kind & 1) != 0 ? iwarp::kExtendedOpcodes : iwarp::kPlainOpcodes;
  iwarp::SegmentTracker tracker(kind < 16 ? ~std::uint32_t{0} : iwarp::kFirstSequence);
  Bytes left = input.rest();
  while (left.size() >= iwarp::kUlpduLengthBytes) {
    const std::size_t total = iwarp::fpdu_bytes(core::load_be16(left.data()));
    const auto parse = iwarp::parse_segment(left, opcodes);
    blame(left.first(std::min(left.size(), total)), cause);
    if (left.size() < total) {
      if (parse.state == ParseState::kNeedMore) {
        expect(parse.needed_bytes > left.size(), "a parser wants what it has");
      }
      return;
    }
    const Bytes fpdu = left.first(total);
    static_cast<void>(iwarp::fpdu_is_intact(fpdu));
    if (parse.state != ParseState::kComplete) return;
    const iwarp::Segment& segment = parse.segment;
    const std::size_t used = segment.header_bytes + std::size_t{segment.payload_bytes};
    expect(used == iwarp::kUlpduLengthBytes + segment.ulpdu_bytes, "header and payload");
    expect(used + iwarp::fpdu_trailer_bytes(segment.ulpdu_bytes) == total, "frame and trailer");
    expect(iwarp::opcode_is_tagged(segment.opcode) == segment.tagged, "tagged or not");
    const Bytes payload = fpdu.subspan(segment.header_bytes, segment.payload_bytes);
    encode_header_again(segment, fpdu.first(segment.header_bytes));
    read_requests(segment, payload);
    extension(segment, payload);
    terminate(segment, payload);
    if (const auto hello = iwarp::decode_hello(segment)) {
      std::array<std::byte, iwarp::kHelloFrameBytes> out;
      const std::size_t size = iwarp::encode_hello(out, *hello, (kind & 2) != 0);
      expect(size == out.size() && same(std::span(out).first(iwarp::kTaggedHeaderBytes).subspan(4),
                                        fpdu.subspan(4, iwarp::kTaggedHeaderBytes - 4)),
             "a hello becomes another");
    }
    if (tracker.accept(segment) != iwarp::Cause::kNone) return;
    left = left.subspan(total);
  }
}

// ---- Checksum ----------------------------------------------------------------------------------

void checksum(FuzzInput& input) {
  const std::size_t cut = input.u8();
  const Bytes bytes = input.rest();
  const std::size_t first = std::min(cut, bytes.size());
  const std::uint32_t whole = iwarp::crc32c(iwarp::kCrc32cBegin, bytes.data(), bytes.size());
  std::uint32_t pieces = iwarp::crc32c(iwarp::kCrc32cBegin, bytes.data(), first);
  pieces = iwarp::crc32c(pieces, bytes.data() + first, bytes.size() - first);
  expect(whole == pieces, "a checksum depends on the pieces");
  std::uint32_t bitwise = iwarp::kCrc32cBegin;
  for (const std::byte byte : bytes) {
    bitwise ^= std::to_integer<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) bitwise = bitwise >> 1 ^ ((bitwise & 1) * 0x82F63B78U);
  }
  expect(whole == bitwise, "a checksum is not CRC32C");
}

}  // namespace
}  // namespace rpma::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  rpma::test::FuzzInput input(data, size);
  switch (input.u8() % 4) {
    case 0:
      rpma::test::setup(input);
      break;
    case 1:
      rpma::test::checksum(input);
      break;
    default:
      rpma::test::frames(input);
  }
  return 0;
}
