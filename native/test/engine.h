// SPDX-License-Identifier: BSD-3-Clause
//
// Two ends of connections over loopback in one process, for the tests of the engine. Waiting is
// done on a notifier, with a deadline that only a defect reaches.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "memory/mapping.h"
#include "rma/connection.h"
#include "rma/peer.h"
#include "test/check.h"

namespace rpma::test {

/** Counts notifications by token; a waiter looks at what it waits for after each. */
class Bell final : public provider::Notifier {
 public:
  void notify(std::uint64_t) override {
    const std::lock_guard lock(mutex_);
    ++rings_;
    changed_.notify_all();
  }
  /** True when the condition held within ten seconds. Rings or not, it is looked at every 10 ms. */
  template <typename Condition>
  bool until(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!condition()) {
      std::unique_lock lock(mutex_);
      if (std::chrono::steady_clock::now() > deadline) return false;
      changed_.wait_for(lock, std::chrono::milliseconds(10));
    }
    return true;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t rings_ = 0;
};

struct Memory {
  std::shared_ptr<memory::Mapping> mapping;
  std::shared_ptr<memory::Region> region;
  std::byte* data() const { return region->data(); }
};

inline std::shared_ptr<rma::Peer> open_peer(provider::DeviceOptions options = {}) {
  auto peer = rma::Peer::open("iwarp", options);
  CHECK(peer.ok());
  return std::move(peer).value();
}

inline Memory make_memory(rma::Peer& peer, std::uint64_t size, std::uint32_t usage) {
  Memory made;
  auto mapping = memory::Mapping::anonymous(size);
  CHECK(mapping.ok());
  made.mapping = *mapping;
  memory::RegionOptions options;
  options.data = made.mapping->data();
  options.length = size;
  options.usage = usage;
  options.mapping = made.mapping;
  auto region = peer.device().register_memory(std::move(options));
  CHECK(region.ok());
  made.region = std::move(region).value();
  return made;
}

/** An established connection and both its ends. */
struct Pair {
  std::shared_ptr<Bell> bell = std::make_shared<Bell>();
  std::shared_ptr<provider::Listener> listener;
  std::shared_ptr<rma::Connection> client;
  std::shared_ptr<rma::Connection> server;
};

inline void watch(const std::shared_ptr<Bell>& bell, rma::Connection& connection) {
  connection.queue_pair().set_notify({bell, 0});
  connection.completion_queue()->set_notify({bell, 0});
}

inline abi::ConnectionEvent next_event(const std::shared_ptr<Bell>& bell,
                                       rma::Connection& connection) {
  abi::ConnectionEvent type = abi::ConnectionEvent::None;
  bell->until([&] {
    if (const auto event = connection.queue_pair().next_event()) type = event->type;
    return type != abi::ConnectionEvent::None;
  });
  return type;
}

inline Pair connect(const std::shared_ptr<rma::Peer>& client_peer,
                    const std::shared_ptr<rma::Peer>& server_peer,
                    const rma::ConnectionOptions& client_options = {},
                    const rma::ConnectionOptions& server_options = {}) {
  Pair pair;
  auto listener = server_peer->device().listen({"127.0.0.1", 0}, {});
  CHECK(listener.ok());
  pair.listener = std::move(listener).value();
  pair.listener->set_notify({pair.bell, 0});
  auto client = rma::Connection::outgoing(client_peer, pair.listener->address(), client_options);
  CHECK(client.ok());
  pair.client = std::move(client).value();
  watch(pair.bell, *pair.client);
  CHECK(pair.client->connect({'h', 'i'}).ok());
  std::shared_ptr<provider::IncomingRequest> request;
  CHECK(pair.bell->until([&] { return (request = pair.listener->next()) != nullptr; }));
  CHECK(request->private_data() == std::vector<std::uint8_t>({'h', 'i'}));
  auto server = rma::Connection::incoming(server_peer, request, server_options);
  CHECK(server.ok());
  pair.server = std::move(server).value();
  watch(pair.bell, *pair.server);
  CHECK(pair.server->accept({'y', 'o'}).ok());
  CHECK(next_event(pair.bell, *pair.client) == abi::ConnectionEvent::Established);
  CHECK(next_event(pair.bell, *pair.server) == abi::ConnectionEvent::Established);
  return pair;
}

inline abi::Submission operation(abi::Operation operation, double id, double length,
                                 bool signalled = true) {
  abi::Submission submission{};
  submission.operation = static_cast<std::uint8_t>(operation);
  submission.flags = signalled ? abi::kSubmissionFlagsSignalled : 0;
  submission.id = id;
  submission.length = length;
  return submission;
}

inline abi::Submission at(abi::Submission submission, const memory::Region& remote,
                          double remote_offset, double local_offset = 0) {
  submission.remote_key = remote.key();
  submission.remote_base_low = static_cast<std::uint32_t>(remote.base());
  submission.remote_base_high = static_cast<std::uint32_t>(remote.base() >> 32);
  submission.remote_offset = remote_offset;
  submission.local_offset = local_offset;
  return submission;
}

/** The next `count` completions in order. */
inline std::vector<abi::Completion> completions(const std::shared_ptr<Bell>& bell,
                                                provider::CompletionQueue& queue,
                                                std::size_t count) {
  std::vector<abi::Completion> all;
  bell->until([&] {
    std::vector<abi::Completion> some(count - all.size());
    const std::uint32_t got = queue.poll(some.data(), static_cast<std::uint32_t>(some.size()));
    all.insert(all.end(), some.begin(), some.begin() + got);
    if (all.size() < count) static_cast<void>(queue.arm());
    return all.size() >= count;
  });
  return all;
}

}  // namespace rpma::test
