// SPDX-License-Identifier: BSD-3-Clause
//
// Seeded schedules of a shared receive queue: several clients on threads of their own send numbered
// messages, one thread posts receives as it likes, polls or leaves it to the progress thread, and
// ends some connections. Whatever happens, every receive has exactly one outcome, messages of a
// connection come in order and name it, and what a client sent before it closed in good order is
// received. RPMA_SEED repeats a run.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <set>
#include <thread>

#include "core/random.h"
#include "rma/shared_receive_queue.h"
#include "test/engine.h"

namespace rpma::test {
namespace {

constexpr std::uint32_t kUsage = abi::kMemoryUsageSend | abi::kMemoryUsageReceive;
constexpr std::size_t kMessages = 120;
constexpr double kSlot = 16;

/** What a message says: how many its sender had sent before. */
struct Client {
  Pair pair;
  Memory memory;
  std::uint64_t seed = 0;
  std::size_t messages = 0;  // to send; fewer, when the server ends the connection
  bool abrupt = false;
  bool ended_by_server = false;
  std::size_t executed = 0;  // sends that succeeded
  std::size_t received = 0;  // of the server
  bool up = true;

  void run() {
    core::SeededRandom random(seed);
    rma::Connection& connection = *pair.client;
    std::size_t posted = 0;
    std::size_t outcomes = 0;
    const auto collect = [&] {
      abi::Completion some[8];
      const std::uint32_t got = connection.completion_queue()->poll(some, 8);
      for (std::uint32_t i = 0; i < got; ++i) executed += some[i].status == 0 ? 1 : 0;
      outcomes += got;
      return got > 0;
    };
    while (posted < messages) {
      abi::Submission send = operation(abi::Operation::Send, static_cast<double>(posted), kSlot);
      send.local_offset = static_cast<double>(posted) * kSlot;
      const core::Status status = connection.post(send, memory.region);
      if (status.ok()) ++posted;
      if (!status.ok() && status.code != abi::Code::Again) break;
      if (!status.ok() || random.below(3) == 0) connection.kick();
      if (random.below(4) == 0) connection.completion_queue()->take_over(-1);
      collect();
    }
    connection.kick();
    if (abrupt) {
      connection.queue_pair().abort(core::Status::failure(abi::Code::Closed, "test"));
    } else {
      connection.queue_pair().disconnect(10'000);
    }
    CHECK(pair.bell->until([&] {
      collect();
      return connection.completion_queue()->drained();
    }));
    CHECK_EQ(outcomes, posted);
  }
};

struct Server {
  std::shared_ptr<rma::SharedReceiveQueue> queue;
  std::vector<std::shared_ptr<provider::CompletionQueue>> places;
  Memory memory;
  std::vector<Client>* clients = nullptr;
  std::set<double> posted;  // without an outcome
  double next_id = 0;
  std::size_t slots = 0;
  std::vector<std::size_t> free;
  std::vector<std::size_t> slot_of;  // by id
  std::string fault;

  void post_one() {
    if (free.empty()) return;
    const std::size_t slot = free.back();
    abi::Submission receive = operation(abi::Operation::Receive, next_id, kSlot);
    receive.local_offset = static_cast<double>(slot) * kSlot;
    const core::Status status = queue->post(receive, memory.region);
    if (!status.ok()) {
      if (status.code != abi::Code::Again) fault = "a receive was refused";
      return;
    }
    free.pop_back();
    posted.insert(next_id);
    slot_of.push_back(slot);
    ++next_id;
  }

  void settle(const abi::Completion& completion) {
    if (posted.erase(completion.id) != 1) {
      fault = "an outcome of what was not outstanding";
      return;
    }
    const std::size_t slot = slot_of[static_cast<std::size_t>(completion.id)];
    free.push_back(slot);
    if (completion.status != 0) return;
    const auto sender = std::find_if(clients->begin(), clients->end(), [&](const Client& client) {
      return client.pair.server->queue_pair().number() == completion.queue_pair_number;
    });
    if (sender == clients->end()) {
      fault = "a completion names no connection";
      return;
    }
    std::uint64_t said = 0;
    std::memcpy(&said, memory.data() + slot * static_cast<std::size_t>(kSlot), sizeof(said));
    const auto who = static_cast<std::uint64_t>(sender - clients->begin());
    if (said != (who << 32 | sender->received)) fault = "a message out of order, or another's";
    ++sender->received;
  }

  bool collect() {
    bool some = false;
    for (const auto& place : places) {
      abi::Completion completions[8];
      const std::uint32_t got = place->poll(completions, 8);
      for (std::uint32_t i = 0; i < got; ++i) settle(completions[i]);
      some = some || got > 0;
    }
    return some;
  }

  /** Until every connection has ended. */
  void run(core::SeededRandom random, int driver) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    std::size_t up = clients->size();
    while (up > 0 && fault.empty()) {
      if (std::chrono::steady_clock::now() > deadline) fault = "no end in sight";
      for (std::uint64_t i = random.below(4); i > 0; --i) post_one();
      if (driver == 1) {
        for (const auto& place : places) place->take_over(-1);
      }
      if (!collect() && random.below(8) == 0) std::this_thread::yield();
      for (Client& client : *clients) {
        provider::QueuePair& queue_pair = client.pair.server->queue_pair();
        if (client.ended_by_server && client.received > kMessages / 4) {
          queue_pair.abort(core::Status::failure(abi::Code::Closed, "test"));
        }
        while (const auto event = queue_pair.next_event()) {
          if (event->type == abi::ConnectionEvent::Established || !client.up) continue;
          client.up = false;
          --up;
        }
      }
    }
    while (collect()) {
    }
  }
};

void run_schedule(std::uint64_t seed) {
  core::SeededRandom random(seed);
  provider::DeviceOptions spinning;
  spinning.busy_poll_us = random.below(2) * 50;
  const auto peer = open_peer(spinning);
  const auto other = open_peer();
  const auto size = static_cast<std::uint32_t>(1 + random.below(20));
  const std::uint64_t place = random.below(4);  // own, receive queues, main queues, a common one
  auto made = rma::SharedReceiveQueue::create(*peer, size, place == 0 ? 1 : 0);
  REQUIRE(made.ok());
  rma::ConnectionOptions options;
  options.shared_receive_queue = (*made)->queue();
  options.receive_completion_queue_size = place == 1 ? 1 : 0;
  if (place == 3) {
    auto common = peer->device().create_completion_queue(1);
    REQUIRE(common.ok());
    options.shared_completion_queue = *common;
  }
  std::vector<Client> clients(2 + random.below(4));
  Server server;
  server.queue = *made;
  server.clients = &clients;
  server.slots = size + 4;
  server.memory = make_memory(*peer, server.slots * 16, kUsage);
  for (std::size_t i = 0; i < server.slots; ++i) server.free.push_back(i);
  if (place == 0) server.places.push_back((*made)->queue()->completions());
  for (std::size_t i = 0; i < clients.size(); ++i) {
    Client& client = clients[i];
    rma::ConnectionOptions own;
    own.queue_pair.send_queue_size = 1 + static_cast<std::uint32_t>(random.below(30));
    own.queue_pair.crc = static_cast<std::uint8_t>(random.below(2));
    own.queue_pair.max_frame_bytes = random.below(2) == 0 ? 0 : 128;
    client.pair = connect(other, peer, own, options);
    client.memory = make_memory(*other, kMessages * 16, kUsage);
    for (std::uint64_t said = 0; said < kMessages; ++said) {
      const std::uint64_t text = static_cast<std::uint64_t>(i) << 32 | said;
      std::memcpy(client.memory.data() + said * 16, &text, sizeof(text));
    }
    client.seed = random.next_u64();
    client.messages = random.below(kMessages);
    client.abrupt = random.below(4) == 0;
    client.ended_by_server = random.below(4) == 0;
    if (place == 1) server.places.push_back(client.pair.server->receive_completion_queue());
    if (place == 2) server.places.push_back(client.pair.server->completion_queue());
  }
  if (place == 3) server.places.push_back(options.shared_completion_queue);
  std::vector<std::thread> threads;
  for (Client& client : clients) threads.emplace_back([&client] { client.run(); });
  server.run(core::SeededRandom(random.next_u64()), static_cast<int>(random.below(2)));
  for (std::thread& thread : threads) thread.join();
  for (const Client& client : clients) {
    if (client.abrupt || client.ended_by_server) continue;
    CHECK_EQ(client.executed, client.messages);
    CHECK_EQ(client.received, client.messages);
  }
  CHECK((*made)->queue()->close().ok());
  while (server.collect()) {
  }
  // Without a queue of its own what is posted at the close has no completion.
  if (place == 0) CHECK(server.posted.empty());
  if (place == 0) CHECK(server.places[0]->drained());
  CHECK_EQ(server.memory.region->users(), 0U);
  CHECK(server.fault.empty());
  if (!server.fault.empty()) {
    std::printf("# seed %llu: %s\n", static_cast<unsigned long long>(seed), server.fault.c_str());
  }
  peer->close();
  other->close();
}

TEST(random_schedules) {
  const char* chosen = std::getenv("RPMA_SEED");
  const std::uint64_t first =
      chosen != nullptr ? std::strtoull(chosen, nullptr, 10) : core::secure_u32();
  const char* asked = std::getenv("RPMA_ROUNDS");
  const int rounds = asked != nullptr ? std::atoi(asked) : 30;
  std::printf("# RPMA_SEED=%llu\n", static_cast<unsigned long long>(first));
  for (int i = 0; i < rounds; ++i) {
    const std::uint64_t each = first + static_cast<std::uint64_t>(i);
    const std::uint64_t before = session().failures;
    run_schedule(each);
    if (session().failures != before) {
      std::printf("# failed with seed %llu\n", static_cast<unsigned long long>(each));
    }
  }
}

TEST(nothing_lives_on) { CHECK_EQ(core::live_total(), 0); }

}  // namespace
}  // namespace rpma::test
CHECK_MAIN()
