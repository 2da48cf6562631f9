// SPDX-License-Identifier: BSD-3-Clause
//
// See connection.h.
#include "rma/connection.h"

#include <algorithm>
#include <cstring>

namespace rpma::rma {
namespace {

const std::vector<std::uint8_t> kNoData;

/** Whether a record's count is one that JavaScript's validation lets through: exact and not
 * negative. */
bool is_count(double value) { return value >= 0 && value <= 9007199254740991.0; }

Status check_range(const abi::Submission& submission,
                   const std::shared_ptr<memory::Region>& local) {
  if (!is_count(submission.id) || !is_count(submission.length) ||
      !is_count(submission.local_offset) || !is_count(submission.remote_offset)) {
    return Status::failure(abi::Code::OutOfRange, "a count is no safe integer");
  }
  if (submission.length > static_cast<double>(abi::kMessageBytesMax)) {
    return Status::failure(abi::Code::OutOfRange, "length is more than a message may have");
  }
  const auto length = static_cast<std::uint64_t>(submission.length);
  if (submission.operation == static_cast<std::uint8_t>(abi::Operation::Read) &&
      length > abi::kReadBytesMax) {
    return Status::failure(abi::Code::OutOfRange, "length of a read is 2 GiB or more");
  }
  if (!local) return Status::success();
  const auto offset = static_cast<std::uint64_t>(submission.local_offset);
  if (offset > local->length() || length > local->length() - offset) {
    return Status::failure(abi::Code::OutOfRange, "localOffset + length is outside the region");
  }
  return Status::success();
}

bool needs_local(abi::Operation operation) {
  return operation == abi::Operation::Read || operation == abi::Operation::Write ||
         operation == abi::Operation::Send || operation == abi::Operation::Receive;
}

}  // namespace

Result<provider::WorkRequest> local_request(const abi::Submission& submission,
                                            const std::shared_ptr<memory::Region>& local) {
  const auto operation = static_cast<abi::Operation>(submission.operation);
  const Status range = check_range(submission, local);
  if (!range.ok()) return range;
  provider::WorkRequest request;
  request.id = static_cast<std::uint64_t>(submission.id);
  request.posted = request.carrier = operation;
  request.signalled = (submission.flags & abi::kSubmissionFlagsSignalled) != 0;
  request.length = static_cast<std::uint64_t>(submission.length);
  if (!needs_local(operation)) return request;
  if (!local && request.length > 0) {
    return Status::failure(abi::Code::InvalidArgValue, "length without a local region");
  }
  request.local = local;
  request.local_offset = static_cast<std::uint64_t>(submission.local_offset);
  return request;
}

Status Connection::make_queues(ConnectionOptions& options) {
  provider::Device& device = peer_->device();
  if (options.shared_completion_queue) {
    queue_ = options.shared_completion_queue;
  } else {
    auto made = device.create_completion_queue(options.completion_queue_size);
    if (!made.ok()) return made.status();
    queue_ = std::move(made).value();
  }
  const auto& shared = options.shared_receive_queue;
  if (options.receive_completion_queue_size > 0 && !(shared && shared->completions())) {
    auto made = device.create_completion_queue(options.receive_completion_queue_size);
    if (!made.ok()) return made.status();
    receive_queue_ = std::move(made).value();
  }
  options.queue_pair.send_completions = queue_;
  options.queue_pair.receive_completions = receive_queue_ ? receive_queue_ : queue_;
  options.queue_pair.shared_receive_queue = shared;
  return Status::success();
}

Result<std::shared_ptr<Connection>> Connection::outgoing(std::shared_ptr<Peer> peer,
                                                         provider::Address to,
                                                         ConnectionOptions options) {
  auto connection = std::make_shared<Connection>(Passkey{});
  connection->peer_ = std::move(peer);
  connection->to_ = std::move(to);
  const Status status = connection->make_queues(options);
  if (!status.ok()) return status;
  auto made = connection->peer_->device().create_queue_pair(options.queue_pair);
  if (!made.ok()) return made.status();
  connection->queue_pair_ = std::move(made).value();
  return connection;
}

Result<std::shared_ptr<Connection>> Connection::incoming(
    std::shared_ptr<Peer> peer, std::shared_ptr<provider::IncomingRequest> request,
    ConnectionOptions options) {
  auto connection = std::make_shared<Connection>(Passkey{});
  connection->peer_ = std::move(peer);
  connection->request_ = std::move(request);
  const Status status = connection->make_queues(options);
  if (!status.ok()) return status;
  auto made = connection->request_->prepare(options.queue_pair);
  if (!made.ok()) return made.status();
  connection->queue_pair_ = std::move(made).value();
  return connection;
}

Status Connection::connect(std::vector<std::uint8_t> private_data) {
  if (request_) return Status::failure(abi::Code::State, "an incoming request is accepted");
  return queue_pair_->connect(to_, std::move(private_data));
}

Status Connection::accept(std::vector<std::uint8_t> private_data) {
  if (!request_) return Status::failure(abi::Code::State, "an outgoing request is connected");
  return request_->accept(std::move(private_data));
}

Status Connection::reject(std::vector<std::uint8_t> private_data) {
  if (!request_) return Status::failure(abi::Code::State, "an outgoing request is connected");
  return request_->reject(std::move(private_data));
}

Status Connection::post(const abi::Submission& submission,
                        const std::shared_ptr<memory::Region>& local) {
  const auto operation = static_cast<abi::Operation>(submission.operation);
  Result<provider::WorkRequest> checked = local_request(submission, local);
  if (!checked.ok()) return checked.status();
  provider::WorkRequest& request = *checked;
  if ((submission.flags & abi::kSubmissionFlagsImmediate) != 0) {
    if (operation != abi::Operation::Write && operation != abi::Operation::Send) {
      return Status::failure(abi::Code::InvalidArgValue, "immediate goes with a write or a send");
    }
    request.with_immediate = true;
    std::memcpy(&request.immediate, submission.value, sizeof(request.immediate));
  }
  if (operation == abi::Operation::Receive) return queue_pair_->post_receive(request);
  request.remote_key = submission.remote_key;
  request.remote_address =
      (std::uint64_t{submission.remote_base_high} << 32 | submission.remote_base_low) +
      static_cast<std::uint64_t>(submission.remote_offset);
  switch (operation) {
    case abi::Operation::AtomicWrite:
      request.length = request.value.size();
      std::memcpy(request.value.data(), submission.value, request.value.size());
      break;
    case abi::Operation::Flush:
      request.flush_type = static_cast<abi::FlushType>(submission.flush_type);
      break;
    case abi::Operation::Read:
    case abi::Operation::Write:
    case abi::Operation::Send:
      break;
    default:
      return Status::failure(abi::Code::InvalidArgValue, "unknown operation");
  }
  const Status status = flush_.prepare(request, *queue_pair_, peer_->device());
  if (!status.ok()) return status;
  return queue_pair_->post_send(request);
}

const std::vector<std::uint8_t>& Connection::request_private_data() const {
  return request_ ? request_->private_data() : kNoData;
}

provider::Address Connection::local_address() const {
  return request_ ? request_->local_address() : queue_pair_->local_address();
}

provider::Address Connection::remote_address() const {
  return request_ ? request_->remote_address() : queue_pair_->remote_address();
}

}  // namespace rpma::rma
