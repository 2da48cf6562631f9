// SPDX-License-Identifier: BSD-3-Clause
//
// The small language in which an input tells a story about an established connection: what the
// other side sends, frame by frame, and what our program does meanwhile. A frame is right unless
// the input says what is wrong with it, so that a few bytes lead deep; raw frames and raw bytes
// are words of the language, too. Layout: docs/internals/testing.md. Of the fuzzer's thread.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "test/fuzz_connection.h"

namespace rpma::test {

inline constexpr std::size_t kScriptStepsMax = 96;

enum class Word : std::uint8_t {
  kWrite,
  kReadRequest,
  kSend,
  kAnswer,  // to a request of ours, if there is one
  kFlush,   // of the extension
  kAtomicWrite,
  kExtensionAnswer,
  kTerminate,
  kFrame,  // any header and payload; length and checksum are right
  kBytes,  // anything
  kHello,
  kImmediate,
  kPostReceive,
  kPost,  // an operation of ours
  kPoll,
  kHold,  // the other side reads, or does not
  kDeliver,
  kDisconnect,
  kRevoke,      // the bound region
  kReceiveAll,  // many receives at once
  kCount,
};

/** What is wrong with a frame, one bit each. */
struct Flaws {
  static constexpr std::uint8_t kNotLast = 1;
  static constexpr std::uint8_t kChecksum = 2;
  static constexpr std::uint8_t kByte = 4;     // one byte of it is another
  static constexpr std::uint8_t kOrder = 8;    // sequence number or offset of the message
  static constexpr std::uint8_t kLength = 16;  // of the frame
  static constexpr std::uint8_t kKey = 32;
  static constexpr std::uint8_t kGoesOn = 64;    // where the message before ended: no flaw
  static constexpr std::uint8_t kDeliver = 128;  // at once: no flaw, either
};

class FuzzScript {
 public:
  FuzzScript(FuzzConnection& connection, bool crc, std::size_t cut)
      : connection_(connection), peer_(connection.peer()), crc_(crc), cut_(cut) {}

  /** Of all words, or of a target's own. */
  void run(FuzzInput& input, std::span<const Word> words = {}) {
    for (std::size_t step = 0; step < kScriptStepsMax && !input.empty(); ++step) {
      const std::size_t count =
          words.empty() ? static_cast<std::size_t>(Word::kCount) : words.size();
      const std::size_t chosen = input.below(count);
      say(words.empty() ? static_cast<Word>(chosen) : words[chosen], input);
    }
    connection_.deliver(cut_);
  }

  /** The first frame of an initiator of our kind. */
  void hello(std::uint16_t capabilities, std::uint8_t version) {
    iwarp::Hello hello;
    hello.capabilities = capabilities;
    std::array<std::byte, iwarp::kHelloFrameBytes> frame;
    static_cast<void>(iwarp::encode_hello(frame, hello, false));
    frame[8] = std::byte{version};
    send(std::span(frame).first(iwarp::kTaggedHeaderBytes), {}, 0, nullptr);
  }

 private:
  using Header = std::vector<std::byte>;

  void say(Word word, FuzzInput& input) {
    switch (word) {
      case Word::kWrite:
        return write(input);
      case Word::kReadRequest:
        return read_request(input);
      case Word::kSend:
        return send_message(input);
      case Word::kAnswer:
        return answer(input);
      case Word::kFlush:
        return extension_request(input, iwarp::ExtensionSub::Flush);
      case Word::kAtomicWrite:
        return extension_request(input, iwarp::ExtensionSub::AtomicWrite);
      case Word::kExtensionAnswer:
        return extension_answer(input);
      case Word::kTerminate:
        return terminate(input);
      case Word::kFrame:
        return frame(input);
      case Word::kBytes:
        peer_.queue(input.take(input.u8()));
        return;
      case Word::kHello: {
        const std::uint16_t capabilities = input.u16();
        return hello(capabilities, input.u8());
      }
      case Word::kImmediate:
        return immediate(input);
      default:
        return act(word, input);
    }
  }

  /** What our own program does. */
  void act(Word word, FuzzInput& input) {
    switch (word) {
      case Word::kPostReceive: {
        const std::size_t offset = std::size_t{input.u8()} * 32;
        return connection_.post_receive(offset, length(input));
      }
      case Word::kPost:
        return post(input);
      case Word::kPoll:
        return connection_.poll();
      case Word::kHold:
        return connection_.hold((input.u8() & 1) != 0);
      case Word::kDisconnect:
        connection_.deliver(cut_);
        connection_.queue_pair().disconnect(60'000);
        return;
      case Word::kRevoke:
        FuzzWorld::instance().area(Grant::kBound).region->revoke([] {});
        return;
      case Word::kReceiveAll:
        for (std::size_t i = 0; i < 16; ++i) connection_.post_receive(i * 4096, 4096);
        return connection_.drive();
      default:
        return connection_.deliver(cut_);
    }
  }

  void post(FuzzInput& input) {
    static constexpr std::array kOperations = {abi::Operation::Write, abi::Operation::Read,
                                               abi::Operation::Send, abi::Operation::Flush,
                                               abi::Operation::AtomicWrite};
    const std::uint8_t which = input.u8();
    const abi::Operation operation = kOperations[which % kOperations.size()];
    const std::size_t offset = std::size_t{input.u8()} * 32;
    const bool read = operation == abi::Operation::Read;
    connection_.post_send(operation, read ? Grant::kLocal : Grant::kSource, offset, length(input),
                          FuzzWorld::instance().area(Grant::kAll), offset, (which & 0x80) != 0,
                          (which & 0x40) != 0);
  }

  // ---- Numbers ---------------------------------------------------------------------------------

  /** Mostly small; the upper half of the byte's values reaches what a frame can carry. */
  static std::size_t length(FuzzInput& input) {
    const std::size_t byte = input.u8();
    return byte < 128 ? byte : (byte - 127) * 510;
  }

  /** An offset into an area: near its start, its end, behind it, or where sums wrap. */
  static std::uint64_t address(FuzzInput& input, const Area& area) {
    const std::uint64_t byte = input.u8();
    const std::uint64_t base = area.region->base();
    switch (byte & 3) {
      case 0:
        return base + (byte >> 2) * 8;
      case 1:
        return base + area.length - (byte >> 2);
      case 2:
        return base + area.length + (byte >> 2);
      default:
        return (byte & 4) != 0 ? ~std::uint64_t{0} - (byte >> 3) : base - 1 - (byte >> 3);
    }
  }

  struct Target {
    std::uint32_t key = 0;
    std::uint64_t address = 0;
  };
  static Target target(FuzzInput& input, std::uint8_t flaws) {
    const Area& area = FuzzWorld::instance().area(input.u8());
    Target target;
    target.key = area.region->key() ^ ((flaws & Flaws::kKey) != 0 ? 0x100U : 0U);
    target.address = address(input, area);
    return target;
  }

  // ---- Headers ---------------------------------------------------------------------------------

  static Header tagged(iwarp::Opcode opcode, bool last, std::uint32_t key, std::uint64_t offset) {
    Header header(iwarp::kTaggedHeaderBytes);
    header[2] = std::byte{0x81} | (last ? std::byte{0x40} : std::byte{0});
    header[3] = std::byte{0x40} | static_cast<std::byte>(opcode);
    core::store_be32(header.data() + 4, key);
    core::store_be64(header.data() + 8, offset);
    return header;
  }

  Header untagged(iwarp::Opcode opcode, bool last, std::uint32_t queue, std::uint32_t offset,
                  std::uint8_t flaws, FuzzInput* input) {
    Header header(iwarp::kUntaggedHeaderBytes);
    header[2] = std::byte{0x01} | (last ? std::byte{0x40} : std::byte{0});
    header[3] = std::byte{0x40} | static_cast<std::byte>(opcode);
    core::store_be32(header.data() + 8, queue);
    std::uint32_t sequence = sequences_[queue % sequences_.size()];
    if (last) ++sequences_[queue % sequences_.size()];
    if ((flaws & Flaws::kOrder) != 0 && input != nullptr) {
      const std::uint8_t by = input->u8();
      if ((by & 1) != 0) {
        sequence += by >> 1;
      } else {
        offset += by >> 1;
      }
    }
    core::store_be32(header.data() + 12, sequence);
    core::store_be32(header.data() + 16, offset);
    return header;
  }

  /** Frames it, spoils it as the input says, and queues it. */
  void send(std::span<const std::byte> header, std::span<const std::byte> payload,
            std::uint8_t flaws, FuzzInput* input) {
    std::vector<std::byte> whole(header.begin(), header.end());
    whole.insert(whole.end(), payload.begin(), payload.end());
    if ((flaws & Flaws::kByte) != 0 && input != nullptr) {
      const std::size_t place = input->u8();
      const std::byte with{input->u8()};
      if (place < whole.size()) whole[place] ^= with;
    }
    if ((flaws & Flaws::kLength) != 0 && input != nullptr) {
      const std::size_t bytes = iwarp::kUlpduLengthBytes + input->u8();
      whole.resize(std::max(bytes, std::size_t{2}));
    }
    std::vector<std::byte> frame = fuzz_frame(whole, {}, crc_);
    if ((flaws & Flaws::kChecksum) != 0) frame.back() ^= std::byte{1};
    peer_.queue(frame);
    if ((flaws & Flaws::kDeliver) != 0) connection_.deliver(cut_);
  }

  static std::span<const std::byte> filler(std::size_t bytes) {
    static const std::vector<std::byte> bulk(iwarp::kUlpduBytesMax, std::byte{0xC3});
    return std::span(bulk).first(std::min(bytes, bulk.size()));
  }

  // ---- Frames of the other side ----------------------------------------------------------------

  void write(FuzzInput& input) {
    const std::uint8_t flaws = input.u8();
    Target where = target(input, flaws);
    if ((flaws & Flaws::kGoesOn) != 0) where = next_write_;
    const std::size_t bytes = std::min(length(input), iwarp::kTaggedPayloadBytesMax);
    const bool last = (flaws & Flaws::kNotLast) == 0;
    next_write_ = {where.key, where.address + bytes};
    send(tagged(iwarp::Opcode::kWrite, last, where.key, where.address), filler(bytes), flaws,
         &input);
  }

  void read_request(FuzzInput& input) {
    const std::uint8_t flaws = input.u8();
    const Target source = target(input, flaws);
    iwarp::ReadRequest request;
    request.sink_stag = 1;
    request.sink_offset = (flaws & Flaws::kGoesOn) != 0 ? ~std::uint64_t{0} - input.u8() : 0;
    request.length_bytes = static_cast<std::uint32_t>(length(input));
    request.source_stag = source.key;
    request.source_offset = source.address;
    std::array<std::byte, iwarp::kReadRequestFrameBytes> whole;
    static_cast<void>(iwarp::encode_read_request(whole, 1, request));
    const bool last = (flaws & Flaws::kNotLast) == 0;
    send(untagged(iwarp::Opcode::kReadRequest, last, iwarp::kRequestQueueNumber, 0, flaws, &input),
         std::span(whole).subspan(iwarp::kUntaggedHeaderBytes, iwarp::kReadRequestBodyBytes), flaws,
         &input);
  }

  void send_message(FuzzInput& input) {
    static constexpr std::array kKinds = {iwarp::Opcode::kSend,
                                          iwarp::Opcode::kSend,
                                          iwarp::Opcode::kSendSolicited,
                                          iwarp::Opcode::kSendInvalidate,
                                          iwarp::Opcode::kSendSolicitedInvalidate,
                                          iwarp::Opcode::kExtension};
    const std::uint8_t flaws = input.u8();
    const iwarp::Opcode opcode = kKinds[input.below(kKinds.size())];
    const std::size_t bytes = std::min(length(input), iwarp::kUntaggedPayloadBytesMax);
    const bool last = (flaws & Flaws::kNotLast) == 0;
    const auto header =
        untagged(opcode, last, iwarp::kSendQueueNumber, message_offset_, flaws, &input);
    std::vector<std::byte> payload(filler(bytes).begin(), filler(bytes).end());
    if (opcode == iwarp::Opcode::kExtension && message_offset_ == 0 && bytes >= 8) {
      static_cast<void>(iwarp::encode_send_immediate(payload, {}));
    }
    message_offset_ = last ? 0 : message_offset_ + static_cast<std::uint32_t>(bytes);
    send(header, payload, flaws, &input);
  }

  void immediate(FuzzInput& input) {
    const std::uint8_t flaws = input.u8();
    const auto opcode =
        input.u8() % 2 == 0 ? iwarp::Opcode::kImmediate : iwarp::Opcode::kImmediateSolicited;
    send(
        untagged(opcode, (flaws & Flaws::kNotLast) == 0, iwarp::kSendQueueNumber, 0, flaws, &input),
        filler(iwarp::kImmediateBodyBytes), flaws, &input);
  }

  /** The next piece of the response that our oldest Read waits for. */
  void answer(FuzzInput& input) {
    connection_.drive();
    const std::uint8_t flaws = input.u8();
    const std::size_t bytes = std::min(length(input), iwarp::kTaggedPayloadBytesMax);
    SeenRequest request;
    if (!peer_.requests().empty()) request = peer_.requests().front();
    const std::size_t left = request.length - std::min<std::size_t>(answered_, request.length);
    // An answer is as long as what is left of it, unless it shall not be the last piece.
    bool last = (flaws & Flaws::kNotLast) == 0;
    const std::size_t piece = last && (flaws & Flaws::kOrder) == 0 ? left : bytes;
    const std::size_t sent = std::min(piece, iwarp::kTaggedPayloadBytesMax & ~std::size_t{3});
    last = last && sent == piece;
    const std::uint32_t key = request.sink ^ ((flaws & Flaws::kKey) != 0 ? 1U : 0U);
    send(tagged(iwarp::Opcode::kReadResponse, last, key, request.offset + answered_), filler(sent),
         flaws, &input);
    answered_ += sent;
    if (last) {
      answered_ = 0;
      if (!peer_.requests().empty()) peer_.requests().pop_front();
    }
  }

  void extension_request(FuzzInput& input, iwarp::ExtensionSub sub) {
    const std::uint8_t flaws = input.u8();
    const Target where = target(input, flaws);
    const bool flush = sub == iwarp::ExtensionSub::Flush;
    iwarp::ExtensionRequest request;
    request.sub = sub;
    request.type = flush ? static_cast<std::uint8_t>(input.u8() % 3) : std::uint8_t{0};
    request.id = ++ids_;
    request.stag = where.key;
    request.tagged_offset = where.address;
    request.length_bytes = flush ? length(input) : 8;
    if (flush && (flaws & Flaws::kGoesOn) != 0) request.length_bytes = ~request.length_bytes;
    std::array<std::byte, iwarp::kAtomicWriteFrameBytes> whole;
    const std::size_t size = iwarp::encode_extension_request(whole, 1, request);
    expect(size > 0, "a request that cannot be encoded");
    send(untagged(iwarp::Opcode::kExtension, (flaws & Flaws::kNotLast) == 0,
                  iwarp::kRequestQueueNumber, 0, flaws, &input),
         std::span(whole).first(size).subspan(iwarp::kUntaggedHeaderBytes), flaws, &input);
  }

  void extension_answer(FuzzInput& input) {
    connection_.drive();
    const std::uint8_t flaws = input.u8();
    const std::uint8_t kind = input.u8();
    SeenRequest request;
    if (!peer_.requests().empty()) {
      request = peer_.requests().front();
      peer_.requests().pop_front();
    }
    const bool atomic = (request.sub == iwarp::ExtensionSub::AtomicWrite) != ((kind & 1) != 0);
    iwarp::ExtensionAnswer answer;
    answer.sub = atomic ? iwarp::ExtensionSub::AtomicWriteAnswer : iwarp::ExtensionSub::FlushAnswer;
    answer.id = request.id ^ ((flaws & Flaws::kKey) != 0 ? 1U : 0U);
    answer.status = static_cast<std::uint8_t>(kind >> 1 & 7);
    answer.durability = static_cast<std::uint8_t>(kind >> 4 & 7);
    answer.error_number = kind;
    std::array<std::byte, iwarp::kAnswerFrameBytes> whole;
    static_cast<void>(iwarp::encode_extension_answer(whole, 1, answer));
    send(untagged(iwarp::Opcode::kExtension, (flaws & Flaws::kNotLast) == 0,
                  iwarp::kAnswerQueueNumber, 0, flaws, &input),
         std::span(whole).subspan(iwarp::kUntaggedHeaderBytes, iwarp::kAnswerBodyBytes), flaws,
         &input);
  }

  void terminate(FuzzInput& input) {
    const std::uint8_t flaws = input.u8();
    const auto body = input.take(input.below(52));
    send(untagged(iwarp::Opcode::kTerminate, (flaws & Flaws::kNotLast) == 0,
                  iwarp::kTerminateQueueNumber, 0, flaws, &input),
         body, flaws, &input);
  }

  /** Anything with a right length and checksum, its tag one of ours if the input says so. */
  void frame(FuzzInput& input) {
    const std::uint8_t flaws = input.u8();
    const std::size_t area = input.u8();
    const std::uint8_t bytes = input.u8();
    const auto body = input.take(bytes);
    Header whole(iwarp::kUlpduLengthBytes);
    whole.insert(whole.end(), body.begin(), body.end());
    const bool is_tagged =
        whole.size() >= iwarp::kTaggedHeaderBytes && (whole[2] & std::byte{0x80}) != std::byte{0};
    if (is_tagged && (flaws & Flaws::kKey) != 0) {
      const memory::Region& region = *FuzzWorld::instance().area(area).region;
      core::store_be32(whole.data() + 4, region.key());
      core::store_be64(whole.data() + 8, region.base());
    }
    send(whole, {}, flaws, &input);
  }

  FuzzConnection& connection_;
  FuzzPeer& peer_;
  const bool crc_;
  const std::size_t cut_;
  std::array<std::uint32_t, iwarp::kQueueCount> sequences_{1, 1, 1, 1};
  std::uint32_t message_offset_ = 0;
  std::uint32_t ids_ = 0;
  std::size_t answered_ = 0;
  Target next_write_;
};

}  // namespace rpma::test
