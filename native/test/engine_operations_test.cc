// SPDX-License-Identifier: BSD-3-Clause
//
// Every operation of the engine over loopback, driven by the progress threads: what arrives, what
// completes, in which order. The public surface's semantics are test/conformance; this finds the
// same defects without Node, under the sanitizers.
#include <algorithm>

#include "core/random.h"
#include "test/engine.h"

namespace rpma::test {
namespace {

constexpr std::uint32_t kAll = 0xDF;  // every usage but a persistent flush

TEST(write_flush_read) {
  const auto peer = open_peer();
  const auto other = open_peer();
  const Memory local = make_memory(*peer, 65536, kAll);
  const Memory remote = make_memory(*other, 65536, kAll);
  Pair pair = connect(peer, other);
  std::memset(local.data(), 'x', 1000);
  CHECK(pair.client
            ->post(at(operation(abi::Operation::Write, 1, 1000, false), *remote.region, 10),
                   local.region)
            .ok());
  CHECK(pair.client->post(at(operation(abi::Operation::Flush, 2, 1000), *remote.region, 10), {})
            .ok());
  pair.client->kick();
  auto done = completions(pair.bell, *pair.client->completion_queue(), 1);
  CHECK_EQ(done.size(), 1u);
  CHECK_EQ(done[0].id, 2.0);
  CHECK_EQ(int{done[0].status}, 0);
  CHECK_EQ(int{done[0].operation}, static_cast<int>(abi::Operation::Flush));
  CHECK(std::memcmp(remote.data() + 10, local.data(), 1000) == 0);
  CHECK(pair.client
            ->post(at(operation(abi::Operation::Read, 3, 1000), *remote.region, 10, 4096),
                   local.region)
            .ok());
  pair.client->kick();
  done = completions(pair.bell, *pair.client->completion_queue(), 1);
  CHECK_EQ(int{done[0].status}, 0);
  CHECK(std::memcmp(local.data() + 4096, local.data(), 1000) == 0);
  abi::Submission atomic = at(operation(abi::Operation::AtomicWrite, 4, 8), *remote.region, 16);
  std::memcpy(atomic.value, "12345678", 8);
  CHECK(pair.client->post(atomic, {}).ok());
  pair.client->kick();
  done = completions(pair.bell, *pair.client->completion_queue(), 1);
  CHECK_EQ(int{done[0].status}, 0);
  CHECK(std::memcmp(remote.data() + 16, "12345678", 8) == 0);
  pair.client->queue_pair().disconnect(5000);
  CHECK(next_event(pair.bell, *pair.client) == abi::ConnectionEvent::Closed);
  CHECK(next_event(pair.bell, *pair.server) == abi::ConnectionEvent::Closed);
  peer->close();
  other->close();
}

void transfer_large(std::uint8_t crc) {
  const auto peer = open_peer();
  const auto other = open_peer();
  constexpr std::size_t kSize = 9'000'001;
  const Memory local = make_memory(*peer, 2 * kSize, kAll);
  const Memory remote = make_memory(*other, kSize, kAll);
  rma::ConnectionOptions options;
  options.queue_pair.crc = crc;
  Pair pair = connect(peer, other, options, options);
  core::SeededRandom random(7);
  for (std::size_t i = 0; i < kSize; ++i) local.data()[i] = std::byte(random.next_u32());
  CHECK(pair.client
            ->post(at(operation(abi::Operation::Write, 1, kSize), *remote.region, 0), local.region)
            .ok());
  CHECK(pair.client
            ->post(at(operation(abi::Operation::Read, 2, kSize), *remote.region, 0, kSize),
                   local.region)
            .ok());
  pair.client->kick();
  const auto done = completions(pair.bell, *pair.client->completion_queue(), 2);
  CHECK_EQ(done.size(), 2u);
  CHECK_EQ(int{done[0].status}, 0);
  CHECK_EQ(int{done[1].status}, 0);
  CHECK(std::memcmp(remote.data(), local.data(), kSize) == 0);
  CHECK(std::memcmp(local.data() + kSize, local.data(), kSize) == 0);
  peer->close();
  other->close();
}

TEST(large_transfers_with_crc) { transfer_large(1); }
TEST(large_transfers_without_crc) { transfer_large(0); }

TEST(messages_wait_for_receives) {
  const auto peer = open_peer();
  const auto other = open_peer();
  const Memory local = make_memory(*peer, 4096, kAll);
  const Memory remote = make_memory(*other, 4096, kAll);
  Pair pair = connect(peer, other);
  for (int i = 0; i < 5; ++i) {
    std::memset(local.data(), 'a' + i, 100);
    CHECK(pair.client->post(operation(abi::Operation::Send, i, 100), local.region).ok());
    pair.client->kick();
    CHECK_EQ(completions(pair.bell, *pair.client->completion_queue(), 1).size(), 1u);
  }
  for (int i = 0; i < 5; ++i) {
    abi::Submission receive = operation(abi::Operation::Receive, 100 + i, 200);
    receive.local_offset = i * 200;
    CHECK(pair.server->post(receive, remote.region).ok());
  }
  const auto done = completions(pair.bell, *pair.server->completion_queue(), 5);
  CHECK_EQ(done.size(), 5u);
  for (int i = 0; i < 5; ++i) {
    CHECK_EQ(done[static_cast<std::size_t>(i)].id, 100.0 + i);
    CHECK_EQ(done[static_cast<std::size_t>(i)].length, 100u);
    CHECK_EQ(static_cast<char>(remote.data()[i * 200 + 99]), 'a' + i);
  }
  peer->close();
  other->close();
}

TEST(bad_key_ends_the_connection_once) {
  const auto peer = open_peer();
  const auto other = open_peer();
  const Memory local = make_memory(*peer, 4096, kAll);
  const Memory remote = make_memory(*other, 4096, kAll);
  Pair pair = connect(peer, other);
  abi::Submission flush = at(operation(abi::Operation::Flush, 1, 8), *remote.region, 0);
  flush.remote_key ^= 0x55;
  CHECK(pair.client->post(flush, {}).ok());
  CHECK(
      pair.client->post(at(operation(abi::Operation::Read, 2, 8), *remote.region, 0), local.region)
          .ok());
  pair.client->kick();
  const auto done = completions(pair.bell, *pair.client->completion_queue(), 2);
  CHECK_EQ(done.size(), 2u);
  CHECK_EQ(int{done[0].status}, static_cast<int>(abi::CompletionStatus::RemoteAccess));
  CHECK_EQ(int{done[1].status}, static_cast<int>(abi::CompletionStatus::Flushed));
  CHECK(next_event(pair.bell, *pair.client) == abi::ConnectionEvent::Lost);
  CHECK(next_event(pair.bell, *pair.server) == abi::ConnectionEvent::Lost);
  peer->close();
  other->close();
}

TEST(nothing_lives_on) {
  // The tests before closed what they opened.
  CHECK_EQ(core::live_total(), 0);
}

}  // namespace
}  // namespace rpma::test
CHECK_MAIN()
