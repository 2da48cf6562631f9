// SPDX-License-Identifier: BSD-3-Clause
//
// MPA: Requests and Replies at every cut, what strangers may send, what we can never send, the
// negotiation of the extension, the hello, and the arithmetic of frames. Single-threaded; inputs
// lie in areas of their exact size, so that a sanitizer sees every read beyond them.
#include "provider/iwarp/mpa.h"

#include <array>

#include "abi.generated.h"
#include "core/random.h"
#include "provider/iwarp/extension.h"
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

constexpr std::uint64_t kSeed = 0x5EED0002;
constexpr std::string_view kRequestKey = "4d504120494420526571204672616d65";
constexpr std::string_view kReplyKey = "4d504120494420526570204672616d65";

Bytes setup_bytes(std::string_view key, std::string_view rest, std::size_t data_bytes = 0) {
  Bytes bytes = rpma::test::joined(from_hex(key), from_hex(rest));
  bytes.resize(bytes.size() + data_bytes, std::byte{'x'});
  return bytes;
}

// The frame's private data lies in `bytes`.
SetupFrame request_of(const Bytes& bytes) {
  const SetupParse parse = parse_setup(bytes, SetupKind::kRequest);
  CHECK(parse.state == ParseState::kComplete);
  return parse.frame;
}

SetupFault request_fault(const Bytes& bytes) {
  const SetupParse parse = parse_setup(bytes, SetupKind::kRequest);
  CHECK(parse.state == ParseState::kFault);
  return parse.fault;
}

// Every shorter prefix asks for more, never for less than it has, and never reads past its end.
void check_every_cut(const Bytes& bytes, SetupKind kind) {
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    const Bytes part(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(cut));
    const SetupParse parse = parse_setup(part, kind);
    CHECK(parse.state == ParseState::kNeedMore);
    CHECK(parse.needed_bytes > cut);
    CHECK(parse.needed_bytes <= bytes.size());
  }
}

std::size_t announced_length(const Bytes& frame) {
  return static_cast<std::size_t>(frame[18]) << 8 | static_cast<std::size_t>(frame[19]);
}

Bytes encoded_request(const RequestFields& fields) {
  Bytes out(kSetupFrameBytesMax);
  out.resize(encode_request(out, fields));
  return out;
}

Bytes encoded_reply(const SetupFrame& request, const ReplyFields& fields) {
  Bytes out(kSetupFrameBytesMax);
  out.resize(encode_reply(out, request, fields));
  return out;
}

}  // namespace

TEST(mpa_request_has_the_bytes_siw_sends_too) {
  const Bytes request = encoded_request({.offer_extension = false,
                                         .inbound_reads = 1,
                                         .outbound_reads = 1,
                                         .private_data = as_bytes("abcd")});
  CHECK_EQ(to_hex(request), "4d504120494420526571204672616d65100200080001000161626364");
  check_every_cut(request, SetupKind::kRequest);
  const SetupFrame frame = request_of(request);
  CHECK_EQ(frame.revision, 2);
  CHECK(frame.enhanced && frame.has_word && !frame.crc && !frame.markers && !frame.rejected);
  CHECK_EQ(frame.word.inbound_reads, 1);
  CHECK_EQ(frame.word.outbound_reads, 1);
  CHECK_EQ(to_hex(frame.private_data), "61626364");
  CHECK_EQ(frame.frame_bytes, request.size());
  CHECK(!setup_is_offer(frame));
}

TEST(mpa_request_never_sets_markers_reject_or_peer_to_peer) {
  for (const bool crc : {false, true}) {
    for (const bool offer : {false, true}) {
      const Bytes request = encoded_request({.crc = crc, .offer_extension = offer});
      REQUIRE(request.size() == 24);
      CHECK_EQ(static_cast<int>(request[16]), crc ? 0x50 : 0x10);
      CHECK_EQ(static_cast<int>(request[20] & std::byte{0x80}), 0);
      CHECK_EQ(setup_is_offer(request_of(request)), offer);
    }
  }
}

TEST(mpa_private_data_of_every_length_survives) {
  for (std::size_t size = 0; size <= kApplicationDataBytesMax; ++size) {
    const Bytes data(size, std::byte{0x5A});
    const Bytes request = encoded_request({.private_data = data});
    REQUIRE(request.size() == 24 + size);
    const SetupFrame frame = request_of(request);
    CHECK_EQ(frame.private_data.size(), size);
    const Bytes reply = encoded_reply(frame, {.private_data = data});
    const SetupParse parse = parse_setup(reply, SetupKind::kReply);
    REQUIRE(parse.state == ParseState::kComplete);
    CHECK_EQ(parse.frame.private_data.size(), size);
    CHECK(!setup_answer(parse.frame).has_value());
  }
}

TEST(mpa_refuses_what_must_never_be_sent) {
  const Bytes long_data(kApplicationDataBytesMax + 1, std::byte{1});
  Bytes out(kSetupFrameBytesMax);
  CHECK_EQ(encode_request(out, {.private_data = long_data}), 0u);
  CHECK_EQ(encode_request(out, {.inbound_reads = 0x3FFF}), 0u);
  CHECK_EQ(encode_request(out, {.outbound_reads = 129}), 0u);
  CHECK(encode_request(out, {.inbound_reads = 128, .outbound_reads = 128}) != 0);
  Bytes small(23);
  CHECK_EQ(encode_request(small, {}), 0u);

  const SetupFrame plain = request_of(setup_bytes(kRequestKey, "10020004 00010001"));
  CHECK_EQ(encode_reply(out, plain, {.private_data = long_data}), 0u);
  CHECK_EQ(encode_reply(out, plain, {.rejected = true, .private_data = long_data}), 0u);
  CHECK_EQ(encode_reply(out, plain, {.inbound_reads = 0x3FFF}), 0u);
  CHECK_EQ(encode_reply(out, plain, {.outbound_reads = 129}), 0u);
  CHECK_EQ(encode_reply(out, plain, {.capabilities = std::uint16_t{1}}), 0u);
  CHECK_EQ(encode_reply(small, plain, {}), 0u);

  const SetupFrame offer = request_of(encoded_request({}));
  CHECK_EQ(encode_reply(out, offer, {.rejected = true, .capabilities = std::uint16_t{1}}), 0u);
  const SetupFrame markers = request_of(setup_bytes(kRequestKey, "90020004 00010001"));
  CHECK(markers.markers);
  CHECK_EQ(encode_reply(out, markers, {}), 0u);
  const Bytes refusal = encoded_reply(markers, {.rejected = true});
  REQUIRE(refusal.size() == 24);
  CHECK_EQ(static_cast<int>(refusal[16]), 0x30);
}

// A Reply with private data shorter than 4 or longer than 256 bytes crashes a peer that runs siw.
// Whatever a Request looks like and whatever the caller wants, the bounds hold.
TEST(mpa_reply_to_an_enhanced_request_stays_within_4_and_256_bytes) {
  SeededRandom random(kSeed);
  int sent = 0;
  for (int round = 0; round < 20'000; ++round) {
    Bytes bytes = setup_bytes(kRequestKey, "", 4);
    bytes[16] = static_cast<std::byte>(random.next_u32() & 0xFF);
    bytes[17] = static_cast<std::byte>(random.below(3));
    bytes[18] = std::byte{0};
    bytes[19] = static_cast<std::byte>(random.below(12));
    bytes.resize(20 + static_cast<std::size_t>(bytes[19]));
    for (std::size_t at = 20; at < bytes.size(); ++at) {
      bytes[at] = static_cast<std::byte>(random.next_u32() & 0xFF);
    }
    const SetupParse parse = parse_setup(bytes, SetupKind::kRequest);
    if (parse.state != ParseState::kComplete) continue;
    const Bytes data(random.below(600));
    ReplyFields fields{.crc = random.chance(1, 2), .rejected = random.chance(1, 2)};
    fields.inbound_reads = static_cast<std::uint16_t>(random.below(160));
    fields.outbound_reads = static_cast<std::uint16_t>(random.below(160));
    fields.private_data = data;
    if (random.chance(1, 2)) fields.capabilities = static_cast<std::uint16_t>(random.next_u32());
    const Bytes reply = encoded_reply(parse.frame, fields);
    if (reply.empty()) continue;
    ++sent;
    const std::size_t length = announced_length(reply);
    CHECK_EQ(reply.size(), 20 + length);
    CHECK_EQ(static_cast<int>(reply[16] & std::byte{0x8F}), 0);
    CHECK_EQ(reply[17], bytes[17]);
    CHECK_EQ((reply[16] & std::byte{0x10}) != std::byte{0}, parse.frame.enhanced);
    if (parse.frame.enhanced) CHECK(length >= 4);
    if (fields.capabilities.has_value()) {
      CHECK(setup_is_offer(parse.frame));
    } else {
      CHECK(length <= 256);
    }
  }
  CHECK(sent > 1000);
}

TEST(mpa_reply_mirrors_revision_and_enhanced_flag) {
  const Bytes first_bytes = setup_bytes(kRequestKey, "00010004 61626364");
  const SetupFrame first = request_of(first_bytes);
  CHECK(!first.enhanced);
  CHECK_EQ(to_hex(first.private_data), "61626364");
  CHECK_EQ(to_hex(encoded_reply(first, {.inbound_reads = 5, .private_data = as_bytes("z")})),
           std::string(kReplyKey) + "000100017a");
  // Revision 1 knows no such flag: the four bytes are the application's.
  const SetupFrame odd = request_of(setup_bytes(kRequestKey, "10010004 61626364"));
  CHECK(!odd.enhanced && !odd.has_word);
  CHECK_EQ(odd.private_data.size(), 4u);
  CHECK_EQ(to_hex(encoded_reply(odd, {})), std::string(kReplyKey) + "00010000");
  const SetupFrame plain = request_of(setup_bytes(kRequestKey, "00020000"));
  CHECK_EQ(to_hex(encoded_reply(plain, {})), std::string(kReplyKey) + "00020000");
  const SetupFrame asked = request_of(setup_bytes(kRequestKey, "50020004 00090007"));
  CHECK(asked.crc);
  const ReplyFields reject{.rejected = true, .inbound_reads = 7, .outbound_reads = 9};
  CHECK_EQ(to_hex(encoded_reply(asked, reject)), std::string(kReplyKey) + "7002000400070009");
}

TEST(mpa_reply_honours_the_peer_to_peer_model) {
  struct Case {
    const char* asked;
    const char* answered;
  };
  for (const Case& each : {Case{"80018001", "80058006"}, Case{"80014001", "80054006"},
                           Case{"8001c001", "80058006"}, Case{"c0010001", "80058006"}}) {
    const SetupFrame request =
        request_of(setup_bytes(kRequestKey, std::string("10020004") + each.asked));
    CHECK(request.word.peer_to_peer);
    CHECK(!setup_is_offer(request));
    const Bytes reply = encoded_reply(request, {.inbound_reads = 5, .outbound_reads = 6});
    CHECK_EQ(to_hex(reply), std::string(kReplyKey) + "10020004" + each.answered);
  }
}

TEST(mpa_takes_large_private_data_from_others) {
  for (const char* length : {"0100", "0101", "0200"}) {
    const std::size_t size = length[1] == '2' ? 512 : (length[3] == '1' ? 257 : 256);
    const Bytes bytes = setup_bytes(kRequestKey, std::string("1002") + length, size);
    check_every_cut(bytes, SetupKind::kRequest);
    CHECK_EQ(request_of(bytes).private_data.size(), size - 4);
  }
}

TEST(mpa_names_what_is_malformed) {
  CHECK(request_fault(setup_bytes(kRequestKey, "10030004 00010001")) == SetupFault::kRevision);
  CHECK(request_fault(setup_bytes(kRequestKey, "10020201")) == SetupFault::kPrivateDataLength);
  CHECK(request_fault(setup_bytes(kRequestKey, "1002ffff")) == SetupFault::kPrivateDataLength);
  CHECK(request_fault(setup_bytes(kReplyKey, "")) == SetupFault::kOtherKind);
  for (const char* length : {"0000", "0001", "0002", "0003"}) {
    const Bytes bytes = setup_bytes(kRequestKey, std::string("1002") + length, 3);
    CHECK(request_fault(bytes) == SetupFault::kEnhancedWord);
  }
  // A stranger is known by its first wrong byte.
  const auto http = as_bytes("GET / HTTP/1.1");
  CHECK(request_fault({http.begin(), http.begin() + 1}) == SetupFault::kKey);
  Bytes key = from_hex(kRequestKey);
  for (std::size_t at = 0; at < key.size(); ++at) {
    Bytes wrong(key.begin(), key.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    wrong[at] ^= std::byte{0x01};
    const SetupFault fault = request_fault(wrong);
    // One bit turns 'q' into 'p', which begins to look like the other kind.
    CHECK(fault == (at == 9 ? SetupFault::kOtherKind : SetupFault::kKey));
  }
  CHECK(std::string_view(setup_fault_name(SetupFault::kKey)) == "not an MPA frame");
}

TEST(mpa_takes_the_reject_of_siw_without_the_word) {
  const SetupParse parse = parse_setup(setup_bytes(kReplyKey, "30020000"), SetupKind::kReply);
  REQUIRE(parse.state == ParseState::kComplete);
  CHECK(parse.frame.rejected && parse.frame.enhanced && !parse.frame.has_word);
  CHECK_EQ(parse.frame.private_data.size(), 0u);
  // The same without R is the frame that crashes siw; we call it malformed.
  const SetupParse bad = parse_setup(setup_bytes(kReplyKey, "10020000"), SetupKind::kReply);
  CHECK(bad.state == ParseState::kFault && bad.fault == SetupFault::kEnhancedWord);
  // R in a Request says nothing.
  CHECK(!request_of(setup_bytes(kRequestKey, "30020004 00010001")).rejected);
}

TEST(mpa_leaves_the_bytes_behind_a_frame_alone) {
  Bytes bytes = encoded_request({.private_data = as_bytes("data")});
  const std::size_t size = bytes.size();
  bytes.resize(size + 40, std::byte{0xEE});
  const SetupFrame frame = request_of(bytes);
  CHECK_EQ(frame.frame_bytes, size);
  CHECK_EQ(to_hex(frame.private_data), "64617461");
}

TEST(mpa_negotiates_only_when_pattern_magic_and_lengths_agree) {
  const SetupFrame offer = request_of(encoded_request({.inbound_reads = 4, .outbound_reads = 4}));
  const Bytes reply = encoded_reply(offer, {.inbound_reads = 4,
                                            .private_data = as_bytes("application"),
                                            .capabilities = std::uint16_t{0x800F}});
  check_every_cut(reply, SetupKind::kReply);
  const SetupParse parse = parse_setup(reply, SetupKind::kReply);
  REQUIRE(parse.state == ParseState::kComplete);
  const auto answer = setup_answer(parse.frame);
  REQUIRE(answer.has_value());
  CHECK_EQ(answer->version, 1);
  CHECK_EQ(answer->capabilities, 0x800F);
  CHECK_EQ(to_hex(answer->private_data), to_hex(as_bytes("application")));

  // Any one changed bit of pattern, magic or lengths makes the peer plain. The lengths lie at 5-7
  // of the trailer; the version and the capabilities behind them may have any value.
  const std::size_t trailer = reply.size() - kAnswerTrailerBytes;
  for (const std::size_t at : {std::size_t{20}, std::size_t{22}, trailer, trailer + 1, trailer + 2,
                               trailer + 3, trailer + 5, trailer + 6, trailer + 7}) {
    for (unsigned bit = at < 24 ? 6 : 0; bit < 8; ++bit) {
      Bytes changed = reply;
      changed[at] ^= static_cast<std::byte>(1u << bit);
      const SetupParse plain = parse_setup(changed, SetupKind::kReply);
      REQUIRE(plain.state == ParseState::kComplete);
      CHECK(!setup_answer(plain.frame).has_value());
      CHECK_EQ(plain.frame.private_data.size(), 11 + kAnswerTrailerBytes);
    }
  }
}

TEST(mpa_steps_over_the_longer_trailer_of_a_later_version) {
  // Two bytes of application data, four unknown bytes, then the fixed part with length 20.
  const Bytes bytes = setup_bytes(kReplyKey,
                                  "1002001a 00048004 6869 cafecafe 52504d41 02 14 0002"
                                  "0000 0000 0000 0003");
  const SetupParse parse = parse_setup(bytes, SetupKind::kReply);
  REQUIRE(parse.state == ParseState::kComplete);
  const auto answer = setup_answer(parse.frame);
  REQUIRE(answer.has_value());
  CHECK_EQ(answer->version, 2);
  CHECK_EQ(answer->capabilities, 3);
  CHECK_EQ(to_hex(answer->private_data), "6869");
}

TEST(mpa_takes_no_echo_for_an_answer) {
  for (unsigned pattern = 0; pattern < 16; ++pattern) {
    Bytes bytes = setup_bytes(kReplyKey, "10020018 00000000 52504d41 01 10 0000 0000000000000001");
    bytes.resize(bytes.size() + 4);
    bytes[19] = static_cast<std::byte>(bytes.size() - 20);
    bytes[20] |= static_cast<std::byte>((pattern >> 2) << 6);
    bytes[22] |= static_cast<std::byte>((pattern & 3) << 6);
    // The data behind the trailer is 4 bytes too long, so not even the right pattern answers.
    const SetupParse parse = parse_setup(bytes, SetupKind::kReply);
    REQUIRE(parse.state == ParseState::kComplete);
    CHECK(!setup_answer(parse.frame).has_value());
    bytes.resize(bytes.size() - 4);
    bytes[19] = static_cast<std::byte>(bytes.size() - 20);
    const SetupParse exact = parse_setup(bytes, SetupKind::kReply);
    REQUIRE(exact.state == ParseState::kComplete);
    CHECK_EQ(setup_answer(exact.frame).has_value(), pattern == 0b0010);
  }
}

TEST(mpa_hello_is_a_write_of_nothing) {
  const Hello hello{.flags = 3, .capabilities = 0xBEEF, .nonce = 0x01020304};
  Bytes frame(kHelloFrameBytes);
  for (const bool crc : {false, true}) {
    REQUIRE(encode_hello(frame, hello, crc) == kHelloFrameBytes);
    CHECK_EQ(fpdu_is_intact(frame), crc);
    const SegmentParse parse = parse_segment(frame, kPlainOpcodes);
    REQUIRE(parse.state == ParseState::kComplete);
    CHECK_EQ(parse.segment.payload_bytes, 0u);
    const auto decoded = decode_hello(parse.segment);
    REQUIRE(decoded.has_value());
    CHECK_EQ(decoded->version, 1);
    CHECK_EQ(decoded->flags, 3);
    CHECK_EQ(decoded->capabilities, 0xBEEF);
    CHECK_EQ(decoded->nonce, 0x01020304u);
  }
  Bytes small(kHelloFrameBytes - 1);
  CHECK_EQ(encode_hello(small, hello, true), 0u);
  CHECK_EQ(encode_hello(frame, {.version = 0}, true), 0u);
}

TEST(mpa_hello_is_nothing_but_exactly_that) {
  Segment segment;
  segment.tagged = true;
  segment.last = true;
  segment.stag = kExtensionMagic;
  segment.tagged_offset = 1ull << 56;
  CHECK(decode_hello(segment).has_value());
  const auto changed = [&](auto change) {
    Segment other = segment;
    change(other);
    return decode_hello(other).has_value();
  };
  CHECK(!changed([](Segment& other) { other.stag ^= 1; }));
  CHECK(!changed([](Segment& other) { other.payload_bytes = 4; }));
  CHECK(!changed([](Segment& other) { other.last = false; }));
  CHECK(!changed([](Segment& other) { other.opcode = Opcode::kReadResponse; }));
  CHECK(!changed([](Segment& other) { other.tagged_offset = 0; }));
}

TEST(mpa_frame_sizes_are_multiples_of_four) {
  for (std::size_t ulpdu = 0; ulpdu <= kUlpduBytesMax; ++ulpdu) {
    const std::size_t total = fpdu_bytes(ulpdu);
    if (total % 4 != 0 || total < 2 + ulpdu + 4 || total > 2 + ulpdu + 7 || total > kFpduBytesMax ||
        fpdu_trailer_bytes(ulpdu) > kTrailerBytesMax) {
      CHECK_EQ(ulpdu, kUlpduBytesMax + 1);
    }
  }
  CHECK_EQ(fpdu_bytes(kUlpduBytesMax), kFpduBytesMax);
  CHECK_EQ(tagged_payload_bytes_max(1448), 1428u);
  CHECK_EQ(untagged_payload_bytes_max(1448), 1424u);
  CHECK_EQ(tagged_payload_bytes_max(8944), 8924u);
  CHECK_EQ(tagged_payload_bytes_max(65536), 65516u);
  CHECK_EQ(untagged_payload_bytes_max(65536), 65512u);
  CHECK_EQ(tagged_payload_bytes_max(1u << 30), 65520u);
  CHECK_EQ(untagged_payload_bytes_max(1u << 30), 65516u);
  CHECK_EQ(tagged_payload_bytes_max(20), 0u);
  CHECK_EQ(tagged_payload_bytes_max(0), 0u);
  CHECK_EQ(tagged_payload_bytes_max(24), 4u);
  for (std::size_t limit = 0; limit < 70'000; limit += 7) {
    const std::size_t payload = tagged_payload_bytes_max(limit);
    if (payload == 0) continue;
    if (payload % 4 != 0 || fpdu_bytes(kTaggedUlpduBytes + payload) > limit) {
      CHECK_EQ(limit, 70'000u);
    }
  }
}

TEST(mpa_checksum_detects_any_changed_bit) {
  Bytes header(kTaggedHeaderBytes);
  REQUIRE(encode_tagged_header(header, {.stag = 7, .tagged_offset = 99}, 13) != 0);
  const Bytes payload(13, std::byte{0x3C});
  const Bytes frame = frame_of(header, payload);
  REQUIRE(fpdu_is_intact(frame));
  const std::size_t trailer_bytes = fpdu_trailer_bytes(kTaggedUlpduBytes + 13);
  const std::size_t before = frame.size() - trailer_bytes;
  for (std::size_t at = 0; at < frame.size(); ++at) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      Bytes changed = frame;
      changed[at] ^= static_cast<std::byte>(1u << bit);
      CHECK(!fpdu_is_intact(changed));
      const std::span<const std::byte> all = changed;
      CHECK(!trailer_is_intact(all.subspan(before), crc32c(kCrc32cBegin, all.data(), before)));
    }
  }
  // Pads that are not zero are covered like the rest and taken.
  Bytes padded = frame;
  padded[before] = std::byte{0x85};
  const std::uint32_t crc = crc32c_of(padded.data(), padded.size() - 4);
  for (std::size_t at = 0; at < 4; ++at) {
    padded[padded.size() - 4 + at] = static_cast<std::byte>(crc >> (8 * at) & 0xFF);
  }
  CHECK(fpdu_is_intact(padded));
}

TEST(mpa_trailer_refuses_a_place_that_is_too_small) {
  std::array<std::byte, 6> small{};
  CHECK_EQ(encode_trailer(small, 15, kCrc32cBegin), 0u);
  CHECK_EQ(encode_trailer_without_crc(small, 15), 0u);
  CHECK_EQ(encode_trailer_without_crc(small, 16), 6u);
  CHECK(!trailer_is_intact(std::span(small).first(3), kCrc32cBegin));
  CHECK(!fpdu_is_intact(std::span(small).first(5)));
  CHECK(!fpdu_is_intact({}));
}

TEST(mpa_survives_random_bytes) {
  SeededRandom random(kSeed + 1);
  int complete = 0;
  for (int round = 0; round < 60'000; ++round) {
    Bytes bytes(random.below(80));
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.next_u32() & 0xFF);
    const SetupKind kind = random.chance(1, 2) ? SetupKind::kRequest : SetupKind::kReply;
    if (random.chance(3, 4)) {
      const Bytes key = from_hex(kind == SetupKind::kRequest ? kRequestKey : kReplyKey);
      for (std::size_t at = 0; at < std::min(bytes.size(), key.size()); ++at) bytes[at] = key[at];
      if (bytes.size() > 19) {
        bytes[17] = static_cast<std::byte>(random.below(3));
        bytes[18] = std::byte{0};
        bytes[19] &= std::byte{0x3F};
      }
    }
    const SetupParse parse = parse_setup(bytes, kind);
    if (parse.state == ParseState::kComplete) {
      ++complete;
      CHECK(parse.frame.frame_bytes <= bytes.size());
      CHECK(parse.frame.private_data.size() + 20 <= bytes.size());
      static_cast<void>(setup_answer(parse.frame));
    } else if (parse.state == ParseState::kNeedMore) {
      CHECK(parse.needed_bytes > bytes.size());
    }
  }
  CHECK(complete > 1000);
}

CHECK_MAIN()
