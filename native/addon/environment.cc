// SPDX-License-Identifier: BSD-3-Clause
//
// See environment.h. This file: starting, waking and settling. The end of objects and of the
// environment itself is in environment_end.cc.

#include "addon/environment.h"

#include <sys/epoll.h>

#include <algorithm>
#include <utility>

#include "addon/arguments.h"
#include "core/clock.h"
#include "core/fault_points.h"
#include "core/log.h"

namespace rpma::addon {

namespace {

constexpr int kEventsPerWait = 64;

/** The records in an ArrayBuffer; empty when it is none or holds none. */
template <typename T>
std::span<T> records_in(napi_env env, napi_value buffer) {
  void* data = nullptr;
  std::size_t length = 0;
  bool is_buffer = false;
  if (napi_is_arraybuffer(env, buffer, &is_buffer) != napi_ok || !is_buffer ||
      napi_get_arraybuffer_info(env, buffer, &data, &length) != napi_ok) {
    return {};
  }
  return {static_cast<T*>(data), length / sizeof(T)};
}

}  // namespace

core::Status Environment::start(napi_value submissions, napi_value completions, napi_value ready,
                                napi_value on_wake) {
  if (started_) return core::Status::failure(abi::Code::State, "started already");
  napi_valuetype type = napi_undefined;
  if (napi_typeof(env_, on_wake, &type) != napi_ok || type != napi_function) {
    return core::Status::failure(abi::Code::InvalidArgType, "onWake is no function");
  }
  // First, so that whatever is made below is ended with the environment. A start that failed may be
  // tried again: what it made by then is kept.
  if (hook_ == nullptr &&
      (RPMA_FAULT_POINT("addon.cleanup-hook").fail ||
       napi_add_async_cleanup_hook(env_, on_clean_up, this, &hook_) != napi_ok)) {
    return core::Status::failure(abi::Code::NoMemory, "the engine took no hook for its end");
  }
  const core::Status taken = take_buffers(submissions, completions, ready);
  if (!taken.ok()) return taken;
  const core::Status callback = take_callback(on_wake);
  if (!callback.ok()) return callback;

  core::Result<std::shared_ptr<ReadyList>> list = ReadyList::create();
  if (!list.ok()) return list.status();
  ready_ = std::move(list).value();
  tasks_ = std::make_shared<TaskQueue>(ready_);
  handles_ = std::make_unique<HandleTable>(ready_);
  core::Result<std::unique_ptr<WakeUp>> wake_up = WakeUp::start(
      env_, ready_->epoll_fd(), [this] { on_readable(); }, [this] { kick_deferred(); });
  if (!wake_up.ok()) return wake_up.status();
  wake_up_ = std::move(wake_up).value();
  core::log_add_reader(ready_);
  started_ = true;
  return core::Status::success();
}

core::Status Environment::take_callback(napi_value on_wake) {
  if (context_ == nullptr &&
      (RPMA_FAULT_POINT("addon.async-init").fail ||
       napi_async_init(env_, nullptr, make_text(env_, "rpma"), &context_) != napi_ok)) {
    return core::Status::failure(abi::Code::NoMemory, "the engine made no context for callbacks");
  }
  if (on_wake_ == nullptr && (RPMA_FAULT_POINT("addon.reference").fail ||
                              napi_create_reference(env_, on_wake, 1, &on_wake_) != napi_ok)) {
    return core::Status::failure(abi::Code::NoMemory, "the engine made no reference to onWake");
  }
  return core::Status::success();
}

core::Status Environment::take_buffers(napi_value submissions, napi_value completions,
                                       napi_value ready) {
  const RecordBuffers records{.submissions = records_in<abi::Submission>(env_, submissions),
                              .completions = records_in<abi::Completion>(env_, completions),
                              .ready = records_in<abi::Ready>(env_, ready)};
  if (records.submissions.empty() || records.completions.empty() || records.ready.empty()) {
    return core::Status::failure(abi::Code::InvalidArgType, "no record buffer");
  }
  const napi_value buffers[] = {submissions, completions, ready};
  for (std::size_t i = 0; i < std::size(buffers); i += 1) {
    if (buffers_[i] != nullptr) continue;
    if (RPMA_FAULT_POINT("addon.reference").fail ||
        napi_create_reference(env_, buffers[i], 1, &buffers_[i]) != napi_ok) {
      return core::Status::failure(abi::Code::NoMemory,
                                   "the engine made no reference to a record buffer");
    }
  }
  records_ = records;
  return core::Status::success();
}

const std::shared_ptr<memory::PersistService>& Environment::persist_service() {
  if (!persist_service_) persist_service_ = memory::PersistService::process();
  return persist_service_;
}

void Environment::drive(int timeout_ms) {
  epoll_event events[kEventsPerWait];
  const int count = core::attempt(RPMA_FAULT_POINT("addon.epoll_wait"), [&] {
    return ::epoll_wait(ready_->epoll_fd(), events, kEventsPerWait, timeout_ms);
  });
  if (count <= 0) return;
  // What the connections notify meanwhile is found below by whoever called: no wake-up for it.
  const ReadyList::Driving driving(*ready_);
  const std::uint64_t deadline =
      count > 1 ? core::now_ns() + abi::kDrainMs * core::kNanosecondsPerMillisecond : 0;
  for (int i = 0; i < count; i += 1) {
    const std::uint64_t number = events[i].data.u64;
    if (number == 0) continue;  // the event descriptor: it only wakes
    if ((number & kEpollMark) != 0) {
      ready_->notify(number & ~kEpollMark);
      continue;
    }
    const auto found = connections_.equal_range(static_cast<std::uint32_t>(number));
    for (auto entry = found.first; entry != found.second; ++entry) {
      entry->second->connection->queue_pair().drive();
    }
    // The set is level-triggered: what is left out here is reported again by the next turn.
    if (deadline != 0 && core::now_ns() >= deadline) break;
  }
}

void Environment::collect() {
  while (ReadySlot* slot = ready_->take()) {
    Object* object = handles_->find_any(slot->handle.load(std::memory_order_acquire));
    if (object != nullptr && object->kind != abi::ObjectKind::Region) {
      pending_.push_back(slot);
      continue;
    }
    const Handle handle = ReadyList::release(slot);
    if (object != nullptr) quiet_.push_back(handle);
  }
}

std::uint32_t Environment::drain_ready() {
  if (!usable()) return 0;
  collect();
  if (has_settlements()) settle();
  std::uint32_t count = 0;
  if (core::log_readable(ready_.get())) {
    records_.ready[count] = {
        .handle = 0, .kind = static_cast<std::uint32_t>(abi::ReadyKind::Log), .reserved = 0};
    count += 1;
  }
  while (count < records_.ready.size() && pending_at_ < pending_.size()) {
    const Handle handle = ReadyList::release(pending_[pending_at_]);
    pending_at_ += 1;
    const Object* object = handles_->find_any(handle);
    if (object == nullptr) continue;  // closed meanwhile
    abi::ReadyKind kind = abi::ReadyKind::None;
    if (object->kind == abi::ObjectKind::Queue) kind = abi::ReadyKind::Completions;
    if (object->kind == abi::ObjectKind::Endpoint) kind = abi::ReadyKind::Endpoint;
    if (object->kind == abi::ObjectKind::Connection) kind = abi::ReadyKind::Events;
    if (object->kind == abi::ObjectKind::Epoll) kind = abi::ReadyKind::Epoll;
    if (kind == abi::ReadyKind::None) {
      // The slot has changed hands while it waited here, and what its new owner, a region, notified
      // meanwhile has no other entry on the list.
      quiet_.push_back(handle);
      continue;
    }
    records_.ready[count] = {.handle = static_cast<double>(handle),
                             .kind = static_cast<std::uint32_t>(kind),
                             .reserved = 0};
    count += 1;
  }
  if (pending_at_ == pending_.size()) {
    pending_.clear();
    pending_at_ = 0;
  }
  if (!quiet_.empty()) settle();
  return count;
}

void Environment::wait_ready(std::uint64_t timeout_ms) {
  if (!usable()) return;
  kick_deferred();
  const std::uint64_t deadline = core::now_ns() + std::min(timeout_ms, abi::kSyncWaitSliceMs) *
                                                      core::kNanosecondsPerMillisecond;
  for (;;) {
    ready_->clear_signal();
    collect();
    if (has_settlements()) settle();
    if (pending_at_ < pending_.size()) return;
    const std::uint64_t now = core::now_ns();
    if (now >= deadline) return;
    // Rounded up: a wait that ends too early would spin until the deadline.
    const std::uint64_t left = deadline - now + core::kNanosecondsPerMillisecond - 1;
    drive(static_cast<int>(left / core::kNanosecondsPerMillisecond));
  }
}

void Environment::on_readable() {
  drive(0);
  ready_->clear_signal();
  collect();
  if (ending_) {
    end_when_quiet();
    return;
  }
  const bool logged = core::log_readable(ready_.get());
  if (pending_.empty() && !has_settlements() && !logged) return;
  napi_handle_scope handle_scope = nullptr;
  if (RPMA_FAULT_POINT("addon.handle-scope").fail ||
      napi_open_handle_scope(env_, &handle_scope) != napi_ok) {
    ready_->signal();  // what is pending must not wait for the next notification
    return;
  }
  napi_callback_scope callback_scope = nullptr;
  // A callback scope runs the microtasks and ticks when it ends: awaited operations go on in this
  // turn of the loop.
  if (!RPMA_FAULT_POINT("addon.callback-scope").fail &&
      napi_open_callback_scope(env_, nullptr, context_, &callback_scope) == napi_ok) {
    if (has_settlements()) settle();
    if (!pending_.empty() || logged) call_on_wake();
    napi_close_callback_scope(env_, callback_scope);
  } else {
    ready_->signal();
  }
  napi_close_handle_scope(env_, handle_scope);
}

void Environment::call_on_wake() {
  napi_value on_wake = nullptr;
  if (napi_get_reference_value(env_, on_wake_, &on_wake) != napi_ok || on_wake == nullptr) return;
  napi_value result = nullptr;
  const napi_status called =
      napi_call_function(env_, make_undefined(env_), on_wake, 0, nullptr, &result);
  if (called == napi_pending_exception) {
    // What onWake throws is nobody else's to catch.
    napi_value error = nullptr;
    if (napi_get_and_clear_last_exception(env_, &error) == napi_ok) {
      napi_fatal_exception(env_, error);
    }
  }
}

void Environment::settle() {
  const std::vector<Handle> quiet = std::exchange(quiet_, {});
  for (const Handle handle : quiet) {
    Object* object = handles_->find_any(handle);
    if (object == nullptr || object->kind != abi::ObjectKind::Region) continue;
    auto* region = static_cast<RegionObject*>(object);
    if (region->closing && region->quiet->load(std::memory_order_acquire)) finish_region(region);
  }
  if (tasks_->empty()) return;
  for (const TaskQueue::Task& task : tasks_->take()) task(*this);
}

void Environment::defer_kick(ConnectionObject* connection) {
  if (connection->unkicked) return;
  connection->unkicked = true;
  unkicked_.push_back(connection->handle);
  wake_up_->request_before_sleep();
}

void Environment::kick_all() {
  for (const Handle handle : std::exchange(unkicked_, {})) {
    auto* connection = find<ConnectionObject>(static_cast<double>(handle));
    if (connection == nullptr) continue;
    connection->unkicked = false;
    connection->unkicked_count = 0;
    connection->unkicked_bytes = 0;
    connection->connection->kick();
  }
}

void Environment::set_referenced(bool on) {
  referenced_ = on;
  update_reference();
}

void Environment::promise_opened() {
  open_promises_ += 1;
  if (open_promises_ == 1) update_reference();
}

void Environment::promise_settled() {
  open_promises_ -= 1;
  if (open_promises_ == 0) update_reference();
}

void Environment::update_reference() {
  if (wake_up_) wake_up_->set_referenced(referenced_ || open_promises_ > 0);
}

void Environment::add_connection(ConnectionObject* connection) {
  connections_.emplace(connection->number, connection);
}

void Environment::remove_connection(ConnectionObject* connection) {
  const auto found = connections_.equal_range(connection->number);
  for (auto entry = found.first; entry != found.second; ++entry) {
    if (entry->second != connection) continue;
    connections_.erase(entry);
    return;
  }
}

}  // namespace rpma::addon
