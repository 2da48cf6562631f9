// SPDX-License-Identifier: BSD-3-Clause
//
// See async.h.

#include "addon/async.h"

#include <utility>

#include "addon/arguments.h"
#include "addon/environment.h"
#include "core/fault_points.h"
#include "core/log.h"

namespace rpma::addon {

void TaskQueue::push(Task task) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (closed_) return;
    tasks_.push_back(std::move(task));
    count_.store(tasks_.size(), std::memory_order_release);
  }
  ready_->signal();
}

std::vector<TaskQueue::Task> TaskQueue::take() {
  const std::lock_guard<std::mutex> lock(mutex_);
  count_.store(0, std::memory_order_release);
  return std::exchange(tasks_, {});
}

void TaskQueue::close() {
  std::vector<Task> dropped;
  const std::lock_guard<std::mutex> lock(mutex_);
  closed_ = true;
  count_.store(0, std::memory_order_release);
  dropped = std::exchange(tasks_, {});
}

napi_value make_promise(napi_env env, napi_deferred* deferred) {
  napi_value promise = nullptr;
  if (RPMA_FAULT_POINT("addon.promise").fail) return nullptr;
  return napi_create_promise(env, deferred, &promise) == napi_ok ? promise : nullptr;
}

napi_value no_promise(napi_env env) {
  return make_error(env, core::Status::failure(abi::Code::NoMemory, "the engine made no promise"));
}

void resolve_number(napi_env env, napi_deferred deferred, double number) {
  // It fails only in an environment that is ending, where nobody waits any more.
  napi_resolve_deferred(env, deferred, make_number(env, number));
}

void resolve_error(napi_env env, napi_deferred deferred, const core::Status& status) {
  log_failure(status);
  napi_resolve_deferred(env, deferred, make_error(env, status));
}

napi_value resolved_error(napi_env env, const core::Status& status) {
  napi_deferred deferred = nullptr;
  napi_value promise = make_promise(env, &deferred);
  if (promise == nullptr) return make_error(env, status);
  resolve_error(env, deferred, status);
  return promise;
}

void log_failure(const core::Status& status) {
  if (status.sys_errno == 0) return;
  RPMA_LOG(Error, "a call failed: %s", core::StatusText(status).text());
}

napi_value make_error(napi_env env, const core::Status& status) {
  napi_value object = make_object(env);
  set_property(env, object, "status", make_number(env, static_cast<double>(status.code)));
  set_property(env, object, "errno", make_number(env, status.sys_errno));
  set_property(env, object, "syscall",
               make_text(env, status.syscall != nullptr ? status.syscall : ""));
  set_property(env, object, "detail",
               make_text(env, status.detail != nullptr ? status.detail : ""));
  return object;
}

namespace {

struct PoolWork {
  Environment* environment = nullptr;  // outlives it: Node waits for the pool before it ends one
  napi_async_work work = nullptr;
  std::function<void()> run;
  std::function<void(Environment&)> finish;
};

void pool_execute(napi_env, void* data) { static_cast<PoolWork*>(data)->run(); }

void pool_complete(napi_env env, napi_status, void* data) {
  const std::unique_ptr<PoolWork> work(static_cast<PoolWork*>(data));
  napi_delete_async_work(env, work->work);
  work->finish(*work->environment);
}

}  // namespace

bool run_on_pool(Environment& environment, std::function<void()> run,
                 std::function<void(Environment&)> finish) {
  napi_env env = environment.env();
  auto work = std::make_unique<PoolWork>();
  work->environment = &environment;
  work->run = std::move(run);
  work->finish = std::move(finish);
  if (RPMA_FAULT_POINT("addon.async-work").fail ||
      napi_create_async_work(env, nullptr, make_text(env, "rpma"), pool_execute, pool_complete,
                             work.get(), &work->work) != napi_ok) {
    return false;
  }
  if (RPMA_FAULT_POINT("addon.queue-work").fail ||
      napi_queue_async_work(env, work->work) != napi_ok) {
    napi_delete_async_work(env, work->work);
    return false;
  }
  static_cast<void>(work.release());  // pool_complete's from here on
  return true;
}

}  // namespace rpma::addon
