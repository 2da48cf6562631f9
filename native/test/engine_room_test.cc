// SPDX-License-Identifier: BSD-3-Clause
//
// Room in a send queue. Who waits for it sleeps until it is told, with no other way to wake up,
// whoever frees the slots: a consumer of completions, or the thread that finds that an on-error
// operation has succeeded. On-error operations alone never fill a queue for good.
#include <semaphore>
#include <thread>

#include "provider/iwarp/completion_queue.h"
#include "test/engine.h"

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

/** With one slot every wake-up counts; with some, several threads free them at once. */
void sleep_for_each_slot(std::uint32_t size) {
  constexpr int kPosts = 60'000;
  iwarp::Credits credits;
  const auto alarm = std::make_shared<Alarm>();
  credits.watch.set_notify({alarm, 1});
  std::atomic<int> posted{0};
  std::atomic<int> freed{0};
  std::vector<std::thread> consumers;
  for (int c = 0; c < 2; ++c) {
    // They spin, so that they free a slot just as the sleeper asks for it.
    consumers.emplace_back([&] {
      for (int n = freed.fetch_add(1); n < kPosts; n = freed.fetch_add(1)) {
        for (int spins = 1; posted.load() <= n; ++spins) {
          if (spins % 64 == 0) std::this_thread::yield();
        }
        credits.free_send();
      }
    });
  }
  bool woken = true;
  for (int i = 0; i < kPosts && woken; ++i) {
    while (credits.send.load() >= size && woken) {
      if (credits.watch.arm(credits.send, size - 1)) woken = alarm->sleep();
    }
    credits.send.fetch_add(1);
    posted.fetch_add(1);
  }
  if (!woken) posted.store(kPosts);  // the consumers must end all the same
  for (std::thread& consumer : consumers) consumer.join();
  CHECK(woken);
  if (woken) CHECK_EQ(credits.send.load(), 0U);
}

/** Two threads begin each round together, as nearly as they can. */
class Start {
 public:
  void wait(int round) {
    arrived_.fetch_add(1);
    for (int spins = 1; arrived_.load() < 2 * (round + 1); ++spins) {
      if (spins % 256 == 0) std::this_thread::yield();
    }
  }

 private:
  std::atomic<int> arrived_{0};
};

TEST(who_asks_just_as_the_slot_is_freed_is_told_or_sees_it) {
  constexpr int kRounds = 50'000;
  class Counting final : public provider::Notifier {
   public:
    void notify(std::uint64_t) override { told.fetch_add(1); }
    std::atomic<int> told{0};
  };
  iwarp::Credits credits;
  const auto counting = std::make_shared<Counting>();
  credits.watch.set_notify({counting, 1});
  Start start;
  Start end;
  std::atomic<int> pauses{0};  // so that the two meet at every point of each other's way
  std::thread consumer([&] {
    for (int round = 0; round < kRounds; ++round) {
      start.wait(round);
      for (int pause = round % 23; pause > 0; --pause) pauses.fetch_add(1);
      credits.free_send();
      end.wait(round);
    }
  });
  int lost = 0;
  for (int round = 0; round < kRounds; ++round) {
    credits.send.store(1);
    const int before = counting->told.load();
    start.wait(round);
    const bool armed = credits.watch.arm(credits.send, 0);
    end.wait(round);
    if (armed && counting->told.load() == before) ++lost;
  }
  consumer.join();
  CHECK_EQ(lost, 0);
}

TEST(a_sleeper_is_told_of_the_only_slot_each_time) { sleep_for_each_slot(1); }

TEST(a_sleeper_is_told_whichever_thread_frees_a_slot) { sleep_for_each_slot(3); }

TEST(what_is_free_already_is_no_notification) {
  iwarp::Credits credits;
  const auto alarm = std::make_shared<Alarm>();
  int told = 0;
  class Counting final : public provider::Notifier {
   public:
    explicit Counting(int& told) : told_(told) {}
    void notify(std::uint64_t) override { ++told_; }

   private:
    int& told_;
  };
  credits.watch.set_notify({std::make_shared<Counting>(told), 1});
  credits.send.store(4);
  CHECK(!credits.watch.arm(credits.send, 4));
  credits.free_send();
  CHECK_EQ(told, 0);
  CHECK(credits.watch.arm(credits.send, 1));
  credits.free_send();
  CHECK_EQ(told, 0);
  credits.free_send();
  CHECK_EQ(told, 1);
  credits.free_send();
  CHECK_EQ(told, 1);
  // The newest question counts.
  credits.send.store(4);
  CHECK(credits.watch.arm(credits.send, 0));
  CHECK(credits.watch.arm(credits.send, 3));
  credits.free_send();
  CHECK_EQ(told, 2);
}

/** Posts on-error operations only, thousands, through a small queue; sleeps when it is full. */
void post_without_completions(bool polling) {
  constexpr int kPosts = 6'000;
  const auto client_peer = open_peer();
  const auto server_peer = open_peer();
  rma::ConnectionOptions options;
  options.queue_pair.send_queue_size = 4;
  Pair pair = connect(client_peer, server_peer, options);
  const Memory local = make_memory(*client_peer, 4096, 0x06);
  const Memory remote = make_memory(*server_peer, 4096, 0x19);
  const auto alarm = std::make_shared<Alarm>();
  provider::QueuePair& queue_pair = pair.client->queue_pair();
  queue_pair.set_notify({alarm, 1});
  std::atomic<bool> done{false};
  std::atomic<int> completed{0};
  std::thread poller([&] {
    while (polling && !done.load()) {
      pair.client->completion_queue()->take_over(-1);
      abi::Completion some[4];
      completed.fetch_add(static_cast<int>(pair.client->completion_queue()->poll(some, 4)));
      std::this_thread::yield();
    }
  });
  bool woken = true;
  int posted = 0;
  while (posted < kPosts && woken) {
    // Reads and writes keep to bytes of their own.
    const bool read = posted % 3 == 2;
    const abi::Operation kind = read ? abi::Operation::Read : abi::Operation::Write;
    const double place = read ? 1024 : 0;
    const core::Status status = pair.client->post(
        at(operation(kind, posted, 8, false), *remote.region, place, place), local.region);
    if (status.ok()) {
      pair.client->kick();
      ++posted;
      CHECK(queue_pair.send_queue_free() <= 4);
    } else if (status.code != abi::Code::Again) {
      break;
    } else if (queue_pair.watch_send_queue(1)) {
      woken = alarm->sleep();
    }
  }
  CHECK(woken);
  CHECK_EQ(posted, kPosts);
  while (woken && queue_pair.watch_send_queue(4)) woken = alarm->sleep();
  CHECK(woken);
  CHECK_EQ(queue_pair.send_queue_free(), 4U);
  done.store(true);
  poller.join();
  CHECK_EQ(completed.load(), 0);
  client_peer->close();
  server_peer->close();
}

TEST(on_error_operations_alone_never_fill_a_queue_that_the_progress_thread_drives) {
  post_without_completions(false);
}

TEST(nor_one_that_a_poller_drives) { post_without_completions(true); }

TEST(nothing_lives_on) { CHECK_EQ(core::live_total(), 0); }

}  // namespace
}  // namespace rpma::test
CHECK_MAIN()
