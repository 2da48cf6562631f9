// SPDX-License-Identifier: BSD-3-Clause
//
// The binding's methods of readiness (the descriptor of an endpoint, a connection's events, a queue
// or a channel) and of Epoll. JavaScript thread only. See docs/internals/waiting.md.

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "addon/arguments.h"
#include "addon/methods.h"

namespace rpma::addon {

namespace {

constexpr double kSafeMax = 9007199254740991.0;

napi_value closed(Environment& environment) {
  return make_number(environment.env(), environment.fail(abi::Code::Closed));
}

napi_value answer(Environment& environment, const core::Status& status) {
  return make_number(environment.env(), status.ok() ? 0 : environment.fail(status));
}

/** A handle for it; a negated status when every handle is taken. */
napi_value named(Environment& environment, const std::shared_ptr<Object>& object) {
  const Handle handle = environment.handles().insert(object);
  if (handle == 0) {
    return make_number(environment.env(),
                       environment.fail(abi::Code::Limit, "every handle is taken"));
  }
  return make_number(environment.env(), static_cast<double>(handle));
}

// Readiness.

napi_value readiness_create(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  Environment& environment = call.environment();
  if (!environment.usable()) return closed(environment);
  core::Result<std::shared_ptr<rma::Readiness>> made = rma::Readiness::create(environment.ready());
  if (!made.ok()) return answer(environment, made.status());
  auto object = std::make_shared<ReadinessObject>();
  object->readiness = std::move(made).value();
  return named(environment, object);
}

napi_value readiness_fd(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const auto* object = call.environment().find<ReadinessObject>(call.number(0));
  if (object == nullptr) return closed(call.environment());
  return make_number(env, object->readiness->fd());
}

napi_value readiness_watch(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  Environment& environment = call.environment();
  const auto* object = environment.find<ReadinessObject>(call.number(0));
  if (object == nullptr) return closed(environment);
  const std::shared_ptr<rma::Readiness>& readiness = object->readiness;
  const auto target_of = [&readiness](const Object& watched) {
    return provider::NotifyTarget{.notifier = readiness, .token = watched.handle};
  };
  if (auto* endpoint = environment.find<EndpointObject>(call.number(1))) {
    endpoint->listener->set_notify(target_of(*endpoint));
  } else if (auto* connection = environment.find<ConnectionObject>(call.number(1))) {
    connection->connection->queue_pair().set_notify(target_of(*connection));
  } else if (auto* queue = environment.find<QueueObject>(call.number(1))) {
    queue->queue->set_notify(target_of(*queue));
    queue->readiness = readiness;
    queue->is_alone = to_bool(env, call.value(2));
    // From here on whoever sleeps may do so on any thread, while this one is blocked.
    queue->queue->give_back();
  } else {
    return closed(environment);
  }
  return make_number(env, 0);
}

napi_value readiness_rearm(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  Environment& environment = call.environment();
  const auto* object = environment.find<ReadinessObject>(call.number(0));
  if (object == nullptr) return closed(environment);
  std::array<provider::CompletionQueue*, 2> queues{};
  std::size_t count = 0;
  bool end = true;
  for (const double handle : {call.number(1), call.number(2)}) {
    const auto* queue = environment.find<QueueObject>(handle);
    if (queue == nullptr) continue;
    queues[count++] = queue->queue.get();
    end = end && queue->is_private;
  }
  const bool armed = object->readiness->rearm(std::span(queues).first(count), end);
  return make_number(env, armed ? 1 : 0);
}

napi_value readiness_raise(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const auto* object = call.environment().find<ReadinessObject>(call.number(0));
  if (object == nullptr) return closed(call.environment());
  object->readiness->raise();
  return make_number(env, 0);
}

napi_value readiness_clear(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const auto* object = call.environment().find<ReadinessObject>(call.number(0));
  if (object == nullptr) return closed(call.environment());
  object->readiness->clear();
  return make_number(env, 0);
}

napi_value readiness_close(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  Environment& environment = call.environment();
  const auto* object = environment.find<ReadinessObject>(call.number(0));
  if (object == nullptr) return closed(environment);
  environment.handles().erase(object->handle);
  return make_number(env, 0);
}

// Epoll.

napi_value epoll_create(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  Environment& environment = call.environment();
  if (!environment.usable()) return closed(environment);
  const core::Result<int> fd = EpollSet::make_descriptor();
  if (!fd.ok()) return answer(environment, fd.status());
  return named(environment, std::make_shared<EpollObject>(*fd));
}

napi_value epoll_fd(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const auto* object = call.environment().find<EpollObject>(call.number(0));
  if (object == nullptr) return closed(call.environment());
  return make_number(env, object->set.fd());
}

template <EpollSet::Change kChange>
napi_value epoll_change(napi_env env, napi_callback_info info) {
  const Call<4> call(env, info);
  Environment& environment = call.environment();
  auto* object = environment.find<EpollObject>(call.number(0));
  if (object == nullptr) return closed(environment);
  const auto fd = static_cast<int>(to_count(call.number(1), INT32_MAX));
  const auto interest = static_cast<std::uint32_t>(to_count(call.number(2), UINT32_MAX));
  const std::uint64_t id = to_count(call.number(3), static_cast<std::uint64_t>(kSafeMax));
  return answer(environment, object->set.change(kChange, fd, interest, id));
}

napi_value epoll_poll(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  Environment& environment = call.environment();
  auto* object = environment.find<EpollObject>(call.number(0));
  if (object == nullptr) return closed(environment);
  void* data = nullptr;
  std::size_t length = 0;
  if (napi_get_arraybuffer_info(env, call.value(2), &data, &length) != napi_ok) {
    return make_number(env, environment.fail(abi::Code::InvalidArgType, "no record buffer"));
  }
  environment.kick_deferred();
  const std::span events(static_cast<abi::EpollEvent*>(data), length / sizeof(abi::EpollEvent));
  const auto most = static_cast<std::size_t>(to_count(call.number(1), events.size()));
  return make_number(env, object->set.poll(events.first(most)));
}

napi_value epoll_block(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  Environment& environment = call.environment();
  auto* object = environment.find<EpollObject>(call.number(0));
  if (object == nullptr) return closed(environment);
  environment.kick_deferred();
  object->set.block(to_count(call.number(1), abi::kSyncWaitSliceMs));
  return make_number(env, 0);
}

napi_value epoll_arm(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  Environment& environment = call.environment();
  auto* object = environment.find<EpollObject>(call.number(0));
  if (object == nullptr) return closed(environment);
  environment.kick_deferred();
  return answer(environment,
                object->set.join(environment.ready()->epoll_fd(), kEpollMark | object->handle));
}

napi_value epoll_close(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  Environment& environment = call.environment();
  const auto* object = environment.find<EpollObject>(call.number(0));
  if (object == nullptr) return closed(environment);
  environment.handles().erase(object->handle);
  return make_number(env, 0);
}

constexpr Method kMethods[] = {
    {"readinessCreate", readiness_create},
    {"readinessFd", readiness_fd},
    {"readinessWatch", readiness_watch},
    {"readinessRearm", readiness_rearm},
    {"readinessRaise", readiness_raise},
    {"readinessClear", readiness_clear},
    {"readinessClose", readiness_close},
    {"epollCreate", epoll_create},
    {"epollFd", epoll_fd},
    {"epollAdd", epoll_change<EpollSet::Change::Add>},
    {"epollModify", epoll_change<EpollSet::Change::Modify>},
    {"epollRemove", epoll_change<EpollSet::Change::Remove>},
    {"epollPoll", epoll_poll},
    {"epollBlock", epoll_block},
    {"epollArm", epoll_arm},
    {"epollClose", epoll_close},
};

}  // namespace

std::span<const Method> waiting_methods() { return kMethods; }

}  // namespace rpma::addon
