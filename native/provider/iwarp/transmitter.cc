// SPDX-License-Identifier: BSD-3-Clause
//
// See transmitter.h.
#include "provider/iwarp/transmitter.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/assert.h"
#include "core/fault_points.h"
#include "memory/guarded_copy.h"
#include "provider/iwarp/crc32c.h"
#include "provider/iwarp/extension.h"
#include "provider/iwarp/rdmap.h"

namespace rpma::iwarp {
namespace {

std::span<const std::byte> bytes_of(const std::array<std::uint8_t, 8>& value) {
  return std::as_bytes(std::span(value));
}

}  // namespace

void Transmitter::configure(bool crc, std::uint32_t frame_bytes_max, InboundRequests* inbound) {
  crc_ = crc;
  inbound_ = inbound;
  tagged_max_ = tagged_payload_bytes_max(frame_bytes_max);
  untagged_max_ = untagged_payload_bytes_max(frame_bytes_max);
}

void Transmitter::queue_hello(const Hello& hello) {
  RPMA_ASSERT(idle());
  Frame& out = frame(0);
  out.head_bytes = static_cast<std::uint32_t>(encode_hello(out.head, hello, crc_));
  out.payload_bytes = out.tail_bytes = 0;
  out.source = nullptr;
  out.owner = Kind::Control;
  out.last = true;
  count_ = 1;
}

Transmitter::Outcome Transmitter::run(int fd, std::uint64_t budget_bytes) {
  std::uint64_t sent = 0;
  for (;;) {
    while (count_ < kWindow && has_room() && build()) {
    }
    if (broken()) return Outcome::Failed;
    if (count_ == 0) {
      stage_.give_back();
      return Outcome::Idle;
    }
    if (sent >= budget_bytes) return Outcome::Budget;
    std::array<iovec, 3 * kWindow> pieces;
    std::size_t used = 0;
    std::uint64_t planned = 0;
    std::size_t skip = sent_;
    const auto add = [&](const std::byte* data, std::size_t size) {
      const std::size_t skipped = std::min(skip, size);
      skip -= skipped;
      if (size == skipped) return;
      pieces[used].iov_base = const_cast<std::byte*>(data + skipped);
      pieces[used++].iov_len = size - skipped;
    };
    for (std::size_t i = 0; i < count_ && sent + planned < budget_bytes; ++i) {
      Frame& next = frame(i);
      planned += next.size();
      add(next.head.data(), next.head_bytes);
      add(next.payload, next.payload_bytes);
      add(next.tail.data(), next.tail_bytes);
    }
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = used;
    const core::FaultAction fault = RPMA_FAULT_POINT("iwarp.sendmsg");
    const ssize_t written =
        fault.fail ? (errno = fault.err, -1) : ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (written < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return Outcome::Blocked;
      failure_.error = errno;
      failure_.local = errno == EFAULT;
      if (failure_.local) poison_gone();
      return Outcome::Failed;
    }
    sent += static_cast<std::uint64_t>(written);
    counts_.add(provider::Statistic::BytesSent, static_cast<std::uint64_t>(written));
    consume(static_cast<std::size_t>(written));
    if (failure_.answer) return Outcome::Failed;
  }
}

/** TCP met memory that is gone: whose it was nobody shall use any more. */
void Transmitter::poison_gone() {
  constexpr std::size_t kPageBytes = 4096;
  for (std::size_t i = 0; i < count_; ++i) {
    Frame& unsent = frame(i);
    if (unsent.source == nullptr) continue;
    const bool there = memory::guarded_call([&unsent] {
      for (std::size_t at = 0; at < unsent.payload_bytes; at += kPageBytes) {
        static_cast<void>(*const_cast<const volatile std::byte*>(unsent.payload + at));
      }
      static_cast<void>(
          *const_cast<const volatile std::byte*>(unsent.payload + unsent.payload_bytes - 1));
    });
    if (!there) unsent.source->poison();
  }
}

void Transmitter::consume(std::size_t bytes) {
  sent_ += bytes;
  while (count_ > 0 && sent_ >= frame(0).size()) {
    Frame& done = frame(0);
    sent_ -= done.size();
    counts_.add(provider::Statistic::FramesSent);
    frame_sent(done);
    first_ = (first_ + 1) % kWindow;
    --count_;
  }
}

void Transmitter::frame_sent(const Frame& done) {
  if (!done.last) return;
  if (done.owner == Kind::Send) sends_.sent(done.sequence);
  if (done.owner == Kind::Answer && inbound_->answered()) failure_.answer = true;
}

// Answers go first, because others wait for them, but not for ever.
bool Transmitter::choose() {
  const bool prefer_sends = answers_in_row_ >= kAnswersInRow;
  for (int attempt = 0; attempt < 2; ++attempt) {
    const bool answers = (attempt == 0) != prefer_sends;
    if (answers) {
      if (InboundRequest* answer = inbound_->begin_answer()) {
        ++answers_in_row_;
        current_ = Message{};
        current_.kind = Kind::Answer;
        current_.answer = answer;
        if (answer->kind != InboundRequest::Kind::Read) current_.sequence = answer_sequence_++;
        return true;
      }
    } else if (SendSlot* slot = sends_.take()) {
      answers_in_row_ = 0;
      current_ = Message{};
      current_.kind = Kind::Send;
      current_.slot = slot;
      if (slot->request.carrier == abi::Operation::Send || slot->request.with_immediate) {
        current_.sequence = send_sequence_++;
      } else if (slot->answered()) {
        current_.sequence = request_sequence_++;
      }
      return true;
    }
  }
  answers_in_row_ = 0;
  return false;
}

/** Whether the largest payload could still be staged, or in a small stage a good part of one. */
bool Transmitter::has_room() {
  if (count_ == 0) staged_ = 0;
  if (!crc_ || !stage_) return true;
  return stage_.size() - staged_ >=
         std::min(stage_.size() / 4, std::max(tagged_max_, untagged_max_));
}

/** How much of a payload the next frame takes: what the other side does, and the stage. */
std::size_t Transmitter::cut(std::uint64_t left, std::size_t payload_max) {
  const auto bytes = static_cast<std::size_t>(std::min<std::uint64_t>(left, payload_max));
  if (!crc_ || bytes <= kInlinePayload) return bytes;
  if (!stage_) {
    stage_ = pool_.borrow(abi::kStagingSendBytesLeast);
    staged_ = 0;
    if (!stage_) return bytes;  // no memory: finish() says so
  }
  // Whoever is not the last of its message stays a multiple of 4, so that no pad splits a message.
  return std::min(bytes, (stage_.size() - staged_) & ~std::size_t{3});
}

/** Builds the next frame into the window; false when there is nothing (or the source is gone). */
bool Transmitter::build() {
  if (broken()) return false;
  if (current_.kind == Kind::None && !choose()) return false;
  Frame& out = frame(count_);
  out.owner = current_.kind;
  out.sequence = current_.slot != nullptr ? current_.slot->sequence : 0;
  const bool built = current_.kind == Kind::Send ? build_send(out) : build_answer(out);
  if (!built && broken()) return false;
  if (!built) {
    // The source is a file mapping that was cut short: nobody shall use it any more.
    if (current_.slot != nullptr && current_.slot->use) current_.slot->use->poison();
    if (current_.answer != nullptr && current_.answer->use) current_.answer->use->poison();
    failure_.local = true;
    return false;
  }
  ++count_;
  if (out.last) current_ = Message{};
  return true;
}

bool Transmitter::build_send(Frame& out) {
  const provider::WorkRequest& request = current_.slot->request;
  if (request.carrier == abi::Operation::Write) {
    return current_.written ? build_immediate(out) : build_write(out);
  }
  return request.carrier == abi::Operation::Send ? build_message(out) : build_request(out);
}

bool Transmitter::build_message(Frame& out) {
  const provider::WorkRequest& request = current_.slot->request;
  // The value stands in front of the message: its first segment carries it, and offsets count it.
  const std::size_t in_front = request.with_immediate ? kSendImmediateHeaderBytes : 0;
  const std::size_t carried = current_.offset == 0 ? in_front : 0;
  const std::uint64_t left = request.length - current_.offset;
  const std::size_t bytes = cut(left, untagged_max_ - carried);
  UntaggedHeader header;
  header.opcode = request.with_immediate ? Opcode::kExtension : Opcode::kSend;
  header.last = out.last = bytes == left;
  header.sequence = current_.sequence;
  if (current_.offset != 0) {
    header.message_offset = static_cast<std::uint32_t>(current_.offset + in_front);
  }
  std::size_t head = encode_untagged_header(out.head, header, carried + bytes);
  if (head != 0 && carried != 0) {
    head += encode_send_immediate(std::span(out.head).subspan(head), {.value = request.immediate});
  }
  out.head_bytes = static_cast<std::uint32_t>(head);
  const std::byte* payload = bytes == 0 ? nullptr : current_.slot->memory() + current_.offset;
  current_.offset += bytes;
  return finish(out, payload, bytes, request.local.get());
}

bool Transmitter::build_write(Frame& out) {
  const provider::WorkRequest& request = current_.slot->request;
  const std::uint64_t left = request.length - current_.offset;
  const std::size_t bytes = cut(left, tagged_max_);
  TaggedHeader header;
  header.opcode = Opcode::kWrite;
  header.last = bytes == left;
  out.last = header.last && !request.with_immediate;
  current_.written = header.last;
  header.stag = request.remote_key;
  header.tagged_offset = request.remote_address + current_.offset;
  out.head_bytes = static_cast<std::uint32_t>(encode_tagged_header(out.head, header, bytes));
  const std::byte* payload = nullptr;
  if (request.inline_value) {
    payload = bytes_of(request.value).data();
  } else if (bytes != 0) {
    payload = current_.slot->memory() + current_.offset;
  }
  current_.offset += bytes;
  return finish(out, payload, bytes, request.local.get());
}

/** Behind its Write, with nothing between: one message is finished before the next begins. */
bool Transmitter::build_immediate(Frame& out) {
  out.last = true;
  out.head_bytes = static_cast<std::uint32_t>(
      encode_immediate(out.head, current_.sequence, current_.slot->request.immediate));
  return finish(out, nullptr, 0, nullptr);
}

/** A Read Request, or a flush or atomic write of the extension: one frame without payload. */
bool Transmitter::build_request(Frame& out) {
  const SendSlot& slot = *current_.slot;
  const provider::WorkRequest& request = slot.request;
  out.last = true;
  std::size_t bytes = 0;
  if (request.carrier == abi::Operation::Read) {
    ReadRequest read;
    read.sink_stag = slot.sink_tag();
    read.length_bytes = static_cast<std::uint32_t>(request.length);
    read.source_stag = request.remote_key;
    read.source_offset = request.remote_address;
    bytes = encode_read_request(out.head, current_.sequence, read);
  } else {
    ExtensionRequest extension;
    extension.id = slot.wire_id();
    extension.stag = request.remote_key;
    extension.tagged_offset = request.remote_address;
    extension.length_bytes = request.length;
    if (request.carrier == abi::Operation::AtomicWrite) {
      extension.sub = ExtensionSub::AtomicWrite;
      std::memcpy(extension.data.data(), request.value.data(), request.value.size());
    } else {
      extension.sub = ExtensionSub::Flush;
      extension.type = static_cast<std::uint8_t>(request.flush_type);
    }
    bytes = encode_extension_request(out.head, current_.sequence, extension);
  }
  out.head_bytes = static_cast<std::uint32_t>(bytes);
  return finish(out, nullptr, 0, nullptr);
}

bool Transmitter::build_answer(Frame& out) {
  const InboundRequest& request = *current_.answer;
  if (request.kind == InboundRequest::Kind::Read) return build_read_response(out);
  ExtensionAnswer answer;
  answer.sub = request.kind == InboundRequest::Kind::Flush ? ExtensionSub::FlushAnswer
                                                           : ExtensionSub::AtomicWriteAnswer;
  answer.status = static_cast<std::uint8_t>(request.status);
  answer.durability = static_cast<std::uint8_t>(request.durability);
  answer.id = request.id;
  answer.error_number = static_cast<std::uint32_t>(request.error);
  out.last = true;
  out.head_bytes =
      static_cast<std::uint32_t>(encode_extension_answer(out.head, current_.sequence, answer));
  return finish(out, nullptr, 0, nullptr);
}

bool Transmitter::build_read_response(Frame& out) {
  const InboundRequest& request = *current_.answer;
  // A persist that failed before a plain peer's Read: there is no answer that could say so.
  if (request.status != abi::ExtensionStatus::Success) {
    failure_.persist = true;
    failure_.error = request.error;
    return false;
  }
  const std::uint64_t left = request.length - current_.offset;
  const std::size_t bytes = cut(left, tagged_max_);
  TaggedHeader header;
  header.opcode = Opcode::kReadResponse;
  header.last = out.last = bytes == left;
  header.stag = request.sink_stag;
  header.tagged_offset = request.sink_offset + current_.offset;
  out.head_bytes = static_cast<std::uint32_t>(encode_tagged_header(out.head, header, bytes));
  const std::byte* payload = bytes == 0 ? nullptr : request.data + current_.offset;
  current_.offset += bytes;
  return finish(out, payload, bytes, request.use.region().get());
}

/** Payload, pad and CRC behind the header that stands in out.head; false when the source is gone.
 */
bool Transmitter::finish(Frame& out, const std::byte* payload, std::size_t bytes,
                         memory::Region* source) {
  const bool guarded = source != nullptr && source->guarded();
  out.source = guarded && !crc_ ? source : nullptr;
  const std::size_t header = out.head_bytes;
  if (header == 0) {
    failure_.defect = true;  // the encoder refused it; the process must not pay for it
    return false;
  }
  const std::size_t ulpdu = header - kUlpduLengthBytes + bytes;
  std::uint32_t state = kCrc32cBegin;
  if (bytes <= kInlinePayload) {
    if (!memory::copy_bytes(out.head.data() + header, payload, bytes, guarded)) return false;
    if (crc_) state = crc32c(state, out.head.data(), header + bytes);
    const std::span<std::byte> room = std::span(out.head).subspan(header + bytes);
    const std::size_t tail =
        crc_ ? encode_trailer(room, ulpdu, state) : encode_trailer_without_crc(room, ulpdu);
    out.head_bytes = static_cast<std::uint32_t>(header + bytes + tail);
    out.payload = nullptr;
    out.source = nullptr;
    out.payload_bytes = out.tail_bytes = 0;
    return true;
  }
  if (crc_) {
    if (!stage_) {
      failure_.memory = true;
      failure_.error = ENOMEM;
      return false;
    }
    RPMA_ASSERT(stage_.size() - staged_ >= bytes);
    std::byte* const copy = stage_.get() + staged_;
    state = crc32c(state, out.head.data(), header);
    const auto sum = [&] { state = crc32c_copy(state, copy, payload, bytes); };
    if (!guarded) {
      sum();
    } else if (!memory::guarded_call(sum)) {
      return false;
    }
    staged_ += bytes;
    payload = copy;
  }
  out.payload = payload;
  out.payload_bytes = static_cast<std::uint32_t>(bytes);
  out.tail_bytes = static_cast<std::uint32_t>(crc_ ? encode_trailer(out.tail, ulpdu, state)
                                                   : encode_trailer_without_crc(out.tail, ulpdu));
  return true;
}

std::vector<std::byte> Transmitter::rest_of_frame() const {
  std::vector<std::byte> rest;
  if (count_ == 0 || sent_ == 0) return rest;
  const Frame& cut = window_[first_];
  rest.insert(rest.end(), cut.head.begin(), cut.head.begin() + cut.head_bytes);
  if (cut.payload_bytes > 0) {
    const std::size_t at = rest.size();
    rest.resize(at + cut.payload_bytes);
    if (!memory::guarded_copy(rest.data() + at, cut.payload, cut.payload_bytes)) return {};
  }
  rest.insert(rest.end(), cut.tail.begin(), cut.tail.begin() + cut.tail_bytes);
  rest.erase(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(sent_));
  return rest;
}

std::vector<std::byte> terminate_frame(Cause cause, std::span<const std::byte> fault, bool crc) {
  std::vector<std::byte> out(kTerminateFrameBytesMax);
  const std::size_t bytes = encode_terminate(out, cause, fault);
  if (bytes == 0) return {};
  const std::size_t ulpdu = bytes - kUlpduLengthBytes;
  const std::span<std::byte> room = std::span(out).subspan(bytes);
  const std::size_t tail =
      crc ? encode_trailer(room, ulpdu, crc32c(kCrc32cBegin, out.data(), bytes))
          : encode_trailer_without_crc(room, ulpdu);
  out.resize(bytes + tail);
  return out;
}

}  // namespace rpma::iwarp
