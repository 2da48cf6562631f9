// SPDX-License-Identifier: BSD-3-Clause
//
// What the objects of one device share: the region table with its protection domain, the progress
// thread, the persist threads, staging buffers, addresses to be slowed, and the list of living
// queue pairs and shared receive queues. Any thread.
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
class SharedReceiveQueue;

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
    keep(queue_pairs_, queue_pair);
  }
  void remember(const std::shared_ptr<SharedReceiveQueue>& queue) {
    const std::lock_guard lock(mutex_);
    keep(shared_receive_queues_, queue);
  }
  std::vector<std::shared_ptr<QueuePair>> queue_pairs() {
    const std::lock_guard lock(mutex_);
    return alive(queue_pairs_);
  }
  std::vector<std::shared_ptr<SharedReceiveQueue>> shared_receive_queues() {
    const std::lock_guard lock(mutex_);
    return alive(shared_receive_queues_);
  }

 private:
  template <typename T>
  static void keep(std::vector<std::weak_ptr<T>>& all, const std::shared_ptr<T>& one) {
    std::erase_if(all, [](const auto& weak) { return weak.expired(); });
    all.push_back(one);
  }
  template <typename T>
  static std::vector<std::shared_ptr<T>> alive(const std::vector<std::weak_ptr<T>>& all) {
    std::vector<std::shared_ptr<T>> found;
    for (const std::weak_ptr<T>& weak : all) {
      if (auto one = weak.lock()) found.push_back(std::move(one));
    }
    return found;
  }

  std::mutex mutex_;
  std::vector<std::weak_ptr<QueuePair>> queue_pairs_;
  std::vector<std::weak_ptr<SharedReceiveQueue>> shared_receive_queues_;
};

}  // namespace rpma::iwarp
