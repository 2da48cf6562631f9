// SPDX-License-Identifier: BSD-3-Clause
//
// The binding's methods of shared receive queues. JavaScript thread only; the post is hot. Its own
// completion queue is polled and armed by the methods of queues.

#include <utility>

#include "addon/arguments.h"
#include "addon/methods.h"

namespace rpma::addon {

namespace {

SharedReceiveQueueObject* find_queue(const Environment& environment, double handle) {
  return environment.find<SharedReceiveQueueObject>(handle);
}

napi_value closed(Environment& environment) {
  return make_number(environment.env(), environment.fail(abi::Code::Closed));
}

napi_value shared_receive_queue_create(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  Environment& environment = call.environment();
  auto* peer = environment.find<PeerObject>(call.number(0));
  if (peer == nullptr) return closed(environment);
  const auto size = static_cast<std::uint32_t>(to_count(call.number(1), abi::kQueueSizeMax));
  const auto completions = static_cast<std::uint32_t>(to_count(call.number(2), abi::kQueueSizeMax));
  core::Result<std::shared_ptr<rma::SharedReceiveQueue>> made =
      rma::SharedReceiveQueue::create(*peer->peer, size, completions);
  if (!made.ok()) return make_number(env, environment.fail(made.status()));
  auto object = std::make_shared<SharedReceiveQueueObject>();
  object->queue = std::move(made).value();
  object->peer = environment.handles().share(peer);
  const bool complete = adopt_queue(environment, object->queue->queue()->completions(),
                                    object->peer, &object->completion_queue);
  const Handle handle = complete ? environment.handles().insert(object) : 0;
  if (handle == 0) {
    environment.handles().erase(object->completion_queue);
    return make_number(env, environment.fail(abi::Code::Limit, "every handle is taken"));
  }
  return make_number(env, static_cast<double>(handle));
}

napi_value shared_receive_queue_completions(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const auto* object = find_queue(call.environment(), call.number(0));
  if (object == nullptr) return closed(call.environment());
  return make_number(env, static_cast<double>(object->completion_queue));
}

napi_value shared_receive_queue_free(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const auto* object = find_queue(call.environment(), call.number(0));
  return make_number(env, object == nullptr ? 0 : object->queue->queue()->receive_queue_free());
}

/** Posts one record; the region that it names must be open and of the queue's peer. */
core::Status post_record(const Environment& environment, const SharedReceiveQueueObject& queue,
                         const abi::Submission& record) {
  if (record.local_region == 0) return queue.queue->post(record, nullptr);
  const RegionObject* region = environment.find_region(record.local_region);
  if (region == nullptr) return core::Status::failure(abi::Code::Closed, "the local region");
  if (region->peer != queue.peer) return core::Status::failure(abi::Code::Foreign);
  return queue.queue->post(record, region->region);
}

napi_value shared_receive_queue_post(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  Environment& environment = call.environment();
  const auto* object = find_queue(environment, call.number(0));
  if (object == nullptr) return closed(environment);
  const std::span<const abi::Submission> records = environment.records().submissions;
  const std::uint64_t count = to_count(call.number(1), records.size());
  core::Status status;
  std::uint64_t accepted = 0;
  while (accepted < count) {
    status = post_record(environment, *object, records[accepted]);
    if (!status.ok()) break;
    accepted += 1;
  }
  const double failed = status.ok() ? 0 : environment.fail(status);
  return make_number(env, accepted > 0 ? static_cast<double>(accepted) : failed);
}

napi_value shared_receive_queue_close(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  Environment& environment = call.environment();
  const auto* object = find_queue(environment, call.number(0));
  if (object == nullptr) return closed(environment);
  const core::Status status = object->queue->queue()->close();
  if (!status.ok()) return make_number(env, environment.fail(status));
  // Its completion queue stays: the outcomes in it are the program's until it read them.
  environment.handles().erase(object->handle);
  return make_number(env, 0);
}

constexpr Method kMethods[] = {
    {"sharedReceiveQueueCreate", shared_receive_queue_create},
    {"sharedReceiveQueueCompletions", shared_receive_queue_completions},
    {"sharedReceiveQueueFree", shared_receive_queue_free},
    {"sharedReceiveQueuePost", shared_receive_queue_post},
    {"sharedReceiveQueueClose", shared_receive_queue_close},
};

}  // namespace

std::span<const Method> shared_receive_queue_methods() { return kMethods; }

}  // namespace rpma::addon
