// SPDX-License-Identifier: BSD-3-Clause
//
// Our side of a fuzzed connection: a queue pair over one end of a socket pair, driven by the
// fuzzer's thread alone (the socket is taken out of the progress thread's set), so that an input
// always means the same. It keeps account of what was posted: at the end each accepted operation
// has exactly one outcome, there is one last event, and nothing lives on.
#pragma once

#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "test/fuzz_peer.h"

namespace rpma::test {

class FuzzConnection {
 public:
  explicit FuzzConnection(provider::QueuePairConfig config) {
    FuzzWorld& world = FuzzWorld::instance();
    completions_ = std::make_shared<iwarp::CompletionQueue>(1);
    config.send_completions = completions_;
    config.receive_completions = completions_;
    adopt_queue_pair(std::move(iwarp::QueuePair::create(world.context(), config)).value());
  }
  /** For a queue pair that a request prepares: its queue first. */
  FuzzConnection() : completions_(std::make_shared<iwarp::CompletionQueue>(1)) {}

  [[nodiscard]] const std::shared_ptr<iwarp::CompletionQueue>& completions() const {
    return completions_;
  }
  void adopt_queue_pair(std::shared_ptr<iwarp::QueuePair> queue_pair) {
    queue_pair_ = std::move(queue_pair);
    queue_pair_->set_notify({bell_, 0});
    FuzzWorld::instance().begin(queue_pair_->number());
  }
  [[nodiscard]] iwarp::QueuePair& queue_pair() { return *queue_pair_; }
  [[nodiscard]] const std::shared_ptr<iwarp::QueuePair>& shared() { return queue_pair_; }
  FuzzPeer& peer() { return peer_; }

  /** Both sides know what they agreed on; from here on only drive() reads the socket. */
  void establish(const iwarp::Negotiated& negotiated, std::span<const std::byte> early) {
    queue_pair_->adopt(peer_.take_engine(), negotiated, early, {});
    take_out_of_set();
  }
  /** Once, and not when it has ended: the socket has another owner then, who waits for it. */
  void take_out_of_set() {
    if (std::exchange(taken_out_, true) || queue_pair_->ending()) return;
    FuzzWorld::instance().context()->progress->suspend(peer_.engine_fd());
  }

  // ---- Moving ----------------------------------------------------------------------------------

  void drive() {
    // A turn has a budget; what is left of a large piece is for the next one.
    int unread = 0;
    int before = -1;
    for (int turn = 0; turn < kTurnsMax; ++turn) {
      queue_pair_->on_ready(EPOLLIN | EPOLLOUT);
      if (!holds_) peer_.read_all();
      unread = 0;
      if (!peer_.open() || ::ioctl(peer_.fd(), SIOCOUTQ, &unread) != 0) return;
      if (unread == 0 || unread == before) return;
      before = unread;
    }
  }

  /** Hands over what the other side has queued, in pieces of `cut` bytes (0: all at once). */
  void deliver(std::size_t cut) {
    for (int piece = 0; piece < kPiecesMax && peer_.queued() > 0; ++piece) {
      const bool taken = peer_.hand_over(cut == 0 ? peer_.queued() : cut);
      drive();
      if (!taken) return;  // not read: it stays queued
    }
    if (peer_.queued() > 0 && peer_.hand_over(peer_.queued())) drive();
  }

  /** The other side reads nothing until it does again. */
  void hold(bool holds) {
    holds_ = holds;
    drive();
  }

  // ---- Posting ---------------------------------------------------------------------------------

  void post_receive(std::size_t offset, std::size_t length) {
    provider::WorkRequest request = at(Grant::kLocal, offset, length);
    request.posted = request.carrier = abi::Operation::Receive;
    if (queue_pair_->post_receive(request).ok()) accepted(request);
  }

  void post_send(abi::Operation operation, Grant local, std::size_t offset, std::size_t length,
                 Area& remote, std::uint64_t remote_offset, bool fence, bool immediate = false) {
    provider::WorkRequest request = at(local, offset, length);
    request.posted = request.carrier = operation;
    request.fence = fence;
    request.with_immediate =
        immediate && (operation == abi::Operation::Write || operation == abi::Operation::Send);
    request.immediate = static_cast<std::uint32_t>(offset);
    request.remote_key = remote.region->key();
    request.remote_address = remote.region->base() + remote_offset;
    choose_carrier(request);
    if (queue_pair_->post_send(request).ok()) accepted(request);
    queue_pair_->kick();
    if (!holds_) peer_.read_all();
  }

  void poll() {
    std::array<provider::Completion, 16> some;
    std::uint32_t count = 0;
    while ((count = completions_->poll(some.data(), some.size())) > 0) {
      for (std::uint32_t i = 0; i < count; ++i) {
        const auto found = waiting_.find(static_cast<std::uint64_t>(some[i].id));
        expect(found != waiting_.end(), "a completion of nothing, or a second one");
        const auto operation = static_cast<abi::Operation>(some[i].operation);
        expect(found->second == operation || (found->second == abi::Operation::Receive &&
                                              operation == abi::Operation::ReceiveWrite),
               "a completion of another operation");
        const bool told = (some[i].flags & abi::kCompletionFlagsImmediate) != 0;
        expect(told || operation != abi::Operation::ReceiveWrite, "Immediate Data without a value");
        expect(!told || found->second == abi::Operation::Receive, "a value for whoever posted it");
        waiting_.erase(found);
      }
    }
  }

  // ---- The end ---------------------------------------------------------------------------------

  /** There never was a connection. */
  void discard() {
    peer_.close();
    completions_.reset();
    FuzzWorld::instance().settle(0);
  }

  /** The other side leaves if it is still there, and then we end it; checks the accounts. */
  void finish(bool fin) {
    if (fin) {
      peer_.send_fin();
      drive();
    }
    queue_pair_->abort(core::Status::failure(abi::Code::Closed, "the input is over"));
    await_end();
    if (!holds_) peer_.read_all();
    peer_.close();
    poll();
    expect(waiting_.empty(), "an accepted operation has no outcome");
    poll();
    queue_pair_.reset();
    completions_.reset();
    FuzzWorld::instance().settle(1);
    FuzzWorld::instance().end(granted_);
  }

 private:
  static constexpr int kTurnsMax = 64;
  static constexpr int kPiecesMax = 512;

  provider::WorkRequest at(Grant grant, std::size_t offset, std::size_t length) {
    const Area& area = FuzzWorld::instance().area(grant);
    provider::WorkRequest request;
    request.id = next_id_++;
    request.local = area.region;
    request.local_offset = std::min(offset, area.length);
    request.length = std::min(length, area.length - request.local_offset);
    return request;
  }

  /** Native or emulated, as the layer above chooses it. */
  void choose_carrier(provider::WorkRequest& request) {
    const provider::Capabilities capabilities = queue_pair_->capabilities();
    const std::size_t length = request.length;
    if (request.posted == abi::Operation::AtomicWrite) {
      request.local.reset();
      request.local_offset = 0;
      request.length = request.value.size();
      if (capabilities.native_atomic_write) return;
      request.carrier = abi::Operation::Write;
      request.fence = request.inline_value = true;
    } else if (request.posted == abi::Operation::Flush) {
      request.local.reset();
      request.local_offset = 0;
      request.flush_type = static_cast<abi::FlushType>(length & 1U);
      if (capabilities.native_flush) return;
      const std::uint64_t id = request.id;
      const std::uint32_t key = request.remote_key;
      const std::uint64_t address = request.remote_address;
      request = at(Grant::kLocal, 0, std::min<std::size_t>(length, 8));
      request.id = id;
      request.remote_key = key;
      request.remote_address = address;
      request.posted = abi::Operation::Flush;
      request.carrier = abi::Operation::Read;
    }
  }

  void accepted(const provider::WorkRequest& request) {
    waiting_.emplace(request.id, request.posted);
    const bool sink =
        request.posted == abi::Operation::Receive || request.carrier == abi::Operation::Read;
    if (sink) granted_.emplace_back(request.local_offset, request.length);
  }

  void await_end() {
    const auto deadline = std::chrono::steady_clock::now() + kFuzzDeadline;
    bool established = false;
    for (;;) {
      while (const auto event = queue_pair_->next_event()) {
        if (event->type != abi::ConnectionEvent::Established) {
          expect(!queue_pair_->next_event(), "an event behind the last one");
          return;
        }
        expect(!std::exchange(established, true), "established twice");
      }
      expect(std::chrono::steady_clock::now() < deadline, "the connection does not end");
      bell_->wait(std::chrono::milliseconds(1000));
    }
  }

  FuzzPeer peer_;
  std::shared_ptr<FuzzBell> bell_ = std::make_shared<FuzzBell>();
  std::shared_ptr<iwarp::CompletionQueue> completions_;
  std::shared_ptr<iwarp::QueuePair> queue_pair_;
  std::uint64_t next_id_ = 1;
  std::unordered_map<std::uint64_t, abi::Operation> waiting_;
  std::vector<std::pair<std::size_t, std::size_t>> granted_;
  bool holds_ = false;
  bool taken_out_ = false;
};

}  // namespace rpma::test
