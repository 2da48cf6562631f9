// SPDX-License-Identifier: BSD-3-Clause
// Two kinds of randomness that must never be mixed up: secure numbers for keys and bases, which
// are capabilities, and a seeded generator for tests and schedules, which must repeat.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rpma::core {

// Fills from the kernel's generator. It aborts when the kernel refuses, because a guessable key
// would open memory to anyone who reaches the port.
void secure_bytes(void* destination, std::size_t length);
[[nodiscard]] std::uint32_t secure_u32();
[[nodiscard]] std::uint64_t secure_u64();

// One step of splitmix64: spreads a small seed over 64 bits and advances it.
[[nodiscard]] constexpr std::uint64_t splitmix64(std::uint64_t& state) {
  state += 0x9e3779b97f4a7c15U;
  std::uint64_t mixed = state;
  mixed = (mixed ^ (mixed >> 30U)) * 0xbf58476d1ce4e5b9U;
  mixed = (mixed ^ (mixed >> 27U)) * 0x94d049bb133111ebU;
  return mixed ^ (mixed >> 31U);
}

// xoshiro256**, seeded through splitmix64. Not secure, not thread-safe, the same everywhere.
class SeededRandom {
 public:
  explicit constexpr SeededRandom(std::uint64_t seed) {
    for (std::uint64_t& word : state_) word = splitmix64(seed);
  }

  [[nodiscard]] constexpr std::uint64_t next_u64() {
    const std::uint64_t result = rotate(state_[1] * 5, 7) * 9;
    const std::uint64_t shifted = state_[1] << 17U;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = rotate(state_[3], 45);
    return result;
  }

  [[nodiscard]] constexpr std::uint32_t next_u32() {
    return static_cast<std::uint32_t>(next_u64() >> 32U);
  }

  // A number in [0, bound), 0 for bound 0. The bias of the remainder does not matter to a test.
  [[nodiscard]] constexpr std::uint64_t below(std::uint64_t bound) {
    return bound == 0 ? 0 : next_u64() % bound;
  }

  // True in numerator of denominator cases.
  [[nodiscard]] constexpr bool chance(std::uint64_t numerator, std::uint64_t denominator) {
    return below(denominator) < numerator;
  }

 private:
  [[nodiscard]] static constexpr std::uint64_t rotate(std::uint64_t value, unsigned count) {
    return (value << count) | (value >> (64U - count));
  }

  std::uint64_t state_[4] = {};
};

}  // namespace rpma::core
