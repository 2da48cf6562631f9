// SPDX-License-Identifier: BSD-3-Clause
//
// From NativeConnectionOptions to the options of a connection, and from a fresh connection to its
// handles. JavaScript thread only; JavaScript has applied the defaults and checked the ranges.

#include <algorithm>
#include <utility>

#include "addon/arguments.h"
#include "addon/methods.h"

namespace rpma::addon {

namespace {

class OptionReader {
 public:
  OptionReader(napi_env env, napi_value object) : env_(env), object_(object) {}
  std::uint32_t small(const char* name, std::uint64_t otherwise) const {
    return static_cast<std::uint32_t>(
        to_count(number_property(env_, object_, name), UINT32_MAX, otherwise));
  }
  std::uint64_t milliseconds(const char* name, std::uint64_t otherwise) const {
    return to_count(number_property(env_, object_, name), kLongest, otherwise);
  }
  /** -1 for ever. */
  std::int64_t milliseconds_or_ever(const char* name) const {
    const double number = number_property(env_, object_, name);
    return number >= 0 ? static_cast<std::int64_t>(to_count(number, kLongest)) : -1;
  }

 private:
  // Some 300 years: a deadline computed from it in nanoseconds still fits.
  static constexpr std::uint64_t kLongest = 9'000'000'000'000;

  napi_env env_;
  napi_value object_;
};

}  // namespace

bool adopt_queue(Environment& environment, const std::shared_ptr<provider::CompletionQueue>& queue,
                 const std::shared_ptr<PeerObject>& peer, Handle* handle) {
  *handle = 0;
  if (!queue) return true;
  auto object = std::make_shared<QueueObject>();
  object->is_private = true;
  object->queue = queue;
  object->peer = peer;
  *handle = environment.handles().insert(object);
  if (*handle == 0) return false;
  queue->set_notify({.notifier = environment.ready(), .token = *handle});
  return true;
}

double shared_queue_handle(napi_env env, napi_value options) {
  return number_property(env, options, "completionQueue");
}

core::Result<rma::ConnectionOptions> read_connection_options(const Environment& environment,
                                                             napi_value object,
                                                             const PeerObject& peer) {
  const OptionReader reader(environment.env(), object);
  rma::ConnectionOptions options;
  provider::QueuePairConfig& config = options.queue_pair;
  config.send_queue_size = reader.small("sendQueueSize", abi::kQueueSize);
  config.receive_queue_size = reader.small("receiveQueueSize", abi::kQueueSize);
  config.inbound_reads = reader.small("inboundReads", abi::kInboundReads);
  config.outbound_reads = reader.small("outboundReads", abi::kOutboundReads);
  config.connect_timeout_ms = reader.milliseconds("connectTimeoutMs", abi::kConnectTimeoutMs);
  config.close_timeout_ms = reader.milliseconds("closeTimeoutMs", abi::kCloseTimeoutMs);
  config.dead_peer_timeout_ms = reader.milliseconds("deadPeerTimeoutMs", abi::kDeadPeerTimeoutMs);
  config.receiver_not_ready_timeout_ms = reader.milliseconds_or_ever("receiverNotReadyTimeoutMs");
  config.crc = static_cast<std::uint8_t>(std::min(reader.small("crc", 1), 2U));
  config.max_frame_bytes = reader.small("maxFrameBytes", 0);
  config.require_native = reader.small("requireNative", 0);
  options.completion_queue_size = reader.small("completionQueueSize", abi::kQueueSize);
  options.receive_completion_queue_size = reader.small("receiveCompletionQueueSize", 0);
  const double shared = shared_queue_handle(environment.env(), object);
  if (shared > 0) {
    const auto* queue = environment.find<QueueObject>(shared);
    if (queue == nullptr) return core::Status::failure(abi::Code::Closed, "the shared queue");
    if (queue->peer.get() != &peer) return core::Status::failure(abi::Code::Foreign);
    options.shared_completion_queue = queue->queue;
  }
  const double receives = number_property(environment.env(), object, "sharedReceiveQueue");
  if (receives > 0) {
    const auto* queue = environment.find<SharedReceiveQueueObject>(receives);
    if (queue == nullptr) {
      return core::Status::failure(abi::Code::Closed, "the shared receive queue is closed");
    }
    if (queue->peer.get() != &peer) return core::Status::failure(abi::Code::Foreign);
    options.shared_receive_queue = queue->queue->queue();
  }
  return options;
}

core::Result<Handle> adopt_connection(Environment& environment,
                                      std::shared_ptr<rma::Connection> connection,
                                      const std::shared_ptr<PeerObject>& peer,
                                      double shared_completion_queue) {
  auto object = std::make_shared<ConnectionObject>();
  object->connection = std::move(connection);
  object->peer = peer;
  object->number = object->connection->queue_pair().number();
  HandleTable& handles = environment.handles();
  const auto* shared = environment.find<QueueObject>(shared_completion_queue);
  bool complete = true;
  if (shared != nullptr) {
    object->completion_queue = shared->handle;
  } else {
    complete = adopt_queue(environment, object->connection->completion_queue(), peer,
                           &object->completion_queue);
  }
  complete = complete && adopt_queue(environment, object->connection->receive_completion_queue(),
                                     peer, &object->receive_queue);
  const Handle handle = complete ? handles.insert(object) : 0;
  if (handle == 0) {
    if (shared == nullptr) handles.erase(object->completion_queue);
    handles.erase(object->receive_queue);
    return core::Status::failure(abi::Code::Limit, "every handle is taken");
  }
  environment.add_connection(object.get());
  object->connection->queue_pair().set_notify({.notifier = environment.ready(), .token = handle});
  return handle;
}

}  // namespace rpma::addon
