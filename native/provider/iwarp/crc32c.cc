// SPDX-License-Identifier: BSD-3-Clause
//
// CRC32C in two forms: eight lookup tables, and the CRC instruction of x86-64 or arm64 over three
// chains at once, joined by a carry-less multiplication. One chain would wait three cycles for each
// of its results; three chains together use every cycle.
// Any thread; nothing here is ever written after the first call.
#include "provider/iwarp/crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <arm_acle.h>
#include <arm_neon.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include "core/bytes.h"

namespace rpma::iwarp {
namespace {

// The polynomial 0x1EDC6F41 with its bits reversed: bit 31 stands for x^0.
constexpr std::uint32_t kPolynomial = 0x82F63B78u;

using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

constexpr Tables make_tables() noexcept {
  Tables tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? kPolynomial : 0);
    tables[0][byte] = value;
  }
  for (std::size_t slice = 1; slice < 8; ++slice) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t before = tables[slice - 1][byte];
      tables[slice][byte] = (before >> 8) ^ tables[0][before & 0xFF];
    }
  }
  return tables;
}

constexpr Tables kTables = make_tables();

using Feed = std::uint32_t (*)(std::uint32_t, const void*, std::size_t) noexcept;
using Copy = std::uint32_t (*)(std::uint32_t, void*, const void*, std::size_t) noexcept;

std::uint32_t copy_then_feed(Feed feed, std::uint32_t state, void* target, const void* source,
                             std::size_t size_bytes) noexcept {
  // Slices that stay in the first-level cache, so the second pass reads what the first one fetched.
  constexpr std::size_t kSliceBytes = 8192;
  auto* to = static_cast<unsigned char*>(target);
  const auto* from = static_cast<const unsigned char*>(source);
  while (size_bytes > 0) {
    const std::size_t slice = size_bytes < kSliceBytes ? size_bytes : kSliceBytes;
    std::memcpy(to, from, slice);
    state = feed(state, to, slice);
    to += slice;
    from += slice;
    size_bytes -= slice;
  }
  return state;
}

std::uint32_t portable_copy(std::uint32_t state, void* target, const void* source,
                            std::size_t size_bytes) noexcept {
  return copy_then_feed(crc32c_portable, state, target, source, size_bytes);
}

#if defined(__x86_64__) || defined(__aarch64__)

// x^exponent modulo the polynomial, bits reversed. Multiplying a state by x^(8n - 33) without
// carry and feeding the 64-bit product to the CRC instruction (which multiplies by x^32, while the
// reversed product itself stands for one x more) moves the state over n bytes of zeros.
constexpr std::uint32_t power_of_x(std::size_t exponent) noexcept {
  std::uint32_t value = 0x80000000u;
  for (std::size_t step = 0; step < exponent; ++step) {
    value = (value >> 1) ^ ((value & 1) != 0 ? kPolynomial : 0);
  }
  return value;
}

constexpr std::uint32_t shift_factor(std::size_t bytes) noexcept {
  return power_of_x(8 * bytes - 33);
}

// Bytes of one of three chains. Long ones make the joining cheap, short ones serve small frames.
constexpr std::size_t kLongChainBytes = 2048;
constexpr std::size_t kShortChainBytes = 128;

#endif

#if defined(__x86_64__)

#define RPMA_CRC_TARGET __attribute__((target("sse4.2,pclmul")))

template <bool kCopy>
RPMA_CRC_TARGET inline std::uint64_t feed_word(std::uint64_t state, unsigned char* to,
                                               const unsigned char* from) noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, from, sizeof word);
  if constexpr (kCopy) std::memcpy(to, &word, sizeof word);
  return _mm_crc32_u64(state, word);
}

template <bool kCopy, std::size_t kChainBytes>
RPMA_CRC_TARGET inline std::uint32_t feed_three(std::uint32_t state, unsigned char* to,
                                                const unsigned char* from) noexcept {
  constexpr std::uint32_t kOverTwo = shift_factor(2 * kChainBytes);
  constexpr std::uint32_t kOverOne = shift_factor(kChainBytes);
  std::uint64_t first = state;
  std::uint64_t second = 0;
  std::uint64_t third = 0;
  for (std::size_t at = 0; at < kChainBytes; at += 8) {
    // A target pointer is null when nothing is copied, so it must not be moved then.
    unsigned char* const target = kCopy ? to + at : nullptr;
    first = feed_word<kCopy>(first, target, from + at);
    second =
        feed_word<kCopy>(second, kCopy ? target + kChainBytes : nullptr, from + at + kChainBytes);
    third = feed_word<kCopy>(third, kCopy ? target + 2 * kChainBytes : nullptr,
                             from + at + 2 * kChainBytes);
  }
  const __m128i moved_first =
      _mm_clmulepi64_si128(_mm_cvtsi64_si128(static_cast<long long>(first)),
                           _mm_cvtsi64_si128(static_cast<long long>(kOverTwo)), 0);
  const __m128i moved_second =
      _mm_clmulepi64_si128(_mm_cvtsi64_si128(static_cast<long long>(second)),
                           _mm_cvtsi64_si128(static_cast<long long>(kOverOne)), 0);
  const auto moved =
      static_cast<std::uint64_t>(_mm_cvtsi128_si64(_mm_xor_si128(moved_first, moved_second)));
  return static_cast<std::uint32_t>(_mm_crc32_u64(0, moved) ^ third);
}

template <bool kCopy>
RPMA_CRC_TARGET std::uint32_t feed_x86(std::uint32_t state, void* target, const void* source,
                                       std::size_t size_bytes) noexcept {
  auto* to = static_cast<unsigned char*>(target);
  const auto* from = static_cast<const unsigned char*>(source);
  const auto advance = [&](std::size_t bytes) noexcept {
    from += bytes;
    if constexpr (kCopy) to += bytes;
    size_bytes -= bytes;
  };
  while (size_bytes >= 3 * kLongChainBytes) {
    state = feed_three<kCopy, kLongChainBytes>(state, to, from);
    advance(3 * kLongChainBytes);
  }
  while (size_bytes >= 3 * kShortChainBytes) {
    state = feed_three<kCopy, kShortChainBytes>(state, to, from);
    advance(3 * kShortChainBytes);
  }
  std::uint64_t wide = state;
  while (size_bytes >= 8) {
    wide = feed_word<kCopy>(wide, to, from);
    advance(8);
  }
  state = static_cast<std::uint32_t>(wide);
  while (size_bytes > 0) {
    if constexpr (kCopy) *to = *from;
    state = _mm_crc32_u8(state, *from);
    advance(1);
  }
  return state;
}

std::uint32_t feed_x86_only(std::uint32_t state, const void* data,
                            std::size_t size_bytes) noexcept {
  return feed_x86<false>(state, nullptr, data, size_bytes);
}

#elif defined(__aarch64__) && defined(__linux__)

#if defined(__clang__)
#define RPMA_CRC_TARGET __attribute__((target("crc,aes")))
#else
#define RPMA_CRC_TARGET __attribute__((target("+crc+crypto")))
#endif

// clang 14 declares the functions of arm_acle.h only when the whole file is compiled for them, and
// g++ 12 does not know clang's built-in ones. Until clang 16 is the oldest, both are needed.
RPMA_CRC_TARGET inline std::uint32_t feed_word(std::uint32_t state, std::uint64_t word) noexcept {
#if defined(__clang__)
  return __builtin_arm_crc32cd(state, word);
#else
  return __crc32cd(state, word);
#endif
}

RPMA_CRC_TARGET inline std::uint32_t feed_byte(std::uint32_t state, std::uint8_t byte) noexcept {
#if defined(__clang__)
  return __builtin_arm_crc32cb(state, byte);
#else
  return __crc32cb(state, byte);
#endif
}

RPMA_CRC_TARGET inline std::uint64_t multiply(std::uint32_t left, std::uint32_t right) noexcept {
  return vgetq_lane_u64(vreinterpretq_u64_p128(vmull_p64(left, right)), 0);
}

template <std::size_t kChainBytes>
RPMA_CRC_TARGET inline std::uint32_t feed_three(std::uint32_t state,
                                                const unsigned char* from) noexcept {
  std::uint32_t first = state;
  std::uint32_t second = 0;
  std::uint32_t third = 0;
  for (std::size_t at = 0; at < kChainBytes; at += 8) {
    first = feed_word(first, core::load_le64(from + at));
    second = feed_word(second, core::load_le64(from + at + kChainBytes));
    third = feed_word(third, core::load_le64(from + at + 2 * kChainBytes));
  }
  constexpr std::uint32_t kOverTwo = shift_factor(2 * kChainBytes);
  constexpr std::uint32_t kOverOne = shift_factor(kChainBytes);
  const std::uint64_t moved = multiply(first, kOverTwo) ^ multiply(second, kOverOne);
  return feed_word(0, moved) ^ third;
}

RPMA_CRC_TARGET std::uint32_t feed_arm(std::uint32_t state, const void* data,
                                       std::size_t size_bytes) noexcept {
  const auto* from = static_cast<const unsigned char*>(data);
  const auto advance = [&](std::size_t bytes) noexcept {
    from += bytes;
    size_bytes -= bytes;
  };
  while (size_bytes >= 3 * kLongChainBytes) {
    state = feed_three<kLongChainBytes>(state, from);
    advance(3 * kLongChainBytes);
  }
  while (size_bytes >= 3 * kShortChainBytes) {
    state = feed_three<kShortChainBytes>(state, from);
    advance(3 * kShortChainBytes);
  }
  while (size_bytes >= 8) {
    state = feed_word(state, core::load_le64(from));
    advance(8);
  }
  while (size_bytes > 0) {
    state = feed_byte(state, *from);
    advance(1);
  }
  return state;
}

std::uint32_t copy_arm(std::uint32_t state, void* target, const void* source,
                       std::size_t size_bytes) noexcept {
  return copy_then_feed(feed_arm, state, target, source, size_bytes);
}

#endif

struct Implementation {
  const char* name;
  Feed feed;
  Copy copy;
};

Implementation choose() noexcept {
#if defined(__x86_64__)
  __builtin_cpu_init();
  // A processor with the instruction and without the multiplication (2008 to 2010) uses the tables.
  if (__builtin_cpu_supports("sse4.2") != 0 && __builtin_cpu_supports("pclmul") != 0) {
    return {"sse4.2+pclmul", feed_x86_only, feed_x86<true>};
  }
#elif defined(__aarch64__) && defined(__linux__)
  const unsigned long capabilities = getauxval(AT_HWCAP);
  if ((capabilities & HWCAP_CRC32) != 0 && (capabilities & HWCAP_PMULL) != 0) {
    return {"armv8", feed_arm, copy_arm};
  }
#endif
  return {"portable", crc32c_portable, portable_copy};
}

const Implementation& implementation() noexcept {
  static const Implementation chosen = choose();
  return chosen;
}

}  // namespace

std::uint32_t crc32c_portable(std::uint32_t state, const void* data,
                              std::size_t size_bytes) noexcept {
  const auto* from = static_cast<const unsigned char*>(data);
  while (size_bytes >= 8) {
    const std::uint64_t word = core::load_le64(from) ^ state;
    state = kTables[7][word & 0xFF] ^ kTables[6][(word >> 8) & 0xFF] ^
            kTables[5][(word >> 16) & 0xFF] ^ kTables[4][(word >> 24) & 0xFF] ^
            kTables[3][(word >> 32) & 0xFF] ^ kTables[2][(word >> 40) & 0xFF] ^
            kTables[1][(word >> 48) & 0xFF] ^ kTables[0][word >> 56];
    from += 8;
    size_bytes -= 8;
  }
  while (size_bytes > 0) {
    state = (state >> 8) ^ kTables[0][(state ^ *from) & 0xFF];
    ++from;
    --size_bytes;
  }
  return state;
}

std::uint32_t crc32c(std::uint32_t state, const void* data, std::size_t size_bytes) noexcept {
  return implementation().feed(state, data, size_bytes);
}

std::uint32_t crc32c_copy(std::uint32_t state, void* target, const void* source,
                          std::size_t size_bytes) noexcept {
  return implementation().copy(state, target, source, size_bytes);
}

const char* crc32c_implementation() noexcept { return implementation().name; }

}  // namespace rpma::iwarp
