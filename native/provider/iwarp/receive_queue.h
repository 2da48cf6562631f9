// SPDX-License-Identifier: BSD-3-Clause
//
// The receive queue of a queue pair: posted receives, used by messages in order. One lock of its
// own, held for moments; taken below the queue pair's locks. The message in progress belongs to the
// driver.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>

#include "provider/iwarp/completion_queue.h"

namespace rpma::iwarp {

class ReceiveQueue {
 public:
  struct Receive {
    std::uint64_t id = 0;
    memory::RegionUse use;
    std::byte* memory = nullptr;
    std::uint64_t length = 0;
    bool guarded = false;
  };

  ReceiveQueue(std::uint32_t size, std::uint32_t queue_pair_number,
               std::shared_ptr<CompletionQueue> completions, std::shared_ptr<Credits> credits);

  core::Status push(const provider::WorkRequest& request);
  [[nodiscard]] std::uint32_t free_slots() const;
  [[nodiscard]] bool empty() const;

  /** What a completion tells of a message that has come. */
  struct Arrival {
    abi::Operation operation = abi::Operation::Receive;
    std::uint64_t length = 0;
    std::optional<std::uint32_t> immediate;
  };
  /** A message begins: it uses the oldest receive; false when there is none. */
  bool begin();
  /** The receive of the message in progress; of the driver. */
  [[nodiscard]] const Receive& current() const { return current_; }
  [[nodiscard]] bool in_progress() const { return in_progress_; }
  /** A receive, posted or in progress, has its memory there; of the driver. */
  [[nodiscard]] bool uses(const memory::Region* region) const;
  void deliver(const Arrival& arrival) { complete(abi::CompletionStatus::Success, arrival, 0); }
  void fail(abi::CompletionStatus status, int error) { complete(status, {}, error); }

  /** The end: everything posted completes as flushed; with the driver's and sender's locks held. */
  void flush();

 private:
  void complete(abi::CompletionStatus status, const Arrival& arrival, int error);
  void publish(const Receive& receive, abi::CompletionStatus status, const Arrival& arrival,
               int error);

  const std::uint32_t size_;
  const std::uint32_t number_;
  const std::shared_ptr<CompletionQueue> completions_;
  const std::shared_ptr<Credits> credits_;

  Receive current_;  // of the driver
  bool in_progress_ = false;

  mutable std::mutex mutex_;  // guards what follows
  std::deque<Receive> posted_;
  bool closed_ = false;
};

}  // namespace rpma::iwarp
