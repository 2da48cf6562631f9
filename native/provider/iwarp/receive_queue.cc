// SPDX-License-Identifier: BSD-3-Clause
//
// See receive_queue.h.
#include "provider/iwarp/receive_queue.h"

#include <algorithm>

#include "core/fault_points.h"

namespace rpma::iwarp {

ReceiveQueue::ReceiveQueue(std::uint32_t size, std::uint32_t queue_pair_number,
                           std::shared_ptr<CompletionQueue> completions,
                           std::shared_ptr<Credits> credits)
    : size_(size),
      number_(queue_pair_number),
      completions_(std::move(completions)),
      credits_(std::move(credits)) {}

core::Status ReceiveQueue::push(const provider::WorkRequest& request) {
  const std::lock_guard lock(mutex_);
  if (closed_) return core::Status::failure(abi::Code::Closed, "the connection has ended");
  if (credits_->receive.load() >= size_) {
    return core::Status::failure(abi::Code::Again, "the receive queue is full");
  }
  Receive receive;
  receive.id = request.id;
  receive.length = request.length;
  if (request.local) {
    receive.use = request.local->acquire();
    if (!receive.use) return core::Status::failure(abi::Code::Closed, "the local region is closed");
    receive.memory = request.local->data() + request.local_offset;
    receive.guarded = request.local->guarded();
  }
  RPMA_FAULT_TALLY("operations.accepted");
  credits_->receive.fetch_add(1);
  posted_.push_back(std::move(receive));
  return core::Status::success();
}

std::uint32_t ReceiveQueue::free_slots() const {
  const std::uint32_t used = credits_->receive.load();
  return used >= size_ ? 0 : size_ - used;
}

bool ReceiveQueue::empty() const {
  const std::lock_guard lock(mutex_);
  return posted_.empty();
}

bool ReceiveQueue::uses(const memory::Region* region) const {
  if (in_progress_ && current_.use.region().get() == region) return true;
  const std::lock_guard lock(mutex_);
  return std::any_of(posted_.begin(), posted_.end(), [region](const Receive& receive) {
    return receive.use.region().get() == region;
  });
}

bool ReceiveQueue::begin() {
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
  publish(done, status, arrival, error);
}

void ReceiveQueue::flush() {
  if (in_progress_) fail(abi::CompletionStatus::Flushed, 0);
  std::deque<Receive> rest;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    rest.swap(posted_);
  }
  for (const Receive& receive : rest) publish(receive, abi::CompletionStatus::Flushed, {}, 0);
}

void ReceiveQueue::publish(const Receive& receive, abi::CompletionStatus status,
                           const Arrival& arrival, int error) {
  RPMA_FAULT_TALLY("operations.settled");
  provider::Completion completion{};
  completion.id = static_cast<double>(receive.id);
  completion.operation = static_cast<std::uint8_t>(arrival.operation);
  completion.status = static_cast<std::uint8_t>(status);
  completion.queue_pair_number = number_;
  // A Write may have more bytes than the field can tell, because no receive bounds it.
  completion.length =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(arrival.length, UINT32_MAX));
  if (arrival.immediate) {
    completion.flags |= abi::kCompletionFlagsImmediate;
    completion.immediate = *arrival.immediate;
  }
  completion.provider_error = error;
  completions_->publish(completion, credits_);
}

}  // namespace rpma::iwarp
