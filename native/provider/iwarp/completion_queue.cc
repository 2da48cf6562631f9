// SPDX-License-Identifier: BSD-3-Clause
//
// See completion_queue.h.
#include "provider/iwarp/completion_queue.h"

#include <algorithm>
#include <array>

#include "core/assert.h"
#include "core/fault_points.h"
#include "provider/iwarp/queue_pair.h"
#include "provider/iwarp/shared_receive_queue.h"

namespace rpma::iwarp {
namespace {

/** Of the receive queue, whatever used the receive. */
bool is_receive(std::uint8_t operation) {
  return operation == static_cast<std::uint8_t>(abi::Operation::Receive) ||
         operation == static_cast<std::uint8_t>(abi::Operation::ReceiveWrite);
}

}  // namespace

CompletionQueue::CompletionQueue(std::uint32_t size)
    : ring_(RPMA_FAULT_POINT("iwarp.completion-ring"), std::max<std::uint32_t>(size, 1)) {}

std::uint32_t CompletionQueue::poll(provider::Completion* out, std::uint32_t max) {
  if (count_.load(std::memory_order_acquire) == 0) {
    for_driven([](QueuePair& queue_pair) { queue_pair.drive(); });
    if (count_.load(std::memory_order_acquire) == 0) return 0;
  }
  return take(out, max);
}

std::uint32_t CompletionQueue::take(provider::Completion* out, std::uint32_t max) {
  const std::lock_guard lock(mutex_);
  const std::uint32_t queued = count_.load(std::memory_order_relaxed);
  const std::uint32_t taken = std::min(queued, max);
  for (std::uint32_t i = 0; i < taken; ++i) {
    Entry& entry = ring_[head_];
    out[i] = entry.completion;
    if (is_receive(entry.completion.operation)) {
      entry.credits->receive.fetch_sub(1);
    } else {
      entry.credits->free_send();
    }
    entry.credits.reset();
    head_ = head_ + 1 == ring_.size() ? 0 : head_ + 1;
  }
  count_.store(queued - taken, std::memory_order_release);
  return taken;
}

template <typename Visit>
void CompletionQueue::for_driven(Visit visit) {
  std::array<std::shared_ptr<QueuePair>, kDrivenMax> driven;
  {
    const std::lock_guard lock(mutex_);
    if (attached_.size() > kDrivenMax) return;
    for (std::size_t i = 0; i < attached_.size(); ++i) driven[i] = attached_[i].queue_pair.lock();
  }
  // Outside the lock: what they do may publish here, or detach.
  for (const std::shared_ptr<QueuePair>& queue_pair : driven) {
    if (queue_pair) visit(*queue_pair);
  }
}

void CompletionQueue::take_over(int epoll_fd) {
  for_driven([epoll_fd](QueuePair& queue_pair) { queue_pair.take_over(epoll_fd); });
}

void CompletionQueue::give_back() {
  for_driven([](QueuePair& queue_pair) { queue_pair.give_back(); });
}

bool CompletionQueue::arm() {
  const std::lock_guard lock(mutex_);
  if (count_.load(std::memory_order_relaxed) > 0) return false;
  armed_ = true;
  return true;
}

void CompletionQueue::set_notify(provider::NotifyTarget target) {
  const std::lock_guard lock(mutex_);
  target_ = std::move(target);
}

std::uint32_t CompletionQueue::capacity() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::uint32_t>(ring_.size());
}

bool CompletionQueue::over() const {
  const std::lock_guard lock(mutex_);
  return served_ && attached_.empty() && shared_.empty();
}

bool CompletionQueue::drained() const {
  const std::lock_guard lock(mutex_);
  return served_ && attached_.empty() && shared_.empty() &&
         count_.load(std::memory_order_relaxed) == 0;
}

/** Room for so many entries more; the lock is held. */
bool CompletionQueue::reserve(std::uint32_t slots, const SharedReceiveQueue* shared,
                              std::uint32_t shared_slots) {
  const auto known = std::find_if(shared_.begin(), shared_.end(),
                                  [shared](const Shared& each) { return each.identity == shared; });
  if (known == shared_.end()) slots += shared_slots;
  const std::uint32_t queued = count_.load(std::memory_order_relaxed);
  // What a queue pair left unread when it detached still lies here beside the reservations.
  const std::size_t needed = std::size_t{reserved_} + slots + queued;
  if (slots > 0 && needed > ring_.size()) {
    core::Array<Entry> larger(RPMA_FAULT_POINT("iwarp.completion-ring"), needed);
    if (!larger.made()) return false;
    for (std::uint32_t i = 0; i < queued; ++i) {
      larger[i] = std::move(ring_[(head_ + i) % ring_.size()]);
    }
    ring_ = std::move(larger);
    head_ = 0;
  }
  reserved_ += slots;
  if (known != shared_.end()) {
    known->users += 1;
  } else if (shared != nullptr) {
    shared_.push_back({shared, shared_slots, 1});
  }
  served_ = true;
  return true;
}

void CompletionQueue::unreserve(std::uint32_t slots, const SharedReceiveQueue* shared) {
  reserved_ -= slots;
  const auto known = std::find_if(shared_.begin(), shared_.end(),
                                  [shared](const Shared& each) { return each.identity == shared; });
  if (known == shared_.end()) return;
  known->users -= 1;
  if (known->users > 0) return;
  reserved_ -= known->slots;
  shared_.erase(known);
}

bool CompletionQueue::attach(const std::shared_ptr<QueuePair>& queue_pair, std::uint32_t slots,
                             const SharedReceiveQueue* shared) {
  const std::lock_guard lock(mutex_);
  if (!reserve(slots, shared, shared == nullptr ? 0 : shared->size())) return false;
  attached_.push_back({queue_pair.get(), queue_pair, slots, shared});
  return true;
}

void CompletionQueue::detach(const QueuePair* queue_pair) {
  provider::NotifyTarget target;
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(
        attached_.begin(), attached_.end(),
        [queue_pair](const Attached& attached) { return attached.identity == queue_pair; });
    if (found == attached_.end()) return;
    unreserve(found->slots, found->shared);
    attached_.erase(found);
    target = tell_if_over();
  }
  target.notify();
}

bool CompletionQueue::hold(const SharedReceiveQueue* shared, std::uint32_t slots) {
  const std::lock_guard lock(mutex_);
  return reserve(0, shared, slots);
}

void CompletionQueue::release(const SharedReceiveQueue* shared) {
  provider::NotifyTarget target;
  {
    const std::lock_guard lock(mutex_);
    unreserve(0, shared);
    target = tell_if_over();
  }
  target.notify();
}

/** Whoever waits for this queue learns that no more will come; the lock is held. */
provider::NotifyTarget CompletionQueue::tell_if_over() {
  if (!attached_.empty() || !shared_.empty() || !armed_) return {};
  armed_ = false;
  return target_;
}

void CompletionQueue::publish(const provider::Completion& completion,
                              const std::shared_ptr<Credits>& credits) {
  provider::NotifyTarget target;
  {
    const std::lock_guard lock(mutex_);
    const std::uint32_t queued = count_.load(std::memory_order_relaxed);
    RPMA_ASSERT(queued < ring_.size());
    Entry& entry = ring_[(head_ + queued) % ring_.size()];
    entry.completion = completion;
    entry.credits = credits;
    count_.store(queued + 1, std::memory_order_release);
    if (armed_) {
      armed_ = false;
      target = target_;
    }
  }
  target.notify();
}

}  // namespace rpma::iwarp
