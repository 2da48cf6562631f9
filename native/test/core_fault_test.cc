// SPDX-License-Identifier: BSD-3-Clause
// Fault points and switches of the test flavour, and Thread, which has one.
#include "core/fault_points.h"

#include <csignal>
#include <thread>

#include "core/array.h"
#include "core/counters.h"
#include "core/thread.h"
#include "test/check.h"

using namespace rpma;

#if defined(RPMA_TEST_FLAVOUR)

namespace {

core::FaultAction reach() { return RPMA_FAULT_POINT("test.first"); }
bool never_called() { return RPMA_FAULT_POINT("test.unreached").fail; }

bool contains(const std::vector<std::string>& names, const char* name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

TEST(points_are_known_before_they_are_reached) {
  static_cast<void>(&never_called);
  CHECK(contains(core::fault::names(), "test.first"));
  CHECK(contains(core::fault::names(), "test.unreached"));
  CHECK(contains(core::fault::names(), "core.thread-create"));
  CHECK(!contains(core::fault::names(), "test.nowhere"));
  CHECK(!core::fault::set("test.nowhere", 1, 1, EIO));
}

TEST(a_point_fails_from_the_nth_hit_count_times) {
  core::fault::clear_all();
  CHECK(!reach().fail);
  CHECK(core::fault::set("test.first", 2, 2, EIO, 5));
  CHECK(!reach().fail);
  const core::FaultAction second = reach();
  CHECK(second.fail);
  CHECK_EQ(second.err, EIO);
  CHECK_EQ(second.delay_ms, 5);
  CHECK(reach().fail);
  CHECK(!reach().fail);
  CHECK_EQ(core::fault::hits("test.first"), 4);
  core::fault::clear_all();
  CHECK_EQ(core::fault::hits("test.first"), 0);
}

TEST(a_point_may_fail_for_ever_or_only_delay) {
  CHECK(core::fault::set("test.first", 1, core::fault::kForever, ENOMEM));
  for (int i = 0; i < 10; ++i) CHECK_EQ(reach().err, ENOMEM);
  CHECK(core::fault::set("test.first", 1, 1, 0, 3));
  const core::FaultAction delayed = reach();
  CHECK(!delayed.fail);
  CHECK_EQ(delayed.delay_ms, 3);
  core::fault::clear_all();
}

TEST(points_are_safe_between_threads) {
  core::fault::clear_all();
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  CHECK(core::fault::set("test.first", 1000, 10, EIO));
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&failures] {
      for (int i = 0; i < 1000; ++i) failures += reach().fail ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(failures.load(), 10);
  CHECK_EQ(core::fault::hits("test.first"), 4000);
  core::fault::clear_all();
}

TEST(switches_are_off_until_set_and_cleared_with_the_points) {
  CHECK(!RPMA_FAULT_SWITCH("test.switch"));
  CHECK(contains(core::fault::switch_names(), "test.switch"));
  CHECK(core::fault::set_switch("test.switch", true));
  CHECK(RPMA_FAULT_SWITCH("test.switch"));
  core::fault::clear_all();
  CHECK(!RPMA_FAULT_SWITCH("test.switch"));
  CHECK(!core::fault::set_switch("test.nowhere", true));
}

TEST(a_plan_is_one_text) {
  CHECK(core::fault::set("test.first:2:12"));
  CHECK(!reach().fail);
  const core::FaultAction second = reach();
  CHECK(second.fail);
  CHECK_EQ(second.err, ENOMEM);
  CHECK(!reach().fail);
  for (const char* wrong :
       {"", "test.first", "test.first:1", ":1:12", "test.nowhere:1:12", "test.first:0:12",
        "test.first:1:0", "test.first:1:ENOMEM", "test.first:1:12 ", "test.first:x:12",
        "test.first:1:4096", "test.first:1:2:12"}) {
    CHECK(!core::fault::set(wrong));
  }
  core::fault::clear_all();
}

TEST(a_call_is_made_unless_a_fault_stands_in_for_it) {
  int calls = 0;
  const auto call = [&calls] { return ++calls; };
  CHECK_EQ(core::attempt({}, call), 1);
  errno = 0;
  CHECK_EQ(core::attempt({.fail = true, .err = EPIPE}, call), -1);
  CHECK_EQ(errno, EPIPE);
  CHECK_EQ(calls, 1);
}

TEST(a_tally_counts) {
  CHECK_EQ(core::fault::tally("test.tally"), 0);
  RPMA_FAULT_TALLY("test.tally");
  RPMA_FAULT_TALLY("test.tally");
  CHECK_EQ(core::fault::tally("test.tally"), 2);
  CHECK_EQ(core::fault::tally("test.nowhere"), 0);
}

TEST(an_array_without_memory_has_no_elements) {
  CHECK(!core::Array<int>({.fail = true, .err = ENOMEM}, 4).made());
  CHECK(!core::Array<std::uint64_t>({}, SIZE_MAX / 2).made());
  core::Array<int> array({}, 4);
  REQUIRE(array.made());
  CHECK_EQ(array.size(), 4);
  for (std::size_t i = 0; i < array.size(); ++i) CHECK_EQ(array[i], 0);
}

TEST(a_thread_that_cannot_start_says_so) {
  CHECK(core::fault::set("core.thread-create", 1, 1, EAGAIN));
  const core::Result<core::Thread> thread = core::Thread::start("rpma-test", [] {});
  CHECK(!thread.ok());
  CHECK_EQ(thread.status().code, abi::Code::Limit);
  CHECK_EQ(thread.status().sys_errno, EAGAIN);
  CHECK_EQ(core::counters().threads.load(), 0);
  core::fault::clear_all();
}

#else

TEST(the_release_flavour_has_no_points) {
  static_assert(!RPMA_FAULT_POINT("test.first").fail);
  static_assert(!RPMA_FAULT_SWITCH("test.switch"));
  CHECK(!RPMA_FAULT_POINT("test.first").fail);
}

#endif

TEST(a_thread_runs_its_body_with_signals_blocked_and_faults_open) {
  std::atomic<int> state{0};
  core::Result<core::Thread> thread = core::Thread::start("rpma-long-name-cut", [&state] {
    sigset_t mask;
    static_cast<void>(::pthread_sigmask(SIG_SETMASK, nullptr, &mask));
    state = sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGBUS) == 0 ? 1 : 2;
  });
  REQUIRE(thread.ok());
  CHECK(thread->running());
  CHECK(!thread->is_current());
  thread->join();
  CHECK_EQ(state.load(), 1);
  CHECK(!thread->running());
  CHECK_EQ(core::counters().threads.load(), 0);
  sigset_t own;
  static_cast<void>(::pthread_sigmask(SIG_SETMASK, nullptr, &own));
  CHECK_EQ(sigismember(&own, SIGTERM), 0);
}

CHECK_MAIN()
