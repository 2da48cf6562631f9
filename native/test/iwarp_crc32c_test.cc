// SPDX-License-Identifier: BSD-3-Clause
//
// CRC32C: known values, and agreement of the chosen implementation with the tables on random
// lengths, alignments and cuts. Single-threaded; the areas are exact, so a sanitizer sees overruns.
#include "provider/iwarp/crc32c.h"

#include <algorithm>
#include <string_view>

#include "core/random.h"
#include "test/check.h"
#include "test/golden/golden.h"

using rpma::core::SeededRandom;
using rpma::test::Bytes;
using namespace rpma::iwarp;

namespace {

constexpr std::uint64_t kSeed = 0x5EED0001;

Bytes random_bytes(SeededRandom& random, std::size_t size) {
  Bytes bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.next_u32() & 0xFF);
  return bytes;
}

// Sizes around every place where the implementations change their stride.
std::size_t random_size(SeededRandom& random) {
  switch (random.below(4)) {
    case 0:
      return random.below(32);
    case 1:
      return 376 + random.below(16);
    case 2:
      return 6136 + random.below(24);
    default:
      return random.below(70'000);
  }
}

}  // namespace

TEST(crc32c_matches_known_values) {
  CHECK_EQ(crc32c_of("123456789", 9), 0xE3069283u);
  CHECK_EQ(crc32c_of("", 0), 0u);
  const Bytes zeros(32, std::byte{0});
  const Bytes ones(32, std::byte{0xFF});
  // RFC 3720, appendix B.4.
  CHECK_EQ(crc32c_of(zeros.data(), zeros.size()), 0x8A9136AAu);
  CHECK_EQ(crc32c_of(ones.data(), ones.size()), 0x62A8AB43u);
  CHECK_EQ(crc32c_finish(crc32c_portable(kCrc32cBegin, "123456789", 9)), 0xE3069283u);
}

TEST(crc32c_names_its_implementation) {
  const std::string_view name = crc32c_implementation();
  CHECK(name == "portable" || name == "sse4.2+pclmul" || name == "armv8");
#if defined(__x86_64__)
  const bool able = __builtin_cpu_supports("sse4.2") != 0 && __builtin_cpu_supports("pclmul") != 0;
  CHECK_EQ(name == "sse4.2+pclmul", able);
#endif
}

TEST(crc32c_agrees_with_the_tables_at_every_length_and_alignment) {
  SeededRandom random(kSeed);
  for (int round = 0; round < 600; ++round) {
    const std::size_t offset = random.below(16);
    const std::size_t size = random_size(random);
    const Bytes bytes = random_bytes(random, offset + size);
    const std::uint32_t state = random.next_u32();
    CHECK_EQ(crc32c(state, bytes.data() + offset, size),
             crc32c_portable(state, bytes.data() + offset, size));
  }
}

TEST(crc32c_of_pieces_is_that_of_the_whole) {
  SeededRandom random(kSeed + 1);
  for (int round = 0; round < 200; ++round) {
    const Bytes bytes = random_bytes(random, random_size(random));
    std::uint32_t state = kCrc32cBegin;
    std::size_t at = 0;
    while (at < bytes.size()) {
      const std::size_t piece = std::min(bytes.size() - at, 1 + random_size(random));
      state = crc32c(state, bytes.data() + at, piece);
      at += piece;
    }
    CHECK_EQ(crc32c_finish(state), crc32c_of(bytes.data(), bytes.size()));
  }
}

TEST(crc32c_copy_copies_exactly_and_yields_the_same_state) {
  SeededRandom random(kSeed + 2);
  for (int round = 0; round < 400; ++round) {
    const std::size_t from = random.below(9);
    const std::size_t to = random.below(9);
    const std::size_t size = random_size(random);
    const Bytes source = random_bytes(random, from + size);
    Bytes target(to + size + 8, std::byte{0xA5});
    const std::uint32_t state = random.next_u32();
    CHECK_EQ(crc32c_copy(state, target.data() + to, source.data() + from, size),
             crc32c_portable(state, source.data() + from, size));
    CHECK(std::equal(source.begin() + static_cast<std::ptrdiff_t>(from), source.end(),
                     target.begin() + static_cast<std::ptrdiff_t>(to)));
    const auto untouched = [](std::byte byte) { return byte == std::byte{0xA5}; };
    CHECK(std::all_of(target.begin(), target.begin() + static_cast<std::ptrdiff_t>(to), untouched));
    CHECK(std::all_of(target.end() - 8, target.end(), untouched));
  }
}

CHECK_MAIN()
