// SPDX-License-Identifier: BSD-3-Clause
//
// A completion queue: a bounded ring that any number of queue pairs fill and one consumer empties.
// It cannot overflow, because a queue pair takes a completion's slot back only when the consumer
// has taken it (Credits), and attaching a queue pair reserves its slots. Any thread publishes; one
// consumes.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "core/array.h"
#include "core/counters.h"
#include "provider/iwarp/send_watch.h"
#include "provider/provider.h"

namespace rpma::iwarp {

class QueuePair;
class SharedReceiveQueue;

/**
 * Slots of a queue pair's two queues, or of a shared receive queue, that are taken: posted, or
 * completed and not yet consumed.
 */
struct Credits {
  std::atomic<std::uint32_t> send{0};
  std::atomic<std::uint32_t> receive{0};
  SendWatch watch;

  void free_send() { watch.freed(send.fetch_sub(1) - 1); }
};

class CompletionQueue final : public provider::CompletionQueue {
 public:
  explicit CompletionQueue(std::uint32_t size);

  std::uint32_t poll(provider::Completion* out, std::uint32_t max) override;
  bool arm() override;
  void set_notify(provider::NotifyTarget target) override;
  std::uint32_t capacity() const override;
  bool over() const override;
  bool drained() const override;
  void take_over(int epoll_fd) override;
  void give_back() override;

  /** False when there was no memory for its entries: then it must not be used. */
  [[nodiscard]] bool made() const { return ring_.made(); }
  /**
   * Makes room for what a queue pair may have outstanding at once; false when there is no memory.
   * Receives of a shared queue have room here once, however many queue pairs take them.
   */
  [[nodiscard]] bool attach(const std::shared_ptr<QueuePair>& queue_pair, std::uint32_t slots,
                            const SharedReceiveQueue* shared = nullptr);
  /** Its last completion has been published. Idempotent. */
  void detach(const QueuePair* queue_pair);
  /** It is that queue's own: there is room for its receives, and no end before release(). */
  [[nodiscard]] bool hold(const SharedReceiveQueue* shared, std::uint32_t slots);
  void release(const SharedReceiveQueue* shared);
  /** `credits` gets its slot back when the consumer takes the completion. */
  void publish(const provider::Completion& completion, const std::shared_ptr<Credits>& credits);

 private:
  struct Entry {
    provider::Completion completion;
    std::shared_ptr<Credits> credits;
  };
  // More than this many connections are served better by the progress thread than by a poller.
  static constexpr std::size_t kDrivenMax = 4;

  std::uint32_t take(provider::Completion* out, std::uint32_t max);
  bool reserve(std::uint32_t slots, const SharedReceiveQueue* shared, std::uint32_t shared_slots);
  void unreserve(std::uint32_t slots, const SharedReceiveQueue* shared);
  provider::NotifyTarget tell_if_over();
  template <typename Visit>
  void for_driven(Visit visit);

  const core::LiveCount live_{core::counters().completion_queues};
  std::atomic<std::uint32_t> count_{0};  // of queued entries; a hint outside the lock

  mutable std::mutex mutex_;  // guards what follows; taken last of all locks
  core::Array<Entry> ring_;
  std::uint32_t head_ = 0;
  std::uint32_t reserved_ = 0;
  bool armed_ = false;
  bool served_ = false;  // ever attached
  provider::NotifyTarget target_;

  struct Attached {
    const QueuePair* identity;
    std::weak_ptr<QueuePair> queue_pair;
    std::uint32_t slots;
    const SharedReceiveQueue* shared;
  };
  std::vector<Attached> attached_;  // queue pairs that may still publish here

  struct Shared {
    const SharedReceiveQueue* identity;
    std::uint32_t slots;
    std::uint32_t users;  // queue pairs, and the shared queue itself when this is its own
  };
  std::vector<Shared> shared_;
};

}  // namespace rpma::iwarp
