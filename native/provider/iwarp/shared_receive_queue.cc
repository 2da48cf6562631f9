// SPDX-License-Identifier: BSD-3-Clause
//
// See shared_receive_queue.h.
#include "provider/iwarp/shared_receive_queue.h"

#include <algorithm>
#include <utility>

#include "core/fault_points.h"
#include "provider/iwarp/queue_pair.h"

namespace rpma::iwarp {

core::Result<Receive> receive_of(const provider::WorkRequest& request) {
  Receive receive;
  receive.id = request.id;
  receive.length = request.length;
  if (request.local) {
    receive.use = request.local->acquire();
    if (!receive.use) return core::Status::failure(abi::Code::Closed, "the local region is closed");
    receive.memory = request.local->data() + request.local_offset;
    receive.guarded = request.local->guarded();
  }
  return receive;
}

void publish_receive(CompletionQueue& to, const std::shared_ptr<Credits>& credits, std::uint64_t id,
                     std::uint32_t queue_pair_number, const ReceiveOutcome& outcome) {
  RPMA_FAULT_TALLY("operations.settled");
  provider::Completion completion{};
  completion.id = static_cast<double>(id);
  completion.operation = static_cast<std::uint8_t>(outcome.arrival.operation);
  completion.status = static_cast<std::uint8_t>(outcome.status);
  completion.queue_pair_number = queue_pair_number;
  // A Write may have more bytes than the field can tell, because no receive bounds it.
  completion.length =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(outcome.arrival.length, UINT32_MAX));
  if (outcome.arrival.immediate) {
    completion.flags |= abi::kCompletionFlagsImmediate;
    completion.immediate = *outcome.arrival.immediate;
  }
  completion.provider_error = outcome.error;
  to.publish(completion, credits);
}

core::Result<std::shared_ptr<SharedReceiveQueue>> SharedReceiveQueue::create(
    const provider::SharedReceiveQueueConfig& config) {
  auto own = std::static_pointer_cast<CompletionQueue>(config.completions);
  auto made = std::make_shared<SharedReceiveQueue>(config.size, own);
  if (own && !own->hold(made.get(), config.size)) {
    return core::Status::failure(abi::Code::NoMemory, "no room for the queue");
  }
  return made;
}

SharedReceiveQueue::SharedReceiveQueue(std::uint32_t size,
                                       std::shared_ptr<CompletionQueue> completions)
    : size_(size), own_(completions), completions_(std::move(completions)) {}

SharedReceiveQueue::~SharedReceiveQueue() { destroy(); }

core::Status SharedReceiveQueue::post_receive(const provider::WorkRequest& request) {
  std::shared_ptr<QueuePair> next;
  {
    const std::lock_guard lock(mutex_);
    if (closed_) {
      return core::Status::failure(abi::Code::Closed, "the shared receive queue is closed");
    }
    if (credits_->receive.load() >= size_) {
      return core::Status::failure(abi::Code::Again, "the shared receive queue is full");
    }
    core::Result<Receive> receive = receive_of(request);
    if (!receive.ok()) return receive.status();
    RPMA_FAULT_TALLY("operations.accepted");
    credits_->receive.fetch_add(1);
    posted_.push_back(std::move(receive).value());
    next = grant();
  }
  if (next) next->receive_came();
  return core::Status::success();
}

std::uint32_t SharedReceiveQueue::receive_queue_free() const {
  const std::uint32_t used = credits_->receive.load();
  return used >= size_ ? 0 : size_ - used;
}

std::size_t SharedReceiveQueue::waiting() const {
  const std::lock_guard lock(mutex_);
  return waiting_.size();
}

/** Whom to serve now that a receive is nobody's; the lock is held. */
std::shared_ptr<QueuePair> SharedReceiveQueue::grant() {
  if (waiting_.empty() || posted_.size() <= granted_) return nullptr;
  Waiter* const waiter = waiting_.front();
  waiting_.pop_front();
  waiter->state = Waiter::State::Granted;
  ++granted_;
  // Null when it is being destroyed: then it leaves in a moment, and the next one is told.
  return waiter->queue_pair.lock();
}

bool SharedReceiveQueue::take(Waiter& waiter, Receive* receive) {
  const std::lock_guard lock(mutex_);
  const bool was_granted = waiter.state == Waiter::State::Granted;
  if (was_granted) {
    --granted_;
    waiter.state = Waiter::State::Idle;
  }
  if (posted_.size() > granted_) {
    *receive = std::move(posted_.front());
    posted_.pop_front();
    return true;
  }
  if (waiter.state == Waiter::State::Waiting) return false;
  // What was granted may have been evicted meanwhile; its place it keeps.
  waiter.place = waiting_.insert(was_granted ? waiting_.begin() : waiting_.end(), &waiter);
  waiter.state = Waiter::State::Waiting;
  return false;
}

void SharedReceiveQueue::leave(Waiter& waiter) {
  std::shared_ptr<QueuePair> next;
  {
    const std::lock_guard lock(mutex_);
    if (waiter.state == Waiter::State::Waiting) waiting_.erase(waiter.place);
    if (waiter.state == Waiter::State::Granted) {
      --granted_;
      next = grant();
    }
    waiter.state = Waiter::State::Idle;
  }
  if (next) next->receive_came();
}

core::Status SharedReceiveQueue::join() {
  const std::lock_guard lock(mutex_);
  if (closed_) {
    return core::Status::failure(abi::Code::Closed, "the shared receive queue is closed");
  }
  ++users_;
  return core::Status::success();
}

void SharedReceiveQueue::part() {
  const std::lock_guard lock(mutex_);
  --users_;
}

core::Status SharedReceiveQueue::close() {
  {
    const std::lock_guard lock(mutex_);
    if (!closed_ && users_ > 0) {
      return core::Status::failure(abi::Code::Busy,
                                   "a connection or request uses the shared receive queue");
    }
  }
  destroy();
  return core::Status::success();
}

void SharedReceiveQueue::destroy() {
  std::deque<Receive> rest;
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(closed_, true)) return;
    rest.swap(posted_);
  }
  flush(rest, own_);
  if (own_) own_->release(this);
}

void SharedReceiveQueue::flush(const std::deque<Receive>& receives,
                               const std::shared_ptr<CompletionQueue>& to) {
  for (const Receive& receive : receives) {
    if (to) {
      publish_receive(*to, credits_, receive.id, 0, {});
    } else {
      RPMA_FAULT_TALLY("operations.settled");
      credits_->receive.fetch_sub(1);
    }
  }
}

void SharedReceiveQueue::evict(const memory::Region* region,
                               std::span<const std::shared_ptr<QueuePair>> queue_pairs) {
  std::deque<Receive> evicted;
  {
    const std::lock_guard lock(mutex_);
    std::deque<Receive> kept;
    for (Receive& receive : posted_) {
      (receive.use.region().get() == region ? evicted : kept).push_back(std::move(receive));
    }
    posted_.swap(kept);
  }
  std::shared_ptr<CompletionQueue> to = own_;
  for (const std::shared_ptr<QueuePair>& queue_pair : queue_pairs) {
    if (!to) to = queue_pair->completions_from(this);
  }
  flush(evicted, to);
}

}  // namespace rpma::iwarp
