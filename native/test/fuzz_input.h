// SPDX-License-Identifier: BSD-3-Clause
//
// What a fuzz target makes of libFuzzer's bytes: a cursor that never runs past the end (behind it
// everything reads as zero, so a cut input means a shorter story, not another one), and the way in
// which an oracle ends the process. Used by the fuzzer's one thread; it borrows the bytes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>

namespace rpma::test {

/** An oracle that does not hold is a crash: libFuzzer keeps the input that led here. */
inline void expect(bool holds, const char* what) {
  if (holds) return;
  static_cast<void>(std::fprintf(stderr, "fuzz oracle: %s\n", what));
  std::abort();
}

class FuzzInput {
 public:
  FuzzInput(const std::uint8_t* data, std::size_t size)
      : bytes_(reinterpret_cast<const std::byte*>(data), size) {}

  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }

  std::uint8_t u8() {
    if (bytes_.empty()) return 0;
    const auto value = std::to_integer<std::uint8_t>(bytes_.front());
    bytes_ = bytes_.subspan(1);
    return value;
  }
  std::uint16_t u16() {
    const unsigned high = u8();
    return static_cast<std::uint16_t>(high << 8 | u8());
  }
  std::uint32_t u32() {
    const std::uint32_t high = u16();
    return high << 16 | u16();
  }
  std::uint64_t u64() {
    const std::uint64_t high = u32();
    return high << 32 | u32();
  }
  /** In [0, bound). */
  std::size_t below(std::size_t bound) { return u8() % bound; }
  std::span<const std::byte> take(std::size_t count) {
    const auto taken = bytes_.first(std::min(count, bytes_.size()));
    bytes_ = bytes_.subspan(taken.size());
    return taken;
  }
  std::span<const std::byte> rest() { return take(bytes_.size()); }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace rpma::test
