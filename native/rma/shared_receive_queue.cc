// SPDX-License-Identifier: BSD-3-Clause
//
// See shared_receive_queue.h.
#include "rma/shared_receive_queue.h"

#include <algorithm>

#include "rma/connection.h"

namespace rpma::rma {

Result<std::shared_ptr<SharedReceiveQueue>> SharedReceiveQueue::create(
    Peer& peer, std::uint32_t size, std::uint32_t completion_queue_size) {
  provider::SharedReceiveQueueConfig config;
  config.size = size;
  if (completion_queue_size > 0) {
    auto own = peer.device().create_completion_queue(std::max(size, completion_queue_size));
    if (!own.ok()) return own.status();
    config.completions = std::move(own).value();
  }
  auto made = peer.device().create_shared_receive_queue(config);
  if (!made.ok()) return made.status();
  return std::make_shared<SharedReceiveQueue>(std::move(made).value());
}

Status SharedReceiveQueue::post(const abi::Submission& submission,
                                const std::shared_ptr<memory::Region>& local) {
  if (submission.operation != static_cast<std::uint8_t>(abi::Operation::Receive)) {
    return Status::failure(abi::Code::InvalidArgValue, "only receives are posted to it");
  }
  Result<provider::WorkRequest> request = local_request(submission, local);
  return request.ok() ? queue_->post_receive(*request) : request.status();
}

}  // namespace rpma::rma
