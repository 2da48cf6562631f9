// SPDX-License-Identifier: BSD-3-Clause
// Loads and stores of fixed width in a named byte order at any address, and the arithmetic of
// alignment. Everything goes through memcpy, so no alignment or aliasing rule is broken.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace rpma::core {

template <std::unsigned_integral T>
[[nodiscard]] constexpr T byte_swap(T value) {
  if constexpr (sizeof(T) == 1) {
    return value;
  } else if constexpr (sizeof(T) == 2) {
    return __builtin_bswap16(value);
  } else if constexpr (sizeof(T) == 4) {
    return __builtin_bswap32(value);
  } else {
    static_assert(sizeof(T) == 8);
    return __builtin_bswap64(value);
  }
}

template <std::unsigned_integral T>
[[nodiscard]] constexpr T big_endian(T value) {
  return std::endian::native == std::endian::big ? value : byte_swap(value);
}

template <std::unsigned_integral T>
[[nodiscard]] constexpr T little_endian(T value) {
  return std::endian::native == std::endian::little ? value : byte_swap(value);
}

template <std::unsigned_integral T>
[[nodiscard]] inline T load_native(const void* source) {
  T value;
  std::memcpy(&value, source, sizeof(value));
  return value;
}

template <std::unsigned_integral T>
inline void store_native(void* destination, T value) {
  std::memcpy(destination, &value, sizeof(value));
}

template <std::unsigned_integral T>
[[nodiscard]] inline T load_be(const void* source) {
  return big_endian(load_native<T>(source));
}

template <std::unsigned_integral T>
[[nodiscard]] inline T load_le(const void* source) {
  return little_endian(load_native<T>(source));
}

template <std::unsigned_integral T>
inline void store_be(void* destination, T value) {
  store_native(destination, big_endian(value));
}

template <std::unsigned_integral T>
inline void store_le(void* destination, T value) {
  store_native(destination, little_endian(value));
}

[[nodiscard]] inline std::uint8_t load_u8(const void* source) {
  return load_native<std::uint8_t>(source);
}
[[nodiscard]] inline std::uint16_t load_be16(const void* source) {
  return load_be<std::uint16_t>(source);
}
[[nodiscard]] inline std::uint32_t load_be32(const void* source) {
  return load_be<std::uint32_t>(source);
}
[[nodiscard]] inline std::uint64_t load_be64(const void* source) {
  return load_be<std::uint64_t>(source);
}
[[nodiscard]] inline std::uint16_t load_le16(const void* source) {
  return load_le<std::uint16_t>(source);
}
[[nodiscard]] inline std::uint32_t load_le32(const void* source) {
  return load_le<std::uint32_t>(source);
}
[[nodiscard]] inline std::uint64_t load_le64(const void* source) {
  return load_le<std::uint64_t>(source);
}

inline void store_u8(void* destination, std::uint8_t value) { store_native(destination, value); }
inline void store_be16(void* destination, std::uint16_t value) { store_be(destination, value); }
inline void store_be32(void* destination, std::uint32_t value) { store_be(destination, value); }
inline void store_be64(void* destination, std::uint64_t value) { store_be(destination, value); }
inline void store_le16(void* destination, std::uint16_t value) { store_le(destination, value); }
inline void store_le32(void* destination, std::uint32_t value) { store_le(destination, value); }
inline void store_le64(void* destination, std::uint64_t value) { store_le(destination, value); }

[[nodiscard]] constexpr bool is_power_of_two(std::uint64_t value) {
  return std::has_single_bit(value);
}

// The alignment must be a power of two. align_up wraps to 0 above the last multiple.
[[nodiscard]] constexpr std::uint64_t align_down(std::uint64_t value, std::uint64_t alignment) {
  return value & ~(alignment - 1);
}
[[nodiscard]] constexpr std::uint64_t align_up(std::uint64_t value, std::uint64_t alignment) {
  return align_down(value + alignment - 1, alignment);
}
[[nodiscard]] constexpr bool is_aligned(std::uint64_t value, std::uint64_t alignment) {
  return (value & (alignment - 1)) == 0;
}
[[nodiscard]] inline bool is_aligned(const void* address, std::uint64_t alignment) {
  return is_aligned(static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(address)),
                    alignment);
}

}  // namespace rpma::core
