// SPDX-License-Identifier: BSD-3-Clause
//
// A connection over any provider's queue pair: from the request (made before connect, with its
// queues) to the end. Adds what no provider should repeat: checks of a posted record, and the
// choice between native flush and atomic write and their emulations, made once (rma/flush.h). Posts
// come from one thread at a time; everything else may be called from any thread.
#pragma once

#include <memory>
#include <vector>

#include "provider/provider.h"
#include "rma/flush.h"
#include "rma/peer.h"

namespace rpma::rma {

using core::Result;
using core::Status;

struct ConnectionOptions {
  provider::QueuePairConfig queue_pair;
  std::uint32_t completion_queue_size = 10;
  std::uint32_t receive_completion_queue_size = 0;  // 0: receives complete in the main queue
  std::shared_ptr<provider::CompletionQueue> shared_completion_queue;  // null: a private one
  // Null: receives of its own. Its completion queue goes before receive_completion_queue_size.
  std::shared_ptr<provider::SharedReceiveQueue> shared_receive_queue;
};

/**
 * Checks the part of a record that tells of local memory, which a receive has no more than, and
 * makes the request of it; `local` is the region its handle names, or null.
 */
Result<provider::WorkRequest> local_request(const abi::Submission& submission,
                                            const std::shared_ptr<memory::Region>& local);

class Connection {
  struct Passkey {
    explicit Passkey() = default;
  };

 public:
  /** For outgoing() and incoming() only. */
  explicit Connection(Passkey) {}
  /** Active side: the queues are made, nothing reaches the other side yet. */
  static Result<std::shared_ptr<Connection>> outgoing(std::shared_ptr<Peer> peer,
                                                      provider::Address to,
                                                      ConnectionOptions options);
  /** Passive side. When it fails the request is rejected. */
  static Result<std::shared_ptr<Connection>> incoming(
      std::shared_ptr<Peer> peer, std::shared_ptr<provider::IncomingRequest> request,
      ConnectionOptions options);

  Status connect(std::vector<std::uint8_t> private_data);
  Status accept(std::vector<std::uint8_t> private_data);
  Status reject(std::vector<std::uint8_t> private_data);

  /** Checks one record and posts it; `local` is the region its handle names, or null. Call kick()
   * after a batch. */
  Status post(const abi::Submission& submission, const std::shared_ptr<memory::Region>& local);
  void kick() { queue_pair_->kick(); }

  /** What the other side's operator vouches for; only emulated persistent flushes need it. */
  void apply_peer_config(bool direct_write_to_pmem) { flush_.vouch(direct_write_to_pmem); }

  provider::QueuePair& queue_pair() { return *queue_pair_; }
  const std::shared_ptr<provider::CompletionQueue>& completion_queue() const { return queue_; }
  /** Null without a receive_completion_queue_size, and where a shared receive queue has its own. */
  const std::shared_ptr<provider::CompletionQueue>& receive_completion_queue() const {
    return receive_queue_;
  }
  /** Of an incoming request; empty for an outgoing one. */
  const std::vector<std::uint8_t>& request_private_data() const;
  provider::Address local_address() const;
  provider::Address remote_address() const;

 private:
  Status make_queues(ConnectionOptions& options);

  std::shared_ptr<Peer> peer_;
  std::shared_ptr<provider::IncomingRequest> request_;  // passive side
  provider::Address to_;                                // active side
  std::shared_ptr<provider::CompletionQueue> queue_;
  std::shared_ptr<provider::CompletionQueue> receive_queue_;
  std::shared_ptr<provider::QueuePair> queue_pair_;
  FlushStrategy flush_;
};

}  // namespace rpma::rma
