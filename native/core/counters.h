// SPDX-License-Identifier: BSD-3-Clause
// Counts of live objects of the process and of notable events, so that tests can assert that what
// was opened was closed. Relaxed atomics: they order nothing and any thread may read them.
#pragma once

#include <atomic>
#include <cstdint>

#include "core/function_ref.h"

namespace rpma::core {

// Live objects return to zero when everything is closed; events only grow.
#define RPMA_LIVE_COUNTERS(X) \
  X(peers)                    \
  X(endpoints)                \
  X(requests)                 \
  X(connections)              \
  X(queue_pairs)              \
  X(completion_queues)        \
  X(receive_queues)           \
  X(event_queues)             \
  X(listeners)                \
  X(protection_domains)       \
  X(regions)                  \
  X(mappings)                 \
  X(mapped_ranges)            \
  X(persist_targets)          \
  X(persists_queued)          \
  X(sockets)                  \
  X(descriptors)              \
  X(threads)                  \
  X(tickets)                  \
  X(handles)                  \
  X(staging_bytes)

#define RPMA_EVENT_COUNTERS(X) \
  X(persist_calls)             \
  X(persists_merged)           \
  X(persist_failures)          \
  X(guard_hits)                \
  X(setups_refused)            \
  X(setups_delayed)            \
  X(connections_refused)       \
  X(accept_pauses)             \
  X(protection_errors)         \
  X(wake_ups)

struct Counters {
#define RPMA_COUNTER_MEMBER(name) std::atomic<std::int64_t> name{0};
  RPMA_LIVE_COUNTERS(RPMA_COUNTER_MEMBER)
  RPMA_EVENT_COUNTERS(RPMA_COUNTER_MEMBER)
#undef RPMA_COUNTER_MEMBER
};

// Of the process: shared by all environments, as the objects are.
[[nodiscard]] Counters& counters();

inline void count(std::atomic<std::int64_t>& counter, std::int64_t by = 1) {
  counter.fetch_add(by, std::memory_order_relaxed);
}

// Every counter with its name; live ones first.
void for_each_counter(FunctionRef<void(const char* name, bool live, std::int64_t value)> visit);

// The sum of all live counters: 0 when everything of the process is closed.
[[nodiscard]] std::int64_t live_total();

// A member that counts its owner for as long as it lives.
class LiveCount {
 public:
  explicit LiveCount(std::atomic<std::int64_t>& counter) : counter_(&counter) { count(counter); }
  ~LiveCount() { count(*counter_, -1); }
  LiveCount(const LiveCount&) = delete;
  LiveCount& operator=(const LiveCount&) = delete;

 private:
  std::atomic<std::int64_t>* counter_;
};

}  // namespace rpma::core
