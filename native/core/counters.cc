// SPDX-License-Identifier: BSD-3-Clause
// The counters of the process. Never destroyed, because threads may still count while the process
// ends.
#include "core/counters.h"

namespace rpma::core {

Counters& counters() {
  static Counters instance;
  return instance;
}

void for_each_counter(FunctionRef<void(const char* name, bool live, std::int64_t value)> visit) {
  const Counters& all = counters();
#define RPMA_VISIT_LIVE(name) visit(#name, true, all.name.load(std::memory_order_relaxed));
  RPMA_LIVE_COUNTERS(RPMA_VISIT_LIVE)
#undef RPMA_VISIT_LIVE
#define RPMA_VISIT_EVENT(name) visit(#name, false, all.name.load(std::memory_order_relaxed));
  RPMA_EVENT_COUNTERS(RPMA_VISIT_EVENT)
#undef RPMA_VISIT_EVENT
}

std::int64_t live_total() {
  std::int64_t total = 0;
  for_each_counter([&total](const char*, bool live, std::int64_t value) {
    if (live) total += value;
  });
  return total;
}

}  // namespace rpma::core
