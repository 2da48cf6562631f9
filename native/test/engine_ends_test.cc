// SPDX-License-Identifier: BSD-3-Clause
//
// Work that crosses a change of hands: from a message that waits to the receive that takes it, from
// one driver to another, from a side that leaves to the one that stays. Nothing that was accepted
// or said may be left lying between the two.
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <semaphore>
#include <thread>

#include "core/fault_points.h"
#include "provider/iwarp/queue_pair.h"
#include "test/engine.h"

namespace rpma::test {
namespace {

constexpr std::uint32_t kAll = 0xDF;
constexpr std::size_t kMemory = 65536;
#if defined(__SANITIZE_THREAD__)
constexpr int kSpinRounds = 150;
#else
constexpr int kSpinRounds = 500;
#endif

core::Status gone() { return core::Status::failure(abi::Code::Closed, "destroyed"); }

/** Two peers, a connection, and memory on both sides. */
struct Stage {
  std::shared_ptr<rma::Peer> peer = open_peer();
  std::shared_ptr<rma::Peer> other;
  Memory local = make_memory(*peer, kMemory, kAll);
  Memory remote;
  Pair pair;

  explicit Stage(const provider::DeviceOptions& options = {})
      : other(open_peer(options)),
        remote(make_memory(*other, kMemory, kAll)),
        pair(connect(peer, other)) {}
  ~Stage() {
    peer->close();
    other->close();
  }
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  /** The client sends a message that finds no receive, and a flush that must wait behind it. */
  void park() {
    CHECK(pair.client->post(operation(abi::Operation::Send, 1, 64), local.region).ok());
    CHECK(
        pair.client->post(at(operation(abi::Operation::Flush, 2, 8), *remote.region, 0), {}).ok());
    pair.client->kick();
    catch_up();
  }
  /** Answers are never parked: once the server has one from the client, everything that the client
   * sent before has been met. */
  void catch_up() {
    // At the end of the memory, away from what the messages use.
    CHECK(pair.server
              ->post(at(operation(abi::Operation::Read, 7, 8), *local.region, kMemory - 8,
                        kMemory - 8),
                     remote.region)
              .ok());
    pair.server->kick();
    const auto done = completions(pair.bell, *pair.server->completion_queue(), 1);
    CHECK(done.size() == 1 && done[0].id == 7 && done[0].status == 0);
  }
  bool receive(double id, double offset = 0) {
    abi::Submission submission = operation(abi::Operation::Receive, id, 64);
    submission.local_offset = offset;
    return pair.server->post(submission, remote.region).ok();
  }
};

/** Up to `count` completions that come within the time, by polling alone. */
std::vector<abi::Completion> polled(provider::CompletionQueue& queue, std::size_t count,
                                    unsigned timeout_ms) {
  std::vector<abi::Completion> all;
  wait_until(
      [&] {
        abi::Completion one[1];
        while (all.size() < count && queue.poll(one, 1) == 1) all.push_back(one[0]);
        return all.size() == count;
      },
      timeout_ms);
  return all;
}

bool are(const std::vector<abi::Completion>& done, std::initializer_list<double> ids) {
  return std::equal(done.begin(), done.end(), ids.begin(), ids.end(),
                    [](const abi::Completion& completion, double id) {
                      return completion.id == id && completion.status == 0;
                    });
}

TEST(a_flush_behind_a_parked_message_is_answered_by_a_side_that_spins) {
  // The receive and the spinning thread meet at the connection; whichever of them takes the flush
  // up must send its answer, too.
  provider::DeviceOptions spinning;
  spinning.busy_poll_us = 2'000'000;
  Stage stage(spinning);
  int round = 0;
  bool answered = true;
  for (; round < kSpinRounds && answered; ++round) {
    stage.park();
    CHECK(stage.receive(3));
    stage.pair.server->kick();
    answered = are(polled(*stage.pair.client->completion_queue(), 2, 2000), {1, 2});
    CHECK(are(polled(*stage.pair.server->completion_queue(), 1, 2000), {3}));
  }
  CHECK(answered);
  CHECK_EQ(round, kSpinRounds);
}

TEST(a_receive_posted_without_a_kick_lets_what_waits_behind_it_go_on) {
  // A receive sends nothing, so programs do not kick after it; the answers that it sets free are
  // ours to send.
  Stage stage;
  stage.park();
  CHECK(stage.receive(3));
  const auto done = polled(*stage.pair.client->completion_queue(), 2, 2500);
  CHECK_EQ(done.size(), 2u);
  CHECK(are(done, {1, 2}));
}

TEST(who_is_told_while_another_thread_drives_sleeps_until_its_turn_is_over) {
  // The set is level-triggered: the progress thread would be told again and again, and keep the
  // processor from the thread that it waits for.
  constexpr unsigned kHeldMs = 20;
  std::uint64_t most = 0;
  // In some rounds the delay hits the last look of the progress thread at what came before.
  for (int round = 0; round < 8; ++round) {
    Stage stage;
    stage.park();
    REQUIRE(core::fault::set("iwarp.recv", 1, 1, 0, kHeldMs));
    std::thread driver([&] { CHECK(stage.receive(3)); });
    CHECK(wait_until([] { return core::fault::hits("iwarp.recv") >= 1; }));
    REQUIRE(core::fault::set("iwarp.epoll_wait", 1, 1, 0));
    CHECK(stage.pair.client->post(operation(abi::Operation::Send, 4, 0), {}).ok());
    stage.pair.client->kick();
    driver.join();
    most = std::max(most, core::fault::hits("iwarp.epoll_wait"));
    CHECK(stage.receive(5));
    CHECK(are(polled(*stage.pair.client->completion_queue(), 3, 2500), {1, 2, 4}));
    core::fault::clear_all();
  }
  CHECK(most < 50);
}

TEST(a_driver_is_not_told_of_a_fin_until_the_progress_thread_has_ended_the_connection) {
  Stage stage;
  const int set = ::epoll_create1(EPOLL_CLOEXEC);
  auto& server = static_cast<iwarp::QueuePair&>(stage.pair.server->queue_pair());
  std::binary_semaphore busy(0);
  server.context()->progress->post([&busy] { busy.acquire(); });
  stage.pair.server->completion_queue()->take_over(set);
  stage.pair.client->queue_pair().disconnect(5000);
  epoll_event told{};
  CHECK_EQ(::epoll_wait(set, &told, 1, 10'000), 1);
  int times = 1;
  for (server.drive(); times < 1000 && ::epoll_wait(set, &told, 1, 20) == 1; ++times) {
    server.drive();
  }
  busy.release();
  CHECK(times < 10);
  CHECK_EQ(next_event(stage.pair.bell, *stage.pair.server), abi::ConnectionEvent::Closed);
  ::close(set);
}

TEST(a_socket_that_cannot_be_taken_back_now_is_taken_back_later) {
  // The driver went to sleep and the progress thread's set is full at that moment: nobody watches
  // the socket, so it must be tried again.
  constexpr std::uint64_t kFailures = 3;
  Stage stage;
  REQUIRE(core::fault::set("iwarp.epoll_ctl", 1, kFailures, ENOSPC));
  stage.pair.server->completion_queue()->take_over(-1);
  CHECK(wait_until([] { return core::fault::hits("iwarp.epoll_ctl") >= 1; }));
  const abi::Submission flush = at(operation(abi::Operation::Flush, 2, 8), *stage.remote.region, 0);
  CHECK(stage.pair.client->post(flush, {}).ok());
  stage.pair.client->kick();
  // Polls the client's side only.
  CHECK(are(polled(*stage.pair.client->completion_queue(), 1, 2500), {2}));
  CHECK(core::fault::hits("iwarp.epoll_ctl") > kFailures);
  core::fault::clear_all();
}

TEST(a_request_whose_connection_was_destroyed_before_its_accept_is_rejected) {
  // Accepted after its end it would be up for the other side and for nobody here.
  const auto peer = open_peer();
  const auto other = open_peer();
  const auto bell = std::make_shared<Bell>();
  auto listening = other->device().listen({"127.0.0.1", 0}, {});
  REQUIRE(listening.ok());
  const std::shared_ptr<provider::Listener> listener = *listening;
  listener->set_notify({bell, 0});
  auto client = rma::Connection::outgoing(peer, listener->address(), {});
  REQUIRE(client.ok());
  watch(bell, **client);
  CHECK((*client)->connect({}).ok());
  std::shared_ptr<provider::IncomingRequest> request;
  REQUIRE(bell->until([&] { return (request = listener->next()) != nullptr; }));
  auto server = rma::Connection::incoming(other, request, {});
  REQUIRE(server.ok());
  watch(bell, **server);
  (*server)->queue_pair().abort(gone());
  CHECK_EQ(next_event(bell, **server), abi::ConnectionEvent::Closed);
  // Its outcome was told by that event.
  CHECK((*server)->accept({}).ok());
  CHECK_EQ(next_event(bell, **client), abi::ConnectionEvent::Rejected);
  CHECK_EQ((*server)->queue_pair().state(), abi::ConnectionState::Closed);
  peer->close();
  other->close();
}

TEST(messages_of_a_sender_that_left_still_find_their_receives) {
  // It may leave after its sends completed, and its impatient close ends with a reset: what it said
  // before has arrived and waits for closeTimeoutMs of this side.
  constexpr int kMessages = 3;
  Stage stage;
  std::uint8_t said[kMessages][64];
  for (int i = 0; i < kMessages; ++i) {
    std::memset(said[i], 'a' + i, sizeof(said[i]));
    std::memcpy(stage.local.data() + i * 64, said[i], sizeof(said[i]));
    abi::Submission message = operation(abi::Operation::Send, i, 64);
    message.local_offset = i * 64;
    CHECK(stage.pair.client->post(message, stage.local.region).ok());
  }
  stage.pair.client->kick();
  CHECK(are(completions(stage.pair.bell, *stage.pair.client->completion_queue(), kMessages),
            {0, 1, 2}));
  stage.catch_up();
  stage.pair.client->queue_pair().disconnect(100);
  CHECK_EQ(next_event(stage.pair.bell, *stage.pair.client), abi::ConnectionEvent::Closed);
  const auto ended = [&] {
    return stage.pair.server->queue_pair().state() == abi::ConnectionState::Closed;
  };
  CHECK(!wait_until(ended, 300));
  for (int i = 0; i < kMessages; ++i) CHECK(stage.receive(10 + i, i * 64));
  const auto done = polled(*stage.pair.server->completion_queue(), kMessages, 2000);
  CHECK(are(done, {10, 11, 12}));
  CHECK_EQ(std::memcmp(stage.remote.data(), said, sizeof(said)), 0);
  CHECK_EQ(next_event(stage.pair.bell, *stage.pair.server), abi::ConnectionEvent::Closed);
}

TEST(nothing_lives_on) { CHECK_EQ(core::live_total(), 0); }

}  // namespace
}  // namespace rpma::test
CHECK_MAIN()
