// SPDX-License-Identifier: BSD-3-Clause
//
// A descriptor that says whether an object has something: an eventfd that the object's
// notifications make readable, for epoll(7), poll(2) and threads that are not ours. Made only for
// who asks. It stands between the object and whom it notified before, and passes every notification
// on, so that who waits by the descriptor and who waits by the loop are both told. Any thread
// notifies; clear, rearm and close belong to the thread that consumes the object. See
// docs/internals/waiting.md.
#pragma once

#include <memory>
#include <mutex>
#include <span>

#include "core/result.h"
#include "provider/provider.h"

namespace rpma::rma {

class Readiness final : public provider::Notifier {
 public:
  /** `next`: whom notifications are passed on to; may be null. */
  static core::Result<std::shared_ptr<Readiness>> create(std::shared_ptr<provider::Notifier> next);

  Readiness(int fd, std::shared_ptr<provider::Notifier> next);
  ~Readiness() override;
  Readiness(const Readiness&) = delete;
  Readiness& operator=(const Readiness&) = delete;

  /** Level-triggered: readable while raised. -1 once closed. */
  int fd() const;
  void notify(std::uint64_t token) override;
  void raise();
  void clear();
  /**
   * Of completion queues in which nothing was found: they announce the next completion, and the
   * descriptor is not readable until then. False, and readable, when one of them has something
   * after all, or, if the queues `end` with their connections, when all of them have ended.
   */
  bool rearm(std::span<provider::CompletionQueue* const> queues, bool end);
  /** Readable first, so that who holds a duplicate of it wakes up. Idempotent. */
  void close();

 private:
  const std::shared_ptr<provider::Notifier> next_;
  mutable std::mutex mutex_;  // guards what follows; taken last of all locks
  int fd_;
  bool raised_ = false;
};

}  // namespace rpma::rma
