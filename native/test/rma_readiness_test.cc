// SPDX-License-Identifier: BSD-3-Clause
//
// The descriptor of an object tells the truth: readable while something is there, not before and
// not after, for a thread that knows nothing but epoll(7); and no wake-up is lost between a
// consumer that rearms and threads that publish.
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <atomic>
#include <semaphore>
#include <thread>
#include <vector>

#include "core/counters.h"
#include "core/fault_points.h"
#include "provider/iwarp/completion_queue.h"
#include "rma/readiness.h"
#include "test/check.h"
#include "test/engine.h"

namespace rpma::test {
namespace {

using namespace std::chrono_literals;

class Tally final : public provider::Notifier {
 public:
  void notify(std::uint64_t token) override { last.store(token); }
  std::atomic<std::uint64_t> last{0};
};

bool readable(int fd, int timeout_ms = 0) {
  pollfd look{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&look, 1, timeout_ms) == 1;
}

std::shared_ptr<rma::Readiness> make(std::shared_ptr<provider::Notifier> next = nullptr) {
  auto made = rma::Readiness::create(std::move(next));
  CHECK(made.ok());
  return std::move(made).value();
}

bool rearm(rma::Readiness& readiness, provider::CompletionQueue& queue) {
  provider::CompletionQueue* const queues[] = {&queue};
  return readiness.rearm(queues, true);
}

void publish(iwarp::CompletionQueue& queue, const std::shared_ptr<iwarp::Credits>& credits) {
  provider::Completion completion{};
  completion.operation = static_cast<std::uint8_t>(abi::Operation::Write);
  credits->send.fetch_add(1);
  queue.publish(completion, credits);
}

TEST(readable_until_nothing_was_found) {
  iwarp::CompletionQueue queue(8);
  const auto credits = std::make_shared<iwarp::Credits>();
  const auto tally = std::make_shared<Tally>();
  const auto readiness = make(tally);
  queue.set_notify({readiness, 7});
  CHECK(rearm(*readiness, queue));
  CHECK(!readable(readiness->fd()));
  publish(queue, credits);
  publish(queue, credits);
  CHECK(readable(readiness->fd()));
  CHECK_EQ(tally->last.load(), std::uint64_t{7});
  provider::Completion one;
  CHECK_EQ(queue.poll(&one, 1), 1U);
  CHECK(readable(readiness->fd()));
  CHECK(!rearm(*readiness, queue));
  CHECK(readable(readiness->fd()));
  CHECK_EQ(queue.poll(&one, 1), 1U);
  CHECK(readable(readiness->fd()));
  CHECK(rearm(*readiness, queue));
  CHECK(!readable(readiness->fd()));
  publish(queue, credits);
  CHECK(readable(readiness->fd()));
}

TEST(what_was_there_before_the_descriptor_makes_it_readable) {
  iwarp::CompletionQueue queue(8);
  const auto credits = std::make_shared<iwarp::Credits>();
  publish(queue, credits);
  const auto readiness = make();
  queue.set_notify({readiness, 1});
  CHECK(!rearm(*readiness, queue));
  CHECK(readable(readiness->fd()));
}

TEST(one_descriptor_for_two_queues) {
  iwarp::CompletionQueue first(8);
  iwarp::CompletionQueue second(8);
  const auto credits = std::make_shared<iwarp::Credits>();
  const auto readiness = make();
  first.set_notify({readiness, 1});
  second.set_notify({readiness, 2});
  provider::CompletionQueue* const queues[] = {&first, &second};
  for (iwarp::CompletionQueue* queue : {&first, &second, &first}) {
    CHECK(readiness->rearm(queues, true));
    CHECK(!readable(readiness->fd()));
    publish(*queue, credits);
    CHECK(readable(readiness->fd()));
    CHECK(!readiness->rearm(queues, true));
    CHECK(readable(readiness->fd()));
    provider::Completion one;
    CHECK_EQ(queue->poll(&one, 1), 1U);
  }
}

/** Has nothing, and gets something the moment after it was armed. */
class Sudden final : public provider::CompletionQueue {
 public:
  explicit Sudden(rma::Readiness& readiness) : readiness_(readiness) {}
  std::uint32_t poll(provider::Completion*, std::uint32_t) override { return 0; }
  bool arm() override {
    readiness_.notify(1);
    return true;
  }
  void set_notify(provider::NotifyTarget) override {}
  std::uint32_t capacity() const override { return 1; }
  bool over() const override { return false; }
  bool drained() const override { return false; }
  void take_over(int) override {}
  void give_back() override {}

 private:
  rma::Readiness& readiness_;
};

TEST(what_comes_right_behind_the_arming_is_not_cleared_away) {
  const auto readiness = make();
  Sudden queue(*readiness);
  CHECK(rearm(*readiness, queue));
  CHECK(readable(readiness->fd()));
}

TEST(the_end_of_a_connection_stays_readable) {
  const auto peer = open_peer();
  {
    Pair pair = connect(peer, peer);
    provider::CompletionQueue& queue = *pair.client->completion_queue();
    const auto readiness = make(pair.bell);
    queue.set_notify({readiness, 1});
    CHECK(rearm(*readiness, queue));
    CHECK(!readable(readiness->fd()));
    // No thread but the progress thread, and a plain poll(2).
    pair.server->queue_pair().abort(core::Status::failure(abi::Code::Closed));
    CHECK(readable(readiness->fd(), 10'000));
    provider::Completion some[4];
    CHECK_EQ(queue.poll(some, 4), 0U);
    CHECK(!rearm(*readiness, queue));
    CHECK(readable(readiness->fd()));
    // Of a queue that may serve another connection, the end is told once.
    provider::CompletionQueue* const queues[] = {&queue};
    CHECK(readiness->rearm(queues, false));
    CHECK(!readable(readiness->fd()));
  }
  peer->device().close();
}

TEST(whoever_polled_hands_the_connection_back) {
  const auto peer = open_peer();
  {
    Pair pair = connect(peer, peer);
    provider::CompletionQueue& queue = *pair.server->completion_queue();
    queue.take_over(-1);  // and never looks again
    const auto readiness = make(pair.bell);
    queue.set_notify({readiness, 1});
    queue.give_back();
    CHECK(rearm(*readiness, queue));
    CHECK(pair.server->post(operation(abi::Operation::Receive, 1, 0), nullptr).ok());
    CHECK(pair.client->post(operation(abi::Operation::Send, 1, 0), nullptr).ok());
    pair.client->kick();
    CHECK(readable(readiness->fd(), 10'000));
  }
  peer->device().close();
}

TEST(closing_wakes_who_holds_a_duplicate) {
  const std::int64_t before = core::counters().descriptors.load();
  const auto readiness = make();
  const int copy = ::dup(readiness->fd());
  REQUIRE(copy >= 0);
  CHECK_EQ(core::counters().descriptors.load(), before + 1);
  CHECK(!readable(copy));
  readiness->close();
  CHECK(readable(copy));
  CHECK_EQ(readiness->fd(), -1);
  CHECK_EQ(core::counters().descriptors.load(), before);
  // Late notifications find nothing to write to.
  readiness->notify(1);
  readiness->clear();
  readiness->close();
  CHECK_EQ(core::counters().descriptors.load(), before);
  ::close(copy);
}

TEST(no_descriptor_is_an_error) {
  CHECK(core::fault::set("rma.eventfd", 1, 1, EMFILE));
  const auto made = rma::Readiness::create(nullptr);
  core::fault::clear_all();
  CHECK(!made.ok());
  CHECK(made.status().code == abi::Code::Limit);
  CHECK_EQ(made.status().sys_errno, EMFILE);
}

TEST(interrupted_calls_are_repeated) {
  const auto readiness = make();
  CHECK(core::fault::set("rma.eventfd-write", 1, 2, EINTR));
  readiness->raise();
  CHECK(readable(readiness->fd()));
  CHECK(core::fault::set("rma.eventfd-read", 1, 2, EINTR));
  readiness->clear();
  CHECK(!readable(readiness->fd()));
  core::fault::clear_all();
}

/** Any number of producers, and a consumer that sleeps in epoll(7) alone. */
TEST(a_consumer_that_sleeps_in_epoll_sees_every_completion) {
  constexpr std::uint32_t kEach = 10'000;
  constexpr std::uint32_t kProducers = 2;
  iwarp::CompletionQueue queue(kProducers * kEach);
  const auto readiness = make(std::make_shared<Tally>());
  queue.set_notify({readiness, 1});
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  REQUIRE(epoll >= 0);
  epoll_event interest{};
  interest.events = EPOLLIN;
  REQUIRE(::epoll_ctl(epoll, EPOLL_CTL_ADD, readiness->fd(), &interest) == 0);
  std::vector<std::thread> producers;
  for (std::uint32_t p = 0; p < kProducers; ++p) {
    producers.emplace_back([&queue] {
      const auto credits = std::make_shared<iwarp::Credits>();
      for (std::uint32_t i = 0; i < kEach; ++i) {
        publish(queue, credits);
        if (i % 16 == 0) std::this_thread::yield();
      }
    });
  }
  std::uint32_t seen = 0;
  bool woken = true;
  while (seen < kProducers * kEach && woken) {
    provider::Completion some[7];
    const std::uint32_t got = queue.poll(some, 7);
    seen += got;
    if (got > 0 || !rearm(*readiness, queue)) continue;
    epoll_event event{};
    woken = ::epoll_wait(epoll, &event, 1, 10'000) == 1;
  }
  for (std::thread& producer : producers) producer.join();
  CHECK(woken);
  CHECK_EQ(seen, kProducers * kEach);
  ::close(epoll);
}

/** The watcher sleeps on one thread, the consumer runs on another; closing races with notifying. */
TEST(notifying_races_with_clearing_and_closing) {
  for (int round = 0; round < 200; ++round) {
    const auto readiness = make();
    std::atomic<bool> stop{false};
    std::thread notifier([&] {
      while (!stop.load()) readiness->notify(1);
    });
    for (int i = 0; i < 50; ++i) readiness->clear();
    readiness->close();
    stop.store(true);
    notifier.join();
    CHECK_EQ(readiness->fd(), -1);
  }
}

}  // namespace
}  // namespace rpma::test
CHECK_MAIN()
