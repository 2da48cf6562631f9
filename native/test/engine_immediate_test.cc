// SPDX-License-Identifier: BSD-3-Clause
//
// Immediate data over loopback, driven by the progress threads: sends and writes that carry a
// value, in every size a frame can be cut at, parked and not, and towards sides that take none. The
// public surface's semantics are test/conformance/immediate; this meets the same paths under the
// sanitizers.
#include <algorithm>
#include <array>
#include <thread>

#include "core/random.h"
#include "test/engine.h"
#include "test/raw_peer.h"

namespace rpma::test {
namespace {

constexpr std::uint32_t kAll = 0xDF;  // every usage but a persistent flush
constexpr std::uint64_t kSize = 1 << 20;

abi::Submission carrying(abi::Submission submission, std::uint32_t value) {
  submission.flags |= abi::kSubmissionFlagsImmediate;
  std::memcpy(submission.value, &value, sizeof(value));
  return submission;
}

bool is(const abi::Completion& completion, abi::Operation operation) {
  return completion.operation == static_cast<std::uint8_t>(operation) && completion.status == 0;
}

bool has(const abi::Completion& completion, std::uint32_t value) {
  return (completion.flags & abi::kCompletionFlagsImmediate) != 0 && completion.immediate == value;
}

bool has_none(const abi::Completion& completion) {
  return (completion.flags & abi::kCompletionFlagsImmediate) == 0 && completion.immediate == 0;
}

/** Two peers, a connection, and a megabyte on either side. */
struct Stage {
  std::shared_ptr<rma::Peer> peer = open_peer();
  std::shared_ptr<rma::Peer> other = open_peer();
  Memory local = make_memory(*peer, kSize, kAll);
  Memory remote = make_memory(*other, kSize, kAll);
  Memory inbox = make_memory(*other, kSize, kAll);
  Pair pair;

  explicit Stage(const rma::ConnectionOptions& options = {})
      : pair(connect(peer, other, options, options)) {
    core::SeededRandom random(11);
    for (std::size_t i = 0; i < kSize; ++i) local.data()[i] = std::byte(random.next_u32());
  }
  ~Stage() {
    peer->close();
    other->close();
  }
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  [[nodiscard]] core::Status receive(double id, double length = kSize) const {
    return pair.server->post(operation(abi::Operation::Receive, id, length), inbox.region);
  }
  [[nodiscard]] core::Status send(double id, double length, std::uint32_t value) const {
    return pair.client->post(carrying(operation(abi::Operation::Send, id, length), value),
                             local.region);
  }
  [[nodiscard]] core::Status write(double id, double length, std::uint32_t value) const {
    const abi::Submission plain = operation(abi::Operation::Write, id, length);
    return pair.client->post(carrying(at(plain, *remote.region, 0), value), local.region);
  }
  void kick() const { pair.client->kick(); }
  [[nodiscard]] std::vector<abi::Completion> sent(std::size_t count) const {
    return completions(pair.bell, *pair.client->completion_queue(), count);
  }
  [[nodiscard]] std::vector<abi::Completion> received(std::size_t count) const {
    return completions(pair.bell, *pair.server->completion_queue(), count);
  }
  [[nodiscard]] bool inbox_is_clean() const {
    return std::all_of(inbox.data(), inbox.data() + kSize,
                       [](std::byte byte) { return byte == std::byte{0}; });
  }
};

/** Lengths around every border at which a message is cut or copied. */
std::vector<std::uint64_t> lengths(std::uint32_t frame_bytes) {
  const std::uint64_t most = iwarp::untagged_payload_bytes_max(frame_bytes);
  std::vector<std::uint64_t> all = {0, 1, 3, 7, 8, 9, 60, 61, 64, 68, 69, 70, 76, 77, 78, 100};
  for (const std::uint64_t border : {most, 2 * most, most + 4}) {
    for (std::uint64_t before = 0; before <= 17; ++before) all.push_back(border + 1 - before);
  }
  all.push_back(std::min<std::uint64_t>(kSize, 40 * most));
  return all;
}

void every_length(std::uint8_t crc, std::uint32_t frame_bytes) {
  rma::ConnectionOptions options;
  options.queue_pair.crc = crc;
  options.queue_pair.max_frame_bytes = frame_bytes;
  Stage stage(options);
  std::uint32_t value = 0xFFFF'FF00;  // goes on behind zero
  for (const std::uint64_t length : lengths(frame_bytes)) {
    value += 16;
    std::fill_n(stage.inbox.data(), length + 1, std::byte{0});
    std::fill_n(stage.remote.data(), length + 1, std::byte{0});
    CHECK(stage.receive(1).ok());
    CHECK(stage.receive(2).ok());
    CHECK(stage.receive(3).ok());
    CHECK(stage.send(4, static_cast<double>(length), value).ok());
    CHECK(stage.write(5, static_cast<double>(length), value + 1).ok());
    CHECK(stage.pair.client->post(operation(abi::Operation::Send, 6, 1), stage.local.region).ok());
    stage.kick();
    const auto done = stage.sent(3);
    REQUIRE(done.size() == 3);
    CHECK(is(done[0], abi::Operation::Send) && done[0].id == 4 && has_none(done[0]));
    CHECK(is(done[1], abi::Operation::Write) && done[1].id == 5 && has_none(done[1]));
    const auto came = stage.received(3);
    REQUIRE(came.size() == 3);
    CHECK(is(came[0], abi::Operation::Receive) && came[0].id == 1 && has(came[0], value));
    CHECK_EQ(came[0].length, length);
    CHECK(is(came[1], abi::Operation::ReceiveWrite) && came[1].id == 2 && has(came[1], value + 1));
    CHECK_EQ(came[1].length, length);
    CHECK(is(came[2], abi::Operation::Receive) && came[2].id == 3 && has_none(came[2]));
    CHECK(std::memcmp(stage.remote.data(), stage.local.data(), length) == 0);
    CHECK(length <= 1 || std::memcmp(stage.inbox.data(), stage.local.data(), length) == 0);
    CHECK(stage.remote.data()[length] == std::byte{0});
  }
}

TEST(every_length_in_large_frames_with_crc) { every_length(1, abi::kFrameBytesMax); }
TEST(every_length_in_large_frames_without_crc) { every_length(0, abi::kFrameBytesMax); }
// TCP's own pieces end inside these frames, so most of them are received in place.
TEST(every_length_in_frames_received_in_place) { every_length(0, 60'000); }
TEST(every_length_in_small_frames_with_crc) { every_length(1, 128); }
TEST(every_length_in_small_frames_without_crc) { every_length(0, 129); }

TEST(a_write_with_immediate_touches_no_byte_of_the_receive) {
  Stage stage;
  CHECK(stage.receive(1).ok());
  CHECK(stage.receive(2, 0).ok());  // nor needs any
  CHECK(stage.write(3, 70'000, 7).ok());
  CHECK(stage.write(4, 70'000, 8).ok());
  stage.kick();
  const auto came = stage.received(2);
  REQUIRE(came.size() == 2);
  CHECK(has(came[0], 7) && has(came[1], 8));
  CHECK_EQ(came[1].length, 70'000u);
  CHECK(stage.inbox_is_clean());
}

TEST(the_length_is_that_of_the_write_before_it) {
  Stage stage;
  for (int id = 0; id < 3; ++id) CHECK(stage.receive(id).ok());
  // Unlike the Write of the same operation, the one before it is not told.
  CHECK(stage.pair.client
            ->post(at(operation(abi::Operation::Write, 1, 4000, false), *stage.remote.region, 0),
                   stage.local.region)
            .ok());
  abi::Submission empty = carrying(operation(abi::Operation::Write, 2, 0), 1);
  CHECK(stage.pair.client->post(empty, {}).ok());
  CHECK(stage.write(3, 200'000, 2).ok());
  CHECK(stage.pair.client->post(empty, {}).ok());
  stage.kick();
  const auto came = stage.received(3);
  REQUIRE(came.size() == 3);
  CHECK_EQ(came[0].length, 0u);
  CHECK_EQ(came[1].length, 200'000u);
  CHECK_EQ(came[2].length, 0u);
  CHECK(has(came[0], 1) && has(came[1], 2) && has(came[2], 1));
}

TEST(each_use_of_a_receive_gives_its_slot_back) {
  Stage stage;
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 10; ++i) CHECK(stage.receive(i).ok());
    CHECK_EQ(stage.receive(10).code, abi::Code::Again);
    for (int i = 0; i < 10; ++i) {
      CHECK((i % 2 == 0 ? stage.write(i, 8, 1) : stage.send(i, 8, 2)).ok());
    }
    // A write with immediate is two messages and one slot.
    CHECK_EQ(stage.write(10, 8, 1).code, abi::Code::Again);
    stage.kick();
    CHECK_EQ(stage.sent(10).size(), 10u);
    CHECK_EQ(stage.received(10).size(), 10u);
    CHECK_EQ(stage.pair.server->queue_pair().receive_queue_free(), 10u);
    CHECK_EQ(stage.pair.client->queue_pair().send_queue_free(), 10u);
  }
}

TEST(both_kinds_wait_for_receives_and_keep_their_order) {
  Stage stage;
  for (std::uint32_t i = 0; i < 4; ++i) {
    CHECK((i % 2 == 0 ? stage.write(i, 100 + i, i) : stage.send(i, 200 + i, i)).ok());
  }
  // Behind the first that waits everything does: this must not be seen by those before it.
  CHECK(stage.pair.client
            ->post(at(operation(abi::Operation::Write, 4, 5000), *stage.remote.region, 0),
                   stage.local.region)
            .ok());
  CHECK(stage.pair.client
            ->post(at(operation(abi::Operation::Flush, 5, 8), *stage.remote.region, 0), {})
            .ok());
  stage.kick();
  CHECK_EQ(stage.sent(5).size(), 5u);
  for (std::uint32_t i = 0; i < 4; ++i) {
    abi::Completion some[2];
    CHECK_EQ(stage.pair.client->completion_queue()->poll(some, 2), 0u);  // the flush waits
    CHECK(stage.receive(i).ok());
    const auto came = stage.received(1);
    REQUIRE(came.size() == 1);
    CHECK(is(came[0], i % 2 == 0 ? abi::Operation::ReceiveWrite : abi::Operation::Receive));
    CHECK(came[0].id == i && has(came[0], i));
    CHECK_EQ(came[0].length, (i % 2 == 0 ? 100 : 200) + i);
  }
  const auto flushed = stage.sent(1);
  REQUIRE(flushed.size() == 1);
  CHECK(is(flushed[0], abi::Operation::Flush));
}

TEST(each_kind_takes_a_place_among_parked_messages) {
  // While there is room among them, answers to requests of the side that has no receive still come.
  rma::ConnectionOptions options;
  options.queue_pair.send_queue_size = 2 * abi::kParkedMessages;
  options.completion_queue_size = 4 * abi::kParkedMessages;
  Stage stage(options);
  const auto read = [&stage](double id) {
    return stage.pair.server->post(
        at(operation(abi::Operation::Read, id, 8), *stage.local.region, 0), stage.inbox.region);
  };
  for (std::uint32_t i = 0; i < abi::kParkedMessages; ++i) {
    CHECK((i % 2 == 0 ? stage.write(i, 8, i) : stage.send(i, 8, i)).ok());
  }
  stage.kick();
  CHECK_EQ(stage.sent(abi::kParkedMessages).size(), std::size_t{abi::kParkedMessages});
  CHECK(read(100).ok());
  stage.pair.server->kick();
  CHECK_EQ(stage.received(1).size(), 1u);
  CHECK(stage.write(0, 8, 99).ok());
  stage.kick();
  CHECK_EQ(stage.sent(1).size(), 1u);
  CHECK(read(101).ok());
  stage.pair.server->kick();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // in which it would come
  abi::Completion early;
  CHECK_EQ(stage.pair.server->completion_queue()->poll(&early, 1), 0u);
  CHECK(stage.receive(1).ok());
  const auto came = stage.received(2);
  REQUIRE(came.size() == 2);
  CHECK(is(came[0], abi::Operation::ReceiveWrite) && has(came[0], 0));
  CHECK(is(came[1], abi::Operation::Read) && came[1].id == 101);
}

TEST(a_parked_immediate_ends_the_connection_when_its_receive_does_not_come) {
  rma::ConnectionOptions options;
  options.queue_pair.receiver_not_ready_timeout_ms = 20;
  Stage stage(options);
  CHECK(stage.write(1, 8, 1).ok());
  stage.kick();
  CHECK_EQ(stage.sent(1).size(), 1u);
  CHECK(next_event(stage.pair.bell, *stage.pair.server) == abi::ConnectionEvent::Lost);
  CHECK(next_event(stage.pair.bell, *stage.pair.client) == abi::ConnectionEvent::Lost);
  CHECK(std::memcmp(stage.remote.data(), stage.local.data(), 8) == 0);  // it was placed before
}

TEST(a_send_with_immediate_longer_than_its_receive_ends_the_connection) {
  Stage stage;
  CHECK(stage.receive(1, 16).ok());
  CHECK(stage.receive(2, 15).ok());
  CHECK(stage.send(3, 16, 5).ok());  // the value takes no room
  CHECK(stage.send(4, 16, 6).ok());
  stage.kick();
  const auto came = stage.received(2);
  REQUIRE(came.size() == 2);
  CHECK(is(came[0], abi::Operation::Receive) && has(came[0], 5));
  CHECK_EQ(int{came[1].status}, static_cast<int>(abi::CompletionStatus::Length));
  CHECK(has_none(came[1]));
  CHECK(next_event(stage.pair.bell, *stage.pair.client) == abi::ConnectionEvent::Lost);
  CHECK(next_event(stage.pair.bell, *stage.pair.server) == abi::ConnectionEvent::Lost);
}

TEST(a_write_that_is_refused_delivers_no_immediate) {
  Stage stage;
  CHECK(stage.receive(1).ok());
  abi::Submission bad = at(operation(abi::Operation::Write, 2, 8), *stage.remote.region, 0);
  bad.remote_key ^= 0x55;
  CHECK(stage.pair.client->post(carrying(bad, 9), stage.local.region).ok());
  stage.kick();
  const auto came = stage.received(1);
  REQUIRE(came.size() == 1);
  CHECK_EQ(int{came[0].status}, static_cast<int>(abi::CompletionStatus::Flushed));
  CHECK_EQ(int{came[0].operation}, static_cast<int>(abi::Operation::Receive));
  CHECK(has_none(came[0]));
  CHECK(next_event(stage.pair.bell, *stage.pair.client) == abi::ConnectionEvent::Lost);
  CHECK(next_event(stage.pair.bell, *stage.pair.server) == abi::ConnectionEvent::Lost);
}

TEST(on_error_forms_complete_only_when_they_fail) {
  Stage stage;
  for (int id = 0; id < 3; ++id) CHECK(stage.receive(id).ok());
  const auto silent = [](abi::Submission submission) {
    submission.flags &= static_cast<std::uint8_t>(~abi::kSubmissionFlagsSignalled);
    return submission;
  };
  const abi::Submission write = at(operation(abi::Operation::Write, 1, 8), *stage.remote.region, 0);
  const abi::Submission send = operation(abi::Operation::Send, 2, 8);
  CHECK(stage.pair.client->post(silent(carrying(write, 1)), stage.local.region).ok());
  CHECK(stage.pair.client->post(silent(carrying(send, 2)), stage.local.region).ok());
  CHECK(stage.send(3, 8, 3).ok());
  stage.kick();
  const auto done = stage.sent(1);
  REQUIRE(done.size() == 1);
  CHECK_EQ(done[0].id, 3.0);
  const auto came = stage.received(3);
  REQUIRE(came.size() == 3);
  CHECK(has(came[0], 1) && has(came[1], 2) && has(came[2], 3));
  CHECK_EQ(stage.pair.client->queue_pair().send_queue_free(), 10u);
}

TEST(only_writes_and_sends_carry_a_value) {
  Stage stage;
  for (const abi::Operation kind : {abi::Operation::Read, abi::Operation::Flush,
                                    abi::Operation::AtomicWrite, abi::Operation::Receive}) {
    const abi::Submission submission = at(operation(kind, 1, 8), *stage.remote.region, 0);
    CHECK_EQ(stage.pair.client->post(carrying(submission, 1), stage.local.region).code,
             abi::Code::InvalidArgValue);
  }
  CHECK(stage.pair.client->queue_pair().capabilities().immediate_data);
}

TEST(a_send_with_immediate_has_eight_bytes_less) {
  Stage stage;
  // No memory is that long: the bound is told before the memory is looked at.
  provider::WorkRequest request;
  request.posted = request.carrier = abi::Operation::Send;
  request.with_immediate = true;
  request.length = abi::kMessageBytesMax - 7;
  CHECK_EQ(stage.pair.client->queue_pair().post_send(request).code, abi::Code::OutOfRange);
}

TEST(towards_a_plain_peer_nothing_is_sent) {
  HostileTarget target;
  const Memory memory = make_memory(*target.peer, 4096, kAll);
  RawPair pair = target.connect();
  rma::Connection& connection = *pair.connection;
  CHECK(!connection.queue_pair().capabilities().immediate_data);
  const abi::Submission send = operation(abi::Operation::Send, 1, 8);
  const abi::Submission write = at(operation(abi::Operation::Write, 1, 8), *memory.region, 0);
  CHECK_EQ(connection.post(carrying(send, 1), memory.region).code, abi::Code::NotSupported);
  CHECK_EQ(connection.post(carrying(write, 1), memory.region).code, abi::Code::NotSupported);
  CHECK(connection.post(send, memory.region).ok());
  connection.kick();
  CHECK(pair.raw.receive().opcode() == iwarp::Opcode::kSend);
  CHECK_EQ(completions(target.bell, *connection.completion_queue(), 1).size(), 1u);
  target.peer->close();
}

TEST(nothing_lives_on) { CHECK_EQ(core::live_total(), 0); }

}  // namespace
}  // namespace rpma::test
CHECK_MAIN()
