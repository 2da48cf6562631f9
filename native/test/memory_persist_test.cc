// SPDX-License-Identifier: BSD-3-Clause
// PersistTarget, PersistFile, PersistSlices and PersistService: what is called with which range,
// how failures stick, how waiting flushes merge, how files run side by side, how it ends.
#include "memory/persist.h"

#include <condition_variable>
#include <cstring>
#include <thread>

#include "core/counters.h"
#include "core/fault_points.h"
#include "memory/mapping.h"
#include "memory/persist_service.h"
#include "test/check.h"

using namespace rpma;
using memory::FileIdentity;
using memory::Mapping;
using memory::PersistFile;
using memory::PersistService;
using memory::PersistSlices;
using memory::PersistTarget;

namespace {

struct Call {
  std::uint64_t offset;
  std::uint64_t length;
  bool operator==(const Call&) const = default;
};

// A domain that writes down its calls, and holds them while the gate is closed.
struct Domain {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Call> calls;
  bool open = true;
  int error = 0;
  std::byte* base = nullptr;

  core::Status persist(std::byte* address, std::size_t length) {
    std::unique_lock lock(mutex);
    calls.push_back({static_cast<std::uint64_t>(address - base), length});
    changed.notify_all();
    changed.wait(lock, [this] { return open; });
    if (error == 0) return core::Status::success();
    return core::Status::from_errno(abi::Code::Provider, error, "msync");
  }
  void set_open(bool value) {
    const std::lock_guard lock(mutex);
    open = value;
    changed.notify_all();
  }
  void fail_with(int value) {
    const std::lock_guard lock(mutex);
    error = value;
  }
  std::vector<Call> seen() {
    const std::lock_guard lock(mutex);
    return calls;
  }
  void wait_for_calls(std::size_t count) {
    std::unique_lock lock(mutex);
    CHECK(changed.wait_for(lock, std::chrono::seconds(10),
                           [this, count] { return calls.size() >= count; }));
  }
};

constexpr std::size_t kSize = 64 * 4096 - 100;

std::shared_ptr<PersistTarget> make_target(
    const std::shared_ptr<Domain>& domain, std::uint64_t inode,
    abi::PmemDurability kind = abi::PmemDurability::Storage) {
  auto mapping = Mapping::anonymous(kSize);
  {
    const std::lock_guard lock(domain->mutex);
    domain->base = (*mapping)->data();
  }
  return std::make_shared<PersistTarget>(
      PersistTarget::Parts{PersistFile::open({1, inode}), *mapping, (*mapping)->data(), kSize, 4096,
                           kind, [domain](std::byte* address, std::size_t length) {
                             return domain->persist(address, length);
                           }});
}

}  // namespace

TEST(storage_is_persisted_in_whole_pages_and_pmem_exactly) {
  auto domain = std::make_shared<Domain>();
  const auto storage = make_target(domain, 1);
  CHECK(storage->persist(5000, 10).ok());
  CHECK(storage->persist(kSize - 1, 1).ok());
  CHECK(storage->persist(0, kSize).ok());
  CHECK(storage->persist(4095, 2).ok());
  CHECK((domain->seen() ==
         std::vector<Call>{{4096, 4096}, {63 * 4096, kSize - 63 * 4096}, {0, kSize}, {0, 8192}}));
  auto exact = std::make_shared<Domain>();
  const auto pmem = make_target(exact, 2, abi::PmemDurability::Pmem);
  CHECK(pmem->persist(5000, 10).ok());
  CHECK((exact->seen() == std::vector<Call>{{5000, 10}}));
}

TEST(length_zero_persists_nothing_and_bounds_are_checked) {
  auto domain = std::make_shared<Domain>();
  const auto target = make_target(domain, 1);
  CHECK(target->persist(0, 0).ok());
  CHECK(target->persist(kSize, 0).ok());
  CHECK_EQ(target->persist(kSize + 1, 0).code, abi::Code::OutOfRange);
  CHECK_EQ(target->persist(1, kSize).code, abi::Code::OutOfRange);
  CHECK_EQ(target->persist(UINT64_MAX, 2).code, abi::Code::OutOfRange);
  CHECK_EQ(target->persist(2, UINT64_MAX).code, abi::Code::OutOfRange);
  CHECK(domain->seen().empty());
  CHECK(target->persist(0, 1).ok());
}

TEST(a_failure_sticks_to_the_file_until_it_is_mapped_anew) {
  auto domain = std::make_shared<Domain>();
  auto sibling_domain = std::make_shared<Domain>();
  const auto target = make_target(domain, 77);
  const auto sibling = make_target(sibling_domain, 77);
  CHECK(target->file() == sibling->file());
  CHECK(sibling->persist(0, 1).ok());
  domain->fail_with(EIO);
  CHECK_EQ(target->persist(0, 1).sys_errno, EIO);
  domain->fail_with(ENOSPC);
  CHECK_EQ(target->persist(0, 1).sys_errno, EIO);
  CHECK_EQ(sibling->persist(0, 1).sys_errno, EIO);
  CHECK_EQ(target->persist(0, 0).sys_errno, EIO);
  CHECK_EQ(domain->seen().size(), 1);
  auto fresh_domain = std::make_shared<Domain>();
  const auto fresh = make_target(fresh_domain, 77);
  CHECK(fresh->file() != target->file());
  CHECK(fresh->persist(0, 1).ok());
  CHECK_EQ(target->persist(0, 1).sys_errno, EIO);
  CHECK(make_target(std::make_shared<Domain>(), 77)->file() == fresh->file());
}

TEST(slices_cover_the_range_once_and_stop_at_a_failure) {
  const auto size = static_cast<std::size_t>(abi::kPersistSliceBytes * 2 + 4096);
  auto mapping = Mapping::anonymous(size);
  REQUIRE(mapping.ok());
  std::vector<Call> calls;
  bool fail = false;
  std::byte* const base = (*mapping)->data();
  const auto target = std::make_shared<PersistTarget>(PersistTarget::Parts{
      PersistFile::open({1, 5}), *mapping, base, size, 4096, abi::PmemDurability::Pmem,
      [&](std::byte* address, std::size_t length) {
        calls.push_back({static_cast<std::uint64_t>(address - base), length});
        return fail ? core::Status::from_errno(EIO, "pmem") : core::Status::success();
      }});
  PersistSlices slices(target, 10, size - 10);
  while (!slices.finished()) CHECK(slices.step().ok());
  CHECK((calls == std::vector<Call>{{10, abi::kPersistSliceBytes},
                                    {10 + abi::kPersistSliceBytes, abi::kPersistSliceBytes},
                                    {10 + 2 * abi::kPersistSliceBytes, 4086}}));
  fail = true;
  PersistSlices failing(target, 0, size);
  CHECK_EQ(failing.step().sys_errno, EIO);
  CHECK(failing.finished());
  CHECK(PersistSlices().finished());
}

TEST(what_waits_for_one_file_becomes_one_call) {
  auto domain = std::make_shared<Domain>();
  domain->set_open(false);
  const auto target = make_target(domain, 1);
  auto service = PersistService::create(2);
  std::atomic<int> answered{0};
  const auto done = [&answered](core::Status status) { answered += status.ok() ? 1 : 100; };
  CHECK(service->submit(target, 0, 8, done).ok());
  domain->wait_for_calls(1);
  CHECK(service->submit(target, 3 * 4096, 8, done).ok());
  CHECK(service->submit(target, 9 * 4096 + 5, 100, done).ok());
  CHECK(service->submit(target, 5 * 4096, 0, done).ok());
  CHECK(service->submit(target, 6 * 4096, 4096, done).ok());
  CHECK_EQ(answered.load(), 0);
  CHECK_EQ(core::counters().persists_queued.load(), 5);
  domain->set_open(true);
  CHECK(test::wait_until([&answered] { return answered == 5; }));
  CHECK((domain->seen() == std::vector<Call>{{0, 4096}, {3 * 4096, 7 * 4096}}));
  service = nullptr;
  CHECK_EQ(core::counters().threads.load(), 0);
  CHECK_EQ(core::counters().persists_queued.load(), 0);
}

TEST(two_files_run_side_by_side) {
  auto slow = std::make_shared<Domain>();
  auto fast = std::make_shared<Domain>();
  slow->set_open(false);
  const auto slow_target = make_target(slow, 1);
  const auto fast_target = make_target(fast, 2);
  const auto service = PersistService::create(2);
  std::atomic<int> slow_answers{0};
  std::atomic<int> fast_answers{0};
  CHECK(service->submit(slow_target, 0, 1, [&](core::Status) { ++slow_answers; }).ok());
  slow->wait_for_calls(1);
  for (int i = 0; i < 10; ++i) {
    CHECK(service->submit(fast_target, 0, 1, [&](core::Status) { ++fast_answers; }).ok());
    CHECK(test::wait_until([&] { return fast_answers == i + 1; }));
  }
  CHECK_EQ(slow_answers.load(), 0);
  slow->set_open(true);
  CHECK(test::wait_until([&] { return slow_answers == 1; }));
}

TEST(two_mappings_of_one_file_take_turns) {
  auto first = std::make_shared<Domain>();
  auto second = std::make_shared<Domain>();
  first->set_open(false);
  const auto first_target = make_target(first, 9);
  const auto second_target = make_target(second, 9);
  const auto service = PersistService::create(2);
  std::atomic<int> answers{0};
  const auto done = [&answers](core::Status) { ++answers; };
  CHECK(service->submit(first_target, 0, 1, done).ok());
  first->wait_for_calls(1);
  CHECK(service->submit(second_target, 0, 1, done).ok());
  CHECK(service->submit(first_target, 4096, 1, done).ok());
  CHECK(service->submit(second_target, 8192, 1, done).ok());
  CHECK(second->seen().empty());
  first->set_open(true);
  CHECK(test::wait_until([&] { return answers == 4; }));
  CHECK((first->seen() == std::vector<Call>{{0, 4096}, {4096, 4096}}));
  CHECK((second->seen() == std::vector<Call>{{0, 3 * 4096}}));
}

TEST(a_failed_call_fails_all_that_it_covered_and_all_later_ones) {
  auto domain = std::make_shared<Domain>();
  domain->set_open(false);
  const auto target = make_target(domain, 1);
  const auto service = PersistService::create(1);
  std::atomic<int> good{0};
  std::atomic<int> bad{0};
  const auto done = [&](core::Status status) { ++(status.sys_errno == EIO ? bad : good); };
  CHECK(service->submit(target, 0, 1, done).ok());
  domain->wait_for_calls(1);
  CHECK(service->submit(target, 0, 1, done).ok());
  CHECK(service->submit(target, 4096, 1, done).ok());
  domain->fail_with(EIO);
  domain->set_open(true);
  CHECK(test::wait_until([&] { return bad == 3; }));
  CHECK_EQ(domain->seen().size(), 1);
  CHECK(service->submit(target, 0, 1, done).ok());
  CHECK(test::wait_until([&] { return bad == 4; }));
  CHECK_EQ(good.load(), 0);
  CHECK_EQ(service->submit(target, 0, kSize + 1, done).code, abi::Code::OutOfRange);
}

TEST(the_end_answers_everything_queued) {
  auto domain = std::make_shared<Domain>();
  domain->set_open(false);
  auto service = PersistService::create(1);
  std::atomic<int> answers{0};
  std::vector<std::shared_ptr<PersistTarget>> targets;
  for (int i = 0; i < 8; ++i) {
    targets.push_back(make_target(domain, 100 + static_cast<std::uint64_t>(i)));
    CHECK(service->submit(targets.back(), 0, 1, [&](core::Status) { ++answers; }).ok());
  }
  std::thread opener([&] {
    domain->wait_for_calls(1);
    domain->set_open(true);
  });
  service = nullptr;
  opener.join();
  CHECK_EQ(answers.load(), 8);
  CHECK_EQ(core::counters().threads.load(), 0);
}

TEST(the_last_holder_may_let_go_on_a_persist_thread) {
  auto domain = std::make_shared<Domain>();
  domain->set_open(false);
  const auto target = make_target(domain, 1);
  auto service = PersistService::create(2);
  const std::weak_ptr<PersistService> watched = service;
  std::atomic<int> answers{0};
  // The done takes the last reference with it, and is destroyed on the thread that ran it.
  PersistService* const raw = service.get();
  CHECK(
      raw->submit(target, 0, 1, [held = std::move(service), &answers](core::Status) { ++answers; })
          .ok());
  CHECK(!watched.expired());
  domain->set_open(true);
  CHECK(test::wait_until([&] { return watched.expired(); }));
  CHECK_EQ(answers.load(), 1);
  CHECK(test::wait_until([] { return core::counters().threads == 0; }));
}

TEST(the_process_shares_one_service_while_it_is_held) {
  auto one = PersistService::process();
  CHECK(one == PersistService::process());
  const std::weak_ptr<PersistService> watched = one;
  one = nullptr;
  CHECK(watched.expired());
  CHECK(PersistService::process() != nullptr);
}

TEST(many_threads_and_files_get_one_answer_each) {
  constexpr int kThreads = 4;
  constexpr int kRequests = 500;
  std::vector<std::shared_ptr<PersistTarget>> targets;
  std::vector<std::shared_ptr<Domain>> domains;
  for (std::uint64_t i = 0; i < 3; ++i) {
    domains.push_back(std::make_shared<Domain>());
    targets.push_back(make_target(domains.back(), 200 + i));
  }
  auto service = PersistService::create(2);
  std::vector<std::atomic<int>> answers(kThreads * kRequests);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kRequests; ++i) {
        std::atomic<int>& answer = answers[static_cast<std::size_t>(t * kRequests + i)];
        const core::Status status = service->submit(targets[static_cast<std::size_t>(i % 3)],
                                                    static_cast<std::uint64_t>(i % 60) * 4096, 10,
                                                    [&answer](core::Status) { ++answer; });
        if (!status.ok()) answer = 100;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  service = nullptr;
  int exact = 0;
  for (const std::atomic<int>& answer : answers) exact += answer == 1 ? 1 : 0;
  CHECK_EQ(exact, kThreads * kRequests);
  CHECK_EQ(core::counters().persists_queued.load(), 0);
}

TEST(retire_waits_for_a_running_persist) {
  auto domain = std::make_shared<Domain>();
  domain->set_open(false);
  const auto target = make_target(domain, 1);
  std::atomic<bool> retired{false};
  std::thread persisting([&] { CHECK(target->persist(0, 1).ok()); });
  domain->wait_for_calls(1);
  std::thread retiring([&] {
    target->retire();
    retired = true;
  });
  CHECK(!retired.load());
  domain->set_open(true);
  persisting.join();
  retiring.join();
  CHECK(retired.load());
  CHECK_EQ(target->persist(0, 1).code, abi::Code::Closed);
}

#if defined(RPMA_TEST_FLAVOUR)

TEST(the_msync_fault_point_fails_and_sticks) {
  auto domain = std::make_shared<Domain>();
  const auto target = make_target(domain, 300);
  CHECK(core::fault::set("memory.msync", 1, 1, EIO, 1));
  CHECK_EQ(target->persist(0, 1).sys_errno, EIO);
  core::fault::clear_all();
  CHECK_EQ(target->persist(0, 1).sys_errno, EIO);
  CHECK(domain->seen().empty());
}

TEST(without_a_thread_submit_fails_and_a_later_one_recovers) {
  auto domain = std::make_shared<Domain>();
  const auto target = make_target(domain, 1);
  auto service = PersistService::create(2);
  std::atomic<int> answers{0};
  const auto done = [&answers](core::Status) { ++answers; };
  CHECK(core::fault::set("core.thread-create", 1, 1, EAGAIN));
  CHECK_EQ(service->submit(target, 0, 1, done).code, abi::Code::Limit);
  CHECK_EQ(answers.load(), 0);
  CHECK(service->submit(target, 0, 1, done).ok());
  service = nullptr;
  CHECK_EQ(answers.load(), 1);
  core::fault::clear_all();
}

#endif

CHECK_MAIN()
