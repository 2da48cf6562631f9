// SPDX-License-Identifier: BSD-3-Clause
// The durability oracle: its copy changes only inside persist, a cut takes a subset and ends it
// all, and the two mutations are noticed by it.
#include "memory/persist_oracle.h"

#include <cstring>

#include "core/fault_points.h"
#include "memory/mapping.h"
#include "memory/persist_service.h"
#include "test/check.h"

using namespace rpma;

#if defined(RPMA_TEST_FLAVOUR)

using memory::MapOptions;
using memory::Mapping;
using memory::PersistOracle;

namespace {

struct Bench {
  explicit Bench(abi::PmemDurability kind = abi::PmemDurability::Storage) {
    MapOptions options;
    options.size = 8 * 4096;
    options.create = true;
    options.persist = oracle->persist_override(kind);
    auto result = Mapping::file(directory.file("f"), options);
    if (CHECK(result.ok())) mapping = *result;
  }
  [[nodiscard]] core::Status persist(std::uint64_t offset, std::uint64_t length) const {
    return mapping->persist_target()->persist(offset, length);
  }

  test::TemporaryDirectory directory;
  std::shared_ptr<PersistOracle> oracle = PersistOracle::create();
  std::shared_ptr<Mapping> mapping;
};

}  // namespace

TEST(the_copy_changes_only_inside_persist) {
  const Bench bench;
  REQUIRE(bench.mapping != nullptr);
  CHECK_EQ(bench.oracle->size(), 8 * 4096);
  CHECK_EQ(bench.mapping->durability(), abi::PmemDurability::Storage);
  std::memcpy(bench.mapping->data() + 100, "flushed", 7);
  std::memcpy(bench.mapping->data() + 3 * 4096, "written", 7);
  CHECK(!bench.oracle->equals(100, "flushed", 7));
  CHECK(bench.persist(100, 7).ok());
  CHECK(bench.oracle->equals(100, "flushed", 7));
  CHECK(!bench.oracle->equals(3 * 4096, "written", 7));
  CHECK_EQ(bench.oracle->persists(), 1);
  CHECK_EQ(bench.oracle->copy(100, 7).size(), 7);
  CHECK(bench.oracle->copy(8 * 4096, 1).empty());
  CHECK(!bench.oracle->equals(UINT64_MAX, "x", 1));
}

TEST(pmem_is_copied_exactly) {
  const Bench bench(abi::PmemDurability::Pmem);
  REQUIRE(bench.mapping != nullptr);
  CHECK(bench.mapping->is_pmem());
  std::memset(bench.mapping->data(), 'x', 64);
  CHECK(bench.persist(3, 10).ok());
  CHECK(bench.oracle->equals(3, "xxxxxxxxxx", 10));
  CHECK(bench.oracle->equals(0, "\0\0\0", 3));
  CHECK(bench.oracle->equals(13, "\0", 1));
}

TEST(a_cut_takes_a_seeded_subset_of_words_and_ends_all_persists) {
  const auto run = [](std::uint64_t seed) {
    const Bench bench(abi::PmemDurability::Pmem);
    bench.oracle->cut_at(2, seed);
    std::memset(bench.mapping->data(), 'a', 4096);
    CHECK(bench.persist(0, 4096).ok());
    std::memset(bench.mapping->data(), 'b', 4096);
    CHECK_EQ(bench.persist(0, 4096).sys_errno, EIO);
    CHECK(bench.oracle->cut());
    const std::vector<std::byte> torn = bench.oracle->copy(0, 4096);
    CHECK_EQ(bench.persist(0, 4096).sys_errno, EIO);
    CHECK(bench.oracle->copy(0, 4096) == torn);
    int fresh = 0;
    int mixed = 0;
    for (std::size_t word = 0; word < torn.size(); word += 8) {
      int in_word = 0;
      for (std::size_t i = 0; i < 8; ++i) in_word += torn[word + i] == std::byte{'b'} ? 1 : 0;
      fresh += in_word == 8 ? 1 : 0;
      mixed += in_word != 0 && in_word != 8 ? 1 : 0;
    }
    CHECK_EQ(mixed, 0);
    CHECK(fresh > 100 && fresh < 412);
    return torn;
  };
  CHECK(run(1) == run(1));
  CHECK(run(1) != run(2));
}

TEST(the_cut_counts_from_when_it_was_asked_for) {
  const Bench bench;
  CHECK(bench.persist(0, 8).ok());
  CHECK(bench.persist(0, 8).ok());
  bench.oracle->cut_at(1, 9);
  CHECK_EQ(bench.persist(0, 8).sys_errno, EIO);
  CHECK_EQ(bench.oracle->persists(), 3);
}

TEST(the_oracle_works_through_the_service_and_can_hold_a_persist_open) {
  const Bench bench;
  std::atomic<bool> release{false};
  bench.oracle->on_persist([&release](std::uint64_t, std::size_t) {
    CHECK(test::wait_until([&release] { return release.load(); }));
  });
  auto service = memory::PersistService::create();
  std::atomic<int> answers{0};
  std::memcpy(bench.mapping->data(), "durable", 7);
  const auto done = [&answers](core::Status status) { answers += status.ok() ? 1 : 100; };
  CHECK(service->submit(bench.mapping->persist_target(), 0, 7, done).ok());
  CHECK_EQ(answers.load(), 0);
  CHECK(!bench.oracle->equals(0, "durable", 7));
  release = true;
  service = nullptr;
  CHECK_EQ(answers.load(), 1);
  CHECK(bench.oracle->equals(0, "durable", 7));
}

TEST(a_missing_persist_is_noticed) {
  const Bench bench;
  CHECK(core::fault::set_switch("persist.skip", true));
  std::memcpy(bench.mapping->data(), "promise", 7);
  CHECK(bench.persist(0, 7).ok());
  core::fault::clear_all();
  CHECK(!bench.oracle->equals(0, "promise", 7));
}

TEST(an_answer_before_the_persist_is_noticed) {
  const Bench bench;
  CHECK(core::fault::set_switch("persist.answer-early", true));
  std::memcpy(bench.mapping->data(), "promise", 7);
  std::atomic<int> in_copy{-1};
  auto service = memory::PersistService::create();
  const auto done = [&](core::Status status) {
    in_copy = status.ok() && bench.oracle->equals(0, "promise", 7) ? 1 : 0;
  };
  CHECK(service->submit(bench.mapping->persist_target(), 0, 7, done).ok());
  service = nullptr;
  core::fault::clear_all();
  CHECK_EQ(in_copy.load(), 0);
  CHECK(bench.oracle->equals(0, "promise", 7));
}

#else

TEST(the_release_flavour_has_no_oracle) { CHECK(true); }

#endif

CHECK_MAIN()
