// SPDX-License-Identifier: BSD-3-Clause
//
// The send queue of a queue pair: what was posted and has no outcome yet, in post order. A slot
// goes posted -> taken (its first frame is built) -> sent (TCP has all its bytes) -> done, and is
// retired, its completion published, only when everything before it is. Reads, flushes and atomic
// writes are done when they are answered, and answers come in the order of the requests.
//
//     head_ ......... taken_ ......... tail_
//     | waiting for    | not begun      |
//
// One lock of its own, held for moments; taken below the queue pair's locks.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>

#include "core/array.h"
#include "provider/iwarp/completion_queue.h"
#include "provider/statistics.h"

namespace rpma::iwarp {

struct SendSlot {
  provider::WorkRequest request;
  memory::RegionUse use;       // of request.local, for as long as the operation may touch it
  std::uint64_t sequence = 0;  // position in the queue's life; its low half is the id on the wire
  std::uint64_t received = 0;  // bytes of a Read's response placed; of the receive side
  bool taken = false;
  bool done = false;
  abi::CompletionStatus status = abi::CompletionStatus::Success;
  abi::Durability durability = abi::Durability::None;
  int error = 0;

  [[nodiscard]] std::byte* memory() const {
    return request.local ? request.local->data() + request.local_offset : nullptr;
  }
  [[nodiscard]] bool answered() const {
    return request.carrier == abi::Operation::Read || request.carrier == abi::Operation::Flush ||
           request.carrier == abi::Operation::AtomicWrite;
  }
  /** The tag we choose for a Read's response: never one that a Write could name. */
  [[nodiscard]] std::uint32_t sink_tag() const {
    return 0x8000'0000U | static_cast<std::uint32_t>(sequence);
  }
  [[nodiscard]] std::uint32_t wire_id() const { return static_cast<std::uint32_t>(sequence); }
};

class SendQueue {
 public:
  SendQueue(std::uint32_t size, std::uint32_t queue_pair_number,
            std::shared_ptr<CompletionQueue> completions, std::shared_ptr<Credits> credits,
            provider::ConnectionCounts& counts);

  /** False when there was no memory for its slots: then it must not be used. */
  [[nodiscard]] bool made() const { return slots_.made(); }

  /** Again when full, WcLocalProtection when the local region is revoked. */
  core::Status push(const provider::WorkRequest& request);
  [[nodiscard]] std::uint32_t free_slots() const;
  /** One notification once so many are free; false, and none, when they are. */
  bool watch_free(std::uint32_t slots);
  void set_outbound_reads(std::uint32_t limit);

  // Transmit side.
  /** The next operation to begin, now begun; null when there is none or it must wait (ORD, fence).
   */
  SendSlot* take();
  /** TCP has all its bytes: a write or send is done. */
  void sent(std::uint64_t sequence);

  // Receive side: the oldest operation that waits for an answer. Valid until settled or failed.
  SendSlot* oldest_waiting();
  void answer(abi::CompletionStatus status, abi::Durability durability, int error);

  /** An operation without an outcome has its local memory there. */
  [[nodiscard]] bool uses(const memory::Region* region) const;
  /** Nothing posted is without an outcome. */
  [[nodiscard]] bool empty() const;
  /**
   * The end: the oldest operation without an outcome fails with `status`, the others as flushed;
   * what was executed keeps its success. True when there was one to carry the status.
   */
  bool fail_all(abi::CompletionStatus status, int error);

 private:
  void count_posted(const provider::WorkRequest& request);
  void settle(SendSlot& slot, abi::CompletionStatus status, int error);
  void retire();
  void publish(const SendSlot& slot);
  SendSlot& slot(std::uint64_t sequence) { return slots_[sequence % slots_.size()]; }

  const std::uint32_t number_;
  const std::shared_ptr<CompletionQueue> completions_;
  const std::shared_ptr<Credits> credits_;
  provider::ConnectionCounts& counts_;

  mutable std::mutex mutex_;  // guards what follows
  core::Array<SendSlot> slots_;
  std::uint64_t head_ = 0;
  std::uint64_t taken_ = 0;
  std::uint64_t tail_ = 0;
  std::uint32_t outbound_reads_ = 0;
  std::deque<std::uint64_t> waiting_;  // sequences of taken, unanswered requests; bounded by ORD
  bool failed_ = false;
};

}  // namespace rpma::iwarp
