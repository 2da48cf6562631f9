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
#include "provider/statistics.h"

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
  provider::PeerCounts counts;

  void remember(const std::shared_ptr<QueuePair>& queue_pair,
                std::shared_ptr<provider::ConnectionCounts> connection_counts) {
    counts.add(provider::PeerStatistic::ConnectionsMade);
    const std::lock_guard lock(mutex_);
    std::erase_if(queue_pairs_, [this](const Remembered& each) {
      // Nobody counts any more when it is gone for good: then its sums are the peer's.
      if (!each.queue_pair.expired() || each.counts.use_count() > 1) return false;
      each.counts->add_to(ended_);
      return true;
    });
    queue_pairs_.push_back({queue_pair, std::move(connection_counts)});
  }
  void remember(const std::shared_ptr<SharedReceiveQueue>& queue) {
    const std::lock_guard lock(mutex_);
    std::erase_if(shared_receive_queues_, [](const auto& weak) { return weak.expired(); });
    shared_receive_queues_.push_back(queue);
  }
  /** Of all connections, also those that have ended. */
  provider::Statistics connection_statistics() {
    const std::lock_guard lock(mutex_);
    provider::Statistics sum = ended_;
    for (const Remembered& each : queue_pairs_) each.counts->add_to(sum);
    return sum;
  }
  std::vector<std::shared_ptr<QueuePair>> queue_pairs() {
    const std::lock_guard lock(mutex_);
    std::vector<std::shared_ptr<QueuePair>> alive;
    for (const Remembered& each : queue_pairs_) {
      if (auto queue_pair = each.queue_pair.lock()) alive.push_back(std::move(queue_pair));
    }
    return alive;
  }
  std::vector<std::shared_ptr<SharedReceiveQueue>> shared_receive_queues() {
    const std::lock_guard lock(mutex_);
    std::vector<std::shared_ptr<SharedReceiveQueue>> alive;
    for (const std::weak_ptr<SharedReceiveQueue>& weak : shared_receive_queues_) {
      if (auto queue = weak.lock()) alive.push_back(std::move(queue));
    }
    return alive;
  }

 private:
  struct Remembered {
    std::weak_ptr<QueuePair> queue_pair;
    std::shared_ptr<provider::ConnectionCounts> counts;
  };

  std::mutex mutex_;  // guards what follows
  std::vector<Remembered> queue_pairs_;
  std::vector<std::weak_ptr<SharedReceiveQueue>> shared_receive_queues_;
  provider::Statistics ended_{};  // of connections that are gone
};

}  // namespace rpma::iwarp
