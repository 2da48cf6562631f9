// SPDX-License-Identifier: BSD-3-Clause
//
// What the objects of one device share: the region table with its protection domain, the progress
// thread, the persist threads, staging buffers, addresses to be slowed, and the list of living
// queue pairs. Any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "memory/persist_service.h"
#include "memory/region_table.h"
#include "provider/iwarp/buffer_pool.h"
#include "provider/iwarp/progress_thread.h"
#include "provider/iwarp/slowed_addresses.h"

namespace rpma::iwarp {

class QueuePair;

struct DeviceContext {
  memory::RegionTable regions;
  std::uint64_t domain = 1;  // one protection domain a device, and a region table of its own
  BufferPool buffers;
  SlowedAddresses slowed;
  std::shared_ptr<ProgressThread> progress;
  std::shared_ptr<memory::PersistService> persist;
  bool direct_write_to_pmem = false;

  void remember(const std::shared_ptr<QueuePair>& queue_pair) {
    const std::lock_guard lock(mutex_);
    std::erase_if(queue_pairs_, [](const auto& weak) { return weak.expired(); });
    queue_pairs_.push_back(queue_pair);
  }
  std::vector<std::shared_ptr<QueuePair>> queue_pairs() {
    const std::lock_guard lock(mutex_);
    std::vector<std::shared_ptr<QueuePair>> alive;
    for (const std::weak_ptr<QueuePair>& weak : queue_pairs_) {
      if (auto queue_pair = weak.lock()) alive.push_back(std::move(queue_pair));
    }
    return alive;
  }

 private:
  std::mutex mutex_;
  std::vector<std::weak_ptr<QueuePair>> queue_pairs_;
};

}  // namespace rpma::iwarp
