// SPDX-License-Identifier: BSD-3-Clause
//
// See queue_pair.h. What the program calls: posting, state, events.
#include "provider/iwarp/queue_pair.h"

#include <algorithm>
#include <bit>

#include "provider/iwarp/connector.h"
#include "provider/iwarp/extension.h"

namespace rpma::iwarp {
namespace {

// Process-wide, so that a thread may watch the sockets of several devices in one epoll set by
// number.
std::uint32_t next_number() {
  static std::atomic<std::uint32_t> last{0};
  std::uint32_t number = 0;
  while (number == 0) number = (last.fetch_add(1) + 1) & 0x00FF'FFFFU;
  return number;
}

std::shared_ptr<CompletionQueue> iwarp_queue(
    const std::shared_ptr<provider::CompletionQueue>& queue) {
  return std::static_pointer_cast<CompletionQueue>(queue);
}

std::shared_ptr<SharedReceiveQueue> iwarp_shared(const provider::QueuePairConfig& config) {
  return std::static_pointer_cast<SharedReceiveQueue>(config.shared_receive_queue);
}

/** That of the shared receive queue, of the receives, or of everything: the first there is. */
std::shared_ptr<CompletionQueue> receive_completions(const provider::QueuePairConfig& config) {
  const std::shared_ptr<SharedReceiveQueue> shared = iwarp_shared(config);
  if (shared && shared->own_completions()) return shared->own_completions();
  return iwarp_queue(config.receive_completions ? config.receive_completions
                                                : config.send_completions);
}

}  // namespace

std::uint16_t offered_capabilities(const provider::QueuePairConfig& config) {
  std::uint16_t capabilities = kCapabilityFlush | kCapabilityAtomicWrite | kCapabilitySendImmediate;
  if (config.crc != 0) capabilities |= kCapabilityCrc;
  return capabilities;
}

Result<std::shared_ptr<QueuePair>> QueuePair::create(std::shared_ptr<DeviceContext> context,
                                                     const provider::QueuePairConfig& config) {
  auto queue_pair = std::make_shared<QueuePair>(std::move(context), config);
  queue_pair->inbound_ = std::make_shared<InboundRequests>(
      std::max(1U, std::bit_ceil(config.inbound_reads)), queue_pair, queue_pair->context_->progress,
      queue_pair->context_->persist, queue_pair->counts_);
  const Status short_of_memory = Status::failure(abi::Code::NoMemory, "no room for the queues");
  if (!queue_pair->sends_.made() || !queue_pair->inbound_->made()) return short_of_memory;
  const std::uint32_t sends = config.send_queue_size;
  const SharedReceiveQueue* shared = queue_pair->receives_.shared().get();
  const std::uint32_t receives = shared == nullptr ? config.receive_queue_size : 0;
  const Status joined = queue_pair->receives_.join(queue_pair);
  if (!joined.ok()) return joined;
  // One that is attached already is detached with the queue pair's end, here and now. The shared
  // one comes last: having served and serving nobody, it would count as drained.
  if (queue_pair->send_completions_ == queue_pair->receive_completions_) {
    if (!queue_pair->send_completions_->attach(queue_pair, sends + receives, shared)) {
      return short_of_memory;
    }
  } else if (!queue_pair->receive_completions_->attach(queue_pair, receives, shared) ||
             !queue_pair->send_completions_->attach(queue_pair, sends)) {
    return short_of_memory;
  }
  queue_pair->context_->remember(queue_pair, queue_pair->counts_);
  return queue_pair;
}

QueuePair::QueuePair(std::shared_ptr<DeviceContext> context,
                     const provider::QueuePairConfig& config)
    : context_(std::move(context)),
      config_(config),
      number_(next_number()),
      id_(context_->progress->next_id()),
      send_completions_(iwarp_queue(config.send_completions)),
      receive_completions_(receive_completions(config)),
      credits_(std::make_shared<Credits>()),
      counts_(std::make_shared<provider::ConnectionCounts>()),
      sends_(config.send_queue_size, number_, send_completions_, credits_, *counts_),
      receives_(config.receive_queue_size, number_, receive_completions_, credits_,
                iwarp_shared(config), *counts_),
      receiver_(context_->buffers, *this, *counts_),
      transmitter_(context_->buffers, sends_, *counts_) {}

QueuePair::~QueuePair() {
  // Dropped without an end, as a request that was never used: only its receives have an outcome.
  receives_.flush();
  send_completions_->detach(this);
  receive_completions_->detach(this);
}

Status QueuePair::post_send(const provider::WorkRequest& request) {
  const abi::ConnectionState now = state_.load();
  if (now == abi::ConnectionState::Closed || ending_.load()) {
    return Status::failure(abi::Code::Closed, "the connection has ended");
  }
  if (now != abi::ConnectionState::Established) {
    return Status::failure(abi::Code::State, now == abi::ConnectionState::Connecting
                                                 ? "the connection is not established yet"
                                                 : "the connection is closing");
  }
  const bool answered = request.carrier == abi::Operation::Read ||
                        request.carrier == abi::Operation::Flush ||
                        request.carrier == abi::Operation::AtomicWrite;
  if (answered && negotiated_.outbound_reads == 0) {
    return Status::failure(abi::Code::NotSupported,
                           "the connection was set up without outbound reads (ORD 0)");
  }
  if (request.with_immediate) {
    const Status status = check_immediate_post(request);
    if (!status.ok()) return status;
  }
  return sends_.push(request);
}

/** Of an established connection. */
Status QueuePair::check_immediate_post(const provider::WorkRequest& request) const {
  if ((agreed_.load() & kCapabilitySendImmediate) == 0) {
    return Status::failure(abi::Code::NotSupported,
                           "the other side does not take immediate data: it speaks no extension, "
                           "or one without it");
  }
  // Message offsets have 32 bits and count the value in front of the message.
  if (request.carrier == abi::Operation::Send &&
      request.length > abi::kMessageBytesMax - kSendImmediateHeaderBytes) {
    return Status::failure(abi::Code::OutOfRange,
                           "a send with immediate has 8 bytes less than another");
  }
  return Status::success();
}

void QueuePair::kick() { pump(abi::kInlineSendBytes, Busy::LeaveWord); }

Status QueuePair::post_receive(const provider::WorkRequest& request) {
  if (state_.load() == abi::ConnectionState::Closed || ending_.load()) {
    return Status::failure(abi::Code::Closed, "the connection has ended");
  }
  const Status status = receives_.push(request);
  // A message may wait for this receive. The flag is set before the queue is found empty for the
  // last time, so either we see it or the driver sees the receive.
  if (status.ok() && has_parked_.load()) serve(Busy::LeaveWord);
  return status;
}

std::shared_ptr<CompletionQueue> QueuePair::completions_from(
    const SharedReceiveQueue* shared) const {
  if (receives_.shared().get() != shared) return nullptr;
  return state_.load() == abi::ConnectionState::Closed ? nullptr : receive_completions_;
}

Status QueuePair::connect(const provider::Address& to, std::vector<std::uint8_t> private_data) {
  {
    const std::lock_guard lock(driver_mutex_);
    remote_ = to;
  }
  arm_timer(&setup_timer_, config_.connect_timeout_ms, &QueuePair::setup_expired);
  return Connector::start(shared_from_this(), to, std::move(private_data));
}

provider::Statistics QueuePair::statistics() const {
  provider::Statistics now{};
  counts_->add_to(now);
  return now;
}

provider::Capabilities QueuePair::capabilities() const {
  const std::uint16_t agreed = agreed_.load();
  provider::Capabilities capabilities;
  capabilities.native_flush = (agreed & kCapabilityFlush) != 0;
  capabilities.persistent_flush = capabilities.native_flush;
  capabilities.native_atomic_write = (agreed & kCapabilityAtomicWrite) != 0;
  capabilities.immediate_data = (agreed & kCapabilitySendImmediate) != 0;
  capabilities.shared_receive_queue = true;
  capabilities.background_progress = true;
  capabilities.region_advice = true;
  capabilities.max_message_bytes = abi::kMessageBytesMax;
  capabilities.max_private_data_bytes = abi::kPrivateDataBytes;
  capabilities.max_queue_entries = abi::kQueueSizeMax;
  return capabilities;
}

provider::Address QueuePair::local_address() const {
  const std::lock_guard lock(driver_mutex_);
  return local_;
}

provider::Address QueuePair::remote_address() const {
  const std::lock_guard lock(driver_mutex_);
  return remote_;
}

std::optional<provider::Event> QueuePair::next_event() {
  const std::lock_guard lock(event_mutex_);
  if (events_.empty()) return std::nullopt;
  provider::Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

void QueuePair::set_notify(provider::NotifyTarget target) {
  credits_->watch.set_notify(target);
  bool pending = false;
  {
    const std::lock_guard lock(event_mutex_);
    target_ = target;
    pending = !events_.empty();
  }
  if (pending) target.notify();
}

void QueuePair::publish(provider::Event event) {
  provider::NotifyTarget target;
  {
    const std::lock_guard lock(event_mutex_);
    events_.push_back(std::move(event));
    target = target_;
  }
  target.notify();
}

void QueuePair::disconnect(std::uint64_t timeout_ms) {
  abi::ConnectionState expected = abi::ConnectionState::Established;
  if (!state_.compare_exchange_strong(expected, abi::ConnectionState::Closing)) {
    if (expected == abi::ConnectionState::Connecting) {
      abort(Status::failure(abi::Code::Closed, "closed before it was established"));
    }
    return;
  }
  if (leftover_.load()) {
    // The other side left long ago, and nobody will receive what it said last.
    EndReason reason;
    reason.event = abi::ConnectionEvent::Closed;
    end(std::move(reason));
    return;
  }
  arm_timer(&close_timer_, timeout_ms, &QueuePair::close_expired);
  pump(abi::kInlineSendBytes, Busy::LeaveWord);
  check_close();
}

void QueuePair::abort(Status reason) {
  EndReason end_reason;
  end_reason.event = abi::ConnectionEvent::Closed;
  end_reason.cause = reason;
  end_reason.reset = true;
  end(std::move(end_reason));
}

}  // namespace rpma::iwarp
