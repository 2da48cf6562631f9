// SPDX-License-Identifier: BSD-3-Clause
// RegionTable and Region: keys and bases, checks at every edge, uses against revocation.
#include "memory/region_table.h"

#include <set>
#include <thread>

#include "core/counters.h"
#include "core/fault_points.h"
#include "core/random.h"
#include "test/check.h"

using namespace rpma;
using memory::AccessError;
using memory::MapOptions;
using memory::Mapping;
using memory::Region;
using memory::RegionAccess;
using memory::RegionOptions;
using memory::RegionTable;
using memory::RegionUse;

namespace {

constexpr std::uint64_t kDomain = 5;
constexpr std::uint64_t kConnection = 9;
constexpr std::uint32_t kRead = abi::kMemoryUsageReadSource;
constexpr std::uint32_t kWrite = abi::kMemoryUsageWriteDestination;

alignas(4096) std::byte memory_of_test[8192];

RegionOptions options_of(std::uint32_t usage, std::uint64_t length = 4000) {
  RegionOptions options;
  options.data = memory_of_test + 24;
  options.length = length;
  options.usage = usage;
  options.domain = kDomain;
  return options;
}

abi::Code code_of(RegionTable& table, const RegionOptions& options) {
  const auto region = table.add(options);
  return region.ok() ? abi::Code::Ok : region.status().code;
}

}  // namespace

TEST(keys_and_bases_are_random_and_bases_congruent) {
  RegionTable table;
  std::set<std::uint32_t> keys;
  std::set<std::uint64_t> bases;
  std::uint64_t high = 0;
  for (int i = 0; i < 2000; ++i) {
    auto region = table.add(options_of(kRead));
    REQUIRE(region.ok());
    CHECK((*region)->key() != 0);
    CHECK_EQ((*region)->base() % 4096, 24);
    CHECK((*region)->base() + (*region)->length() > (*region)->base());
    keys.insert((*region)->key());
    bases.insert((*region)->base());
    high |= (*region)->base() >> 32U;
  }
  CHECK_EQ(keys.size(), 2000);
  CHECK_EQ(bases.size(), 2000);
  CHECK_EQ(high, UINT32_MAX);
  CHECK_EQ(table.size(), 2000);
  CHECK_EQ(table.all().size(), 2000);
  CHECK_EQ(core::counters().regions.load(), 2000);
}

TEST(a_region_is_found_until_it_is_revoked) {
  RegionTable table;
  auto region = table.add(options_of(kRead));
  REQUIRE(region.ok());
  const std::uint32_t key = (*region)->key();
  CHECK(table.find(key) == *region);
  CHECK(table.find(key + 1) == nullptr);
  CHECK(table.find(0) == nullptr);
  int quiet = 0;
  (*region)->revoke([&quiet] { ++quiet; });
  CHECK_EQ(quiet, 1);
  CHECK(table.find(key) == nullptr);
  CHECK((*region)->revoked());
  CHECK_EQ(table.size(), 0);
}

TEST(revoking_the_tables_last_reference_is_safe) {
  RegionTable table;
  std::uint32_t key = 0;
  {
    auto region = table.add(options_of(kRead));
    REQUIRE(region.ok());
    key = (*region)->key();
  }
  int quiet = 0;
  table.find(key)->revoke([&quiet] { ++quiet; });
  CHECK_EQ(quiet, 1);
  CHECK_EQ(core::counters().regions.load(), 0);
}

TEST(a_region_may_outlive_its_table) {
  std::shared_ptr<Region> region;
  {
    RegionTable table;
    auto added = table.add(options_of(kRead));
    REQUIRE(added.ok());
    region = *added;
  }
  int quiet = 0;
  region->revoke([&quiet] { ++quiet; });
  CHECK_EQ(quiet, 1);
}

TEST(checks_at_every_edge) {
  RegionTable table;
  auto added = table.add(options_of(kRead | kWrite));
  REQUIRE(added.ok());
  const Region& region = **added;
  const std::uint64_t base = region.base();
  const auto check = [&](std::uint64_t address, std::uint64_t length) {
    return region.check(address, length, kWrite, kDomain, kConnection);
  };
  CHECK_EQ(check(base, 4000), AccessError::Ok);
  CHECK_EQ(check(base, 0), AccessError::Ok);
  CHECK_EQ(check(base + 4000, 0), AccessError::Ok);
  CHECK_EQ(check(base + 3999, 1), AccessError::Ok);
  CHECK_EQ(check(base, 4001), AccessError::Bounds);
  CHECK_EQ(check(base + 4000, 1), AccessError::Bounds);
  CHECK_EQ(check(base + 4001, 0), AccessError::Bounds);
  CHECK_EQ(check(base - 1, 1), AccessError::Bounds);
  CHECK_EQ(check(base - 1, 4000), AccessError::Bounds);
  CHECK_EQ(check(base, UINT64_MAX - base), AccessError::Bounds);
  CHECK_EQ(check(base, UINT64_MAX), AccessError::Wrap);
  CHECK_EQ(check(UINT64_MAX, 1), AccessError::Wrap);
  CHECK_EQ(check(base, 0 - base), AccessError::Wrap);
  CHECK_EQ(check(0, 1), AccessError::Bounds);
  CHECK_EQ(region.check(base, 1, kRead | kWrite, kDomain, 0), AccessError::Ok);
  CHECK_EQ(region.check(base, 1, abi::kMemoryUsageFlushVisibility, kDomain, 0),
           AccessError::Rights);
  CHECK_EQ(region.check(base, 1, kRead | abi::kMemoryUsageReceive, kDomain, 0),
           AccessError::Rights);
  CHECK_EQ(region.check(base, 1, kWrite, kDomain + 1, 0), AccessError::Domain);
  CHECK(region.at(base + 10) == memory_of_test + 34);
  CHECK_EQ(region.offset_of(base + 10), 10);
}

TEST(checks_agree_with_wide_arithmetic) {
  RegionTable table;
  core::SeededRandom random(3);
  auto added = table.add(options_of(kWrite));
  REQUIRE(added.ok());
  __extension__ using Wide = unsigned __int128;
  const Wide base = (*added)->base();
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t address =
        random.chance(1, 4) ? random.next_u64() : (*added)->base() - 100 + random.below(4300);
    const std::uint64_t length = random.chance(1, 4) ? random.next_u64() : random.below(4200);
    const Wide end = Wide{address} + length;
    const AccessError expected = end > UINT64_MAX                            ? AccessError::Wrap
                                 : address < base || end > base + Wide{4000} ? AccessError::Bounds
                                                                             : AccessError::Ok;
    CHECK_EQ((*added)->check(address, length, kWrite, kDomain, 0), expected);
  }
}

TEST(a_bound_region_serves_its_connection_only) {
  RegionTable table;
  RegionOptions options = options_of(kWrite);
  options.connection = kConnection;
  auto bound = table.add(options);
  REQUIRE(bound.ok());
  const std::uint64_t base = (*bound)->base();
  CHECK_EQ((*bound)->check(base, 1, kWrite, kDomain, kConnection), AccessError::Ok);
  CHECK_EQ((*bound)->check(base, 1, kWrite, kDomain, kConnection + 1), AccessError::Domain);
  CHECK_EQ((*bound)->check(base, 1, kWrite, kDomain, 0), AccessError::Domain);
}

TEST(a_flush_grant_admits_short_plain_reads) {
  RegionTable table;
  const auto check = [&table](std::uint32_t usage, std::uint64_t length) {
    auto region = table.add(options_of(usage));
    return (*region)->check_plain_read((*region)->base(), length, kDomain, 0);
  };
  CHECK_EQ(check(kRead, 4000), AccessError::Ok);
  CHECK_EQ(check(kRead, 4001), AccessError::Bounds);
  CHECK_EQ(check(kWrite, 1), AccessError::Rights);
  CHECK_EQ(check(kWrite | abi::kMemoryUsageFlushVisibility, 8), AccessError::Ok);
  CHECK_EQ(check(kWrite | abi::kMemoryUsageFlushVisibility, 0), AccessError::Ok);
  CHECK_EQ(check(kWrite | abi::kMemoryUsageFlushVisibility, 9), AccessError::Rights);
}

TEST(what_cannot_be_a_region_is_refused) {
  RegionTable table;
  CHECK_EQ(code_of(table, options_of(kRead, 0)), abi::Code::OutOfRange);
  CHECK_EQ(code_of(table, options_of(0)), abi::Code::InvalidArgValue);
  CHECK_EQ(code_of(table, options_of(0x100)), abi::Code::InvalidArgValue);
  RegionOptions nowhere = options_of(kRead);
  nowhere.data = nullptr;
  CHECK_EQ(code_of(table, nowhere), abi::Code::OutOfRange);
  CHECK_EQ(code_of(table, options_of(abi::kMemoryUsageFlushPersistent)), abi::Code::NotPersistent);
  auto mapping = Mapping::anonymous(4096);
  REQUIRE(mapping.ok());
  RegionOptions outside = options_of(kRead);
  outside.mapping = *mapping;
  CHECK_EQ(code_of(table, outside), abi::Code::OutOfRange);
  outside.data = (*mapping)->data() + 97;
  CHECK_EQ(code_of(table, outside), abi::Code::OutOfRange);
  outside.data = (*mapping)->data() + 96;
  CHECK_EQ(code_of(table, outside), abi::Code::Ok);
  outside.usage |= abi::kMemoryUsageFlushPersistent;
  CHECK_EQ(code_of(table, outside), abi::Code::NotPersistent);
  outside.usage = kRead;
  CHECK((*mapping)->retire().ok());
  CHECK_EQ(code_of(table, outside), abi::Code::Closed);
}

TEST(a_region_of_a_file_takes_its_persist_target_and_guard) {
  const test::TemporaryDirectory directory;
  MapOptions map;
  map.size = 3 * 4096;
  map.create = true;
  map.allow_volatile = true;
  auto mapping = Mapping::file(directory.file("f"), map);
  REQUIRE(mapping.ok());
  RegionTable table;
  RegionOptions options = options_of(kWrite | abi::kMemoryUsageFlushPersistent);
  options.mapping = *mapping;
  options.data = (*mapping)->data() + 4096;
  auto region = table.add(options);
  REQUIRE(region.ok());
  CHECK((*region)->guarded());
  CHECK((*region)->persist_target() == (*mapping)->persist_target());
  CHECK_EQ((*region)->persist_offset(), 4096);
  map.create = false;
  map.read_only = true;
  auto read_only = Mapping::file(directory.file("f"), map);
  REQUIRE(read_only.ok());
  options.mapping = *read_only;
  options.data = (*read_only)->data();
  CHECK_EQ(code_of(table, options), abi::Code::Usage);
  options.usage = kRead | abi::kMemoryUsageSend;
  CHECK_EQ(code_of(table, options), abi::Code::Ok);
}

TEST(revoke_waits_for_the_last_use_and_passes_no_new_one) {
  RegionTable table;
  auto region = table.add(options_of(kRead));
  REQUIRE(region.ok());
  RegionUse first = (*region)->acquire();
  RegionUse second = (*region)->acquire();
  CHECK(first && second);
  CHECK_EQ((*region)->users(), 2);
  int quiet = 0;
  (*region)->revoke([&quiet] { ++quiet; });
  CHECK(!(*region)->acquire());
  CHECK_EQ((*region)->check((*region)->base(), 1, kRead, kDomain, 0), AccessError::Revoked);
  first.release();
  first.release();
  CHECK_EQ(quiet, 0);
  (*region)->revoke([&quiet] { quiet += 10; });
  CHECK_EQ(quiet, 0);
  RegionUse moved = std::move(second);
  second.release();
  CHECK_EQ(quiet, 0);
  moved = RegionUse();
  CHECK_EQ(quiet, 11);
  (*region)->revoke([&quiet] { quiet += 100; });
  CHECK_EQ(quiet, 111);
  CHECK_EQ((*region)->users(), 0);
}

TEST(a_poisoned_region_is_closed_to_all_and_still_has_to_be_revoked) {
  RegionTable table;
  auto region = table.add(options_of(kRead));
  REQUIRE(region.ok());
  RegionUse use = (*region)->acquire();
  (*region)->poison();
  CHECK(!(*region)->acquire());
  CHECK((*region)->poisoned() && !(*region)->revoked());
  CHECK_EQ((*region)->check((*region)->base(), 1, kRead, kDomain, 0), AccessError::Revoked);
  int quiet = 0;
  (*region)->revoke([&quiet] { ++quiet; });
  CHECK_EQ(quiet, 0);
  use.release();
  CHECK_EQ(quiet, 1);
}

TEST(resolve_gives_the_address_and_a_use) {
  RegionTable table;
  auto region = table.add(options_of(kWrite));
  REQUIRE(region.ok());
  const std::uint64_t base = (*region)->base();
  const std::uint32_t key = (*region)->key();
  RegionAccess access = table.resolve(key, base + 8, 8, kWrite, kDomain, kConnection);
  CHECK_EQ(access.error, AccessError::Ok);
  CHECK(access.data == memory_of_test + 32);
  CHECK_EQ((*region)->users(), 1);
  CHECK_EQ(table.resolve(key ^ 1U, base, 8, kWrite, kDomain, 0).error, AccessError::Unknown);
  CHECK_EQ(table.resolve(key, base, 8, kRead, kDomain, 0).error, AccessError::Rights);
  access.use.release();
  CHECK_EQ((*region)->users(), 0);
  (*region)->revoke(nullptr);
  CHECK_EQ(table.resolve(key, base, 8, kWrite, kDomain, 0).error, AccessError::Unknown);
  CHECK_EQ(std::string(memory::access_error_name(AccessError::Bounds)), "bounds");
}

// Users write plainly while they hold a use; the revoker writes plainly once it is quiet. The race
// detector fails this test when a use can overlap with the quiet callback.
TEST(revocation_against_acquisition_under_stress) {
  constexpr int kRounds = 2000;
  constexpr int kThreads = 3;
  RegionTable table;
  std::atomic<int> round{-1};
  std::atomic<std::uint32_t> key{0};
  std::atomic<int> finished{0};
  std::atomic<int> accesses{0};
  int owned[kThreads] = {};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int mine = 0; mine < kRounds; ++mine) {
        while (round.load() < mine) std::this_thread::yield();
        for (;;) {
          const std::shared_ptr<Region> region = table.find(key.load());
          if (region == nullptr) break;
          const RegionUse use = region->acquire();
          if (!use) break;
          ++owned[t];
          ++accesses;
        }
        ++finished;
      }
    });
  }
  int quiet_calls = 0;
  for (int current = 0; current < kRounds; ++current) {
    auto region = table.add(options_of(kRead));
    if (!CHECK(region.ok())) break;
    key = (*region)->key();
    finished = 0;
    std::atomic<bool> quiet{false};
    round = current;
    while (current % 2 == 0 && accesses.load() < current) std::this_thread::yield();
    (*region)->revoke([&] {
      for (int& count : owned) count = 0;
      ++quiet_calls;
      quiet = true;
    });
    while (!quiet.load()) std::this_thread::yield();
    while (finished.load() < kThreads) std::this_thread::yield();
    if ((*region)->users() != 0) CHECK(false);
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(quiet_calls, kRounds);
  CHECK(accesses.load() > 0);
  CHECK_EQ(table.size(), 0);
}

TEST(registering_and_looking_up_from_many_threads) {
  RegionTable table;
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        auto region = table.add(options_of(kRead));
        if (!region.ok() || table.find((*region)->key()) != *region) ++wrong;
        if (region.ok()) (*region)->revoke(nullptr);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(wrong.load(), 0);
  CHECK_EQ(table.size(), 0);
  CHECK_EQ(core::counters().regions.load(), 0);
}

#if defined(RPMA_TEST_FLAVOUR)

TEST(registering_may_fail) {
  RegionTable table;
  CHECK(core::fault::set("memory.register", 1, 1, ENOMEM));
  CHECK_EQ(code_of(table, options_of(kRead)), abi::Code::NoMemory);
  core::fault::clear_all();
  CHECK_EQ(code_of(table, options_of(kRead)), abi::Code::Ok);
}

#endif

CHECK_MAIN()
