// SPDX-License-Identifier: BSD-3-Clause
//
// RDMAP: Read Requests, Immediate Data, Terminates of both forms, and the names of causes.
// Single-threaded; inputs lie in areas of their exact size.
#include "provider/iwarp/rdmap.h"

#include <set>
#include <string_view>

#include "core/random.h"
#include "test/check.h"
#include "test/golden/golden.h"

using rpma::core::SeededRandom;
using rpma::test::Bytes;
using rpma::test::frame_of;
using rpma::test::from_hex;
using rpma::test::to_hex;
using namespace rpma::iwarp;

namespace {

constexpr std::uint64_t kSeed = 0x5EED0004;

Bytes terminate_bytes(Cause cause, std::span<const std::byte> terminated, bool crc = true) {
  Bytes out(kTerminateBytesMax);
  out.resize(encode_terminate(out, cause, terminated));
  return out.empty() ? out : frame_of(out, {}, crc);
}

// Decodes the Terminate in a whole FPDU; the headers lie in `frame`.
Terminate terminate_of(const Bytes& frame, bool startup = false) {
  const SegmentParse parse = parse_segment(frame, kPlainOpcodes);
  CHECK(parse.state == ParseState::kComplete && parse.segment.opcode == Opcode::kTerminate);
  const auto body = std::span(frame).subspan(kUntaggedHeaderBytes, parse.segment.payload_bytes);
  const auto terminate = decode_terminate(body, startup);
  CHECK(terminate.has_value());
  return terminate.value_or(Terminate{});
}

Cause bare_cause(std::string_view control, bool startup) {
  const auto terminate = decode_terminate(from_hex(control), startup);
  return terminate.has_value() ? terminate->cause : Cause::kNone;
}

Bytes read_request_bytes(const ReadRequest& request, std::uint32_t sequence) {
  Bytes out(kReadRequestFrameBytes - 4);
  out.resize(encode_read_request(out, sequence, request));
  return out;
}

}  // namespace

TEST(rdmap_read_request_known_frame) {
  const ReadRequest request{.source_stag = 1};
  CHECK_EQ(to_hex(frame_of(read_request_bytes(request, 1), {})),
           to_hex(from_hex("002e 4141 00000000 00000001 00000001 00000000 00000000"
                           "0000000000000000 00000000 00000001 0000000000000000 ba10e3c9")));
}

TEST(rdmap_read_request_survives_both_ways) {
  SeededRandom random(kSeed);
  for (int round = 0; round < 1'000; ++round) {
    const ReadRequest request{random.next_u32(), random.next_u64(), random.next_u32(),
                              random.next_u32(), random.next_u64()};
    const std::uint32_t sequence = random.next_u32();
    const Bytes bytes = read_request_bytes(request, sequence);
    REQUIRE(bytes.size() == 48);
    const SegmentParse parse = parse_segment(bytes, kPlainOpcodes);
    REQUIRE(parse.state == ParseState::kComplete);
    CHECK(check_read_request(parse.segment) == Cause::kNone);
    CHECK_EQ(parse.segment.sequence, sequence);
    const auto decoded = decode_read_request(std::span(bytes).subspan(kUntaggedHeaderBytes));
    REQUIRE(decoded.has_value());
    CHECK_EQ(decoded->sink_stag, request.sink_stag);
    CHECK_EQ(decoded->sink_offset, request.sink_offset);
    CHECK_EQ(decoded->length_bytes, request.length_bytes);
    CHECK_EQ(decoded->source_stag, request.source_stag);
    CHECK_EQ(decoded->source_offset, request.source_offset);
  }
  Bytes small(47);
  CHECK_EQ(encode_read_request(small, 1, {}), 0u);
  CHECK(!decode_read_request(Bytes(27)).has_value());
  CHECK(!decode_read_request(Bytes(29)).has_value());
}

TEST(rdmap_read_request_must_be_whole_and_alone) {
  Segment segment;
  segment.opcode = Opcode::kReadRequest;
  segment.queue = kRequestQueueNumber;
  segment.last = true;
  segment.payload_bytes = 28;
  const auto check = [&](auto change) {
    Segment other = segment;
    change(other);
    return check_read_request(other);
  };
  CHECK(check([](Segment&) {}) == Cause::kNone);
  CHECK(check([](Segment& other) { other.last = false; }) == Cause::kUntaggedOffset);
  CHECK(check([](Segment& other) { other.message_offset = 4; }) == Cause::kUntaggedOffset);
  CHECK(check([](Segment& other) { other.queue = 0; }) == Cause::kUntaggedQueue);
  CHECK(check([](Segment& other) { other.payload_bytes = 29; }) == Cause::kUntaggedTooLong);
  CHECK(check([](Segment& other) { other.payload_bytes = 27; }) == Cause::kMpaFraming);
}

TEST(rdmap_immediate_data_carries_a_big_endian_value) {
  Bytes out(28);
  REQUIRE(encode_immediate(out, 4, 0x01020304) == 28);
  CHECK_EQ(to_hex(out), to_hex(from_hex("001a 4148 00000000 00000000 00000004 00000000"
                                        "01020304 00000000")));
  const SegmentParse parse = parse_segment(out, kExtendedOpcodes);
  REQUIRE(parse.state == ParseState::kComplete);
  CHECK(check_immediate(parse.segment) == Cause::kNone);
  const auto value = decode_immediate(std::span(out).subspan(kUntaggedHeaderBytes));
  CHECK_EQ(value.value_or(0), 0x01020304u);
  Segment longer = parse.segment;
  longer.payload_bytes = 9;
  CHECK(check_immediate(longer) == Cause::kUntaggedTooLong);
  CHECK(!decode_immediate(Bytes(7)).has_value());
  CHECK_EQ(encode_immediate(std::span(out).first(27), 1, 1), 0u);
}

TEST(rdmap_terminates_encode_in_the_form_of_the_standard) {
  const Bytes hello = from_hex("0017 4143 00000000 00000000 00000001 00000000 68656c6c6f");
  CHECK_EQ(to_hex(terminate_bytes(Cause::kUntaggedNoBuffer, hello)),
           to_hex(from_hex("002a 4147 00000000 00000002 00000001 00000000 1202c000 0005 4143"
                           "00000000 00000000 00000001 00000000 4f2a5ca9")));
  CHECK_EQ(to_hex(terminate_bytes(Cause::kMpaCrc, hello)),
           to_hex(from_hex("0016 4147 00000000 00000002 00000001 00000000 20020000 7fe42585")));
  const Bytes none;
  CHECK(terminate_bytes(Cause::kNone, none).empty());
  Bytes small(23);
  CHECK_EQ(encode_terminate(small, Cause::kMpaCrc, none), 0u);
  Bytes tight(kTerminateBytesMax - 1);
  const Bytes read = read_request_bytes({}, 1);
  CHECK_EQ(encode_terminate(tight, Cause::kRemoteBounds, read), 0u);
}

TEST(rdmap_terminate_copies_the_headers_its_cause_calls_for) {
  const Bytes read = read_request_bytes({1, 2, 3, 4, 5}, 8);
  const Bytes write = from_hex("0012 c140 deadbe00 00007fc1faae5000 61626364");
  struct Case {
    Cause cause;
    const Bytes* terminated;
    std::size_t ddp_bytes;
    std::size_t read_bytes;
  };
  for (const Case& each :
       {Case{Cause::kRemoteBounds, &read, 18, 28}, Case{Cause::kRemoteBounds, &write, 14, 0},
        Case{Cause::kUntaggedNoBuffer, &read, 18, 0}, Case{Cause::kTaggedBounds, &write, 14, 0},
        Case{Cause::kOperationOpcode, &write, 14, 0}, Case{Cause::kOperationVersion, &write, 0, 0},
        Case{Cause::kTaggedVersion, &write, 0, 0}, Case{Cause::kRdmapLocal, &write, 0, 0},
        Case{Cause::kMpaFraming, &write, 0, 0}}) {
    const Bytes frame = terminate_bytes(each.cause, *each.terminated);
    CHECK(fpdu_is_intact(frame));
    CHECK_EQ(frame.size() % 4, 0u);
    CHECK(frame.size() <= kTerminateFrameBytesMax);
    const Terminate terminate = terminate_of(frame);
    CHECK(terminate.cause == each.cause && !terminate.swapped);
    REQUIRE(terminate.ddp_header.size() == each.ddp_bytes);
    CHECK_EQ(terminate.read_header.size(), each.read_bytes);
    CHECK_EQ(terminate.has_segment_length, each.ddp_bytes > 0);
    const auto original = std::span(*each.terminated).subspan(2, each.ddp_bytes);
    CHECK_EQ(to_hex(terminate.ddp_header), to_hex(original));
  }
  // Headers that did not arrive whole are left out, whatever the cause.
  for (std::size_t cut = 0; cut < read.size(); ++cut) {
    const Bytes part(read.begin(), read.begin() + static_cast<std::ptrdiff_t>(cut));
    const Bytes frame = terminate_bytes(Cause::kRemoteBounds, part);
    const Terminate terminate = terminate_of(frame);
    CHECK_EQ(terminate.ddp_header.size(), cut >= 20 ? 18u : 0u);
    CHECK_EQ(terminate.read_header.size(), 0u);
  }
  const Bytes lying = from_hex("0004 4143 00000000 00000000 00000001 00000000");
  CHECK_EQ(terminate_of(terminate_bytes(Cause::kUntaggedQueue, lying)).ddp_header.size(), 0u);
}

// What a live siw was seen to send: nibbles and flags exchanged.
TEST(rdmap_terminates_of_siw_mean_the_same) {
  struct Case {
    std::string_view control;
    Cause cause;
  };
  for (const Case& each :
       {Case{"11000300", Cause::kTaggedInvalidStag}, Case{"11010300", Cause::kTaggedBounds},
        Case{"11020300", Cause::kTaggedStream}, Case{"01000300", Cause::kDdpLocal},
        Case{"21020300", Cause::kUntaggedNoBuffer}, Case{"21010300", Cause::kUntaggedQueue},
        Case{"21030300", Cause::kUntaggedSequence}, Case{"21040300", Cause::kUntaggedOffset},
        Case{"10000700", Cause::kRemoteInvalidStag}, Case{"10010700", Cause::kRemoteBounds},
        Case{"10030700", Cause::kRemoteStream}, Case{"20070300", Cause::kOperationStream},
        Case{"20090300", Cause::kOperationInvalidate}, Case{"11040000", Cause::kTaggedVersion},
        Case{"21060000", Cause::kUntaggedVersion}, Case{"02030000", Cause::kMpaFraming},
        Case{"02020000", Cause::kMpaCrc}, Case{"02040000", Cause::kMpaSetup}}) {
    CHECK(bare_cause(each.control, false) == each.cause);
  }
  const Bytes read = from_hex(
      "0046 4147 00000000 00000002 00000001 00000000 10 00 07 00 0000"
      "4141 00000000 00000001 00000008 00000000 00000055 0000000000000066"
      "00000008 deadbe00 00007f2400573000 00000000");
  const Terminate terminate = terminate_of(read);
  CHECK(terminate.cause == Cause::kRemoteInvalidStag && terminate.swapped);
  CHECK_EQ(terminate.ddp_header.size(), 18u);
  const auto header = decode_read_request(terminate.read_header);
  REQUIRE(header.has_value());
  CHECK_EQ(header->source_stag, 0xDEADBE00u);
  CHECK_EQ(header->length_bytes, 8u);
}

TEST(rdmap_mirrored_triples_are_told_by_the_phase) {
  // 0/2/6 in siw's form is 2/0/6 in the standard's, and the reverse.
  CHECK(bare_cause("20060000", false) == Cause::kOperationOpcode);
  CHECK(bare_cause("20060000", true) == Cause::kMpaInboundReads);
  CHECK(bare_cause("02060000", false) == Cause::kOperationOpcode);
  CHECK(bare_cause("02060000", true) == Cause::kMpaInboundReads);
  CHECK(bare_cause("20050000", false) == Cause::kOperationVersion);
  CHECK(bare_cause("20020000", false) == Cause::kMpaCrc);
  // Headers settle the form.
  CHECK(bare_cause("0206c000", true) == Cause::kOperationOpcode);
  // Unknown both ways: as it stands.
  CHECK(bare_cause("7e990000", false) == make_cause(7, 14, 0x99));
  CHECK(!decode_terminate(Bytes(3), false).has_value());
}

TEST(rdmap_terminate_of_ours_reads_back_for_every_cause) {
  const Bytes write = from_hex("0012 c140 deadbe00 00007fc1faae5000 61626364");
  for (unsigned number = 0; number < 0x3000; ++number) {
    const auto cause = static_cast<Cause>(number);
    if (!cause_is_known(cause)) continue;
    const bool startup = cause_layer(cause) == 2;
    CHECK(terminate_of(terminate_bytes(cause, write), startup).cause == cause);
    CHECK(make_cause(cause_layer(cause), cause_type(cause), cause_code(cause)) == cause);
  }
}

TEST(rdmap_causes_have_names_of_their_own) {
  std::set<std::string_view> names;
  std::size_t known = 0;
  for (unsigned number = 0; number <= 0xFFFF; ++number) {
    const auto cause = static_cast<Cause>(number);
    if (!cause_is_known(cause)) continue;
    ++known;
    names.insert(cause_name(cause));
  }
  CHECK_EQ(known, 33u);
  CHECK_EQ(names.size(), known);
  CHECK(std::string_view(cause_name(Cause::kNone)) == "none");
  CHECK(std::string_view(cause_name(make_cause(7, 7, 7))) == "unknown cause");
}

TEST(rdmap_terminates_parse_at_every_cut) {
  const Bytes body = from_hex(
      "0101e000 0000 4141 00000000 00000001 00000008 00000000 00000055"
      "0000000000000066 00000008 deadbe00 00007f2400573000");
  for (std::size_t cut = 0; cut <= body.size(); ++cut) {
    const Bytes part(body.begin(), body.begin() + static_cast<std::ptrdiff_t>(cut));
    const auto terminate = decode_terminate(part, false);
    CHECK_EQ(terminate.has_value(), cut >= 4);
    if (!terminate.has_value()) continue;
    CHECK(terminate->cause == Cause::kRemoteBounds);
    CHECK_EQ(terminate->ddp_header.size(), cut >= 24 ? 18u : 0u);
    CHECK_EQ(terminate->read_header.size(), cut >= 52 ? 28u : 0u);
  }
}

TEST(rdmap_survives_random_bytes) {
  SeededRandom random(kSeed + 1);
  for (int round = 0; round < 50'000; ++round) {
    Bytes bytes(random.below(64));
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.next_u32() & 0xFF);
    const auto terminate = decode_terminate(bytes, random.chance(1, 2));
    CHECK_EQ(terminate.has_value(), bytes.size() >= 4);
    if (terminate.has_value()) {
      static_cast<void>(to_hex(terminate->ddp_header));
      static_cast<void>(to_hex(terminate->read_header));
      CHECK(cause_name(terminate->cause) != nullptr);
    }
    CHECK_EQ(decode_read_request(bytes).has_value(), bytes.size() == 28);
    Bytes out(random.below(80));
    const auto cause = static_cast<Cause>(random.next_u32() & 0xFFFF);
    const std::size_t written = encode_terminate(out, cause, bytes);
    CHECK(written <= out.size());
  }
}

CHECK_MAIN()
