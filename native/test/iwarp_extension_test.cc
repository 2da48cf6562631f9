// SPDX-License-Identifier: BSD-3-Clause
//
// The extension: every golden frame of golden/extension-v1.txt encoded and decoded bit by bit, and
// what a hostile peer may send. Single-threaded; inputs lie in areas of their exact size.
#include "provider/iwarp/extension.h"

#include <array>
#include <map>
#include <sstream>

#include "core/random.h"
#include "provider/iwarp/mpa.h"
#include "provider/iwarp/rdmap.h"
#include "test/check.h"
#include "test/golden/golden.h"

using rpma::core::SeededRandom;
using rpma::test::as_bytes;
using rpma::test::Bytes;
using rpma::test::frame_of;
using rpma::test::from_hex;
using rpma::test::to_hex;
using namespace rpma::iwarp;
namespace abi = rpma::abi;

namespace {

constexpr std::uint64_t kSeed = 0x5EED0005;
constexpr std::uint32_t kKey = 0x12345600;
constexpr std::uint64_t kOffset = 0x7F0000001000;
constexpr auto kPersistent = static_cast<std::uint8_t>(ExtensionType::Persistent);

std::map<std::string, std::string> golden_frames() {
  const Bytes file = rpma::test::golden_file("extension-v1.txt");
  std::istringstream lines(std::string(reinterpret_cast<const char*>(file.data()), file.size()));
  std::map<std::string, std::string> frames;
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == '#') continue;
    const std::size_t space = line.find(' ');
    frames[line.substr(0, space)] = line.substr(space + 1);
  }
  return frames;
}

std::string request_frame(std::uint32_t sequence, const ExtensionRequest& request) {
  Bytes out(kAtomicWriteFrameBytes - 4);
  out.resize(encode_extension_request(out, sequence, request));
  return to_hex(frame_of(out, {}));
}

std::string answer_frame(std::uint32_t sequence, const ExtensionAnswer& answer) {
  Bytes out(kAnswerFrameBytes - 4);
  out.resize(encode_extension_answer(out, sequence, answer));
  return to_hex(frame_of(out, {}));
}

std::string send_frame(const UntaggedHeader& header, const Bytes& payload) {
  Bytes out(kUntaggedHeaderBytes);
  out.resize(encode_untagged_header(out, header, payload.size()));
  return to_hex(frame_of(out, payload));
}

Bytes immediate_message(std::uint32_t value, std::string_view text) {
  Bytes out(kSendImmediateHeaderBytes);
  out.resize(encode_send_immediate(out, {.value = value}));
  return rpma::test::joined(out, as_bytes(text));
}

ExtensionRequest atomic_write_request() {
  ExtensionRequest request{.sub = ExtensionSub::AtomicWrite, .id = 9, .stag = kKey};
  request.tagged_offset = kOffset + 8;
  request.length_bytes = 8;
  for (unsigned at = 0; at < 8; ++at) request.data[at] = static_cast<std::byte>(at + 1);
  return request;
}

std::string setup_frame_hex(bool reply, std::string_view data, std::uint16_t capabilities) {
  Bytes request(kSetupFrameBytesMax);
  const auto offer_data = as_bytes("pmem");
  request.resize(encode_request(
      request, {.inbound_reads = 32, .outbound_reads = 16, .private_data = offer_data}));
  if (!reply) return to_hex(request);
  const SetupParse parse = parse_setup(request, SetupKind::kRequest);
  Bytes out(kSetupFrameBytesMax);
  out.resize(encode_reply(out, parse.frame,
                          {.inbound_reads = 16,
                           .outbound_reads = 32,
                           .private_data = as_bytes(data),
                           .capabilities = capabilities}));
  return to_hex(out);
}

std::map<std::string, std::string> encoded_frames() {
  std::map<std::string, std::string> frames;
  frames["request-offer"] = setup_frame_hex(false, "", 0);
  frames["reply-answer"] = setup_frame_hex(true, "durable", 0x000F);
  frames["reply-answer-empty"] = setup_frame_hex(true, "", 0x0001);
  Bytes hello(kHelloFrameBytes);
  hello.resize(encode_hello(hello, {.capabilities = 0x000F, .nonce = 0xA1B2C3D4}, true));
  frames["hello"] = to_hex(hello);
  const ExtensionRequest visible{
      .id = 7, .stag = kKey, .tagged_offset = kOffset, .length_bytes = 64};
  frames["flush-visibility"] = request_frame(1, visible);
  const ExtensionRequest large{.type = kPersistent,
                               .id = 0xFFFFFFFE,
                               .stag = kKey,
                               .tagged_offset = kOffset,
                               .length_bytes = 1ull << 40};
  frames["flush-persistent"] = request_frame(0, large);
  const ExtensionRequest empty{
      .type = kPersistent, .id = 8, .stag = kKey, .tagged_offset = kOffset};
  frames["flush-empty"] = request_frame(2, empty);
  frames["atomic-write"] = request_frame(3, atomic_write_request());
  frames["flush-answer-visible"] = answer_frame(1, {.id = 7});
  const auto persisted = static_cast<std::uint8_t>(abi::Durability::Persisted);
  frames["flush-answer-persisted"] = answer_frame(2, {.durability = persisted, .id = 0xFFFFFFFE});
  const auto failed = static_cast<std::uint8_t>(ExtensionStatus::RemoteOperation);
  frames["flush-answer-failed"] = answer_frame(3, {.status = failed, .id = 8, .error_number = 5});
  frames["atomic-write-answer"] =
      answer_frame(4, {.sub = ExtensionSub::AtomicWriteAnswer, .id = 9});
  UntaggedHeader header{.opcode = Opcode::kExtension};
  frames["send-immediate"] = send_frame(header, immediate_message(0x01020304, "hello"));
  header.sequence = 2;
  frames["send-immediate-empty"] = send_frame(header, immediate_message(0xFFFFFFFF, ""));
  header.sequence = 3;
  header.last = false;
  frames["send-immediate-first"] = send_frame(header, immediate_message(5, "abcd"));
  header.last = true;
  header.message_offset = 12;
  const auto rest = as_bytes("efgh");
  frames["send-immediate-second"] = send_frame(header, {rest.begin(), rest.end()});
  Bytes immediate(kImmediateFrameBytes - 4);
  immediate.resize(encode_immediate(immediate, 4, 0x01020304));
  frames["immediate-data"] = to_hex(frame_of(immediate, {}));
  return frames;
}

Segment segment_of(const Bytes& frame) {
  const SegmentParse parse = parse_segment(frame, kExtendedOpcodes);
  CHECK(parse.state == ParseState::kComplete);
  return parse.segment;
}

std::span<const std::byte> body_of(const Bytes& frame, const Segment& segment) {
  return std::span(frame).subspan(segment.header_bytes, segment.payload_bytes);
}

Segment whole_segment(std::uint32_t queue, std::size_t payload_bytes) {
  Segment segment;
  segment.opcode = Opcode::kExtension;
  segment.last = true;
  segment.queue = queue;
  segment.payload_bytes = static_cast<std::uint32_t>(payload_bytes);
  return segment;
}

}  // namespace

TEST(extension_encodes_every_golden_frame) {
  const auto golden = golden_frames();
  const auto encoded = encoded_frames();
  CHECK(golden.size() >= 17);
  CHECK_EQ(golden.size(), encoded.size());
  for (const auto& [name, frame] : golden) {
    const auto found = encoded.find(name);
    if (!CHECK(found != encoded.end())) continue;
    CHECK_EQ(name + " " + found->second, name + " " + frame);
  }
}

TEST(extension_golden_frames_are_whole_and_follow_each_other) {
  const auto golden = golden_frames();
  SegmentTracker tracker;
  for (const char* name : {"hello", "flush-visibility", "flush-empty", "atomic-write",
                           "flush-answer-visible", "flush-answer-persisted", "flush-answer-failed",
                           "atomic-write-answer", "send-immediate", "send-immediate-empty",
                           "send-immediate-first", "send-immediate-second", "immediate-data"}) {
    const auto found = golden.find(name);
    REQUIRE(found != golden.end());
    const Bytes frame = from_hex(found->second);
    CHECK(fpdu_is_intact(frame));
    CHECK(tracker.accept(segment_of(frame)) == Cause::kNone);
  }
}

TEST(extension_golden_requests_decode) {
  auto golden = golden_frames();
  const Bytes flush = from_hex(golden["flush-persistent"]);
  REQUIRE(flush.size() == kFlushFrameBytes);
  const Segment segment = segment_of(flush);
  const auto parse = decode_extension_request(segment, body_of(flush, segment));
  REQUIRE(parse.cause == Cause::kNone);
  CHECK(parse.request.sub == ExtensionSub::Flush);
  CHECK_EQ(parse.request.version, 1);
  CHECK_EQ(parse.request.type, kPersistent);
  CHECK_EQ(parse.request.id, 0xFFFFFFFEu);
  CHECK_EQ(parse.request.stag, kKey);
  CHECK_EQ(parse.request.tagged_offset, kOffset);
  CHECK_EQ(parse.request.length_bytes, 1ull << 40);

  const Bytes write = from_hex(golden["atomic-write"]);
  REQUIRE(write.size() == kAtomicWriteFrameBytes);
  const Segment other = segment_of(write);
  const auto atomic = decode_extension_request(other, body_of(write, other));
  REQUIRE(atomic.cause == Cause::kNone);
  CHECK(atomic.request.sub == ExtensionSub::AtomicWrite);
  CHECK_EQ(atomic.request.length_bytes, 8u);
  CHECK_EQ(to_hex(atomic.request.data), "0102030405060708");
}

TEST(extension_golden_answers_decode) {
  auto golden = golden_frames();
  const Bytes frame = from_hex(golden["flush-answer-failed"]);
  REQUIRE(frame.size() == kAnswerFrameBytes);
  const Segment segment = segment_of(frame);
  const auto parse = decode_extension_answer(segment, body_of(frame, segment));
  REQUIRE(parse.cause == Cause::kNone);
  CHECK(parse.answer.sub == ExtensionSub::FlushAnswer);
  CHECK_EQ(parse.answer.status, 3);
  CHECK_EQ(parse.answer.durability, 0);
  CHECK_EQ(parse.answer.id, 8u);
  CHECK_EQ(parse.answer.error_number, 5u);
}

TEST(extension_golden_sends_decode) {
  auto golden = golden_frames();
  const Bytes frame = from_hex(golden["send-immediate"]);
  const Segment segment = segment_of(frame);
  const auto body = body_of(frame, segment);
  const auto parse = decode_send_immediate(segment, body);
  REQUIRE(parse.cause == Cause::kNone);
  CHECK_EQ(parse.header.value, 0x01020304u);
  CHECK_EQ(to_hex(body.subspan(kSendImmediateHeaderBytes)), to_hex(as_bytes("hello")));
  const Bytes second = from_hex(golden["send-immediate-second"]);
  const Segment other = segment_of(second);
  CHECK(decode_send_immediate(other, body_of(second, other)).cause == Cause::kUntaggedOffset);
}

TEST(extension_refuses_to_encode_what_it_would_not_take) {
  Bytes out(kAtomicWriteFrameBytes);
  CHECK_EQ(encode_extension_request(out, 1, {.sub = ExtensionSub::FlushAnswer}), 0u);
  CHECK_EQ(encode_extension_request(out, 1, {.sub = ExtensionSub::SendImmediate}), 0u);
  CHECK_EQ(encode_extension_request(out, 1, {.version = 0}), 0u);
  CHECK_EQ(encode_extension_request(out, 1, {.version = 2}), 0u);
  ExtensionRequest atomic = atomic_write_request();
  CHECK_EQ(encode_extension_request(out, 1, atomic), 60u);
  atomic.length_bytes = 4;
  CHECK_EQ(encode_extension_request(out, 1, atomic), 0u);
  CHECK_EQ(encode_extension_answer(out, 1, {.sub = ExtensionSub::Flush}), 0u);
  CHECK_EQ(encode_extension_answer(out, 1, {.version = 9}), 0u);
  CHECK_EQ(encode_send_immediate(out, {.version = 0}), 0u);
  const std::span<std::byte> place = out;
  CHECK_EQ(encode_extension_request(place.first(51), 1, {}), 0u);
  CHECK_EQ(encode_extension_request(place.first(52), 1, {}), 52u);
  CHECK_EQ(encode_extension_request(place.first(59), 1, atomic_write_request()), 0u);
  CHECK_EQ(encode_extension_answer(place.first(31), 1, {}), 0u);
  CHECK_EQ(encode_send_immediate(place.first(7), {}), 0u);
}

TEST(extension_requests_of_another_length_end_the_stream) {
  Bytes body(64);
  body[0] = std::byte{1};
  body[1] = std::byte{1};
  for (std::size_t size = 0; size <= body.size(); ++size) {
    const Bytes part(body.begin(), body.begin() + static_cast<std::ptrdiff_t>(size));
    const Cause cause = decode_extension_request(whole_segment(1, size), part).cause;
    const Cause expected = size < 32   ? Cause::kMpaFraming
                           : size > 32 ? Cause::kUntaggedTooLong
                                       : Cause::kNone;
    CHECK(cause == expected);
    Bytes answer = part;
    if (size > 0) answer[0] = std::byte{0x81};
    const Cause other = decode_extension_answer(whole_segment(3, size), answer).cause;
    CHECK(other == (size < 12   ? Cause::kMpaFraming
                    : size > 12 ? Cause::kUntaggedTooLong
                                : Cause::kNone));
  }
  body[0] = std::byte{2};
  CHECK(decode_extension_request(whole_segment(1, 32), std::span(body).first(32)).cause ==
        Cause::kMpaFraming);
  CHECK(decode_extension_request(whole_segment(1, 40), std::span(body).first(40)).cause ==
        Cause::kNone);
}

TEST(extension_unknown_versions_and_operations_end_the_stream) {
  Bytes body(32);
  const auto cause_of = [&](unsigned sub, unsigned version) {
    body[0] = static_cast<std::byte>(sub);
    body[1] = static_cast<std::byte>(version);
    return decode_extension_request(whole_segment(1, 32), body).cause;
  };
  CHECK(cause_of(1, 0) == Cause::kOperationVersion);
  CHECK(cause_of(1, 2) == Cause::kOperationVersion);
  for (const unsigned sub : {0u, 3u, 4u, 0x7Fu, 0x81u, 0xFFu}) {
    CHECK(cause_of(sub, 1) == Cause::kOperationOpcode);
  }
  // An unknown type is not the stream's matter: whoever carries out the request answers it.
  body[2] = std::byte{0x77};
  CHECK(cause_of(1, 1) == Cause::kNone);
  // Reserved bytes may have any value.
  body[3] = std::byte{0xFF};
  body[12] = std::byte{0xFF};
  CHECK(cause_of(1, 1) == Cause::kNone);
}

TEST(extension_messages_must_be_whole_and_on_their_queue) {
  Bytes body(32);
  body[0] = body[1] = std::byte{1};
  Segment segment = whole_segment(1, 32);
  segment.last = false;
  CHECK(decode_extension_request(segment, body).cause == Cause::kUntaggedOffset);
  segment = whole_segment(1, 32);
  segment.message_offset = 4;
  CHECK(decode_extension_request(segment, body).cause == Cause::kUntaggedOffset);
  CHECK(decode_extension_request(whole_segment(3, 32), body).cause == Cause::kUntaggedQueue);
  CHECK(decode_extension_answer(whole_segment(1, 32), body).cause == Cause::kUntaggedQueue);
  segment = whole_segment(1, 32);
  segment.opcode = Opcode::kSend;
  CHECK(decode_extension_request(segment, body).cause == Cause::kOperationOpcode);
  CHECK(decode_send_immediate(segment, body).cause == Cause::kOperationOpcode);
  CHECK(decode_send_immediate(whole_segment(1, 32), body).cause == Cause::kUntaggedQueue);
  CHECK(decode_send_immediate(whole_segment(0, 7), std::span(body).first(7)).cause ==
        Cause::kMpaFraming);
  CHECK(decode_send_immediate(whole_segment(0, 32), body).cause == Cause::kOperationOpcode);
  body[0] = std::byte{3};
  body[1] = std::byte{2};
  CHECK(decode_send_immediate(whole_segment(0, 32), body).cause == Cause::kOperationVersion);
}

TEST(extension_survives_both_ways_at_random) {
  SeededRandom random(kSeed);
  for (int round = 0; round < 2'000; ++round) {
    ExtensionRequest request;
    request.sub = random.chance(1, 2) ? ExtensionSub::Flush : ExtensionSub::AtomicWrite;
    const bool atomic = request.sub == ExtensionSub::AtomicWrite;
    request.type = static_cast<std::uint8_t>(random.below(2));
    request.id = random.next_u32();
    request.stag = random.next_u32();
    request.tagged_offset = random.next_u64();
    request.length_bytes = atomic ? 8 : random.next_u64();
    if (atomic)
      for (std::byte& byte : request.data) byte = static_cast<std::byte>(round & 0xFF);
    Bytes out(60);
    out.resize(encode_extension_request(out, random.next_u32(), request));
    const Segment segment = segment_of(out);
    const auto parse = decode_extension_request(segment, body_of(out, segment));
    CHECK(parse.cause == Cause::kNone);
    CHECK(parse.request.sub == request.sub && parse.request.data == request.data);
    CHECK_EQ(parse.request.id, request.id);
    CHECK_EQ(parse.request.stag, request.stag);
    CHECK_EQ(parse.request.tagged_offset, request.tagged_offset);
    CHECK_EQ(parse.request.length_bytes, request.length_bytes);
  }
}

TEST(extension_survives_random_bytes) {
  SeededRandom random(kSeed + 1);
  for (int round = 0; round < 60'000; ++round) {
    Bytes body(random.below(48));
    for (std::byte& byte : body) byte = static_cast<std::byte>(random.next_u32() & 0xFF);
    if (body.size() > 1) {
      constexpr std::array<unsigned, 6> kSubs{1, 2, 3, 0x81, 0x82, 0x10};
      body[0] = static_cast<std::byte>(kSubs[random.below(kSubs.size())]);
      body[1] = static_cast<std::byte>(random.below(3));
    }
    Segment segment = whole_segment(static_cast<std::uint32_t>(random.below(4)), body.size());
    if (random.chance(1, 8)) segment.payload_bytes += 1;
    const auto request = decode_extension_request(segment, body);
    if (request.cause == Cause::kNone) CHECK(body.size() == 32 || body.size() == 40);
    const auto answer = decode_extension_answer(segment, body);
    if (answer.cause == Cause::kNone) CHECK_EQ(body.size(), 12u);
    const auto send = decode_send_immediate(segment, body);
    if (send.cause == Cause::kNone) CHECK(body.size() >= 8);
  }
  CHECK(true);
}

CHECK_MAIN()
