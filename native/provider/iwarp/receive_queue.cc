// SPDX-License-Identifier: BSD-3-Clause
//
// See receive_queue.h.
#include "provider/iwarp/receive_queue.h"

#include <algorithm>

#include "core/fault_points.h"

namespace rpma::iwarp {

ReceiveQueue::ReceiveQueue(std::uint32_t size, std::uint32_t queue_pair_number,
                           std::shared_ptr<CompletionQueue> completions,
                           std::shared_ptr<Credits> credits,
                           std::shared_ptr<SharedReceiveQueue> shared,
                           provider::ConnectionCounts& counts)
    : size_(size),
      number_(queue_pair_number),
      completions_(std::move(completions)),
      credits_(shared ? shared->credits() : std::move(credits)),
      shared_(std::move(shared)),
      counts_(counts) {}

ReceiveQueue::~ReceiveQueue() {
  part();
  leave();
}

core::Status ReceiveQueue::push(const provider::WorkRequest& request) {
  if (shared_) {
    return core::Status::failure(abi::Code::NotSupported,
                                 "its receives come from a shared receive queue: post them there");
  }
  const std::lock_guard lock(mutex_);
  if (closed_) return core::Status::failure(abi::Code::Closed, "the connection has ended");
  if (credits_->receive.load() >= size_) {
    counts_.add(provider::Statistic::ReceiveQueueFull);
    return core::Status::failure(abi::Code::Again, "the receive queue is full");
  }
  core::Result<Receive> receive = receive_of(request);
  if (!receive.ok()) return receive.status();
  RPMA_FAULT_TALLY("operations.accepted");
  credits_->receive.fetch_add(1);
  counts_.add(provider::Statistic::ReceivesPosted);
  posted_.push_back(std::move(receive).value());
  return core::Status::success();
}

std::uint32_t ReceiveQueue::free_slots() const {
  if (shared_) return 0;
  const std::uint32_t used = credits_->receive.load();
  return used >= size_ ? 0 : size_ - used;
}

bool ReceiveQueue::empty() const {
  const std::lock_guard lock(mutex_);
  return posted_.empty();
}

core::Status ReceiveQueue::join(std::weak_ptr<QueuePair> queue_pair) {
  if (!shared_) return core::Status::success();
  waiter_.queue_pair = std::move(queue_pair);
  const core::Status status = shared_->join();
  joined_.store(status.ok());
  return status;
}

void ReceiveQueue::part() {
  if (joined_.exchange(false)) shared_->part();
}

void ReceiveQueue::leave() {
  if (shared_) shared_->leave(waiter_);
}

bool ReceiveQueue::uses(const memory::Region* region) const {
  if (in_progress_ && current_.use.region().get() == region) return true;
  const std::lock_guard lock(mutex_);
  return std::any_of(posted_.begin(), posted_.end(), [region](const Receive& receive) {
    return receive.use.region().get() == region;
  });
}

bool ReceiveQueue::begin() {
  if (shared_) {
    in_progress_ = shared_->take(waiter_, &current_);
    return in_progress_;
  }
  const std::lock_guard lock(mutex_);
  if (posted_.empty()) return false;
  current_ = std::move(posted_.front());
  posted_.pop_front();
  in_progress_ = true;
  return true;
}

void ReceiveQueue::complete(abi::CompletionStatus status, const Arrival& arrival, int error) {
  in_progress_ = false;
  const Receive done = std::move(current_);
  current_ = Receive{};
  publish(done, {status, arrival, error});
}

void ReceiveQueue::flush() {
  if (in_progress_) fail(abi::CompletionStatus::Flushed, 0);
  std::deque<Receive> rest;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    rest.swap(posted_);
  }
  for (const Receive& receive : rest) publish(receive, {});
}

void ReceiveQueue::publish(const Receive& receive, const ReceiveOutcome& outcome) {
  counts_.add(outcome.status == abi::CompletionStatus::Success
                  ? provider::Statistic::ReceivesCompleted
                  : provider::Statistic::ReceivesFailed);
  publish_receive(*completions_, credits_, receive.id, number_, outcome);
}

}  // namespace rpma::iwarp
