// SPDX-License-Identifier: BSD-3-Clause
//
// A shared receive queue over any provider's, with its completion queue: the checks of a posted
// record, as rma/connection.h has them. Posts come from one thread at a time; everything else may
// be called from any thread. The connections that use it hold the provider's object.
#pragma once

#include <memory>

#include "provider/provider.h"
#include "rma/peer.h"

namespace rpma::rma {

class SharedReceiveQueue {
 public:
  /**
   * completion_queue_size 0: no completion queue of its own. Else that queue holds at least `size`.
   */
  static Result<std::shared_ptr<SharedReceiveQueue>> create(Peer& peer, std::uint32_t size,
                                                            std::uint32_t completion_queue_size);
  explicit SharedReceiveQueue(std::shared_ptr<provider::SharedReceiveQueue> queue)
      : queue_(std::move(queue)) {}

  /** Checks one record, which must be a receive, and posts it; `local` as Connection::post has it.
   */
  Status post(const abi::Submission& submission, const std::shared_ptr<memory::Region>& local);

  const std::shared_ptr<provider::SharedReceiveQueue>& queue() const { return queue_; }

 private:
  const std::shared_ptr<provider::SharedReceiveQueue> queue_;
};

}  // namespace rpma::rma
