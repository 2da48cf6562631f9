// SPDX-License-Identifier: BSD-3-Clause
//
// CRC32C (Castagnoli), the checksum of MPA frames. Pure functions of their arguments, safe on any
// thread. The widest implementation the processor offers is chosen once, at the first call.
//
// A checksum runs over pieces as a *state*: begin with kCrc32cBegin, feed each piece with crc32c(),
// end with crc32c_finish(). MPA stores the finished value least significant byte first.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rpma::iwarp {

inline constexpr std::uint32_t kCrc32cBegin = 0xFFFFFFFFu;

// Feeds `size_bytes` bytes to the running state and returns the new state.
[[nodiscard]] std::uint32_t crc32c(std::uint32_t state, const void* data,
                                   std::size_t size_bytes) noexcept;

// Like crc32c(), and copies the bytes to `target` on the way. The areas must not overlap.
[[nodiscard]] std::uint32_t crc32c_copy(std::uint32_t state, void* target, const void* source,
                                        std::size_t size_bytes) noexcept;

[[nodiscard]] constexpr std::uint32_t crc32c_finish(std::uint32_t state) noexcept { return ~state; }

// The checksum of one contiguous area.
[[nodiscard]] inline std::uint32_t crc32c_of(const void* data, std::size_t size_bytes) noexcept {
  return crc32c_finish(crc32c(kCrc32cBegin, data, size_bytes));
}

// The table-driven implementation, which every processor can run. For tests and comparison.
[[nodiscard]] std::uint32_t crc32c_portable(std::uint32_t state, const void* data,
                                            std::size_t size_bytes) noexcept;

// Name of the implementation in use: "portable", "sse4.2+pclmul" or "armv8".
[[nodiscard]] const char* crc32c_implementation() noexcept;

}  // namespace rpma::iwarp
