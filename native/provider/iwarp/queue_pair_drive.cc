// SPDX-License-Identifier: BSD-3-Clause
//
// See queue_pair.h. Who drives the connection, when it sends, and what its socket is watched for.
#include <poll.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <utility>

#include "core/clock.h"
#include "core/fault_points.h"
#include "provider/iwarp/log.h"
#include "provider/iwarp/queue_pair.h"

namespace rpma::iwarp {

// ---- Receiving ---------------------------------------------------------------------------------

/** Serves the receive side, or leaves word for the thread that does so now. Any thread. */
void QueuePair::serve(Busy busy) {
  serve_requested_.store(true);
  while (serve_requested_.load()) {
    if (!serve_mutex_.try_lock()) {
      if (busy == Busy::LeaveWord) break;
      serve_mutex_.lock();
    }
    if (serve_requested_.exchange(false)) serve_locked();
    serve_mutex_.unlock();
  }
  // An answer became ready, or an answer of theirs made room for a request of ours.
  if (send_due_.exchange(false)) pump(abi::kInlineSendBytes, Busy::LeaveWord);
}

void QueuePair::serve_locked() {
  if (ending_.load() || state_.load() == abi::ConnectionState::Closed || !socket_.open()) return;
  if (!parked_.empty()) {
    if (!replay_parked()) return;
    if (inbound_->advance()) send_due_.store(true);
  }
  if (leftover_.load()) {
    if (parked_.empty()) after_receive(Receiver::Outcome::Ended);
    return;
  }
  // Set again by the next frame that finds no receive.
  const bool waited = parked_.empty() && has_parked_.exchange(false);
  const std::uint64_t before = receiver_.frames();
  const Receiver::Outcome outcome =
      receiver_.run(socket_.fd(), abi::kDriveFrames, abi::kDriveBytes);
  if (waited) restart_parked_timer();
  after_receive(outcome);
  if (!ending_.load()) inbound_->advance();
  if (receiver_.frames() != before) send_due_.store(true);
}

/** Gives parked frames a second chance; false when the connection ends by one of them. */
bool QueuePair::replay_parked() {
  while (!parked_.empty()) {
    const std::vector<std::byte>& fpdu = parked_.front();
    // It passed every check when it came in; only its place in memory was missing.
    const SegmentParse parse = parse_segment(fpdu, opcodes_);
    const Verdict verdict = parse.state == ParseState::kComplete
                                ? request_frame(parse.segment, fpdu)
                                : Verdict::fail(Cause::kDdpLocal);
    if (verdict.kind == Verdict::Kind::Stall) return true;
    if (verdict.kind == Verdict::Kind::Fail) {
      EndReason reason = receive_failure(verdict.cause);
      reason.fault = EndReason::Fault::Parked;
      end(std::move(reason));
      return false;
    }
    const bool message = takes_receive(parse.segment) && parse.segment.last;
    parked_bytes_ -= fpdu.size();
    parked_.pop_front();
    if (message) {
      --parked_messages_;
      restart_parked_timer();
    }
  }
  return true;
}

/** Each message has its own time to wait for a receive: it starts anew when the one before is
 * taken. */
void QueuePair::restart_parked_timer() {
  if (config_.receiver_not_ready_timeout_ms < 0) return;
  cancel_timer(&parked_timer_);
  if (!has_parked_.load()) return;
  const auto delay_ms = static_cast<std::uint64_t>(config_.receiver_not_ready_timeout_ms);
  parked_until_ns_.store(core::now_ns() + delay_ms * kUnit);
  arm_timer(&parked_timer_, delay_ms, &QueuePair::receiver_not_ready);
}

void QueuePair::after_receive(Receiver::Outcome outcome) {
  bool stalled = false;
  switch (outcome) {
    case Receiver::Outcome::Drained:
      break;
    case Receiver::Outcome::Budget:
      // What is already in staging raises no readiness: come back for it.
      if (receiver_.has_frame()) {
        context_->progress->post([weak = weak_from_this()] {
          if (const auto self = weak.lock()) self->on_ready(0);
        });
      }
      break;
    case Receiver::Outcome::Stalled:
      stalled = !ending_.load();
      break;
    case Receiver::Outcome::Ended: {
      if (!parked_.empty() && state_.load() == abi::ConnectionState::Established) {
        // The sender left, but what it said before still waits for receives: a bounded time.
        stalled = true;
        if (!leftover_.exchange(true)) {
          leave_sets();
          arm_timer(&close_timer_, config_.close_timeout_ms, &QueuePair::leftover_expired);
          // A close that began meanwhile saw no leftover: then it is ours to end.
          if (state_.load() == abi::ConnectionState::Closing) close_expired();
        }
        break;
      }
      // A plain client may connect and leave without a frame: for it the connection was up.
      if (first_frame_due_ && receiver_.clean() && !negotiated_.offered &&
          !negotiated_.peer_to_peer) {
        first_frame_due_ = false;
        become_established();
      }
      EndReason reason = receive_failure(Cause::kNone);
      if (receiver_.clean()) {
        reason = EndReason{};
        reason.event = abi::ConnectionEvent::Closed;
        if (inbound_->failed()) {
          // The other side learned of it and left before we came to end the connection ourselves.
          reason.event = abi::ConnectionEvent::Lost;
          reason.cause = lost(0, nullptr);
          reason.cause.detail = "a persist or an atomic write failed here";
        }
      } else {
        reason.cause.detail = "the stream ended inside a message";
      }
      end(std::move(reason));
      return;
    }
    case Receiver::Outcome::Failed: {
      end(receive_failure(receiver_.cause()));
      return;
    }
  }
  if (stalled_.exchange(stalled) == stalled) return;
  if (stalled) counts_->add(provider::Statistic::ReceiveStalls);
  update_interest();
}

void QueuePair::on_ready(std::uint32_t events) {
  if ((events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0 || events == 0) serve(Busy::Wait);
  if ((events & (EPOLLERR | EPOLLHUP)) != 0 && stalled_.load()) end_if_hung_up();
  pump(abi::kDriveBytes, (events & EPOLLOUT) != 0 ? Busy::Wait : Busy::LeaveWord);
}

/** A hang-up is noticed even while nothing is read. Any thread. */
void QueuePair::end_if_hung_up() {
  if (leftover_.load()) return;  // its FIN is known: what it said waits its time for receives
  EndReason reason;
  {
    // The end on the progress thread takes the socket away under this lock.
    const std::lock_guard lock(driver_mutex_);
    if (!socket_.open()) return;
    pollfd look{socket_.fd(), 0, 0};
    const int found =
        core::attempt(RPMA_FAULT_POINT("iwarp.poll"), [&look] { return ::poll(&look, 1, 0); });
    if (found <= 0 || (look.revents & (POLLERR | POLLHUP)) == 0) return;
    reason.cause = lost(connect_outcome(socket_.fd()), "recv");
  }
  reason.status = abi::CompletionStatus::Retry;
  end(std::move(reason));
}

/** No set watches the socket any more: it would only tell of the hang-up, again and again. */
void QueuePair::leave_sets() {
  const std::lock_guard lock(driver_mutex_);
  const int driver = driver_.exchange(kProgress);
  if (driver >= 0) static_cast<void>(::epoll_ctl(driver, EPOLL_CTL_DEL, socket_.fd(), nullptr));
  if (driver == kProgress) context_->progress->suspend(socket_.fd());
}

/** A spinning progress thread looks by itself; it goes on while frames come. */
void QueuePair::on_spin() {
  if (driver_.load(std::memory_order_acquire) != kProgress || stalled_.load()) return;
  const std::uint64_t before = receiver_.frames();
  serve(Busy::LeaveWord);
  if (receiver_.frames() == before) return;
  context_->progress->stay_active();
  pump(abi::kDriveBytes, Busy::LeaveWord);
}

// ---- Sending -----------------------------------------------------------------------------------

/** Sends what is owed and posted, or leaves word for the thread that sends now. Any thread. */
void QueuePair::pump(std::uint64_t budget_bytes, Busy busy) {
  send_requested_.store(true);
  while (send_requested_.load()) {
    if (!send_mutex_.try_lock()) {
      if (busy == Busy::LeaveWord) break;
      send_mutex_.lock();
    }
    const bool due = send_requested_.exchange(false);
    bool more = false;
    if (due && gate_open_.load() && !ending_.load() && !fin_sent_.load() && socket_.open()) {
      const Transmitter::Outcome outcome = transmitter_.run(socket_.fd(), budget_bytes);
      more = outcome == Transmitter::Outcome::Blocked || outcome == Transmitter::Outcome::Budget;
      if (outcome == Transmitter::Outcome::Failed) {
        const Transmitter::Failure& failure = transmitter_.failure();
        EndReason reason;
        reason.status = abi::CompletionStatus::Retry;
        const bool by_tcp = failure.error != 0 && !failure.persist && !failure.memory;
        reason.cause = lost(failure.error, by_tcp ? "sendmsg" : nullptr);
        if (failure.persist || failure.defect) {
          reason.status = abi::CompletionStatus::Provider;
          reason.terminate = Cause::kRdmapLocal;
          reason.cause.detail = failure.persist
                                    ? "what the other side wrote could not be persisted"
                                    : "a frame that must not be sent (please report it)";
        } else if (failure.local) {
          reason.status = abi::CompletionStatus::LocalProtection;
          reason.terminate = Cause::kRdmapLocal;
          reason.cause.detail = "the source memory is gone (a truncated file?)";
        } else if (failure.answer) {
          reason.terminate = Cause::kOperationStream;
          reason.cause.detail = "a persist or an atomic write failed here";
        }
        end(std::move(reason));
      }
    }
    if (due && wants_write_.exchange(more) != more) update_interest();
    send_mutex_.unlock();
  }
  watch_peer();
  if (state_.load() == abi::ConnectionState::Closing) check_close();
}

// ---- Who drives --------------------------------------------------------------------------------

std::uint32_t QueuePair::interest() const {
  std::uint32_t events = 0;
  if (!stalled_.load()) events |= EPOLLIN;
  if (wants_write_.load()) events |= EPOLLOUT;
  return events;
}

void QueuePair::update_interest() {
  const std::lock_guard lock(driver_mutex_);
  const std::uint32_t wanted = interest();
  if (!socket_.open() || leftover_.load() || wanted == applied_interest_) return;
  applied_interest_ = wanted;
  const int driver = driver_.load();
  if (driver == kProgress) {
    context_->progress->modify(id_, socket_.fd(), wanted);
  } else if (driver >= 0) {
    epoll_event event{};
    event.events = wanted;
    event.data.u64 = number_;
    static_cast<void>(::epoll_ctl(driver, EPOLL_CTL_MOD, socket_.fd(), &event));
  }
}

void QueuePair::take_over(int epoll_fd) {
  last_drive_ns_.store(core::now_ns(), std::memory_order_relaxed);
  if (driver_.load(std::memory_order_acquire) == epoll_fd) return;
  const abi::ConnectionState now = state_.load();
  if (now != abi::ConnectionState::Established && now != abi::ConnectionState::Closing) return;
  const std::lock_guard lock(driver_mutex_);
  const int before = driver_.load();
  if (!socket_.open() || ending_.load() || leftover_.load() || before == epoll_fd) return;
  const std::uint32_t wanted = interest();
  if (epoll_fd >= 0) {
    epoll_event event{};
    event.events = wanted;
    event.data.u64 = number_;
    // Should it not fit into that set, the progress thread keeps it.
    if (core::attempt(RPMA_FAULT_POINT("iwarp.take-over"), [&] {
          return ::epoll_ctl(epoll_fd, EPOLL_CTL_ADD, socket_.fd(), &event);
        }) != 0) {
      RPMA_LOG(Debug, "connection %u: stays with the progress thread: %s", number_,
               core::StatusText(Status::from_errno(errno, "epoll_ctl")).text());
      return;
    }
  }
  if (before == kProgress) {
    context_->progress->suspend(socket_.fd());
    // Given back a moment ago it is on the list still.
    if (!std::exchange(lent_, true)) context_->progress->lend(weak_from_this());
  } else if (before >= 0) {
    static_cast<void>(::epoll_ctl(before, EPOLL_CTL_DEL, socket_.fd(), nullptr));
  }
  applied_interest_ = wanted;
  counts_->add(provider::Statistic::TakeOvers);
  driver_.store(epoll_fd, std::memory_order_release);
}

bool QueuePair::take_back(std::uint64_t now_ns) {
  if (ending_.load()) return true;
  // The driver may have driven after `now_ns` was read.
  const std::uint64_t last = last_drive_ns_.load(std::memory_order_relaxed);
  if (now_ns < last + abi::kTakeBackMs * kUnit) return false;
  const std::lock_guard lock(driver_mutex_);
  if (driver_.load() != kProgress) counts_->add(provider::Statistic::TakeBacks);
  lent_ = !return_to_progress();
  RPMA_LOG(Debug, "connection %u: %s, its driver did nothing for %" PRIu64 " us", number_,
           lent_ ? "cannot be taken back yet" : "taken back", (now_ns - last) / 1000);
  return !lent_;
}

void QueuePair::give_back() {
  const std::lock_guard lock(driver_mutex_);
  // Should it fail, the progress thread tries again: it is on its list of what it lent.
  static_cast<void>(return_to_progress());
}

/** From whoever drives into the progress thread's set; driver_mutex_ is held. */
bool QueuePair::return_to_progress() {
  const int driver = driver_.load();
  if (driver == kProgress || !socket_.open()) return true;
  if (driver >= 0) {
    static_cast<void>(::epoll_ctl(driver, EPOLL_CTL_DEL, socket_.fd(), nullptr));
  }
  applied_interest_ = interest();
  const Status status = context_->progress->resume(id_, socket_.fd(), applied_interest_);
  // Should it not fit into our set now, it stays lent to nobody, and this is tried again.
  driver_.store(status.ok() ? kProgress : -1, std::memory_order_release);
  return status.ok();
}

void QueuePair::drive() {
  if (driver_.load(std::memory_order_acquire) == kProgress) return;
  if (ending_.load()) {
    // The end itself is the progress thread's; until it comes to it our set would tell of a FIN.
    leave_sets();
    return;
  }
  last_drive_ns_.store(core::now_ns(), std::memory_order_relaxed);
  serve(Busy::Wait);
  if (stalled_.load()) end_if_hung_up();
  pump(abi::kDriveBytes, wants_write_.load() ? Busy::Wait : Busy::LeaveWord);
}

// ---- Is the other side alive? ------------------------------------------------------------------

/** Starts the watch with the first bytes that need an acknowledgement; an idle connection has none.
 */
void QueuePair::watch_peer() {
  if (peer_watched_.load(std::memory_order_relaxed) || ending_.load()) return;
  if (!gate_open_.load() || peer_watched_.exchange(true)) return;
  arm_timer(&watch_timer_, std::max<std::uint64_t>(config_.dead_peer_timeout_ms / 8, 1),
            &QueuePair::check_peer);
}

/** On the progress thread, eight times a bound: dead is who sent no segment for the whole of it. */
void QueuePair::check_peer() {
  if (ending_.load() || !socket_.open()) return;
  // Before looking: bytes sent while we look start the watch anew.
  peer_watched_.store(false);
  const TcpHealth health = tcp_health(socket_.fd());
  const std::uint64_t now = core::now_ns();
  if (health.known && health.waiting) {
    const std::uint64_t life = now - std::uint64_t{health.silent_ms} * kUnit;
    if (waiting_since_ns_ == 0) waiting_since_ns_ = now;
    if (life > waiting_since_ns_) waiting_since_ns_ = life;
    if (now - waiting_since_ns_ >= config_.dead_peer_timeout_ms * kUnit) {
      EndReason reason;
      reason.cause = lost(ETIMEDOUT, "sendmsg");
      reason.cause.detail = "the other side acknowledged nothing for deadPeerTimeoutMs";
      reason.status = abi::CompletionStatus::Retry;
      reason.reset = true;
      end(std::move(reason));
      return;
    }
  } else {
    waiting_since_ns_ = 0;
  }
  if (waiting_since_ns_ != 0 || !sends_.empty() || wants_write_.load()) watch_peer();
}

}  // namespace rpma::iwarp
