// SPDX-License-Identifier: BSD-3-Clause
//
// Wake-ups are never lost. A consumer that drains, arms and then sleeps until it is notified, with
// no other way to wake up, sees everything that other threads publish; the same for tasks and
// timers of the progress thread, which sleeps in epoll.
#include <semaphore>
#include <thread>

#include "core/clock.h"
#include "provider/iwarp/completion_queue.h"
#include "provider/iwarp/progress_thread.h"
#include "test/check.h"

namespace rpma::test {
namespace {

using namespace std::chrono_literals;

/** Wakes one sleeper a notification, and remembers it when nobody sleeps. */
class Alarm final : public provider::Notifier {
 public:
  void notify(std::uint64_t) override { semaphore_.release(); }
  bool sleep() { return semaphore_.try_acquire_for(10s); }

 private:
  std::counting_semaphore<> semaphore_{0};
};

TEST(a_sleeping_consumer_sees_every_completion) {
  constexpr std::uint32_t kEach = 20'000;
  constexpr std::uint32_t kProducers = 2;
  iwarp::CompletionQueue queue(kProducers * kEach);
  const auto alarm = std::make_shared<Alarm>();
  queue.set_notify({alarm, 1});
  std::vector<std::thread> producers;
  for (std::uint32_t p = 0; p < kProducers; ++p) {
    producers.emplace_back([&queue, p] {
      const auto credits = std::make_shared<iwarp::Credits>();
      credits->send.store(kEach);
      for (std::uint32_t i = 0; i < kEach; ++i) {
        provider::Completion completion{};
        completion.operation = static_cast<std::uint8_t>(abi::Operation::Write);
        completion.queue_pair_number = p;
        completion.id = i;
        queue.publish(completion, credits);
        if (i % 64 == 0) std::this_thread::yield();
      }
    });
  }
  std::uint32_t next[kProducers] = {};
  std::uint32_t seen = 0;
  bool woken = true;
  bool ordered = true;
  while (seen < kProducers * kEach && woken) {
    provider::Completion some[7];
    const std::uint32_t got = queue.poll(some, 7);
    for (std::uint32_t i = 0; i < got; ++i) {
      ordered = ordered && some[i].id == next[some[i].queue_pair_number]++;
    }
    seen += got;
    if (got == 0 && queue.arm()) woken = alarm->sleep();
  }
  for (std::thread& producer : producers) producer.join();
  CHECK(woken);
  CHECK(ordered);
  CHECK_EQ(seen, kProducers * kEach);
}

TEST(the_progress_thread_runs_every_task) {
  auto started = iwarp::ProgressThread::start(0);
  REQUIRE(started.ok());
  const auto progress = std::move(started).value();
  // One at a time: each task must wake the thread from its sleep, or the next is never posted.
  std::counting_semaphore<> done(0);
  bool all = true;
  for (int i = 0; i < 20'000 && all; ++i) {
    progress->post([&done] { done.release(); });
    all = done.try_acquire_for(10s);
  }
  CHECK(all);
  std::atomic<int> count{0};
  std::vector<std::thread> posters;
  for (int p = 0; p < 3; ++p) {
    posters.emplace_back([&] {
      for (int i = 0; i < 5'000; ++i) {
        progress->post([&] {
          if (count.fetch_add(1) + 1 == 15'000) done.release();
        });
      }
    });
  }
  for (std::thread& poster : posters) poster.join();
  CHECK(done.try_acquire_for(10s));
  progress->stop();
}

TEST(timers_run_in_order_and_can_be_cancelled) {
  auto started = iwarp::ProgressThread::start(0);
  REQUIRE(started.ok());
  const auto progress = std::move(started).value();
  constexpr std::uint64_t kMillisecond = core::kNanosecondsPerMillisecond;
  std::counting_semaphore<> done(0);
  std::vector<int> order;  // of the progress thread
  const std::uint64_t now = core::now_ns();
  const auto late = progress->add_timer(now + 40 * kMillisecond, [&] {
    order.push_back(3);
    done.release();
  });
  progress->add_timer(now + 20 * kMillisecond, [&] { order.push_back(2); });
  progress->add_timer(now + 5 * kMillisecond, [&] { order.push_back(1); });
  const auto cancelled = progress->add_timer(now + 10 * kMillisecond, [&] { order.push_back(9); });
  CHECK(progress->cancel_timer(cancelled));
  CHECK(!progress->cancel_timer(cancelled));
  CHECK(done.try_acquire_for(10s));
  CHECK(core::now_ns() >= now + 40 * kMillisecond);
  CHECK(!progress->cancel_timer(late));
  progress->stop();
  CHECK(order == std::vector<int>({1, 2, 3}));
}

TEST(nothing_lives_on) { CHECK_EQ(core::live_total(), 0); }

}  // namespace
}  // namespace rpma::test
CHECK_MAIN()
