// SPDX-License-Identifier: BSD-3-Clause
//
// Receives that several queue pairs take. One lock, held for moments and taken below the queue
// pairs' locks; nobody is served under it. Who finds no receive waits in a line; a receive that
// comes is granted to the oldest of the line, so none that comes later can take it away, and its
// queue pair is served on the thread that posted. docs/internals/progress.md has the whole picture.
#pragma once

#include <atomic>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>

#include "core/counters.h"
#include "provider/iwarp/completion_queue.h"

namespace rpma::iwarp {

/** A posted receive; it holds its memory. */
struct Receive {
  std::uint64_t id = 0;
  memory::RegionUse use;
  std::byte* memory = nullptr;
  std::uint64_t length = 0;
  bool guarded = false;
};

/** Closed when its region is. */
core::Result<Receive> receive_of(const provider::WorkRequest& request);

/** What a completion tells of a message that has come. */
struct Arrival {
  abi::Operation operation = abi::Operation::Receive;
  std::uint64_t length = 0;
  std::optional<std::uint32_t> immediate;
};

/** How a receive ended. */
struct ReceiveOutcome {
  abi::CompletionStatus status = abi::CompletionStatus::Flushed;
  Arrival arrival;
  int error = 0;
};

void publish_receive(CompletionQueue& to, const std::shared_ptr<Credits>& credits, std::uint64_t id,
                     std::uint32_t queue_pair_number, const ReceiveOutcome& outcome);

class SharedReceiveQueue final : public provider::SharedReceiveQueue {
 public:
  /** A queue pair's place in the line; guarded by the queue's lock. */
  struct Waiter {
    enum class State : std::uint8_t { Idle, Waiting, Granted } state = State::Idle;
    std::weak_ptr<QueuePair> queue_pair;  // set before it is used, then constant
    std::list<Waiter*>::iterator place;   // valid while Waiting
  };

  static core::Result<std::shared_ptr<SharedReceiveQueue>> create(
      const provider::SharedReceiveQueueConfig& config);
  SharedReceiveQueue(std::uint32_t size, std::shared_ptr<CompletionQueue> completions);
  ~SharedReceiveQueue() override;

  core::Status post_receive(const provider::WorkRequest& request) override;
  std::uint32_t receive_queue_free() const override;
  const std::shared_ptr<provider::CompletionQueue>& completions() const override {
    return completions_;
  }
  core::Status close() override;
  void destroy() override;

  [[nodiscard]] std::uint32_t size() const { return size_; }
  /** Its own completion queue, or null. */
  [[nodiscard]] const std::shared_ptr<CompletionQueue>& own_completions() const { return own_; }
  [[nodiscard]] const std::shared_ptr<Credits>& credits() const { return credits_; }

  /** How many queue pairs stand in line. */
  [[nodiscard]] std::size_t waiting() const;

  /** A queue pair begins to use it; Closed when it is too late. */
  [[nodiscard]] core::Status join();
  /** One that joined is certain to end: close() need not wait for it. */
  void part();
  /** Takes the oldest receive that is not another's; false: then the queue pair stands in line. */
  bool take(Waiter& waiter, Receive* receive);
  /** Out of the line; what was granted to it goes to the next. No queue pair's lock is held. */
  void leave(Waiter& waiter);

  /**
   * The region's memory is about to go: its receives complete as flushed, in this queue's own
   * completion queue or in that of one of the queue pairs that use it. Progress thread.
   */
  void evict(const memory::Region* region, std::span<const std::shared_ptr<QueuePair>> queue_pairs);

 private:
  std::shared_ptr<QueuePair> grant();
  void flush(const std::deque<Receive>& receives, const std::shared_ptr<CompletionQueue>& to);

  const core::LiveCount live_{core::counters().receive_queues};
  const std::uint32_t size_;
  const std::shared_ptr<CompletionQueue> own_;
  const std::shared_ptr<provider::CompletionQueue> completions_;  // the same
  const std::shared_ptr<Credits> credits_ = std::make_shared<Credits>();

  mutable std::mutex mutex_;  // guards what follows
  std::deque<Receive> posted_;
  std::list<Waiter*> waiting_;  // the line, oldest first
  std::size_t granted_ = 0;     // of posted_, how many belong to waiters that did not come yet
  std::uint32_t users_ = 0;     // queue pairs that joined and did not part
  bool closed_ = false;
};

}  // namespace rpma::iwarp
