// SPDX-License-Identifier: BSD-3-Clause
//
// Shared receive queues: the line of those who wait, first alone, then behind connections; where
// receives complete; what an end leaves to the others; and what becomes of receives when the queue
// is closed or their memory goes.
#include "provider/iwarp/shared_receive_queue.h"

#include <algorithm>
#include <array>

#include "core/fault_points.h"
#include "rma/shared_receive_queue.h"
#include "test/engine.h"
#include "test/raw_peer.h"

namespace rpma::test {
namespace {

using Waiter = iwarp::SharedReceiveQueue::Waiter;

constexpr std::uint32_t kUsage = abi::kMemoryUsageSend | abi::kMemoryUsageReceive;

std::shared_ptr<rma::SharedReceiveQueue> make_shared(rma::Peer& peer, std::uint32_t size,
                                                     std::uint32_t completion_queue_size) {
  auto made = rma::SharedReceiveQueue::create(peer, size, completion_queue_size);
  CHECK(made.ok());
  return std::move(made).value();
}

iwarp::SharedReceiveQueue& engine_of(const std::shared_ptr<rma::SharedReceiveQueue>& queue) {
  return static_cast<iwarp::SharedReceiveQueue&>(*queue->queue());
}

core::Status post(rma::SharedReceiveQueue& queue, double id, const Memory* memory = nullptr,
                  double length = 0, double offset = 0) {
  abi::Submission receive = operation(abi::Operation::Receive, id, length);
  receive.local_offset = offset;
  return queue.post(receive, memory == nullptr ? nullptr : memory->region);
}

rma::ConnectionOptions sharing(const std::shared_ptr<rma::SharedReceiveQueue>& queue) {
  rma::ConnectionOptions options;
  options.shared_receive_queue = queue->queue();
  return options;
}

bool send_empty(rma::Connection& connection) {
  const bool posted = connection.post(operation(abi::Operation::Send, 1, 0), nullptr).ok();
  connection.kick();
  return posted;
}

std::shared_ptr<iwarp::SharedReceiveQueue> bare_queue(std::uint32_t size) {
  auto made = iwarp::SharedReceiveQueue::create({size, nullptr});
  CHECK(made.ok());
  return std::move(made).value();
}

core::Status post_bare(iwarp::SharedReceiveQueue& queue, std::uint64_t id) {
  provider::WorkRequest request;
  request.id = id;
  return queue.post_receive(request);
}

// ---- The line ----------------------------------------------------------------------------------

TEST(a_receive_is_granted_to_the_oldest_waiter) {
  const auto queue = bare_queue(4);
  Waiter first;
  Waiter second;
  Waiter late;
  iwarp::Receive receive;
  CHECK(!queue->take(first, &receive));
  CHECK(!queue->take(second, &receive));
  CHECK(!queue->take(first, &receive));  // again: it keeps its place
  CHECK_EQ(queue->waiting(), 2);
  CHECK(post_bare(*queue, 1).ok());
  // It is the first one's, although it has not come: neither the next in line nor a newcomer gets
  // it.
  CHECK(!queue->take(second, &receive));
  CHECK(!queue->take(late, &receive));
  CHECK(post_bare(*queue, 2).ok());
  CHECK(queue->take(second, &receive));
  CHECK_EQ(receive.id, 1);  // in order of the posts
  CHECK(queue->take(first, &receive));
  CHECK_EQ(receive.id, 2);
  CHECK_EQ(queue->waiting(), 1);
  queue->leave(late);
  CHECK_EQ(queue->waiting(), 0);
}

TEST(what_was_granted_to_one_that_ends_goes_to_the_next) {
  const auto queue = bare_queue(4);
  Waiter first;
  Waiter second;
  Waiter third;
  iwarp::Receive receive;
  for (Waiter* waiter : {&first, &second, &third}) CHECK(!queue->take(*waiter, &receive));
  CHECK(post_bare(*queue, 1).ok());
  queue->leave(second);  // one that waits, from the middle of the line
  queue->leave(first);   // the one that it was granted to
  CHECK(third.state == Waiter::State::Granted);
  CHECK(!queue->take(first, &receive));
  CHECK(queue->take(third, &receive));
  CHECK_EQ(receive.id, 1);
  queue->leave(first);
}

TEST(a_receive_that_nobody_waits_for_is_anybodys) {
  const auto queue = bare_queue(4);
  Waiter one;
  Waiter other;
  iwarp::Receive receive;
  for (std::uint64_t id = 1; id <= 3; ++id) CHECK(post_bare(*queue, id).ok());
  CHECK(queue->take(one, &receive));
  CHECK(queue->take(other, &receive));
  CHECK_EQ(receive.id, 2);
  CHECK(queue->take(one, &receive));
  CHECK(!queue->take(one, &receive));
  queue->leave(one);
  // A left place is not granted anything.
  CHECK(post_bare(*queue, 4).ok());
  CHECK(queue->take(other, &receive));
}

TEST(a_full_queue_says_so_until_completions_are_consumed) {
  const auto peer = open_peer();
  const auto queue = make_shared(*peer, 3, 1);
  CHECK(queue->queue()->completions()->capacity() >= 3U);
  const Pair pair = connect(peer, peer, {}, sharing(queue));
  for (double id = 1; id <= 3; ++id) CHECK(post(*queue, id).ok());
  CHECK(post(*queue, 4).code == abi::Code::Again);
  CHECK_EQ(queue->queue()->receive_queue_free(), 0);
  CHECK(send_empty(*pair.client));
  provider::CompletionQueue& own = *queue->queue()->completions();
  own.set_notify({pair.bell, 0});
  CHECK(pair.bell->until([&] { return !own.arm(); }));
  CHECK(post(*queue, 4).code == abi::Code::Again);  // completed, and not consumed
  CHECK_EQ(completions(pair.bell, own, 1).at(0).id, 1);
  CHECK_EQ(queue->queue()->receive_queue_free(), 1);
  CHECK(post(*queue, 4).ok());
}

TEST(only_receives_are_posted_and_within_their_region) {
  const auto peer = open_peer();
  const auto queue = make_shared(*peer, 3, 3);
  const Memory memory = make_memory(*peer, 4096, kUsage);
  CHECK(queue->post(operation(abi::Operation::Send, 1, 0), nullptr).code ==
        abi::Code::InvalidArgValue);
  CHECK(post(*queue, 1, &memory, 8, 4090).code == abi::Code::OutOfRange);
  CHECK(post(*queue, 1, nullptr, 8).code == abi::Code::InvalidArgValue);
  CHECK(post(*queue, 1, &memory, 8, 4088).ok());
}

// ---- Where receives complete -------------------------------------------------------------------

void completes_in(std::uint32_t shared_size, std::uint32_t receive_size, int place) {
  const auto peer = open_peer();
  const auto queue = make_shared(*peer, 4, shared_size);
  const Memory memory = make_memory(*peer, 4096, kUsage);
  rma::ConnectionOptions options = sharing(queue);
  options.receive_completion_queue_size = receive_size;
  const Pair pair = connect(peer, peer, {}, options);
  CHECK(pair.server->queue_pair().capabilities().shared_receive_queue);
  const auto& own = queue->queue()->completions();
  const auto& receives = pair.server->receive_completion_queue();
  CHECK_EQ(own != nullptr, shared_size > 0);
  CHECK_EQ(receives != nullptr, place == 1);
  const std::array<provider::CompletionQueue*, 3> places{own.get(), receives.get(),
                                                         pair.server->completion_queue().get()};
  CHECK(places.at(static_cast<std::size_t>(place))->capacity() >= 4U);
  CHECK(post(*queue, 5, &memory, 64, 128).ok());
  std::memcpy(memory.data(), "a message", 9);
  abi::Submission send = operation(abi::Operation::Send, 1, 9);
  CHECK(pair.client->post(send, memory.region).ok());
  pair.client->kick();
  for (provider::CompletionQueue* each : places) {
    if (each != nullptr) each->set_notify({pair.bell, 0});
  }
  const auto done = completions(pair.bell, *places.at(static_cast<std::size_t>(place)), 1);
  REQUIRE(done.size() == 1);
  CHECK_EQ(done[0].id, 5);
  CHECK_EQ(done[0].length, 9U);
  CHECK_EQ(done[0].queue_pair_number, pair.server->queue_pair().number());
  CHECK_EQ(std::memcmp(memory.data() + 128, "a message", 9), 0);
  CHECK_EQ(queue->queue()->receive_queue_free(), 4U);
}

TEST(in_the_shared_queues_own) {
  completes_in(4, 0, 0);
  completes_in(4, 4, 0);  // it goes before the connection's
}
TEST(in_the_connections_receive_queue) { completes_in(0, 4, 1); }
TEST(in_the_connections_main_queue) { completes_in(0, 0, 2); }

TEST(one_completion_queue_of_many_connections_has_room_for_the_receives_once) {
  const auto peer = open_peer();
  const auto queue = make_shared(*peer, 100, 0);
  auto made = peer->device().create_completion_queue(10);
  REQUIRE(made.ok());
  const std::shared_ptr<provider::CompletionQueue> main = *made;
  rma::ConnectionOptions options = sharing(queue);
  options.shared_completion_queue = main;
  std::vector<Pair> pairs;
  for (int i = 0; i < 3; ++i) pairs.push_back(connect(peer, peer, {}, options));
  CHECK_EQ(main->capacity(), 100U + 3 * options.queue_pair.send_queue_size);
  main->set_notify({pairs[0].bell, 0});
  for (double id = 1; id <= 100; ++id) CHECK(post(*queue, id).ok());
  // Filled to the brim by all of them.
  std::array<std::uint32_t, 3> sent{};
  for (int i = 0; i < 99; ++i) {
    Pair& pair = pairs[static_cast<std::size_t>(i % 3)];
    CHECK(send_empty(*pair.client));
    ++sent[static_cast<std::size_t>(i % 3)];
    CHECK_EQ(completions(pair.bell, *pair.client->completion_queue(), 1).size(), 1);
  }
  const auto done = completions(pairs[0].bell, *main, 99);
  REQUIRE(done.size() == 99);
  for (std::size_t i = 0; i < 3; ++i) {
    const std::uint32_t number = pairs[i].server->queue_pair().number();
    CHECK_EQ(std::count_if(done.begin(), done.end(),
                           [number](const auto& each) { return each.queue_pair_number == number; }),
             sent[i]);
  }
}

TEST(no_receives_are_posted_to_the_connection_itself) {
  const auto peer = open_peer();
  const auto queue = make_shared(*peer, 4, 4);
  const Pair pair = connect(peer, peer, {}, sharing(queue));
  CHECK(pair.server->post(operation(abi::Operation::Receive, 1, 0), nullptr).code ==
        abi::Code::NotSupported);
  CHECK_EQ(pair.server->queue_pair().receive_queue_free(), 0U);
}

// ---- Waiting messages --------------------------------------------------------------------------

TEST(parked_connections_are_served_in_turn) {
  const auto peer = open_peer();
  const auto other = open_peer();
  const auto queue = make_shared(*peer, 8, 8);
  std::vector<Pair> pairs;
  for (int i = 0; i < 3; ++i) pairs.push_back(connect(other, peer, {}, sharing(queue)));
  provider::CompletionQueue& own = *queue->queue()->completions();
  own.set_notify({pairs[0].bell, 0});
  // Each stands in line, one after the other, and has two more messages behind.
  for (std::size_t i = 0; i < 3; ++i) {
    for (int message = 0; message < 3; ++message) CHECK(send_empty(*pairs[i].client));
    CHECK(wait_until([&] { return engine_of(queue).waiting() == i + 1; }));
  }
  for (std::size_t turn = 0; turn < 9; ++turn) {
    CHECK(post(*queue, static_cast<double>(turn)).ok());
    const auto done = completions(pairs[0].bell, own, 1);
    REQUIRE(done.size() == 1);
    CHECK_EQ(done[0].id, static_cast<double>(turn));
    CHECK_EQ(done[0].queue_pair_number, pairs[turn % 3].server->queue_pair().number());
    // Who has another message stands in line again before the next receive comes.
    const std::size_t left = turn < 6 ? 3 : 8 - turn;
    CHECK(wait_until([&] { return engine_of(queue).waiting() == left; }));
  }
}

TEST(no_wake_up_is_lost_while_receives_come_one_by_one) {
  const auto peer = open_peer();
  const auto other = open_peer();
  const auto queue = make_shared(*peer, 4, 4);
  constexpr int kEach = 2000;
  std::vector<Pair> pairs;
  for (int i = 0; i < 2; ++i) pairs.push_back(connect(other, peer, {}, sharing(queue)));
  const auto bell = std::make_shared<Bell>();
  provider::CompletionQueue& own = *queue->queue()->completions();
  own.set_notify({bell, 0});
  std::vector<std::thread> senders;
  for (Pair& pair : pairs) {
    senders.emplace_back([&pair] {
      for (int sent = 0; sent < kEach; ++sent) {
        CHECK(send_empty(*pair.client));
        CHECK_EQ(completions(pair.bell, *pair.client->completion_queue(), 1).size(), 1);
      }
    });
  }
  // One at a time: a message mostly waits for it, and sometimes meets it.
  int received = 0;
  while (received < 2 * kEach) {
    CHECK(post(*queue, received).ok());
    if (!CHECK_EQ(completions(bell, own, 1).size(), 1)) break;
    ++received;
  }
  for (std::thread& sender : senders) sender.join();
  CHECK_EQ(received, 2 * kEach);
}

// ---- Ends --------------------------------------------------------------------------------------

TEST(the_end_of_one_flushes_what_it_had_begun_and_leaves_the_rest) {
  HostileTarget target;
  const auto queue = make_shared(*target.peer, 4, 4);
  const Memory memory = make_memory(*target.peer, 4096, kUsage);
  provider::CompletionQueue& own = *queue->queue()->completions();
  own.set_notify({target.bell, 0});
  RawPair first = target.connect(false, sharing(queue));
  RawPair second = target.connect(false, sharing(queue));
  for (double id = 1; id <= 2; ++id) {
    CHECK(post(*queue, id, &memory, 64, (id - 1) * 64).ok());
  }
  const std::array<std::byte, 8> half{std::byte{1}, std::byte{2}};
  CHECK(first.raw.send(half, iwarp::Opcode::kSend, false));
  first.raw.close();
  const auto flushed = completions(target.bell, own, 1);
  REQUIRE(flushed.size() == 1);
  CHECK_EQ(flushed[0].id, 1);
  CHECK_EQ(flushed[0].status, static_cast<std::uint8_t>(abi::CompletionStatus::Flushed));
  CHECK_EQ(flushed[0].queue_pair_number, first.connection->queue_pair().number());
  CHECK(!own.drained());
  CHECK(second.raw.send(half));
  const auto done = completions(target.bell, own, 1);
  REQUIRE(done.size() == 1);
  CHECK_EQ(done[0].id, 2);
  CHECK_EQ(done[0].status, 0);
  CHECK_EQ(done[0].queue_pair_number, second.connection->queue_pair().number());
}

TEST(one_that_ends_in_the_line_does_not_hold_up_the_next) {
  const auto peer = open_peer();
  const auto other = open_peer();
  const auto queue = make_shared(*peer, 4, 4);
  Pair first = connect(other, peer, {}, sharing(queue));
  Pair second = connect(other, peer, {}, sharing(queue));
  provider::CompletionQueue& own = *queue->queue()->completions();
  own.set_notify({second.bell, 0});
  CHECK(send_empty(*first.client));
  CHECK(wait_until([&] { return engine_of(queue).waiting() == 1; }));
  CHECK(send_empty(*second.client));
  CHECK(wait_until([&] { return engine_of(queue).waiting() == 2; }));
  first.server->queue_pair().abort(core::Status::failure(abi::Code::Closed, "test"));
  CHECK(next_event(first.bell, *first.server) == abi::ConnectionEvent::Closed);
  CHECK_EQ(engine_of(queue).waiting(), 1);
  CHECK(post(*queue, 1).ok());
  const auto done = completions(second.bell, own, 1);
  REQUIRE(done.size() == 1);
  CHECK_EQ(done[0].queue_pair_number, second.server->queue_pair().number());
}

TEST(close_is_refused_while_it_is_used_then_flushes_what_is_posted) {
  const auto peer = open_peer();
  const auto queue = make_shared(*peer, 4, 4);
  const Memory memory = make_memory(*peer, 4096, kUsage);
  Pair pair = connect(peer, peer, {}, sharing(queue));
  auto unspent = rma::Connection::outgoing(peer, pair.listener->address(), sharing(queue));
  REQUIRE(unspent.ok());
  CHECK(queue->queue()->close().code == abi::Code::Busy);
  pair.server->queue_pair().abort(core::Status::failure(abi::Code::Closed, "test"));
  CHECK(queue->queue()->close().code == abi::Code::Busy);  // the request
  *unspent = nullptr;
  for (double id = 1; id <= 3; ++id) CHECK(post(*queue, id, &memory, 64).ok());
  provider::CompletionQueue& own = *queue->queue()->completions();
  own.set_notify({pair.bell, 0});
  // Nothing uses it any more, and it may still be used: that is no end.
  CHECK(next_event(pair.bell, *pair.server) == abi::ConnectionEvent::Closed);
  CHECK(!own.over());
  CHECK(!own.drained());
  CHECK(own.arm());
  CHECK(queue->queue()->close().ok());
  CHECK(queue->queue()->close().ok());
  CHECK(post(*queue, 4).code == abi::Code::Closed);
  CHECK(!rma::Connection::outgoing(peer, pair.listener->address(), sharing(queue)).ok());
  const auto done = completions(pair.bell, own, 3);
  REQUIRE(done.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK_EQ(done[i].id, static_cast<double>(i + 1));
    CHECK_EQ(done[i].status, static_cast<std::uint8_t>(abi::CompletionStatus::Flushed));
    CHECK_EQ(done[i].queue_pair_number, 0U);
  }
  CHECK_EQ(memory.region->users(), 0U);
  CHECK(pair.bell->until([&] { return own.drained(); }));
}

TEST(closed_without_a_queue_of_its_own_it_gives_the_memory_back) {
  const auto peer = open_peer();
  const auto queue = make_shared(*peer, 4, 0);
  const Memory memory = make_memory(*peer, 4096, kUsage);
  const std::uint64_t accepted = core::fault::tally("operations.accepted");
  const std::uint64_t settled = core::fault::tally("operations.settled");
  for (double id = 1; id <= 3; ++id) CHECK(post(*queue, id, &memory, 64).ok());
  CHECK_EQ(memory.region->users(), 3U);
  CHECK(queue->queue()->close().ok());
  CHECK_EQ(memory.region->users(), 0U);
  CHECK_EQ(core::fault::tally("operations.accepted") - accepted, 3U);
  CHECK_EQ(core::fault::tally("operations.settled") - settled, 3U);
}

TEST(the_devices_end_flushes_it) {
  const auto peer = open_peer();
  const auto queue = make_shared(*peer, 4, 4);
  const Pair pair = connect(peer, peer, {}, sharing(queue));
  CHECK(post(*queue, 1).ok());
  peer->close();
  const auto done = completions(pair.bell, *queue->queue()->completions(), 1);
  REQUIRE(done.size() == 1);
  CHECK_EQ(done[0].status, static_cast<std::uint8_t>(abi::CompletionStatus::Flushed));
  CHECK(queue->queue()->completions()->drained());
  CHECK(!rma::SharedReceiveQueue::create(*peer, 4, 4).ok());
}

/** Receives whose memory goes complete; the others stay. */
void evicts(std::uint32_t completion_queue_size, bool used) {
  const auto peer = open_peer();
  const auto other = open_peer();
  const auto queue = make_shared(*peer, 4, completion_queue_size);
  Memory gone = make_memory(*peer, 4096, kUsage);
  const Memory stays = make_memory(*peer, 4096, kUsage);
  std::vector<Pair> pairs;
  if (used) pairs.push_back(connect(other, peer, {}, sharing(queue)));
  CHECK(post(*queue, 1, &gone, 64).ok());
  CHECK(post(*queue, 2, &stays, 64).ok());
  CHECK(post(*queue, 3, &gone, 64).ok());
  std::atomic<bool> quiet{false};
  peer->device().deregister(gone.region, [&quiet] { quiet.store(true); });
  CHECK(!quiet.load());
  peer->device().evict(gone.region);
  CHECK(wait_until([&] { return quiet.load(); }));
  CHECK_EQ(stays.region->users(), 1U);
  const auto bell = used ? pairs[0].bell : std::make_shared<Bell>();
  provider::CompletionQueue* place = queue->queue()->completions().get();
  if (place == nullptr && used) place = pairs[0].server->completion_queue().get();
  if (place != nullptr) {
    const auto done = completions(bell, *place, 2);
    REQUIRE(done.size() == 2);
    CHECK_EQ(done[0].id, 1);
    CHECK_EQ(done[1].id, 3);
    CHECK_EQ(done[1].status, static_cast<std::uint8_t>(abi::CompletionStatus::Flushed));
  }
  CHECK_EQ(queue->queue()->receive_queue_free(), 3U);
  if (!used) return;
  // The connection goes on, and takes the one that stayed.
  CHECK(send_empty(*pairs[0].client));
  const auto done = completions(bell, *place, 1);
  REQUIRE(done.size() == 1);
  CHECK_EQ(done[0].id, 2);
  CHECK_EQ(done[0].status, 0);
}

TEST(evicted_receives_complete_in_the_queues_own) { evicts(4, true); }
TEST(evicted_receives_complete_where_a_connection_would) { evicts(0, true); }
TEST(evicted_receives_of_nobody_give_the_memory_back) { evicts(0, false); }

TEST(no_room_for_it_is_said) {
  const auto peer = open_peer();
  CHECK(core::fault::set("iwarp.completion-ring", 1, 1, ENOMEM));
  CHECK(rma::SharedReceiveQueue::create(*peer, 4, 4).status().code == abi::Code::NoMemory);
  core::fault::clear_all();
  // The ring that has to grow, of a queue that was made too small.
  auto small = peer->device().create_completion_queue(1);
  REQUIRE(small.ok());
  CHECK(core::fault::set("iwarp.completion-ring", 1, 1, ENOMEM));
  provider::SharedReceiveQueueConfig config{4, *small};
  CHECK(peer->device().create_shared_receive_queue(config).status().code == abi::Code::NoMemory);
  core::fault::clear_all();
  CHECK(peer->device().create_shared_receive_queue(config).ok());
  CHECK_EQ((*small)->capacity(), 4U);
}

TEST(nothing_lives_on) { CHECK_EQ(core::live_total(), 0); }

}  // namespace
}  // namespace rpma::test
CHECK_MAIN()
