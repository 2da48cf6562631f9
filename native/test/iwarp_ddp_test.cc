// SPDX-License-Identifier: BSD-3-Clause
//
// DDP: known frames bit by bit, the order of the header checks, what the encoder refuses, and the
// tracker of segments. Single-threaded; inputs lie in areas of their exact size.
#include "provider/iwarp/ddp.h"

#include <array>

#include "core/random.h"
#include "test/check.h"
#include "test/golden/golden.h"

using rpma::core::SeededRandom;
using rpma::test::as_bytes;
using rpma::test::Bytes;
using rpma::test::frame_of;
using rpma::test::from_hex;
using rpma::test::to_hex;
using namespace rpma::iwarp;

namespace {

constexpr std::uint64_t kSeed = 0x5EED0003;

Bytes tagged(const TaggedHeader& header, std::size_t payload_bytes) {
  Bytes out(kTaggedHeaderBytes);
  out.resize(encode_tagged_header(out, header, payload_bytes));
  return out;
}

Bytes untagged(const UntaggedHeader& header, std::size_t payload_bytes) {
  Bytes out(kUntaggedHeaderBytes);
  out.resize(encode_untagged_header(out, header, payload_bytes));
  return out;
}

Segment segment_of(std::span<const std::byte> bytes, OpcodeSet opcodes = kExtendedOpcodes) {
  const SegmentParse parse = parse_segment(bytes, opcodes);
  CHECK(parse.state == ParseState::kComplete);
  return parse.segment;
}

Cause fault_of(std::string_view hex, OpcodeSet opcodes = kPlainOpcodes) {
  Bytes bytes = from_hex(hex);
  bytes.resize(20);
  const SegmentParse parse = parse_segment(bytes, opcodes);
  return parse.state == ParseState::kFault ? parse.cause : Cause::kNone;
}

Segment write_segment(std::uint32_t stag, std::uint64_t offset, std::uint32_t payload_bytes,
                      bool last, Opcode opcode = Opcode::kWrite) {
  Segment segment;
  segment.opcode = opcode;
  segment.tagged = true;
  segment.last = last;
  segment.payload_bytes = payload_bytes;
  segment.stag = stag;
  segment.tagged_offset = offset;
  return segment;
}

Segment send_segment(std::uint32_t sequence, std::uint32_t offset, std::uint32_t payload_bytes,
                     bool last, Opcode opcode = Opcode::kSend, std::uint32_t queue = 0) {
  Segment segment;
  segment.opcode = opcode;
  segment.last = last;
  segment.payload_bytes = payload_bytes;
  segment.queue = queue;
  segment.sequence = sequence;
  segment.message_offset = offset;
  return segment;
}

}  // namespace

TEST(ddp_known_frames_encode_bit_by_bit) {
  CHECK_EQ(to_hex(frame_of(untagged({}, 5), as_bytes("hello"))),
           to_hex(from_hex("0017 4143 00000000 00000000 00000001 00000000 68656c6c6f 000000 "
                           "b990b10c")));
  const Bytes zeros(24, std::byte{0});
  CHECK_EQ(to_hex(frame_of(untagged({}, 24), zeros)),
           to_hex(from_hex("002a 4143 00000000 00000000 00000001 00000000"
                           "000000000000000000000000000000000000000000000000 b7243ec3")));
  const TaggedHeader abc{.stag = 0x12345600, .tagged_offset = 0x7F0000001000};
  CHECK_EQ(to_hex(frame_of(tagged(abc, 3), as_bytes("abc"))),
           to_hex(from_hex("0011 c140 12345600 00007f0000001000 616263 00 77200473")));
  CHECK_EQ(to_hex(frame_of(tagged(abc, 0), {})),
           to_hex(from_hex("000e c140 12345600 00007f0000001000 547ff7f2")));
  CHECK_EQ(to_hex(frame_of(tagged({.stag = 1}, 0), {})),
           to_hex(from_hex("000e c140 00000001 0000000000000000 ebd34c5f")));
  CHECK_EQ(to_hex(frame_of(untagged({.sequence = 2}, 0), {})),
           to_hex(from_hex("0012 4143 00000000 00000000 00000002 00000000 accbdb8c")));
}

// RFC 5044, figures 5 and 6: the checksum covers a marker as it covers the rest.
TEST(ddp_checksums_of_the_standard_agree) {
  const auto crc_bytes = [](const Bytes& covered) {
    const std::uint32_t crc = crc32c_of(covered.data(), covered.size());
    Bytes bytes;
    for (unsigned at = 0; at < 4; ++at) bytes.push_back(static_cast<std::byte>(crc >> (8 * at)));
    return to_hex(bytes);
  };
  Bytes first = from_hex("00000000 002a 4143 00000000 00000000 00000001 00000000");
  first.resize(first.size() + 24);
  CHECK_EQ(crc_bytes(first), "52239983");
  Bytes second = from_hex("002a 4143 00000000 00000000 00000002 00000000");
  const Bytes marker = from_hex("00000014");
  second = rpma::test::joined(second, marker);
  second.resize(second.size() + 24);
  CHECK_EQ(crc_bytes(second), "84925898");
}

TEST(ddp_headers_survive_both_ways) {
  SeededRandom random(kSeed);
  for (int round = 0; round < 5'000; ++round) {
    const bool last = random.chance(1, 2);
    const std::size_t payload = last ? random.below(60'000) : 4 * (1 + random.below(16'000));
    if (payload > kUntaggedPayloadBytesMax) continue;
    const TaggedHeader head{.opcode = random.chance(1, 2) ? Opcode::kWrite : Opcode::kReadResponse,
                            .last = last,
                            .stag = random.next_u32(),
                            .tagged_offset = random.next_u64() >> 1};
    const Bytes bytes = tagged(head, payload);
    REQUIRE(bytes.size() == kTaggedHeaderBytes);
    const Segment segment = segment_of(bytes, kPlainOpcodes);
    CHECK(segment.tagged && segment.last == last && segment.opcode == head.opcode);
    CHECK_EQ(segment.stag, head.stag);
    CHECK_EQ(segment.tagged_offset, head.tagged_offset);
    CHECK_EQ(segment.payload_bytes, payload);
    CHECK_EQ(segment.ulpdu_bytes, kTaggedUlpduBytes + payload);
    const UntaggedHeader send{.opcode = Opcode::kSendSolicitedInvalidate,
                              .last = last,
                              .invalidate_stag = random.next_u32(),
                              .sequence = random.next_u32(),
                              .message_offset = random.next_u32() >> 1};
    const Segment other = segment_of(untagged(send, payload), kPlainOpcodes);
    CHECK(!other.tagged && other.last == last && other.opcode == send.opcode);
    CHECK_EQ(other.stag, send.invalidate_stag);
    CHECK_EQ(other.sequence, send.sequence);
    CHECK_EQ(other.message_offset, send.message_offset);
    CHECK_EQ(other.payload_bytes, payload);
  }
}

// An empty segment that does not end its message panics a host that runs siw.
TEST(ddp_refuses_what_must_never_be_sent) {
  CHECK(tagged({.last = false}, 0).empty());
  CHECK(tagged({.opcode = Opcode::kReadResponse, .last = false}, 0).empty());
  CHECK(untagged({.last = false}, 0).empty());
  CHECK(tagged({.last = false}, 6).empty());
  CHECK(untagged({.last = false}, 2).empty());
  CHECK(tagged({}, kTaggedPayloadBytesMax + 1).empty());
  CHECK(untagged({}, kUntaggedPayloadBytesMax + 1).empty());
  CHECK(!tagged({}, kTaggedPayloadBytesMax).empty());
  CHECK(!untagged({}, kUntaggedPayloadBytesMax).empty());
  CHECK(tagged({.opcode = Opcode::kSend}, 4).empty());
  CHECK(untagged({.opcode = Opcode::kWrite}, 4).empty());
  CHECK(tagged({.tagged_offset = UINT64_MAX - 2}, 4).empty());
  CHECK(!tagged({.tagged_offset = UINT64_MAX - 3}, 4).empty());
  CHECK(untagged({.message_offset = UINT32_MAX - 3}, 4).empty());
  CHECK(untagged({.queue = kRequestQueueNumber}, 4).empty());
  CHECK(untagged({.opcode = Opcode::kReadRequest}, 28).empty());
  CHECK(untagged({.opcode = Opcode::kExtension, .queue = kTerminateQueueNumber}, 4).empty());
  CHECK(untagged({.invalidate_stag = 1}, 4).empty());
  std::array<std::byte, kTaggedHeaderBytes - 1> small{};
  CHECK_EQ(encode_tagged_header(small, {}, 0), 0u);
  CHECK_EQ(encode_untagged_header(small, {}, 0), 0u);
}

TEST(ddp_header_checks_come_in_order) {
  // Length before everything else.
  for (const char* hex : {"0000 c140", "000d c140", "0011 4143", "002d 4141", "0015 4147",
                          "0000 0000", "0001 ffff"}) {
    CHECK(fault_of(hex) == Cause::kMpaFraming);
  }
  CHECK(fault_of("0019 4148", kExtendedOpcodes) == Cause::kMpaFraming);
  // Then the versions.
  CHECK(fault_of("000e c240") == Cause::kTaggedVersion);
  CHECK(fault_of("000e c000") == Cause::kTaggedVersion);
  CHECK(fault_of("0012 4203") == Cause::kUntaggedVersion);
  CHECK(fault_of("000e c100") == Cause::kOperationVersion);
  CHECK(fault_of("0012 41c3") == Cause::kOperationVersion);
  // Then the opcode, and last the tagged flag.
  for (const char* hex : {"0020 4148", "0020 4149", "0020 414a", "0020 414b", "0020 414c",
                          "0020 414d", "0020 414e", "0020 414f", "0020 c148", "0020 c14f"}) {
    CHECK(fault_of(hex) == Cause::kOperationOpcode);
  }
  CHECK(fault_of("0012 4140") == Cause::kOperationOpcode);
  CHECK(fault_of("0012 c143") == Cause::kOperationOpcode);
  CHECK(fault_of("002e c141") == Cause::kOperationOpcode);
  CHECK(fault_of("0020 414f", kExtendedOpcodes) == Cause::kNone);
  CHECK(fault_of("001a 4148", kExtendedOpcodes) == Cause::kNone);
  CHECK(fault_of("001a 4149", kExtendedOpcodes) == Cause::kNone);
  CHECK(fault_of("0020 414a", kExtendedOpcodes) == Cause::kOperationOpcode);
  constexpr OpcodeSet kWithoutImmediate = kExtendedOpcodes & ~kImmediateOpcodes;
  CHECK(fault_of("001a 4148", kWithoutImmediate) == Cause::kOperationOpcode);
  CHECK(fault_of("001a 4149", kWithoutImmediate) == Cause::kOperationOpcode);
  CHECK(fault_of("0020 414f", kWithoutImmediate) == Cause::kNone);
}

TEST(ddp_ignores_reserved_bits) {
  const Segment plain = segment_of(from_hex("000e fd70 00000007 0000000000000009"));
  CHECK(plain.tagged && plain.last && plain.opcode == Opcode::kWrite);
  CHECK_EQ(plain.stag, 7u);
}

TEST(ddp_headers_parse_at_every_cut) {
  for (const char* hex :
       {"0011 c140 12345600 00007f0000001000", "0017 4143 00000000 00000000 00000001 00000000"}) {
    const Bytes bytes = from_hex(hex);
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
      const Bytes part(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(cut));
      const SegmentParse parse = parse_segment(part, kPlainOpcodes);
      CHECK(parse.state == ParseState::kNeedMore);
      CHECK(parse.needed_bytes > cut && parse.needed_bytes <= bytes.size());
    }
    static_cast<void>(segment_of(bytes));
  }
  // A fault is told as soon as the control bytes are there.
  CHECK(parse_segment(from_hex("0000c140"), kPlainOpcodes).state == ParseState::kFault);
}

TEST(ddp_tracker_follows_segmented_writes) {
  SegmentTracker tracker;
  CHECK(!tracker.in_message());
  CHECK(tracker.accept(write_segment(5, 100, 40, false)) == Cause::kNone);
  CHECK(tracker.in_message() && tracker.at_message_start());
  CHECK(tracker.accept(write_segment(5, 144, 8, true)) == Cause::kTaggedBounds);
  CHECK(tracker.accept(write_segment(5, 136, 8, true)) == Cause::kTaggedBounds);
  CHECK(tracker.accept(write_segment(6, 140, 8, true)) == Cause::kTaggedInvalidStag);
  CHECK(tracker.accept(write_segment(5, 140, 8, true, Opcode::kReadResponse)) ==
        Cause::kOperationOpcode);
  CHECK(tracker.accept(write_segment(5, 140, 0, false)) == Cause::kTaggedBounds);
  CHECK(tracker.accept(write_segment(5, 140, 8, true)) == Cause::kNone);
  CHECK(!tracker.in_message() && !tracker.at_message_start());
  // The next message may be anything, an empty one included, but not an empty beginning.
  CHECK(tracker.accept(write_segment(0, 0, 0, false)) == Cause::kTaggedBounds);
  CHECK(tracker.accept(write_segment(0, 0, 0, true)) == Cause::kNone);
  CHECK(tracker.accept(write_segment(9, UINT64_MAX, 1, true)) == Cause::kNone);
}

TEST(ddp_tracker_follows_sends) {
  SegmentTracker tracker;
  CHECK(tracker.accept(send_segment(2, 0, 4, true)) == Cause::kUntaggedSequence);
  CHECK(tracker.accept(send_segment(1, 4, 4, true)) == Cause::kUntaggedOffset);
  CHECK(tracker.accept(send_segment(1, 0, 4, true, Opcode::kSend, 1)) == Cause::kUntaggedQueue);
  CHECK(tracker.accept(send_segment(1, 0, 4, true, Opcode::kSend, 9)) == Cause::kUntaggedQueue);
  CHECK(tracker.accept(send_segment(1, 0, 0, false)) == Cause::kUntaggedOffset);
  CHECK(tracker.accept(send_segment(1, 0, 4, false)) == Cause::kNone);
  CHECK_EQ(tracker.next_sequence(0), 1u);
  CHECK(tracker.accept(send_segment(1, 8, 4, true)) == Cause::kUntaggedOffset);
  CHECK(tracker.accept(send_segment(1, 4, 4, true, Opcode::kSendSolicited)) ==
        Cause::kOperationOpcode);
  CHECK(tracker.accept(send_segment(2, 4, 4, true)) == Cause::kUntaggedSequence);
  CHECK(tracker.accept(send_segment(1, 4, 4, true)) == Cause::kNone);
  CHECK_EQ(tracker.next_sequence(0), 2u);
  CHECK_EQ(tracker.next_sequence(9), 0u);
}

TEST(ddp_tracker_lets_the_classes_interleave_and_nothing_else) {
  SegmentTracker tracker;
  CHECK(tracker.accept(send_segment(1, 0, 4, false)) == Cause::kNone);
  CHECK(tracker.accept(write_segment(5, 0, 4, false)) == Cause::kNone);
  CHECK(tracker.accept(send_segment(1, 4, 4, false)) == Cause::kNone);
  CHECK(tracker.accept(write_segment(5, 4, 4, true)) == Cause::kNone);
  CHECK(tracker.accept(send_segment(1, 0, 28, true, Opcode::kReadRequest, 1)) ==
        Cause::kOperationOpcode);
  CHECK(tracker.accept(send_segment(1, 0, 4, true, Opcode::kTerminate, 2)) == Cause::kNone);
  CHECK(tracker.accept(send_segment(1, 8, 4, true)) == Cause::kNone);
  CHECK(tracker.accept(send_segment(1, 0, 28, true, Opcode::kReadRequest, 1)) == Cause::kNone);
  CHECK(tracker.accept(send_segment(2, 0, 32, true, Opcode::kExtension, 1)) == Cause::kNone);
  CHECK(tracker.accept(send_segment(1, 0, 12, true, Opcode::kExtension, 3)) == Cause::kNone);
  CHECK(tracker.accept(send_segment(2, 0, 8, false, Opcode::kExtension, 0)) == Cause::kNone);
  // The extension on another queue is another message.
  CHECK(tracker.accept(send_segment(3, 0, 32, true, Opcode::kExtension, 1)) ==
        Cause::kUntaggedQueue);
  CHECK(tracker.accept(send_segment(1, 0, 4, true, Opcode::kTerminate, 0)) ==
        Cause::kUntaggedQueue);
}

TEST(ddp_tracker_counts_past_the_wrap) {
  SegmentTracker tracker(UINT32_MAX);
  CHECK(tracker.accept(send_segment(UINT32_MAX, 0, 0, true)) == Cause::kNone);
  CHECK(tracker.accept(send_segment(0, 0, 0, true)) == Cause::kNone);
  CHECK_EQ(tracker.next_sequence(0), 1u);
}

TEST(ddp_tracker_refuses_a_message_beyond_32_bits) {
  SegmentTracker tracker;
  std::uint32_t offset = 0;
  while (UINT32_MAX - offset >= 65'516) {
    if (tracker.accept(send_segment(1, offset, 65'516, false)) != Cause::kNone) break;
    offset += 65'516;
  }
  CHECK(UINT32_MAX - offset < 65'516);
  CHECK(tracker.accept(send_segment(1, offset, 65'516, false)) == Cause::kUntaggedTooLong);
}

TEST(ddp_survives_random_bytes) {
  SeededRandom random(kSeed + 1);
  SegmentTracker tracker;
  int complete = 0;
  for (int round = 0; round < 100'000; ++round) {
    Bytes bytes(random.below(24));
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.next_u32() & 0xFF);
    if (bytes.size() > 3 && random.chance(3, 4)) {
      bytes[2] = static_cast<std::byte>(random.chance(1, 2) ? 0xC1 : 0x41);
      bytes[3] = static_cast<std::byte>(0x40 | random.below(16));
    }
    const SegmentParse parse = parse_segment(bytes, kExtendedOpcodes);
    if (parse.state == ParseState::kNeedMore) {
      CHECK(parse.needed_bytes > bytes.size() && parse.needed_bytes <= 20);
      continue;
    }
    if (parse.state == ParseState::kFault) {
      CHECK(parse.cause != Cause::kNone);
      continue;
    }
    ++complete;
    CHECK_EQ(parse.segment.header_bytes + parse.segment.payload_bytes,
             parse.segment.ulpdu_bytes + 2);
    static_cast<void>(tracker.accept(parse.segment));
  }
  CHECK(complete > 1000);
}

CHECK_MAIN()
