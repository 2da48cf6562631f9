// SPDX-License-Identifier: BSD-3-Clause
//
// Addresses that cause protection errors wait longer and longer, up to a bound; they are forgotten
// step by step; the table is bounded and keeps the worst; loopback and strangers never wait.
#include <string>

#include "core/clock.h"
#include "provider/iwarp/slowed_addresses.h"
#include "test/check.h"

namespace rpma::test {
namespace {

using iwarp::SlowedAddresses;

constexpr std::uint64_t kMillisecond = core::kNanosecondsPerMillisecond;
constexpr std::uint64_t kStart = 1'000'000 * kMillisecond;
constexpr std::uint64_t kDecay = abi::kSlowedDecayMs * kMillisecond;

provider::Address address(std::uint32_t number) {
  return {"10.1." + std::to_string(number / 256) + "." + std::to_string(number % 256), 7};
}

void note_times(SlowedAddresses& slowed, const provider::Address& of, std::uint64_t times) {
  for (std::uint64_t n = 0; n < times; ++n) slowed.note(of, kStart);
}

TEST(the_first_errors_are_forgiven_and_each_further_one_doubles_the_delay) {
  SlowedAddresses slowed;
  for (std::uint64_t n = 0; n < abi::kSlowedErrorsForgiven; ++n) {
    slowed.note(address(1), kStart);
    CHECK_EQ(slowed.delay_ms(address(1), kStart), 0);
  }
  std::uint64_t expected = abi::kSlowedStepMs;
  for (int n = 0; n < 40; ++n) {
    slowed.note(address(1), kStart);
    CHECK_EQ(slowed.delay_ms(address(1), kStart), std::min(expected, abi::kSlowedDelayMsMax));
    if (expected < abi::kSlowedDelayMsMax) expected *= 2;
  }
  CHECK_EQ(slowed.delay_ms(address(2), kStart), 0);
}

TEST(a_step_is_forgotten_at_a_time_until_nothing_is_left) {
  SlowedAddresses slowed;
  note_times(slowed, address(1), abi::kSlowedErrorsForgiven + 2);
  CHECK_EQ(slowed.delay_ms(address(1), kStart + kDecay - 1), 2 * abi::kSlowedStepMs);
  CHECK_EQ(slowed.delay_ms(address(1), kStart + kDecay), abi::kSlowedStepMs);
  CHECK_EQ(slowed.delay_ms(address(1), kStart + 2 * kDecay), 0);
  CHECK_EQ(slowed.size(), 1);
  CHECK_EQ(slowed.delay_ms(address(1), kStart + 100 * kDecay), 0);
  CHECK_EQ(slowed.size(), 0);
  // However many errors there were, a minute is enough.
  note_times(slowed, address(1), 1'000'000);
  CHECK_EQ(slowed.delay_ms(address(1), kStart), abi::kSlowedDelayMsMax);
  CHECK_EQ(slowed.delay_ms(address(1), kStart + 60'000 * kMillisecond), 0);
  // And an old entry starts anew.
  slowed.note(address(1), kStart);
  slowed.note(address(1), kStart + 60'000 * kMillisecond);
  CHECK_EQ(slowed.delay_ms(address(1), kStart + 60'000 * kMillisecond), 0);
}

TEST(a_full_table_keeps_those_with_the_most_errors) {
  SlowedAddresses slowed;
  note_times(slowed, address(0), 100);
  for (std::uint32_t n = 1; n < 3 * abi::kSlowedAddresses; ++n) {
    slowed.note(address(n), kStart);
    if (slowed.size() > abi::kSlowedAddresses) break;
  }
  CHECK_EQ(slowed.size(), abi::kSlowedAddresses);
  CHECK_EQ(slowed.delay_ms(address(0), kStart), abi::kSlowedDelayMsMax);
  // Whom nothing is remembered of any more makes room first.
  slowed.note(address(100'000), kStart + 2 * kDecay);
  CHECK_EQ(slowed.size(), 2);
}

TEST(loopback_never_waits) {
  SlowedAddresses slowed;
  for (const char* host : {"127.0.0.1", "127.3.2.1", "::1", "::ffff:127.0.0.1"}) {
    note_times(slowed, {host, 1}, 100);
    CHECK_EQ(slowed.delay_ms({host, 1}, kStart), 0);
  }
  CHECK_EQ(slowed.size(), 0);
}

}  // namespace
}  // namespace rpma::test
CHECK_MAIN()
