// SPDX-License-Identifier: BSD-3-Clause
//
// Recorded conversations of Linux' siw (golden/*.pcap): every frame of both directions decodes,
// follows the one before it, verifies where checksums were on, and is encoded again to the same
// bytes wherever the standard leaves no choice. Single-threaded; reads files only.
#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/bytes.h"
#include "provider/iwarp/mpa.h"
#include "provider/iwarp/rdmap.h"
#include "test/check.h"
#include "test/golden/golden.h"

using rpma::test::Bytes;
using rpma::test::frame_of;
using rpma::test::to_hex;
using namespace rpma::iwarp;
namespace core = rpma::core;

namespace {

// One direction of a TCP connection. Captures may hold the beginning of a packet only, so each byte
// is marked when it was seen.
struct Stream {
  Bytes bytes;
  std::vector<bool> seen;
  std::uint32_t first_sequence = 0;
  std::uint16_t source_port = 0;
  std::uint16_t target_port = 0;
  bool is_initiator = false;

  bool has(std::size_t from, std::size_t count) const {
    if (from + count > bytes.size()) return false;
    const auto begin = seen.begin() + static_cast<std::ptrdiff_t>(from);
    return std::find(begin, begin + static_cast<std::ptrdiff_t>(count), false) ==
           begin + static_cast<std::ptrdiff_t>(count);
  }
};

void place(Stream& stream, std::uint32_t sequence, std::span<const std::byte> payload,
           std::size_t length) {
  const std::size_t at = sequence - stream.first_sequence;
  if (at > (1u << 24)) return;
  if (stream.bytes.size() < at + length) {
    stream.bytes.resize(at + length);
    stream.seen.resize(at + length);
  }
  std::copy(payload.begin(), payload.end(), stream.bytes.begin() + static_cast<std::ptrdiff_t>(at));
  std::fill_n(stream.seen.begin() + static_cast<std::ptrdiff_t>(at), payload.size(), true);
}

constexpr std::size_t kEthernetBytes = 14;
constexpr std::uint8_t kSyn = 0x02;
constexpr std::uint8_t kAck = 0x10;

using Streams = std::vector<Stream>;

void take_packet(Streams& streams, std::span<const std::byte> packet, std::size_t original) {
  if (packet.size() < kEthernetBytes + 40) return;
  const auto ip = packet.subspan(kEthernetBytes);
  const std::size_t ip_bytes = (core::load_u8(ip.data()) & 0xFu) * 4;
  const auto tcp = ip.subspan(ip_bytes);
  const std::size_t tcp_bytes = (core::load_u8(tcp.data() + 12) >> 4) * 4u;
  const std::size_t header_bytes = kEthernetBytes + ip_bytes + tcp_bytes;
  const std::uint16_t source = core::load_be16(tcp.data());
  const std::uint16_t target = core::load_be16(tcp.data() + 2);
  const std::uint32_t sequence = core::load_be32(tcp.data() + 4);
  const std::uint8_t flags = core::load_u8(tcp.data() + 13);
  if ((flags & kSyn) != 0) {
    Stream stream;
    stream.first_sequence = sequence + 1;
    stream.source_port = source;
    stream.target_port = target;
    stream.is_initiator = (flags & kAck) == 0;
    streams.push_back(std::move(stream));
    return;
  }
  // The newest of its ports: they may be used again within a file.
  const auto found = std::find_if(streams.rbegin(), streams.rend(), [&](const Stream& stream) {
    return stream.source_port == source && stream.target_port == target;
  });
  if (found == streams.rend() || packet.size() <= header_bytes) return;
  // Loopback hands on packets above 64 KiB, whose IP length is 0; the capture's length is right.
  const std::size_t ip_length = core::load_be16(ip.data() + 2);
  const std::size_t whole = ip_length != 0 ? kEthernetBytes + ip_length : original;
  place(*found, sequence, packet.subspan(header_bytes), whole - header_bytes);
}

Streams read_capture(const std::string& name) {
  const Bytes file = rpma::test::golden_file(name);
  Streams streams;
  if (!CHECK(file.size() > 24)) return streams;
  const std::span<const std::byte> all = file;
  CHECK_EQ(core::load_le32(file.data()), 0xA1B2C3D4u);
  CHECK_EQ(core::load_le32(file.data() + 20), 1u);
  for (std::size_t at = 24; at + 16 <= all.size();) {
    const std::size_t captured = core::load_le32(file.data() + at + 8);
    const std::size_t original = core::load_le32(file.data() + at + 12);
    if (!CHECK(at + 16 + captured <= all.size())) break;
    take_packet(streams, all.subspan(at + 16, captured), original);
    at += 16 + captured;
  }
  return streams;
}

// What came of one direction.
struct Outcome {
  SetupFrame setup;
  bool has_setup = false;
  bool reached_end = false;  // no byte between the frames was left over
  int frames = 0;
  int whole = 0;      // of which all bytes were captured
  int intact = 0;     // of which the checksum fits
  int identical = 0;  // of which encoding again gave the same bytes
  std::vector<Cause> faults;
  std::vector<Terminate> terminates;  // headers lie in the stream
};

// Length field, headers and fixed bodies, encoded from what was decoded; empty when the encoder
// refuses, as it must for what we never send.
Bytes encoded_again(const Segment& segment, std::span<const std::byte> payload) {
  Bytes header(kUntaggedHeaderBytes);
  if (segment.tagged) {
    header.resize(encode_tagged_header(header,
                                       {.opcode = segment.opcode,
                                        .last = segment.last,
                                        .stag = segment.stag,
                                        .tagged_offset = segment.tagged_offset},
                                       payload.size()));
    return header;
  }
  if (segment.opcode == Opcode::kReadRequest) {
    const auto request = decode_read_request(payload);
    Bytes out(kReadRequestFrameBytes);
    if (!CHECK(request.has_value())) return {};
    out.resize(encode_read_request(out, segment.sequence, *request));
    CHECK_EQ(out.size(), kUntaggedHeaderBytes + kReadRequestBodyBytes);
    out.resize(kUntaggedHeaderBytes + (out.empty() ? 0 : kReadRequestBodyBytes));
    return out;
  }
  header.resize(encode_untagged_header(header,
                                       {.opcode = segment.opcode,
                                        .last = segment.last,
                                        .invalidate_stag = segment.stag,
                                        .queue = segment.queue,
                                        .sequence = segment.sequence,
                                        .message_offset = segment.message_offset},
                                       payload.size()));
  return header;
}

void check_whole_frame(const Segment& segment, std::span<const std::byte> frame, Outcome& outcome) {
  ++outcome.whole;
  const bool intact = fpdu_is_intact(frame);
  outcome.intact += intact ? 1 : 0;
  const auto payload = frame.subspan(segment.header_bytes, segment.payload_bytes);
  const Bytes begin = encoded_again(segment, payload);
  const std::size_t before = segment.header_bytes + segment.payload_bytes;
  if (!begin.empty()) {
    const bool whole_body = begin.size() > segment.header_bytes;
    const auto rest = whole_body ? std::span<const std::byte>{} : payload;
    const Bytes again = frame_of(begin, rest, intact);
    CHECK_EQ(again.size(), frame.size());
    CHECK(std::equal(again.begin(), again.begin() + static_cast<std::ptrdiff_t>(before),
                     frame.begin()));
    // siw leaves its pad as it was; without checksums its field may hold anything.
    outcome.identical += std::ranges::equal(again, frame) ? 1 : 0;
  }
  if (segment.opcode == Opcode::kTerminate) {
    const auto terminate = decode_terminate(payload, false);
    if (CHECK(terminate.has_value())) outcome.terminates.push_back(*terminate);
  }
}

Outcome walk(const Stream& stream) {
  Outcome outcome;
  const std::span<const std::byte> all = stream.bytes;
  const SetupKind kind = stream.is_initiator ? SetupKind::kRequest : SetupKind::kReply;
  const SetupParse setup = parse_setup(all, kind);
  if (setup.state != ParseState::kComplete) return outcome;
  outcome.setup = setup.frame;
  outcome.has_setup = true;
  SegmentTracker tracker;
  std::size_t at = setup.frame.frame_bytes;
  while (at < all.size()) {
    const std::size_t rest = all.size() - at;
    if (!stream.has(at, std::min<std::size_t>(rest, kTaggedHeaderBytes))) break;
    const SegmentParse parse = parse_segment(all.subspan(at), kPlainOpcodes);
    if (!CHECK(parse.state != ParseState::kNeedMore)) break;
    ++outcome.frames;
    Cause cause = parse.state == ParseState::kFault ? parse.cause : Cause::kNone;
    if (cause == Cause::kNone) cause = tracker.accept(parse.segment);
    if (cause != Cause::kNone) {
      outcome.faults.push_back(cause);
      break;
    }
    const std::size_t size = fpdu_bytes(parse.segment.ulpdu_bytes);
    if (stream.has(at, size)) check_whole_frame(parse.segment, all.subspan(at, size), outcome);
    at += size;
  }
  outcome.reached_end = at >= all.size();
  return outcome;
}

// Requests and plain Replies come out of our encoder as the recording has them.
void check_setup_again(const Stream& stream, const Outcome& own, const Outcome& other) {
  const SetupFrame& frame = own.setup;
  Bytes out(kSetupFrameBytesMax);
  if (frame.kind == SetupKind::kRequest) {
    if (frame.markers || frame.revision != 2 || !frame.has_word) return;
    out.resize(encode_request(out, {.crc = frame.crc,
                                    .offer_extension = setup_is_offer(frame),
                                    .inbound_reads = frame.word.inbound_reads,
                                    .outbound_reads = frame.word.outbound_reads,
                                    .private_data = frame.private_data}));
  } else {
    if (!other.has_setup || (other.setup.markers && !frame.rejected)) return;
    out.resize(encode_reply(out, other.setup,
                            {.crc = frame.crc,
                             .rejected = frame.rejected,
                             .inbound_reads = frame.word.inbound_reads,
                             .outbound_reads = frame.word.outbound_reads,
                             .private_data = frame.private_data}));
  }
  const auto original = std::span(stream.bytes).first(frame.frame_bytes);
  CHECK_EQ(to_hex(out), to_hex(original));
}

struct Total {
  std::vector<Outcome> outcomes;
  Streams streams;
  int setups = 0;
  int frames = 0;
  int whole = 0;
  int intact = 0;
  int identical = 0;
};

Total walk_capture(const std::string& name) {
  Total total;
  total.streams = read_capture(name);
  CHECK_EQ(total.streams.size() % 2, 0u);
  for (const Stream& stream : total.streams) {
    const Outcome outcome = walk(stream);
    total.setups += outcome.has_setup ? 1 : 0;
    total.frames += outcome.frames;
    total.whole += outcome.whole;
    total.intact += outcome.intact;
    total.identical += outcome.identical;
    total.outcomes.push_back(outcome);
  }
  for (std::size_t at = 0; at < total.streams.size(); ++at) {
    const Stream& stream = total.streams[at];
    const auto other = std::find_if(total.streams.begin(), total.streams.end(), [&](auto& each) {
      return each.source_port == stream.target_port && each.target_port == stream.source_port;
    });
    if (!total.outcomes[at].has_setup || other == total.streams.end()) continue;
    const auto index = static_cast<std::size_t>(other - total.streams.begin());
    check_setup_again(stream, total.outcomes[at], total.outcomes[index]);
  }
  return total;
}

// A recording in which nobody broke a rule.
Total clean_capture(const std::string& name) {
  Total total = walk_capture(name);
  CHECK(total.frames > 0);
  for (const Outcome& outcome : total.outcomes) {
    CHECK_EQ(outcome.faults.size(), 0u);
    CHECK(outcome.has_setup && outcome.reached_end);
  }
  return total;
}

}  // namespace

TEST(golden_conversation_without_checksums) {
  const Total total = clean_capture("siw-crc-off.pcap");
  CHECK_EQ(total.setups, 4);
  CHECK_EQ(total.whole, total.frames);
  CHECK_EQ(total.identical, total.frames);
  CHECK(total.frames >= 26);
  CHECK(!total.outcomes[0].setup.crc);
}

TEST(golden_conversation_with_checksums_verifies_throughout) {
  const Total total = clean_capture("siw-crc-on.pcap");
  CHECK_EQ(total.setups, 4);
  CHECK_EQ(total.whole, total.frames);
  CHECK_EQ(total.intact, total.frames);
  CHECK_EQ(total.identical, total.frames);
  CHECK(total.frames >= 26);
  for (const Outcome& outcome : total.outcomes) {
    CHECK(outcome.setup.crc || outcome.setup.kind == SetupKind::kRequest);
  }
}

TEST(golden_rejections) {
  const Total total = walk_capture("siw-reject.pcap");
  int rejected = 0;
  bool told_why = false;
  for (const Outcome& outcome : total.outcomes) {
    CHECK_EQ(outcome.faults.size(), 0u);
    rejected += outcome.setup.rejected ? 1 : 0;
    told_why |= to_hex(outcome.setup.private_data) == to_hex(rpma::test::as_bytes("sorry"));
  }
  CHECK_EQ(rejected, 4);
  CHECK(told_why);
}

TEST(golden_reads) {
  const Total total = clean_capture("siw-read.pcap");
  CHECK_EQ(total.whole, total.frames);
  CHECK_EQ(total.identical, total.frames);
}

TEST(golden_writes_of_128_kib) {
  const Total total = clean_capture("siw-write-128k.pcap");
  CHECK(total.frames >= 6);
  CHECK_EQ(total.identical, total.whole);
}

TEST(golden_writes_of_1_mib_with_truncated_packets) {
  const Total total = clean_capture("siw-write-1mib-snap160.pcap");
  CHECK(total.frames >= 40 && total.whole < total.frames);
}

TEST(golden_librpma_over_siw) {
  const Total total = clean_capture("librpma-over-siw.pcap");
  CHECK_EQ(total.whole, total.frames);
  CHECK(total.frames >= 25);
  // Two short Sends carry a pad that siw did not clear.
  CHECK_EQ(total.identical, total.frames - 2);
}

TEST(golden_offer_that_siw_does_not_see) {
  const Total total = clean_capture("siw-negotiation-siw-ignores.pcap");
  REQUIRE(total.outcomes.size() == 2);
  const Outcome& request = total.outcomes[0];
  CHECK(setup_is_offer(request.setup));
  CHECK(!setup_answer(total.outcomes[1].setup).has_value());
  const auto first = std::span(total.streams[0].bytes).subspan(request.setup.frame_bytes);
  const SegmentParse parse = parse_segment(first, kPlainOpcodes);
  REQUIRE(parse.state == ParseState::kComplete);
  CHECK(parse.segment.payload_bytes == 0 && parse.segment.stag == kExtensionMagic);
}

// The scripted side breaks a rule in each conversation and siw says which; in the last one the
// Terminate is the script's own, in the standard's form. The order is the recording's.
TEST(golden_terminates_of_siw_name_their_cause) {
  const Total total = walk_capture("siw-terminate.pcap");
  std::vector<Cause> causes;
  std::vector<Cause> faults;
  int swapped = 0;
  for (std::size_t at = 0; at < total.outcomes.size(); ++at) {
    const Outcome& outcome = total.outcomes[at];
    CHECK(outcome.has_setup);
    faults.insert(faults.end(), outcome.faults.begin(), outcome.faults.end());
    for (const Terminate& terminate : outcome.terminates) {
      causes.push_back(terminate.cause);
      swapped += terminate.swapped ? 1 : 0;
    }
  }
  const std::vector<Cause> expected{Cause::kTaggedInvalidStag,
                                    Cause::kTaggedBounds,
                                    Cause::kOperationOpcode,
                                    Cause::kOperationOpcode,
                                    Cause::kRemoteInvalidStag,
                                    Cause::kUntaggedNoBuffer,
                                    Cause::kMpaCrc,
                                    Cause::kUntaggedNoBuffer};
  std::string got;
  for (const Cause cause : causes) got += std::string(cause_name(cause)) + "; ";
  std::string wanted;
  for (const Cause cause : expected) wanted += std::string(cause_name(cause)) + "; ";
  CHECK_EQ(got, wanted);
  // Our decoder stops where the scripted side sent opcodes 8 and F.
  CHECK_EQ(faults.size(), 2u);
  for (const Cause fault : faults) CHECK(fault == Cause::kOperationOpcode);
  CHECK_EQ(swapped, 7);
}

// However TCP cuts a stream, a frame is found exactly where it is found in one piece.
TEST(golden_stream_parses_the_same_at_every_cut) {
  const Streams streams = read_capture("siw-crc-on.pcap");
  for (const Stream& stream : streams) {
    const Outcome outcome = walk(stream);
    REQUIRE(outcome.has_setup);
    std::size_t at = outcome.setup.frame_bytes;
    while (at < stream.bytes.size()) {
      const auto rest = std::span<const std::byte>(stream.bytes).subspan(at);
      const SegmentParse whole = parse_segment(rest, kPlainOpcodes);
      REQUIRE(whole.state == ParseState::kComplete);
      std::size_t known = 0;
      while (true) {
        const Bytes part(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(known));
        const SegmentParse parse = parse_segment(part, kPlainOpcodes);
        if (parse.state == ParseState::kComplete) break;
        REQUIRE(parse.state == ParseState::kNeedMore && parse.needed_bytes > known);
        ++known;
        REQUIRE(known <= rest.size());
      }
      CHECK_EQ(known, whole.segment.header_bytes);
      at += fpdu_bytes(whole.segment.ulpdu_bytes);
    }
    CHECK_EQ(at, stream.bytes.size());
  }
}

CHECK_MAIN()
