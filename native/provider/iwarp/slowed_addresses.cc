// SPDX-License-Identifier: BSD-3-Clause
//
// See slowed_addresses.h.
#include "provider/iwarp/slowed_addresses.h"

#include <algorithm>
#include <iterator>

#include "abi.generated.h"
#include "core/clock.h"
#include "provider/iwarp/socket.h"

namespace rpma::iwarp {
namespace {

constexpr std::uint64_t kDecayNs = abi::kSlowedDecayMs * core::kNanosecondsPerMillisecond;

constexpr std::uint64_t delay_of(std::uint32_t errors) {
  if (errors <= abi::kSlowedErrorsForgiven) return 0;
  const std::uint64_t doublings = errors - abi::kSlowedErrorsForgiven - 1;
  return std::min<std::uint64_t>(abi::kSlowedStepMs << doublings, abi::kSlowedDelayMsMax);
}

// Errors beyond these would only be remembered longer.
constexpr std::uint32_t errors_max() {
  std::uint32_t errors = 0;
  while (delay_of(errors) < abi::kSlowedDelayMsMax) ++errors;
  return errors;
}
constexpr std::uint32_t kErrorsMax = errors_max();
static_assert(abi::kSlowedDelayMsMax < abi::kSetupTimeoutMs, "a delayed set-up still has time");

}  // namespace

void SlowedAddresses::note(const provider::Address& remote, std::uint64_t now_ns) {
  if (is_loopback(remote)) return;
  const std::lock_guard lock(mutex_);
  auto found = entries_.find(remote.host);
  if (found == entries_.end()) {
    if (entries_.size() >= abi::kSlowedAddresses) make_room(now_ns);
    found = entries_.emplace(remote.host, Entry{0, now_ns}).first;
  } else if (!forget(found->second, now_ns)) {
    found->second = Entry{0, now_ns};
  }
  found->second.errors = std::min(found->second.errors + 1, kErrorsMax);
}

std::uint64_t SlowedAddresses::delay_ms(const provider::Address& remote, std::uint64_t now_ns) {
  if (is_loopback(remote)) return 0;
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(remote.host);
  if (found == entries_.end()) return 0;
  if (forget(found->second, now_ns)) return delay_of(found->second.errors);
  entries_.erase(found);
  return 0;
}

std::size_t SlowedAddresses::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

/** Takes the steps that are due; false when nothing is left. */
bool SlowedAddresses::forget(Entry& entry, std::uint64_t now_ns) {
  const std::uint64_t steps = now_ns > entry.since_ns ? (now_ns - entry.since_ns) / kDecayNs : 0;
  if (steps >= entry.errors) return false;
  entry.errors -= static_cast<std::uint32_t>(steps);
  entry.since_ns += steps * kDecayNs;
  return true;
}

void SlowedAddresses::make_room(std::uint64_t now_ns) {
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    entry = forget(entry->second, now_ns) ? std::next(entry) : entries_.erase(entry);
  }
  if (entries_.size() < abi::kSlowedAddresses) return;
  entries_.erase(std::min_element(
      entries_.begin(), entries_.end(),
      [](const auto& one, const auto& other) { return one.second.errors < other.second.errors; }));
}

}  // namespace rpma::iwarp
