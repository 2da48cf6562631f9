// SPDX-License-Identifier: BSD-3-Clause
//
// Seeded schedules: two threads of the program post random mixes on both ends of a connection, poll
// or wait as they like, take the connection over and rest, and end it at a random point. Whatever
// happens, every accepted operation has exactly one outcome (none for an on-error one that
// succeeds), completions keep post order, and nothing lives on. RPMA_SEED repeats a run.
#include <sys/epoll.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include "core/random.h"
#include "test/engine.h"

namespace rpma::test {
namespace {

constexpr std::uint32_t kAll = 0xDF;
// Three areas, so that the program itself never races: what is sent and read by the other side,
// where our own reads and receives go, and what the other side writes.
constexpr std::size_t kMemory = 3 << 18;
constexpr double kSinks = 1 << 18;
constexpr double kWritten = 2 << 18;

std::uint64_t seed() {
  const char* chosen = std::getenv("RPMA_SEED");
  return chosen != nullptr ? std::strtoull(chosen, nullptr, 10) : core::secure_u32();
}

/** One end: posts, collects and counts. */
struct End {
  std::shared_ptr<Bell> bell;
  std::shared_ptr<rma::Connection> connection;
  Memory memory;
  Memory remote;
  std::uint64_t seed = 0;
  int operations = 0;
  int stop_after = 0;  // ends the connection there; 0: leaves it to the other side
  bool abrupt = false;
  enum class Driver { Progress, Poller, Loop } driver = Driver::Progress;
  int epoll_fd = -1;  // of a Loop: the set that the socket joins

  double next_id = 1;
  std::vector<double> due;     // signalled sends without a completion, in post order
  std::vector<double> silent;  // on-error ones
  std::vector<double> receives;
  std::array<std::uint64_t, 7> accepted{};  // by kind
  std::string fault;

  void collect() {
    abi::Completion some[16];
    const std::uint32_t got = connection->completion_queue()->poll(some, 16);
    for (std::uint32_t i = 0; i < got; ++i) settle(some[i]);
  }

  void settle(const abi::Completion& completion) {
    if (completion.operation == static_cast<std::uint8_t>(abi::Operation::Receive)) {
      if (receives.empty() || receives.front() != completion.id)
        fault = "receive out of order";
      else
        receives.erase(receives.begin());
      return;
    }
    // An on-error one may stand before the next signalled one, and only if it failed.
    const auto found = std::find(silent.begin(), silent.end(), completion.id);
    if (found != silent.end()) {
      if (completion.status == 0) fault = "an on-error success was reported";
      silent.erase(found);
      return;
    }
    if (due.empty() || due.front() != completion.id)
      fault = "completion out of order or double";
    else
      due.erase(due.begin());
  }

  /** What an environment's event loop does: arms, looks at its set, drives what is ready. */
  void turn_of_loop() {
    connection->completion_queue()->take_over(epoll_fd);
    if (!connection->completion_queue()->arm()) return;
    epoll_event ready[4];
    const int count = ::epoll_wait(epoll_fd, ready, 4, 0);
    for (int i = 0; i < count; ++i) {
      if (ready[i].data.u64 == connection->queue_pair().number()) connection->queue_pair().drive();
    }
  }

  void post_one(core::SeededRandom& random) {
    const auto kind = static_cast<abi::Operation>(1 + random.below(6));
    const bool signalled = random.below(3) != 0 || kind == abi::Operation::Receive;
    const std::uint64_t sizes[] = {0, 1, 8, 64, 1000, 70'000, 200'000};
    double length = static_cast<double>(sizes[random.below(7)]);
    if (kind == abi::Operation::Send || kind == abi::Operation::Receive) length = 64;
    abi::Submission submission = operation(kind, next_id, length, signalled);
    if (kind != abi::Operation::Send && kind != abi::Operation::Receive) {
      const double area = kind == abi::Operation::Read ? 0 : kWritten;
      submission =
          at(submission, *remote.region, area + static_cast<double>(random.below(1000) * 8));
    }
    if (kind == abi::Operation::Read || kind == abi::Operation::Receive) {
      submission.local_offset = kSinks;
    }
    const bool local = kind != abi::Operation::Flush && kind != abi::Operation::AtomicWrite;
    const core::Status status =
        connection->post(submission, local ? memory.region : std::shared_ptr<memory::Region>());
    if (!status.ok()) return;
    ++accepted[static_cast<std::size_t>(kind)];
    if (kind == abi::Operation::Receive)
      receives.push_back(next_id);
    else
      (signalled ? due : silent).push_back(next_id);
    ++next_id;
    if (random.below(2) == 0) connection->kick();
  }

  /** Any thread may look at any time; in the end each accepted operation has one outcome. */
  void look_at_statistics(bool over) {
    const provider::Statistics now = connection->queue_pair().statistics();
    for (std::uint8_t kind = 1; kind <= 6; ++kind) {
      const auto count = [&now, kind](provider::Fate fate) {
        return now[static_cast<std::size_t>(provider::statistic_of(kind, fate))];
      };
      const std::uint64_t done = count(provider::Fate::Completed) + count(provider::Fate::Failed);
      if (count(provider::Fate::Posted) != accepted[kind]) fault = "posts were miscounted";
      if (over ? done != accepted[kind] : done > accepted[kind]) fault = "outcomes were miscounted";
    }
  }

  void run() {
    core::SeededRandom random(seed);
    for (int i = 0; i < operations; ++i) {
      post_one(random);
      if (random.below(4) == 0) {
        // Drives by itself for a while, or lets the progress thread do it.
        if (driver == Driver::Poller) connection->completion_queue()->take_over(-1);
        if (driver == Driver::Loop) turn_of_loop();
        collect();
      }
      if (random.below(64) == 0) std::this_thread::yield();
      if (random.below(32) == 0) look_at_statistics(false);
      if (stop_after != 0 && i == stop_after) {
        if (abrupt)
          connection->queue_pair().abort(core::Status::failure(abi::Code::Closed, "test"));
        else
          connection->queue_pair().disconnect(2000);
      }
    }
    connection->kick();
    if (stop_after == 0) connection->queue_pair().disconnect(300);
    // The queue is drained once its connection has ended and everything is collected.
    const bool ended = bell->until([&] {
      collect();
      return connection->completion_queue()->drained();
    });
    if (!ended) fault = "the connection did not end";
    if (ended) look_at_statistics(true);
  }
};

rma::ConnectionOptions options_of(core::SeededRandom& random) {
  rma::ConnectionOptions options;
  options.queue_pair.send_queue_size = 1 + random.below(40);
  options.queue_pair.receive_queue_size = 1 + random.below(20);
  options.queue_pair.crc = static_cast<std::uint8_t>(random.below(2));
  options.queue_pair.inbound_reads = 1U << random.below(6);
  options.queue_pair.outbound_reads = 1U << random.below(6);
  options.queue_pair.max_frame_bytes = random.below(2) == 0 ? 0 : 1000;
  return options;
}

void run_schedule(std::uint64_t seed) {
  core::SeededRandom random(seed);
  provider::DeviceOptions spinning;
  spinning.busy_poll_us = random.below(2) * 50;
  const auto peer = open_peer(spinning);
  const auto other = open_peer();
  Pair pair = connect(peer, other, options_of(random), options_of(random));
  End ends[2];
  const Memory first = make_memory(*peer, kMemory, kAll);
  const Memory second = make_memory(*other, kMemory, kAll);
  for (int i = 0; i < 2; ++i) {
    End& end = ends[i];
    end.bell = pair.bell;
    end.connection = i == 0 ? pair.client : pair.server;
    end.memory = i == 0 ? first : second;
    end.remote = i == 0 ? second : first;
    end.seed = random.next_u64();
    end.operations = 200 + static_cast<int>(random.below(300));
    end.driver = static_cast<End::Driver>(random.below(3));
    end.epoll_fd = ::epoll_create1(EPOLL_CLOEXEC);
    if (random.below(2) == 0) {
      end.stop_after =
          1 + static_cast<int>(random.below(static_cast<std::uint64_t>(end.operations) - 1));
    }
    end.abrupt = random.below(2) == 0;
  }
  std::thread thread([&] { ends[1].run(); });
  std::thread reader([&peer] {
    for (int i = 0; i < 100; ++i) {
      static_cast<void>(peer->device().statistics());
      std::this_thread::yield();
    }
  });
  ends[0].run();
  thread.join();
  reader.join();
  CHECK(peer->device().statistics().connections == pair.client->queue_pair().statistics());
  for (const End& end : ends) {
    const bool complete = end.due.empty() && end.receives.empty() && end.fault.empty();
    CHECK(complete);
    if (!complete) {
      std::printf("# seed %llu: %zu sends, %zu receives without an outcome %s\n",
                  static_cast<unsigned long long>(seed), end.due.size(), end.receives.size(),
                  end.fault.c_str());
    }
  }
  peer->close();
  other->close();
  for (const End& end : ends) ::close(end.epoll_fd);
}

TEST(random_schedules) {
  const std::uint64_t first = seed();
  const int rounds =
      std::getenv("RPMA_ROUNDS") != nullptr ? std::atoi(std::getenv("RPMA_ROUNDS")) : 40;
  std::printf("# RPMA_SEED=%llu\n", static_cast<unsigned long long>(first));
  for (int i = 0; i < rounds; ++i) run_schedule(first + static_cast<std::uint64_t>(i));
}

TEST(nothing_lives_on) { CHECK_EQ(core::live_total(), 0); }

}  // namespace
}  // namespace rpma::test
CHECK_MAIN()
