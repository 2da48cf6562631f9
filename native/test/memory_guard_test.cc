// SPDX-License-Identifier: BSD-3-Clause
// The SIGBUS guard: truncated files, nesting, chaining, threads; and the atomic write's store.
#include "memory/guarded_copy.h"

#include <unistd.h>

#include <csignal>
#include <thread>

#include "core/counters.h"
#include "memory/mapping.h"
#include "test/check.h"

using namespace rpma;
using memory::guarded_call;
using memory::guarded_copy;
using memory::MapOptions;
using memory::Mapping;

namespace {

constexpr std::size_t kSize = 4 * 4096;

std::atomic<int> foreign_signals{0};
void count_signal(int) { ++foreign_signals; }

// Runs before main, so that the guard finds a predecessor to chain to.
const bool predecessor_installed = [] {
  struct sigaction action {};
  action.sa_handler = count_signal;
  return ::sigaction(SIGBUS, &action, nullptr) == 0;
}();

// A mapping whose second half has no file behind it any more.
struct Truncated {
  Truncated() {
    MapOptions options;
    options.size = kSize;
    options.create = true;
    options.allow_volatile = true;
    auto result = Mapping::file(directory.file("f"), options);
    if (!CHECK(result.ok())) return;
    mapping = *result;
    std::memset(mapping->data(), 'x', kSize);
    CHECK_EQ(::truncate(directory.file("f").c_str(), kSize / 2), 0);
  }
  test::TemporaryDirectory directory;
  std::shared_ptr<Mapping> mapping;
};

}  // namespace

TEST(copies_succeed_where_there_is_memory) {
  std::byte source[100];
  std::byte destination[100] = {};
  std::memset(source, 7, sizeof(source));
  CHECK(guarded_copy(destination, source, sizeof(source)));
  CHECK(std::memcmp(destination, source, sizeof(source)) == 0);
  CHECK(guarded_copy(nullptr, nullptr, 0));
  CHECK(memory::copy_bytes(destination, source, 1, false));
  CHECK(memory::copy_bytes(destination, source, 1, true));
  CHECK(memory::copy_bytes(nullptr, nullptr, 0, false));
}

TEST(a_truncated_file_fails_the_copy_in_both_directions) {
  const Truncated file;
  REQUIRE(file.mapping != nullptr);
  std::byte buffer[kSize] = {};
  const std::int64_t hits = core::counters().guard_hits.load();
  CHECK(guarded_copy(buffer, file.mapping->data(), kSize / 2));
  CHECK(!guarded_copy(buffer, file.mapping->data(), kSize));
  CHECK(!guarded_copy(file.mapping->data() + kSize / 2, buffer, 1));
  CHECK(!guarded_copy(file.mapping->data(), buffer, kSize));
  for (int i = 0; i < 1000; ++i) {
    if (guarded_copy(buffer, file.mapping->data() + kSize - 8, 8)) CHECK(false);
  }
  CHECK_EQ(core::counters().guard_hits.load() - hits, 1003);
  CHECK(guarded_copy(buffer, file.mapping->data(), kSize / 2));
  const std::uint8_t value[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  CHECK(!memory::store_atomic_write(file.mapping->data() + kSize - 8, value, true));
  CHECK(memory::store_atomic_write(file.mapping->data(), value, true));
}

TEST(guards_nest) {
  const Truncated file;
  REQUIRE(file.mapping != nullptr);
  std::byte buffer[8] = {};
  int reached = 0;
  const bool outer = guarded_call([&] {
    reached = guarded_copy(buffer, file.mapping->data() + kSize - 8, 8) ? -1 : 1;
    const auto* volatile late = file.mapping->data() + kSize - 8;
    buffer[0] = *static_cast<volatile const std::byte*>(late);
    reached = 2;
  });
  CHECK(!outer);
  CHECK_EQ(reached, 1);
}

TEST(each_thread_has_its_own_guard) {
  const Truncated file;
  REQUIRE(file.mapping != nullptr);
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::byte buffer[64] = {};
      for (int i = 0; i < 300; ++i) {
        const bool beyond = (i + t) % 2 == 0;
        const std::byte* source = file.mapping->data() + (beyond ? kSize - 64 : 0);
        if (guarded_copy(buffer, source, 64) == beyond) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(wrong.load(), 0);
}

TEST(a_signal_that_is_not_a_fault_goes_to_the_previous_handler) {
  REQUIRE(predecessor_installed);
  memory::install_fault_guard();
  const int before = foreign_signals.load();
  CHECK_EQ(std::raise(SIGBUS), 0);
  CHECK_EQ(foreign_signals.load(), before + 1);
  CHECK(guarded_call([] { static_cast<void>(std::raise(SIGBUS)); }));
  CHECK_EQ(foreign_signals.load(), before + 2);
}

TEST(an_atomic_write_stores_eight_bytes_as_they_are) {
  alignas(8) std::uint8_t memory[16] = {};
  const std::uint8_t value[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  CHECK(memory::store_atomic_write(memory + 8, value, false));
  CHECK(std::memcmp(memory + 8, value, 8) == 0);
  CHECK_EQ(memory[7], 0);
}

TEST(an_atomic_write_is_never_seen_in_halves) {
  alignas(8) std::uint64_t word = 0;
  std::atomic<bool> stop{false};
  std::atomic<int> torn{0};
  std::thread reader([&] {
    while (!stop.load()) {
      const std::uint64_t seen = std::atomic_ref<std::uint64_t>(word).load();
      if (seen != 0 && seen != UINT64_MAX) ++torn;
    }
  });
  const std::uint8_t ones[8] = {255, 255, 255, 255, 255, 255, 255, 255};
  const std::uint8_t zeros[8] = {};
  for (int i = 0; i < 50'000; ++i) {
    CHECK(memory::store_atomic_write(&word, i % 2 == 0 ? ones : zeros, i % 3 == 0));
  }
  stop = true;
  reader.join();
  CHECK_EQ(torn.load(), 0);
}

CHECK_MAIN()
