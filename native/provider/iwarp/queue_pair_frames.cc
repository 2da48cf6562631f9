// SPDX-License-Identifier: BSD-3-Clause
//
// See queue_pair.h. What a received frame means. Every length, key, offset and state is checked
// before the first byte is placed; sequence and interleaving were checked by the receiver. The
// driver's lock is held.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "memory/guarded_copy.h"
#include "provider/iwarp/extension.h"
#include "provider/iwarp/log.h"
#include "provider/iwarp/mpa.h"
#include "provider/iwarp/queue_pair.h"
#include "provider/iwarp/rdmap.h"

namespace rpma::iwarp {
namespace {

Cause tagged_cause(memory::AccessError error) {
  switch (error) {
    case memory::AccessError::Domain:
      return Cause::kTaggedStream;
    case memory::AccessError::Wrap:
      return Cause::kTaggedWrap;
    case memory::AccessError::Bounds:
      return Cause::kTaggedBounds;
    default:
      // DDP has no code for missing rights; an invalid tag is what others send, too.
      return Cause::kTaggedInvalidStag;
  }
}

Cause remote_cause(memory::AccessError error) {
  switch (error) {
    case memory::AccessError::Domain:
      return Cause::kRemoteStream;
    case memory::AccessError::Rights:
      return Cause::kRemoteAccess;
    case memory::AccessError::Wrap:
      return Cause::kRemoteWrap;
    case memory::AccessError::Bounds:
      return Cause::kRemoteBounds;
    default:
      return Cause::kRemoteInvalidStag;
  }
}

abi::CompletionStatus status_of_answer(std::uint8_t status) {
  switch (static_cast<ExtensionStatus>(status)) {
    case ExtensionStatus::Success:
      return abi::CompletionStatus::Success;
    case ExtensionStatus::RemoteAccess:
      return abi::CompletionStatus::RemoteAccess;
    case ExtensionStatus::RemoteInvalid:
      return abi::CompletionStatus::RemoteInvalid;
    default:
      return abi::CompletionStatus::RemoteOperation;
  }
}

bool is_answer(const Segment& segment) {
  return segment.opcode == Opcode::kReadResponse ||
         (segment.opcode == Opcode::kExtension && segment.queue == kAnswerQueueNumber);
}

std::span<const std::byte> payload_of(const Segment& segment, std::span<const std::byte> fpdu) {
  return fpdu.subspan(segment.header_bytes, segment.payload_bytes);
}

}  // namespace

bool takes_receive(const Segment& segment) {
  return !segment.tagged && segment.queue == kSendQueueNumber;
}

bool is_protection(Cause cause) { return cause_layer(cause) <= 1 && cause_type(cause) == 1; }

abi::CompletionStatus status_of_cause(Cause cause) {
  switch (cause) {
    case Cause::kUntaggedNoBuffer:
      return abi::CompletionStatus::RnrRetry;
    case Cause::kOperationStream:
    case Cause::kOperationGlobal:
    case Cause::kRdmapLocal:
    case Cause::kDdpLocal:
      return abi::CompletionStatus::RemoteOperation;
    default:
      break;
  }
  if (is_protection(cause)) return abi::CompletionStatus::RemoteAccess;
  if (cause_layer(cause) == 2) return abi::CompletionStatus::Provider;
  return abi::CompletionStatus::RemoteInvalid;
}

Verdict QueuePair::on_frame(const Segment& segment, std::span<const std::byte> fpdu) {
  if (ending_.load()) return Verdict::stall();
  if (first_frame_due_) {
    const Verdict verdict = first_frame(segment, fpdu);
    // A hello has the form of an empty Write, and is none.
    if (verdict.kind != Verdict::Kind::Taken || extension_) return verdict;
  }
  if (segment.opcode == Opcode::kTerminate) return terminated(payload_of(segment, fpdu));
  if (segment.opcode == Opcode::kReadResponse) {
    return read_response(segment, payload_of(segment, fpdu));
  }
  if (is_answer(segment)) return extension_answer(segment, payload_of(segment, fpdu));
  // Requests keep their order: behind a parked one everything else is parked.
  if (!parked_.empty()) return park(segment, fpdu);
  const Verdict verdict = request_frame(segment, fpdu);
  return verdict.kind == Verdict::Kind::Stall ? park(segment, fpdu) : verdict;
}

/** The responder's first frame: a hello makes the connection extended, anything else leaves it
 * plain. */
Verdict QueuePair::first_frame(const Segment& segment, std::span<const std::byte> fpdu) {
  first_frame_due_ = false;
  const std::optional<Hello> hello = negotiated_.offered ? decode_hello(segment) : std::nullopt;
  if (hello) {
    negotiated_.capabilities = hello->capabilities;
    negotiated_.large_frames = true;
    extension_ = true;
    const bool crc = (hello->capabilities & offered_capabilities(config_) & kCapabilityCrc) != 0;
    if (crc && !negotiated_.crc) {
      negotiated_.crc = true;  // for our Terminate, too
      if (!fpdu_is_intact(fpdu)) {
        counts_->add(provider::Statistic::ChecksumErrors);
        return Verdict::fail(Cause::kMpaCrc);
      }
    }
  }
  become_established();
  return ending_.load() ? Verdict::stall() : Verdict::taken();
}

/** A request of the other side; Stall when it must wait for a receive. */
Verdict QueuePair::request_frame(const Segment& segment, std::span<const std::byte> fpdu) {
  const std::span<const std::byte> payload = payload_of(segment, fpdu);
  const bool write = segment.opcode == Opcode::kWrite;
  const Verdict verdict = write ? write_frame(segment, payload) : other_frame(segment, payload);
  if (verdict.kind != Verdict::Kind::Taken) return verdict;
  if (write) {
    count_write(segment);
  } else if (!write_open_) {
    write_bytes_ = 0;  // what comes now does not follow it
  }
  return verdict;
}

Verdict QueuePair::other_frame(const Segment& segment, std::span<const std::byte> payload) {
  switch (segment.opcode) {
    case Opcode::kReadRequest:
      return read_request(segment, payload);
    case Opcode::kSend:
    case Opcode::kSendSolicited:
      return place_message(segment.message_offset, payload, segment.last, std::nullopt);
    case Opcode::kImmediate:
    case Opcode::kImmediateSolicited:
      return immediate_frame(segment, payload);
    case Opcode::kSendInvalidate:
    case Opcode::kSendSolicitedInvalidate:
      return Verdict::fail(Cause::kRemoteInvalidate);  // no region of ours allows it
    case Opcode::kExtension:
      return segment.queue == kRequestQueueNumber ? extension_request(segment, payload)
                                                  : send_immediate_frame(segment, payload);
    default:
      return Verdict::fail(Cause::kOperationOpcode);
  }
}

/** Keeps a request for later, within the space of a connection; beyond it the socket is not read.
 */
Verdict QueuePair::park(const Segment& segment, std::span<const std::byte> fpdu) {
  const bool message = takes_receive(segment) && segment.last;
  const bool full = parked_bytes_ + fpdu.size() > abi::kParkedBytes ||
                    (message && parked_messages_ >= abi::kParkedMessages);
  if (!full) {
    parked_.emplace_back(fpdu.begin(), fpdu.end());
    parked_bytes_ += fpdu.size();
    if (message) {
      ++parked_messages_;
      counts_->add(provider::Statistic::MessagesParked);
    }
  }
  if (!has_parked_.exchange(true)) restart_parked_timer();
  // A receive posted before the flag could be seen did not ask for service: look once more.
  if (!receives_.empty()) serve_requested_.store(true);
  return full ? Verdict::stall() : Verdict::taken();
}

// ---- Writes ------------------------------------------------------------------------------------

memory::RegionAccess QueuePair::write_target(const Segment& segment) {
  return context_->regions.resolve(segment.stag, segment.tagged_offset, segment.payload_bytes,
                                   abi::kMemoryUsageWriteDestination, context_->domain, number_);
}

Verdict QueuePair::write_frame(const Segment& segment, std::span<const std::byte> payload) {
  // STag and TO of an empty Write must not be checked (RFC 5041).
  if (payload.empty()) return Verdict::taken();
  const memory::RegionAccess access = write_target(segment);
  if (access.error != memory::AccessError::Ok) return Verdict::fail(tagged_cause(access.error));
  if (!memory::copy_bytes(access.data, payload.data(), payload.size(), access.use->guarded())) {
    access.use->poison();
    return Verdict::fail(Cause::kDdpLocal);
  }
  note_dirty(access.use.region(), segment.tagged_offset, payload.size());
  return Verdict::taken();
}

/** The Immediate Data behind a Write tells how many bytes it had. */
void QueuePair::count_write(const Segment& segment) {
  if (!write_open_) write_bytes_ = 0;
  write_bytes_ += segment.payload_bytes;
  write_open_ = !segment.last;
  if (segment.last) counts_->add(provider::Statistic::WritesServed);
}

/** What a plain peer wrote, for the Read that is its flush (PeerOptions.directWriteToPmem). */
void QueuePair::note_dirty(const std::shared_ptr<memory::Region>& region, std::uint64_t address,
                           std::uint64_t length) {
  if (extension_ || !context_->direct_write_to_pmem || !region->persist_target()) return;
  const std::uint64_t begin = region->persist_offset() + region->offset_of(address);
  for (DirtyRange& known : dirty_) {
    if (known.region.lock() != region) continue;
    const std::uint64_t end = std::max(known.offset + known.length, begin + length);
    known.offset = std::min(known.offset, begin);
    known.length = end - known.offset;
    return;
  }
  std::erase_if(dirty_, [](const DirtyRange& known) { return known.region.expired(); });
  dirty_.push_back({region, begin, length});
}

/** The Read waits until all of it is persisted; a region that was closed meanwhile is no concern.
 */
void QueuePair::take_dirty(InboundRequest& request) {
  for (const DirtyRange& dirty : std::exchange(dirty_, {})) {
    const std::shared_ptr<memory::Region> region = dirty.region.lock();
    if (!region) continue;
    memory::RegionUse use = region->acquire();
    if (!use) continue;
    request.persist.push_back({region->persist_target(), dirty.offset, dirty.length,
                               std::make_shared<memory::RegionUse>(std::move(use))});
  }
}

DirectTarget QueuePair::direct_target(const Segment& segment) {
  DirectTarget target;
  if (ending_.load() || first_frame_due_) return target;
  if (segment.opcode == Opcode::kReadResponse) {
    const SendSlot* slot = sends_.oldest_waiting();
    if (check_response(segment, slot) != Cause::kNone) return target;
    target.data = slot->memory() + segment.tagged_offset;
    target.region = slot->request.local;
    return target;
  }
  if (segment.opcode != Opcode::kWrite || !parked_.empty()) return target;
  memory::RegionAccess access = write_target(segment);
  if (access.error != memory::AccessError::Ok) return target;
  target.data = access.data;
  target.region = access.use.region();
  target.use = std::move(access.use);
  return target;
}

Verdict QueuePair::on_direct(const Segment& segment) {
  if (segment.opcode == Opcode::kReadResponse) {
    settle_response(segment, sends_.oldest_waiting());
    return Verdict::taken();
  }
  count_write(segment);
  if (const auto region = context_->regions.find(segment.stag)) {
    note_dirty(region, segment.tagged_offset, segment.payload_bytes);
  }
  return Verdict::taken();
}

// ---- Messages ----------------------------------------------------------------------------------

/** A piece of a message, `offset` bytes behind its beginning. */
Verdict QueuePair::place_message(std::uint64_t offset, std::span<const std::byte> bytes, bool last,
                                 std::optional<std::uint32_t> immediate) {
  if (!receives_.in_progress() && !receives_.begin()) return Verdict::stall();
  const ReceiveQueue::Receive& receive = receives_.current();
  if (offset + bytes.size() > receive.length) {
    receives_.fail(abi::CompletionStatus::Length, 0);
    return Verdict::fail(Cause::kUntaggedTooLong);
  }
  if (!bytes.empty() &&
      !memory::copy_bytes(receive.memory + offset, bytes.data(), bytes.size(), receive.guarded)) {
    receive.use->poison();
    receives_.fail(abi::CompletionStatus::LocalProtection, EFAULT);
    return Verdict::fail(Cause::kDdpLocal);
  }
  if (last) receives_.deliver({abi::Operation::Receive, offset + bytes.size(), immediate});
  return Verdict::taken();
}

/** A Send whose first segment begins with the value; message offsets count those bytes. */
Verdict QueuePair::send_immediate_frame(const Segment& segment,
                                        std::span<const std::byte> payload) {
  if ((agreed_.load() & kCapabilitySendImmediate) == 0) {
    return Verdict::fail(Cause::kOperationOpcode);
  }
  if (segment.message_offset != 0) {
    return place_message(segment.message_offset - kSendImmediateHeaderBytes, payload, segment.last,
                         send_immediate_);
  }
  const SendImmediateParse parse = decode_send_immediate(segment, payload);
  if (parse.cause != Cause::kNone) return Verdict::fail(parse.cause);
  send_immediate_ = parse.header.value;
  return place_message(0, payload.subspan(kSendImmediateHeaderBytes), segment.last,
                       send_immediate_);
}

/** Immediate Data: it takes a receive, of which it touches no byte. */
Verdict QueuePair::immediate_frame(const Segment& segment, std::span<const std::byte> payload) {
  const Cause malformed = check_immediate(segment);
  if (malformed != Cause::kNone) return Verdict::fail(malformed);
  const std::optional<std::uint32_t> value = decode_immediate(payload);
  if (!value) return Verdict::fail(Cause::kMpaFraming);
  if (!receives_.begin()) return Verdict::stall();
  receives_.deliver({abi::Operation::ReceiveWrite, write_open_ ? 0 : write_bytes_, value});
  return Verdict::taken();
}

// ---- Requests that are answered ----------------------------------------------------------------

Verdict QueuePair::read_request(const Segment& segment, std::span<const std::byte> payload) {
  const Cause malformed = check_read_request(segment);
  if (malformed != Cause::kNone) return Verdict::fail(malformed);
  const std::optional<ReadRequest> read = decode_read_request(payload);
  if (!read) return Verdict::fail(Cause::kMpaFraming);
  InboundRequest request;
  request.sink_stag = read->sink_stag;
  request.sink_offset = read->sink_offset;
  request.length = read->length_bytes;
  // The source of an empty Read must not be checked (RFC 5040).
  if (request.length > 0) {
    // Where the other side wants it is its own affair, but the answer's offsets must not wrap.
    if (request.sink_offset + (request.length - 1) < request.sink_offset) {
      return Verdict::fail(Cause::kRemoteWrap);
    }
    const std::shared_ptr<memory::Region> region = context_->regions.find(read->source_stag);
    if (!region) return Verdict::fail(Cause::kRemoteInvalidStag);
    const memory::AccessError error =
        extension_ ? region->check(read->source_offset, request.length, abi::kMemoryUsageReadSource,
                                   context_->domain, number_)
                   : region->check_plain_read(read->source_offset, request.length, context_->domain,
                                              number_);
    if (error != memory::AccessError::Ok) return Verdict::fail(remote_cause(error));
    request.use = region->acquire();
    if (!request.use) return Verdict::fail(Cause::kRemoteInvalidStag);
    request.data = region->at(read->source_offset);
  }
  take_dirty(request);
  if (!inbound_->push(std::move(request))) return Verdict::fail(Cause::kUntaggedNoBuffer);
  return Verdict::taken();
}

Verdict QueuePair::extension_request(const Segment& segment, std::span<const std::byte> payload) {
  const ExtensionRequestParse parse = decode_extension_request(segment, payload);
  if (parse.cause != Cause::kNone) return Verdict::fail(parse.cause);
  const ExtensionRequest& asked = parse.request;
  InboundRequest request;
  request.id = asked.id;
  request.length = asked.length_bytes;
  std::uint32_t need = abi::kMemoryUsageWriteDestination;
  const bool persistent = asked.type == static_cast<std::uint8_t>(ExtensionType::Persistent);
  if (asked.sub == ExtensionSub::Flush) {
    if (asked.type > static_cast<std::uint8_t>(ExtensionType::Persistent)) {
      return Verdict::fail(Cause::kOperationOther);
    }
    request.kind = InboundRequest::Kind::Flush;
    need = persistent ? abi::kMemoryUsageFlushPersistent : abi::kMemoryUsageFlushVisibility;
  } else {
    request.kind = InboundRequest::Kind::AtomicWrite;
    request.length = request.value.size();
    std::memcpy(request.value.data(), asked.data.data(), request.value.size());
    if (asked.length_bytes != request.length || asked.tagged_offset % 8 != 0) {
      return Verdict::fail(Cause::kOperationStream);
    }
  }
  memory::RegionAccess access = context_->regions.resolve(
      asked.stag, asked.tagged_offset, request.length, need, context_->domain, number_);
  if (access.error != memory::AccessError::Ok) return Verdict::fail(remote_cause(access.error));
  // The base is congruent to the address modulo the page, so an aligned offset is an aligned
  // address.
  if (request.kind == InboundRequest::Kind::Flush && persistent) {
    const std::shared_ptr<memory::Region>& region = access.use.region();
    request.durability = region->persist_target()->durability();
    if (request.length > 0) {
      // A use of its own: the persist may outlive the connection, and must not outlive the region.
      request.persist.push_back({region->persist_target(),
                                 region->persist_offset() + region->offset_of(asked.tagged_offset),
                                 request.length,
                                 std::make_shared<memory::RegionUse>(region->acquire())});
    }
  }
  request.data = access.data;
  request.use = std::move(access.use);
  if (!inbound_->push(std::move(request))) return Verdict::fail(Cause::kUntaggedNoBuffer);
  return Verdict::taken();
}

// ---- Answers to our own requests ---------------------------------------------------------------

Cause QueuePair::check_response(const Segment& segment, const SendSlot* slot) const {
  if (slot == nullptr || slot->request.carrier != abi::Operation::Read) return Cause::kDdpLocal;
  if (segment.stag != slot->sink_tag()) return Cause::kTaggedInvalidStag;
  if (segment.tagged_offset != slot->received) return Cause::kTaggedBounds;
  const std::uint64_t after = slot->received + segment.payload_bytes;
  if (after > slot->request.length) return Cause::kTaggedBounds;
  if (segment.last != (after == slot->request.length)) return Cause::kTaggedBounds;
  return Cause::kNone;
}

Verdict QueuePair::read_response(const Segment& segment, std::span<const std::byte> payload) {
  SendSlot* slot = sends_.oldest_waiting();
  const Cause cause = check_response(segment, slot);
  if (cause != Cause::kNone) return Verdict::fail(cause);
  if (!payload.empty() && !memory::copy_bytes(slot->memory() + slot->received, payload.data(),
                                              payload.size(), slot->use->guarded())) {
    slot->use->poison();
    return Verdict::fail(Cause::kDdpLocal);
  }
  settle_response(segment, slot);
  return Verdict::taken();
}

void QueuePair::settle_response(const Segment& segment, SendSlot* slot) {
  slot->received += segment.payload_bytes;
  if (segment.last) {
    sends_.answer(abi::CompletionStatus::Success, slot->request.vouched, 0);
  }
}

Verdict QueuePair::extension_answer(const Segment& segment, std::span<const std::byte> payload) {
  const ExtensionAnswerParse parse = decode_extension_answer(segment, payload);
  if (parse.cause != Cause::kNone) return Verdict::fail(parse.cause);
  const ExtensionAnswer& answer = parse.answer;
  const SendSlot* slot = sends_.oldest_waiting();
  if (slot == nullptr || answer.id != slot->wire_id()) return Verdict::fail(Cause::kOperationOther);
  const bool flush = slot->request.carrier == abi::Operation::Flush;
  const bool atomic = slot->request.carrier == abi::Operation::AtomicWrite;
  const ExtensionSub due = flush ? ExtensionSub::FlushAnswer : ExtensionSub::AtomicWriteAnswer;
  if ((!flush && !atomic) || answer.sub != due ||
      answer.durability > static_cast<std::uint8_t>(abi::Durability::Volatile)) {
    return Verdict::fail(Cause::kOperationOther);
  }
  const abi::CompletionStatus status = status_of_answer(answer.status);
  sends_.answer(status, static_cast<abi::Durability>(answer.durability),
                static_cast<int>(answer.error_number));
  if (status != abi::CompletionStatus::Success) {
    EndReason reason;
    reason.cause = lost(static_cast<int>(answer.error_number), nullptr);
    reason.cause.detail = "the target failed to carry out an operation";
    end(std::move(reason));
  }
  return Verdict::taken();
}

Verdict QueuePair::terminated(std::span<const std::byte> payload) {
  const std::optional<Terminate> terminate = decode_terminate(payload, !receiver_.passed_any());
  EndReason reason;
  reason.cause = lost(ECONNABORTED, nullptr);
  reason.cause.detail = terminate ? cause_name(terminate->cause) : "a malformed Terminate";
  reason.status = terminate ? status_of_cause(terminate->cause) : abi::CompletionStatus::Provider;
  const Cause cause = terminate ? terminate->cause : Cause::kNone;
  RPMA_LOG(Warning, "connection %u: received Terminate %u/%u/%u: %s", number_, cause_layer(cause),
           cause_type(cause), cause_code(cause), reason.cause.detail);
  end(std::move(reason));
  return Verdict::stall();
}

}  // namespace rpma::iwarp
