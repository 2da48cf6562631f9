// SPDX-License-Identifier: BSD-3-Clause
//
// The receive queue of a queue pair: posted receives, used by messages in order; or the queue
// pair's side of a shared receive queue. One lock of its own, held for moments; taken below the
// queue pair's locks. The message in progress belongs to the driver.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>

#include "provider/iwarp/shared_receive_queue.h"
#include "provider/statistics.h"

namespace rpma::iwarp {

class ReceiveQueue {
 public:
  using Receive = iwarp::Receive;
  using Arrival = iwarp::Arrival;

  /** `shared`: null for receives of its own; then `size` is of no meaning. */
  ReceiveQueue(std::uint32_t size, std::uint32_t queue_pair_number,
               std::shared_ptr<CompletionQueue> completions, std::shared_ptr<Credits> credits,
               std::shared_ptr<SharedReceiveQueue> shared, provider::ConnectionCounts& counts);
  ~ReceiveQueue();
  ReceiveQueue(const ReceiveQueue&) = delete;
  ReceiveQueue& operator=(const ReceiveQueue&) = delete;

  core::Status push(const provider::WorkRequest& request);
  [[nodiscard]] std::uint32_t free_slots() const;
  /** Nothing was posted that the driver may have overlooked; a shared queue calls by itself. */
  [[nodiscard]] bool empty() const;

  // The shared queue; without one these do nothing.
  [[nodiscard]] const std::shared_ptr<SharedReceiveQueue>& shared() const { return shared_; }
  /** Begins to use it; once, before anything else. */
  [[nodiscard]] core::Status join(std::weak_ptr<QueuePair> queue_pair);
  /** The queue pair is certain to end. Idempotent; any thread. */
  void part();
  /** The queue pair has ended: it waits for no receive any more. None of its locks is held. */
  void leave();

  /** A message begins: it uses the oldest receive; false when there is none. */
  bool begin();
  /** The receive of the message in progress; of the driver. */
  [[nodiscard]] const Receive& current() const { return current_; }
  [[nodiscard]] bool in_progress() const { return in_progress_; }
  /** A receive, posted here or in progress, has its memory there; of the driver. */
  [[nodiscard]] bool uses(const memory::Region* region) const;
  void deliver(const Arrival& arrival) { complete(abi::CompletionStatus::Success, arrival, 0); }
  void fail(abi::CompletionStatus status, int error) { complete(status, {}, error); }

  /**
   * The end: everything posted here, and what is in progress, completes as flushed; with the
   * driver's and sender's locks held. What is posted to a shared queue stays there for others.
   */
  void flush();

 private:
  void complete(abi::CompletionStatus status, const Arrival& arrival, int error);
  void publish(const Receive& receive, const ReceiveOutcome& outcome);

  const std::uint32_t size_;
  const std::uint32_t number_;
  const std::shared_ptr<CompletionQueue> completions_;
  const std::shared_ptr<Credits> credits_;  // the shared queue's, if there is one
  const std::shared_ptr<SharedReceiveQueue> shared_;
  provider::ConnectionCounts& counts_;
  SharedReceiveQueue::Waiter waiter_;  // of shared_, under its lock
  std::atomic<bool> joined_{false};

  Receive current_;  // of the driver
  bool in_progress_ = false;

  mutable std::mutex mutex_;  // guards what follows
  std::deque<Receive> posted_;
  bool closed_ = false;
};

}  // namespace rpma::iwarp
