// SPDX-License-Identifier: BSD-3-Clause
//
// Somebody waits until a send queue has room. Armed for one notification, as a completion queue:
// whoever frees a slot subtracts, then looks whether somebody waits; who waits says so, then looks
// at the count. Both sequentially consistent, so at least one of the two sees the other and no
// wake-up is lost. Slots are freed by the consumer of completions and, where an on-error operation
// has succeeded, by the thread that found it so; any thread arms.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <utility>

#include "provider/provider.h"

namespace rpma::iwarp {

class SendWatch {
 public:
  void set_notify(provider::NotifyTarget target) {
    const std::lock_guard lock(mutex_);
    target_ = std::move(target);
  }

  /**
   * Asks for one notification once at most `used_max` slots are taken, in place of what was asked
   * before; false, and none is asked for, when that is so already.
   */
  bool arm(const std::atomic<std::uint32_t>& used, std::uint32_t used_max) {
    below_.store(used_max + 1);
    if (used.load() > used_max) return true;
    below_.store(0);
    return false;
  }

  /** A slot is free again; `used` are still taken. A load and a comparison while nobody waits. */
  void freed(std::uint32_t used) {
    if (used < below_.load()) tell();
  }

 private:
  void tell() {
    if (below_.exchange(0) == 0) return;  // another one told it
    provider::NotifyTarget target;
    {
      const std::lock_guard lock(mutex_);
      target = target_;
    }
    target.notify();
  }

  std::atomic<std::uint32_t> below_{0};  // 0: nobody waits
  std::mutex mutex_;                     // guards the target; taken last of all locks
  provider::NotifyTarget target_;
};

}  // namespace rpma::iwarp
