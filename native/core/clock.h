// SPDX-License-Identifier: BSD-3-Clause
// The one clock of the library: monotonic nanoseconds, for deadlines and measurements.
#pragma once

#include <cstdint>
#include <ctime>

namespace rpma::core {

inline constexpr std::uint64_t kNanosecondsPerMillisecond = 1'000'000;

[[nodiscard]] inline std::uint64_t now_ns() {
  timespec now{};
  // It cannot fail: the clock exists on every Linux and the address is ours.
  static_cast<void>(::clock_gettime(CLOCK_MONOTONIC, &now));
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U +
         static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace rpma::core
