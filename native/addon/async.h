// SPDX-License-Identifier: BSD-3-Clause
//
// Promises. They never reject: they resolve with a number or with an error object. What blocks runs
// on a pool thread of Node (run_on_pool) or on a persist thread, which hands its end back through a
// TaskQueue; both ends run on the JavaScript thread.
#pragma once

#include <node_api.h>

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "addon/ready_list.h"
#include "core/status.h"

namespace rpma::addon {

class Environment;

/** Ends of work that other threads finished. push() from any thread; take() on the environment's.
 */
class TaskQueue {
 public:
  using Task = std::function<void(Environment&)>;

  explicit TaskQueue(std::shared_ptr<ReadyList> ready) : ready_(std::move(ready)) {}
  void push(Task task);
  /** Every task there is, in order. */
  std::vector<Task> take();
  bool empty() const { return count_.load(std::memory_order_acquire) == 0; }
  /** From here on tasks are dropped: their environment ended. */
  void close();

 private:
  std::shared_ptr<ReadyList> ready_;
  std::atomic<std::size_t> count_{0};
  std::mutex mutex_;
  bool closed_ = false;      // guarded by mutex_
  std::vector<Task> tasks_;  // guarded by mutex_
};

/** A promise and what settles it. Null when the engine could not make one: answer no_promise(). */
napi_value make_promise(napi_env env, napi_deferred* deferred);
/** What a method answers instead of a promise: the error itself, which may be awaited as well. */
napi_value no_promise(napi_env env);
void resolve_number(napi_env env, napi_deferred deferred, double number);
void resolve_error(napi_env env, napi_deferred deferred, const core::Status& status);
/** A promise that is resolved with the error already. */
napi_value resolved_error(napi_env env, const core::Status& status);
/** What the system refused, for the log; bad arguments and full queues are the caller's to see. */
void log_failure(const core::Status& status);
/** The object that JavaScript knows as NativeError. */
napi_value make_error(napi_env env, const core::Status& status);

/**
 * Runs work on a pool thread, then finish on the JavaScript thread, also when the environment is
 * ending. False (and neither runs) when the pool refuses.
 */
bool run_on_pool(Environment& environment, std::function<void()> work,
                 std::function<void(Environment&)> finish);

}  // namespace rpma::addon
