// SPDX-License-Identifier: BSD-3-Clause
//
// See queue_pair.h. How a connection comes up and how it ends. Whoever finds a reason to end it
// records the reason; the end itself happens on the progress thread, with both locks held, exactly
// once.
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>

#include "core/clock.h"
#include "core/fault_points.h"
#include "core/random.h"
#include "provider/iwarp/extension.h"
#include "provider/iwarp/linger.h"
#include "provider/iwarp/log.h"
#include "provider/iwarp/queue_pair.h"
#include "provider/iwarp/rdmap.h"

namespace rpma::iwarp {
namespace {

constexpr std::uint32_t kFrameBytesMin = 128;  // RFC 5044: never below

std::uint32_t frame_bytes(const provider::QueuePairConfig& config, bool large, int fd) {
  if (config.max_frame_bytes > 1) {
    return std::clamp<std::uint32_t>(config.max_frame_bytes, kFrameBytesMin, abi::kFrameBytesMax);
  }
  if (config.max_frame_bytes == 0 && large) return abi::kFrameBytesMax;
  return std::clamp<std::uint32_t>(tcp_health(fd).segment_bytes, kFrameBytesMin,
                                   abi::kFrameBytesMax);
}

}  // namespace

// ---- Coming up ---------------------------------------------------------------------------------

void QueuePair::adopt(Socket socket, const Negotiated& negotiated, std::span<const std::byte> early,
                      std::vector<std::uint8_t> private_data) {
  const std::unique_lock serving(serve_mutex_);
  if (ending_.load()) return;
  const int fd = socket.fd();
  tune(fd, config_.dead_peer_timeout_ms);
  {
    const std::lock_guard lock(driver_mutex_);
    socket_ = std::move(socket);
    local_ = local_address_of(fd);
    remote_ = remote_address_of(fd);
    applied_interest_ = EPOLLIN;
  }
  negotiated_ = negotiated;
  established_data_ = std::move(private_data);
  receiver_.configure(negotiated.crc, kPlainOpcodes);
  transmitter_.configure(negotiated.crc, kFrameBytesMin, inbound_.get());
  Status status = receiver_.prime(early) ? Status::success() : lost(ENOMEM, nullptr);
  // In the set before anything can be posted: what a post leaves over goes by readiness.
  if (status.ok()) status = context_->progress->add(id_, fd, EPOLLIN, shared_from_this());
  if (!status.ok()) {
    EndReason reason;
    reason.cause = status;
    end(std::move(reason));
    return;
  }
  if (negotiated.initiator) {
    extension_ = negotiated.offered;
    become_established();
  } else {
    first_frame_due_ = true;
    if (negotiated.offered || negotiated.peer_to_peer) {
      arm_timer(&setup_timer_, config_.connect_timeout_ms, &QueuePair::setup_expired);
    } else {
      arm_timer(&setup_timer_, abi::kGraceMs, &QueuePair::grace_over);
    }
  }
  if (!early.empty()) {
    context_->progress->post([self = shared_from_this()] { self->on_ready(0); });
  }
}

/** Both sides know what they agreed on. The driver's lock is held. */
void QueuePair::become_established() {
  cancel_timer(&setup_timer_);
  std::uint16_t agreed = 0;
  if (extension_) agreed = offered_capabilities(config_) & negotiated_.capabilities;
  if ((agreed & kCapabilityCrc) != 0) negotiated_.crc = true;
  if ((config_.require_native & ~std::uint32_t{agreed}) != 0) {
    EndReason reason;
    reason.cause = Status::failure(abi::Code::NotSupported,
                                   "the other side lacks an operation that requireNative names");
    end(std::move(reason));
    return;
  }
  agreed_.store(agreed);
  opcodes_ = extension_ ? kExtendedOpcodes : kPlainOpcodes;
  // What was not agreed on is as unknown as to a peer without the extension.
  if ((agreed & kCapabilitySendImmediate) == 0) {
    opcodes_ &= static_cast<OpcodeSet>(~kImmediateOpcodes);
  }
  receiver_.configure(negotiated_.crc, opcodes_);
  transmitter_.configure(negotiated_.crc,
                         frame_bytes(config_, negotiated_.large_frames || extension_, socket_.fd()),
                         inbound_.get());
  sends_.set_outbound_reads(negotiated_.outbound_reads);
  if (negotiated_.initiator && extension_) {
    Hello hello;
    hello.capabilities = offered_capabilities(config_);
    hello.nonce = core::secure_u32();
    transmitter_.queue_hello(hello);
  }
  gate_open_.store(true);
  abi::ConnectionState expected = abi::ConnectionState::Connecting;
  if (!state_.compare_exchange_strong(expected, abi::ConnectionState::Established)) return;
  context_->counts.add(provider::PeerStatistic::ConnectionsEstablished);
  RPMA_LOG(Notice, "connection %u: established with %s port %u, checksums %s, extension %s",
           number_, remote_.host.c_str(), remote_.port, negotiated_.crc ? "on" : "off",
           extension_ ? "agreed" : "not known there");
  provider::Event event;
  event.type = abi::ConnectionEvent::Established;
  event.private_data = std::move(established_data_);
  publish(std::move(event));
  pump(abi::kInlineSendBytes, Busy::LeaveWord);
}

void QueuePair::grace_over() {
  const std::unique_lock serving(serve_mutex_);
  if (!first_frame_due_ || ending_.load()) return;
  first_frame_due_ = false;
  become_established();
}

void QueuePair::setup_expired() {
  if (state_.load() != abi::ConnectionState::Connecting) return;
  EndReason reason;
  reason.event = abi::ConnectionEvent::Unreachable;
  reason.cause = Status::from_errno(abi::Code::Unreachable, ETIMEDOUT, nullptr,
                                    "not established within connectTimeoutMs");
  reason.reset = true;
  end(std::move(reason));
}

// ---- Ending ------------------------------------------------------------------------------------

void QueuePair::end(EndReason reason) {
  {
    const std::lock_guard lock(event_mutex_);
    if (ending_.load()) return;
    // After our FIN the other side may answer with RST: that is an orderly end, too.
    if (fin_sent_.load() && reason.event == abi::ConnectionEvent::Lost && sends_.empty()) {
      reason.event = abi::ConnectionEvent::Closed;
    }
    reason_ = std::move(reason);
    ending_.store(true);
  }
  receives_.part();
  context_->progress->post([self = shared_from_this()] { self->teardown(); });
}

void QueuePair::on_end(std::function<void()> hook) {
  {
    const std::lock_guard lock(event_mutex_);
    if (!ended_) {
      end_hooks_.push_back(std::move(hook));
      return;
    }
  }
  hook();
}

/** TCP failed, or the other side broke the protocol, which it is told by `cause`. */
EndReason QueuePair::receive_failure(Cause cause) {
  EndReason reason;
  reason.terminate = cause;
  reason.fault = EndReason::Fault::Received;
  reason.cause = lost(receiver_.error(), receiver_.error() != 0 ? "recv" : nullptr);
  if (receiver_.error() != 0) {
    reason.status = abi::CompletionStatus::Retry;
  } else {
    // Our own operations are not at fault; the oldest carries it all the same.
    reason.status = abi::CompletionStatus::Provider;
    if (cause != Cause::kNone) reason.cause.detail = cause_name(cause);
    // But for a Read whose own memory was found to be gone as the answer came.
    const SendSlot* reading = cause == Cause::kDdpLocal ? sends_.oldest_waiting() : nullptr;
    if (reading != nullptr && reading->request.local && reading->request.local->poisoned()) {
      reason.status = abi::CompletionStatus::LocalProtection;
      reason.cause.detail = "the memory to read into is gone (a truncated file?)";
    }
    reason.protection = is_protection(cause);
  }
  return reason;
}

/** The frame that the Terminate blames. Both locks are held. */
std::span<const std::byte> QueuePair::fault_of(const EndReason& reason) const {
  if (reason.fault == EndReason::Fault::Received) return receiver_.fault();
  if (reason.fault == EndReason::Fault::Parked && !parked_.empty()) return parked_.front();
  return {};
}

void QueuePair::teardown() {
  EndReason reason;
  std::vector<std::function<void()>> hooks;
  {
    const std::lock_guard lock(event_mutex_);
    if (ended_) return;
    ended_ = true;
    reason = reason_;
    hooks.swap(end_hooks_);
  }
  {
    const std::unique_lock serving(serve_mutex_);
    const std::unique_lock sending(send_mutex_);
    std::vector<std::byte> last_words;
    if (reason.terminate != Cause::kNone && !fin_sent_.load()) {
      RPMA_LOG(Warning, "connection %u: sends Terminate %u/%u/%u: %s", number_,
               cause_layer(reason.terminate), cause_type(reason.terminate),
               cause_code(reason.terminate), cause_name(reason.terminate));
      last_words = transmitter_.rest_of_frame();
      const std::vector<std::byte> terminate =
          terminate_frame(reason.terminate, fault_of(reason), negotiated_.crc);
      last_words.insert(last_words.end(), terminate.begin(), terminate.end());
    }
    release_socket(reason, std::move(last_words));
    receiver_.release();
    transmitter_.release();
    inbound_->clear();
    sends_.fail_all(reason.status, reason.cause.sys_errno);
    receives_.flush();
    parked_.clear();
    dirty_.clear();
    has_parked_.store(false);
    state_.store(abi::ConnectionState::Closed);
  }
  cancel_timer(&setup_timer_);
  cancel_timer(&close_timer_);
  cancel_timer(&parked_timer_);
  cancel_timer(&watch_timer_);  // left alone it would keep our memory for a second more
  log_end(reason);
  if (reason.protection) {
    core::count(core::counters().protection_errors);
    context_->counts.add(provider::PeerStatistic::ProtectionErrors);
    context_->slowed.note(remote_address(), core::now_ns());
  }
  for (const std::function<void()>& hook : hooks) hook();
  receives_.leave();
  send_completions_->detach(this);
  receive_completions_->detach(this);
  count_end(reason.event);
  publish({reason.event, reason.cause, std::move(reason.private_data)});
}

/** Once a connection; that of the other side's will, or ours, is no warning. */
void QueuePair::log_end(const EndReason& reason) const {
  if (reason.event == abi::ConnectionEvent::Lost) {
    const provider::Address remote = remote_address();
    RPMA_LOG(Warning, "connection %u with %s port %u: lost: %s", number_, remote.host.c_str(),
             remote.port, core::StatusText(reason.cause).text());
    return;
  }
  const char* word = "closed";
  if (reason.event == abi::ConnectionEvent::Rejected) word = "rejected";
  if (reason.event == abi::ConnectionEvent::Unreachable) word = "unreachable";
  const bool has_cause = !reason.cause.ok();
  RPMA_LOG(Notice, "connection %u: %s%s%s", number_, word, has_cause ? ": " : "",
           has_cause ? core::StatusText(reason.cause).text() : "");
}

void QueuePair::count_end(abi::ConnectionEvent event) {
  using provider::PeerStatistic;
  provider::PeerCounts& counts = context_->counts;
  if (event == abi::ConnectionEvent::Closed) counts.add(PeerStatistic::ConnectionsClosed);
  if (event == abi::ConnectionEvent::Lost) counts.add(PeerStatistic::ConnectionsLost);
  if (event == abi::ConnectionEvent::Rejected) counts.add(PeerStatistic::ConnectionsRejected);
  if (event == abi::ConnectionEvent::Unreachable) counts.add(PeerStatistic::ConnectionsUnreachable);
}

void QueuePair::release_socket(const EndReason& reason, std::vector<std::byte> last_words) {
  Socket socket;
  {
    const std::lock_guard lock(driver_mutex_);
    if (!socket_.open()) return;
    const int driver = driver_.exchange(kProgress);
    if (driver >= 0) {
      static_cast<void>(::epoll_ctl(driver, EPOLL_CTL_DEL, socket_.fd(), nullptr));
    }
    context_->progress->remove(id_, socket_.fd());
    socket = std::move(socket_);
  }
  if (!last_words.empty()) {
    Linger::start(context_->progress, std::move(socket), std::move(last_words),
                  Linger::Fin::AtOnce);
  } else if (reason.reset) {
    const linger abortive{1, 0};
    static_cast<void>(core::attempt(RPMA_FAULT_POINT("iwarp.setsockopt"), [&] {
      return ::setsockopt(socket.fd(), SOL_SOCKET, SO_LINGER, &abortive, sizeof(abortive));
    }));
  }
}

/** Of a closing connection: when all that was accepted is done and all that is owed is sent, FIN.
 */
void QueuePair::check_close() {
  if (fin_sent_.load() || ending_.load() || !gate_open_.load()) return;
  {
    // Who holds the lock is pumping, and comes here afterwards.
    const std::unique_lock sending(send_mutex_, std::try_to_lock);
    if (!sending.owns_lock() || fin_sent_.load() || ending_.load()) return;
    if (sends_.empty() && inbound_->empty() && transmitter_.idle()) {
      fin_sent_.store(true);
      if (core::attempt(RPMA_FAULT_POINT("iwarp.shutdown"),
                        [this] { return ::shutdown(socket_.fd(), SHUT_WR); }) != 0) {
        // No FIN can leave, so none will be answered: to wait for one would last closeTimeoutMs.
        EndReason reason;
        reason.cause = lost(errno, "shutdown");
        end(std::move(reason));
      }
      return;
    }
  }
  // Somebody may have wanted to send while we held the lock, and left it to us.
  if (send_requested_.load()) pump(abi::kInlineSendBytes, Busy::LeaveWord);
}

void QueuePair::close_expired() {
  EndReason reason;
  reason.event = abi::ConnectionEvent::Closed;
  reason.cause = Status::from_errno(abi::Code::Timeout, ETIMEDOUT, nullptr,
                                    "closing took longer than closeTimeoutMs");
  reason.reset = true;
  end(std::move(reason));
}

void QueuePair::leftover_expired() {
  EndReason reason;
  reason.cause = Status::failure(abi::Code::ConnectionLost,
                                 "the other side left, and its last messages found no receive");
  end(std::move(reason));
}

void QueuePair::receiver_not_ready() {
  // The timer may have fired just as its message was taken.
  if (!has_parked_.load() || core::now_ns() < parked_until_ns_.load()) return;
  EndReason reason;
  reason.cause = Status::failure(abi::Code::ConnectionLost,
                                 "a message found no receive for receiverNotReadyTimeoutMs");
  reason.terminate = Cause::kUntaggedNoBuffer;
  reason.fault = EndReason::Fault::Parked;
  end(std::move(reason));
}

bool QueuePair::holds_up(const memory::Region* region, std::uint64_t* sent) const {
  *sent = transmitter_.bytes_sent();
  return wants_write_.load() && inbound_->uses(region);
}

bool QueuePair::uses(const memory::Region* region) {
  if (sends_.uses(region) || inbound_->uses(region)) return true;
  const std::unique_lock serving(serve_mutex_);  // the message in progress is the driver's
  return receives_.uses(region);
}

void QueuePair::end_untaken() {
  EndReason reason;
  reason.cause = Status::failure(abi::Code::ConnectionLost,
                                 "a region was closed and the other side did not take its answer");
  reason.terminate = Cause::kRemoteInvalidStag;
  end(std::move(reason));
}

// ---- Timers ------------------------------------------------------------------------------------

void QueuePair::arm_timer(ProgressThread::TimerId* timer, std::uint64_t delay_ms,
                          void (QueuePair::*fire)()) {
  const std::lock_guard lock(timer_mutex_);
  // The end cancels them all, under this lock: none may come behind it and keep our memory.
  if (ending_.load()) return;
  context_->progress->cancel_timer(*timer);
  *timer = context_->progress->add_timer(core::now_ns() + delay_ms * kUnit,
                                         [weak = weak_from_this(), fire] {
                                           if (const auto self = weak.lock()) (self.get()->*fire)();
                                         });
}

void QueuePair::cancel_timer(ProgressThread::TimerId* timer) {
  const std::lock_guard lock(timer_mutex_);
  context_->progress->cancel_timer(std::exchange(*timer, 0));
}

}  // namespace rpma::iwarp
