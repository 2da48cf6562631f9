// SPDX-License-Identifier: BSD-3-Clause
//
// The binding's methods of completion queues. JavaScript thread only; poll and queueArm are hot.
// They also say who drives the queue's connections: queueArm, this environment's event loop; a
// consumer that polls and polls without arming, itself.

#include <utility>

#include "addon/arguments.h"
#include "addon/methods.h"

namespace rpma::addon {

namespace {

/**
 * A consumer that awaits polls until the queue is empty and arms again, so it sees one or two empty
 * polls in a row. More of them are a consumer that spins. Taking over earlier would move the
 * sockets between two epoll sets with every operation.
 */
constexpr std::uint32_t kEmptyPollsOfSpinner = 3;

napi_value closed(Environment& environment) {
  return make_number(environment.env(), environment.fail(abi::Code::Closed));
}

napi_value queue_create(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  Environment& environment = call.environment();
  auto* peer = environment.find<PeerObject>(call.number(0));
  if (peer == nullptr) return closed(environment);
  const auto size = static_cast<std::uint32_t>(to_count(call.number(1), UINT32_MAX));
  core::Result<std::shared_ptr<provider::CompletionQueue>> queue =
      peer->peer->device().create_completion_queue(size);
  if (!queue.ok()) return make_number(env, environment.fail(queue.status()));
  auto object = std::make_shared<QueueObject>();
  object->queue = std::move(queue).value();
  object->peer = environment.handles().share(peer);
  const Handle handle = environment.handles().insert(object);
  if (handle == 0) {
    return make_number(env, environment.fail(abi::Code::Limit, "every handle is taken"));
  }
  object->queue->set_notify({.notifier = environment.ready(), .token = handle});
  return make_number(env, static_cast<double>(handle));
}

napi_value queue_capacity(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const auto* object = call.environment().find<QueueObject>(call.number(0));
  if (object == nullptr) return closed(call.environment());
  return make_number(env, object->queue->capacity());
}

/** Nothing was found: false when something is there after all, or nothing will come any more. */
bool rearm(QueueObject& object) {
  provider::CompletionQueue* const queues[] = {object.queue.get()};
  return object.readiness->rearm(queues, object.is_private);
}

napi_value poll(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  Environment& environment = call.environment();
  auto* object = environment.find<QueueObject>(call.number(0));
  if (object == nullptr) return closed(environment);
  environment.kick_deferred();
  const std::span<abi::Completion> records = environment.records().completions;
  const auto most = static_cast<std::uint32_t>(to_count(call.number(1), records.size()));
  // Who has a descriptor may sleep on it, on any thread: the progress thread drives.
  if (object->empty_polls >= kEmptyPollsOfSpinner && !object->readiness) {
    object->queue->take_over(-1);
  }
  std::uint32_t count = object->queue->poll(records.data(), most);
  if (count == 0 && object->is_alone && !rearm(*object)) {
    count = object->queue->poll(records.data(), most);
  }
  // While it spins a hit does not end the spin: only arming does.
  if (count == 0) {
    object->empty_polls += object->empty_polls < kEmptyPollsOfSpinner ? 1 : 0;
  } else if (object->empty_polls < kEmptyPollsOfSpinner) {
    object->empty_polls = 0;
  }
  return make_number(env, count);
}

napi_value queue_arm(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  Environment& environment = call.environment();
  auto* object = environment.find<QueueObject>(call.number(0));
  if (object == nullptr) return closed(environment);
  environment.kick_deferred();
  object->empty_polls = 0;
  if (!object->readiness) object->queue->take_over(environment.ready()->epoll_fd());
  return make_number(env, object->queue->arm() ? 1 : 0);
}

napi_value queue_over(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const auto* object = call.environment().find<QueueObject>(call.number(0));
  if (object == nullptr) return closed(call.environment());
  return make_number(env, object->queue->over() ? 1 : 0);
}

napi_value queue_drained(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const auto* object = call.environment().find<QueueObject>(call.number(0));
  if (object == nullptr) return closed(call.environment());
  return make_number(env, object->queue->drained() ? 1 : 0);
}

napi_value queue_close(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  Environment& environment = call.environment();
  auto* object = environment.find<QueueObject>(call.number(0));
  if (object == nullptr) return closed(environment);
  object->queue->set_notify({});
  environment.handles().erase(object->handle);
  return make_number(env, 0);
}

constexpr Method kMethods[] = {
    {"queueCreate", queue_create},
    {"queueCapacity", queue_capacity},
    {"poll", poll},
    {"queueArm", queue_arm},
    {"queueOver", queue_over},
    {"queueDrained", queue_drained},
    {"queueClose", queue_close},
};

}  // namespace

std::span<const Method> queue_methods() { return kMethods; }

}  // namespace rpma::addon
