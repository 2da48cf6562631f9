// SPDX-License-Identifier: BSD-3-Clause
//
// See send_queue.h.
#include "provider/iwarp/send_queue.h"

#include "core/assert.h"
#include "core/fault_points.h"

namespace rpma::iwarp {

SendQueue::SendQueue(std::uint32_t size, std::uint32_t queue_pair_number,
                     std::shared_ptr<CompletionQueue> completions, std::shared_ptr<Credits> credits,
                     provider::ConnectionCounts& counts)
    : number_(queue_pair_number),
      completions_(std::move(completions)),
      credits_(std::move(credits)),
      counts_(counts),
      slots_(RPMA_FAULT_POINT("iwarp.send-slots"), size) {}

core::Status SendQueue::push(const provider::WorkRequest& request) {
  const std::lock_guard lock(mutex_);
  if (failed_) return core::Status::failure(abi::Code::Closed, "the connection has ended");
  if (credits_->send.load() >= slots_.size()) {
    counts_.add(provider::Statistic::SendQueueFull);
    return core::Status::failure(abi::Code::Again, "the send queue is full");
  }
  memory::RegionUse use;
  if (request.local) {
    use = request.local->acquire();
    if (!use) return core::Status::failure(abi::Code::Closed, "the local region is closed");
  }
  RPMA_FAULT_TALLY("operations.accepted");
  count_posted(request);
  credits_->send.fetch_add(1);
  SendSlot& free = slot(tail_);
  free.request = request;
  free.use = std::move(use);
  free.sequence = tail_;
  free.received = 0;
  free.taken = false;
  free.done = false;
  free.status = abi::CompletionStatus::Success;
  free.durability = abi::Durability::None;
  free.error = 0;
  ++tail_;
  return core::Status::success();
}

void SendQueue::count_posted(const provider::WorkRequest& request) {
  counts_.add(
      provider::statistic_of(static_cast<std::uint8_t>(request.posted), provider::Fate::Posted));
  if (request.posted != abi::Operation::Flush) return;
  counts_.add(request.carrier == abi::Operation::Flush ? provider::Statistic::FlushesNative
                                                       : provider::Statistic::FlushesEmulated);
}

std::uint32_t SendQueue::free_slots() const {
  // Slots never change their number, so their size may be read without the lock.
  const std::uint32_t used = credits_->send.load();
  return used >= slots_.size() ? 0 : static_cast<std::uint32_t>(slots_.size()) - used;
}

bool SendQueue::watch_free(std::uint32_t slots) {
  const auto size = static_cast<std::uint32_t>(slots_.size());
  return credits_->watch.arm(credits_->send, slots >= size ? 0 : size - slots);
}

void SendQueue::set_outbound_reads(std::uint32_t limit) {
  const std::lock_guard lock(mutex_);
  outbound_reads_ = limit;
}

SendSlot* SendQueue::take() {
  const std::lock_guard lock(mutex_);
  if (failed_ || taken_ == tail_) return nullptr;
  SendSlot& next = slot(taken_);
  if (next.answered() && waiting_.size() >= outbound_reads_) return nullptr;
  if (next.request.fence && !waiting_.empty()) return nullptr;
  next.taken = true;
  // Before its first byte leaves: the answer may arrive while we are still in sendmsg.
  if (next.answered()) waiting_.push_back(taken_);
  ++taken_;
  return &next;
}

void SendQueue::sent(std::uint64_t sequence) {
  const std::lock_guard lock(mutex_);
  if (sequence < head_) return;  // failed meanwhile
  SendSlot& done = slot(sequence);
  if (done.answered() || done.done) return;
  settle(done, abi::CompletionStatus::Success, 0);
  retire();
}

SendSlot* SendQueue::oldest_waiting() {
  const std::lock_guard lock(mutex_);
  return waiting_.empty() ? nullptr : &slot(waiting_.front());
}

void SendQueue::answer(abi::CompletionStatus status, abi::Durability durability, int error) {
  const std::lock_guard lock(mutex_);
  if (waiting_.empty()) return;  // failed meanwhile
  SendSlot& done = slot(waiting_.front());
  waiting_.pop_front();
  done.durability = durability;
  settle(done, status, error);
  retire();
}

bool SendQueue::uses(const memory::Region* region) const {
  const std::lock_guard lock(mutex_);
  for (std::uint64_t sequence = head_; sequence != tail_; ++sequence) {
    if (slots_[sequence % slots_.size()].use.region().get() == region) return true;
  }
  return false;
}

bool SendQueue::empty() const {
  const std::lock_guard lock(mutex_);
  return head_ == tail_;
}

bool SendQueue::fail_all(abi::CompletionStatus status, int error) {
  const std::lock_guard lock(mutex_);
  failed_ = true;
  waiting_.clear();
  bool carried = status == abi::CompletionStatus::Flushed;
  const bool wanted = !carried;
  for (std::uint64_t sequence = head_; sequence != tail_; ++sequence) {
    SendSlot& open = slot(sequence);
    if (open.done) continue;
    settle(open, carried ? abi::CompletionStatus::Flushed : status, carried ? 0 : error);
    carried = true;
  }
  retire();
  return wanted && carried;
}

void SendQueue::settle(SendSlot& slot, abi::CompletionStatus status, int error) {
  RPMA_FAULT_TALLY("operations.settled");
  slot.done = true;
  slot.status = status;
  slot.error = error;
  const bool success = status == abi::CompletionStatus::Success;
  counts_.add(provider::statistic_of(static_cast<std::uint8_t>(slot.request.posted),
                                     success ? provider::Fate::Completed : provider::Fate::Failed));
  slot.use.release();
}

void SendQueue::retire() {
  while (head_ != tail_ && slot(head_).done) {
    SendSlot& done = slot(head_);
    publish(done);
    done.request.local.reset();
    ++head_;
  }
}

void SendQueue::publish(const SendSlot& slot) {
  const bool success = slot.status == abi::CompletionStatus::Success;
  if (success && !slot.request.signalled) {
    credits_->free_send();
    return;
  }
  provider::Completion completion{};
  completion.id = static_cast<double>(slot.request.id);
  completion.operation = static_cast<std::uint8_t>(slot.request.posted);
  completion.status = static_cast<std::uint8_t>(slot.status);
  completion.durability =
      static_cast<std::uint8_t>(success ? slot.durability : abi::Durability::None);
  completion.flags = slot.taken ? 0 : abi::kCompletionFlagsUntouched;
  completion.queue_pair_number = number_;
  completion.provider_error = slot.error;
  completions_->publish(completion, credits_);
}

}  // namespace rpma::iwarp
