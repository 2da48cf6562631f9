// SPDX-License-Identifier: BSD-3-Clause
//
// One environment (the main thread or a worker): its handles, its record buffers, its wake-up, and
// its end. Everything runs on its JavaScript thread; other threads reach it only through the
// ReadyList and the TaskQueue, which they share and which outlive it. It owns handles, not native
// objects: those are shared with the library's threads. Made by start(), ended by Node's clean-up
// hook, deleted with the addon's instance data.
#pragma once

#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "abi.generated.h"
#include "addon/async.h"
#include "addon/handle_table.h"
#include "addon/objects.h"
#include "addon/ready_list.h"
#include "addon/wake_up.h"
#include "core/status.h"
#include "memory/persist_service.h"

namespace rpma::addon {

struct RecordBuffers {
  std::span<abi::Submission> submissions;
  std::span<abi::Completion> completions;
  std::span<abi::Ready> ready;
};

/** In the environment's epoll set: the other bits of the data are an Epoll's handle. */
inline constexpr std::uint64_t kEpollMark = std::uint64_t{1} << 63;

class Environment {
 public:
  explicit Environment(napi_env env) : env_(env) {}
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  napi_env env() const { return env_; }

  /** Once: takes the record buffers and the function that a wake-up calls. */
  core::Status start(napi_value submissions, napi_value completions, napi_value ready,
                     napi_value on_wake);
  bool usable() const { return started_ && !ending_; }

  const RecordBuffers& records() const { return records_; }
  const std::shared_ptr<ReadyList>& ready() const { return ready_; }
  const std::shared_ptr<TaskQueue>& tasks() const { return tasks_; }
  const std::shared_ptr<memory::PersistService>& persist_service();

  /** What a number names, and is not closing; null otherwise, always before start(). */
  template <typename T>
  T* find(double number) const {
    return handles_ ? handles_->find<T>(number) : nullptr;
  }
  RegionObject* find_region(double number) const {
    auto* region = find<RegionObject>(number);
    return region == nullptr || region->closing ? nullptr : region;
  }
  FileObject* find_file(double number) const {
    auto* file = find<FileObject>(number);
    return file == nullptr || file->closing ? nullptr : file;
  }
  HandleTable& handles() { return *handles_; }

  /** Remembers the cause for lastError() and returns the negated number of its code. */
  double fail(const core::Status& status) {
    log_failure(status);
    last_error_ = status;
    return -static_cast<double>(status.code);
  }
  double fail(abi::Code code, const char* detail = nullptr) {
    return fail(core::Status::failure(code, detail));
  }
  const core::Status& last_error() const { return last_error_; }

  // Waking.

  /** Drives what is in the environment's epoll set, waiting at most timeout_ms for it. */
  void drive(int timeout_ms);
  /** Copies what is ready into the ready records; returns how many. */
  std::uint32_t drain_ready();
  void wait_ready(std::uint64_t timeout_ms);
  void set_referenced(bool on);
  /**
   * On-error operations need no system call of their own: they leave with the next signalled one,
   * the next poll or wait, or before the loop sleeps, whichever is first.
   */
  void defer_kick(ConnectionObject* connection);
  void kick_deferred() {
    if (!unkicked_.empty()) kick_all();
  }
  /** While promises of native work are open, the wake-up keeps the loop alive. */
  void promise_opened();
  void promise_settled();

  // The life of objects that ends later than the call that ends it.

  void add_connection(ConnectionObject* connection);
  void remove_connection(ConnectionObject* connection);
  /** Revokes it; the rest happens when it is quiet. deferred: null when nobody waits. */
  void close_region(RegionObject* region, napi_deferred deferred);
  /** Ends it now when no persist runs, else when the last has ended. */
  void unmap_file(FileObject* file, napi_deferred deferred);
  void persist_ended(const std::shared_ptr<FileObject>& file);
  void close_peer(PeerObject* peer);

 private:
  core::Status take_callback(napi_value on_wake);
  core::Status take_buffers(napi_value submissions, napi_value completions, napi_value ready);
  void on_readable();
  void kick_all();
  /** Sorts what was notified: our own to quiet_, JavaScript's to pending_. */
  void collect();
  bool has_settlements() const { return !quiet_.empty() || !tasks_->empty(); }
  void settle();
  void call_on_wake();
  void finish_region(RegionObject* region);
  void finish_unmap(FileObject* file);
  void update_reference();

  // The end.
  static void on_clean_up(napi_async_cleanup_hook_handle hook, void* data);
  void end();
  void close_everything();
  void end_when_quiet();

  // Destroyed from the last to the first: the handles let go of the native objects before the
  // service that their last persists need and the descriptors that they notify.
  const napi_env env_;
  core::Status last_error_;
  bool started_ = false;
  bool ending_ = false;
  bool referenced_ = false;
  std::uint32_t open_promises_ = 0;
  napi_async_cleanup_hook_handle hook_ = nullptr;
  napi_async_context context_ = nullptr;
  napi_ref on_wake_ = nullptr;
  napi_ref buffers_[3] = {};
  RecordBuffers records_;
  std::shared_ptr<ReadyList> ready_;
  std::shared_ptr<TaskQueue> tasks_;
  std::unique_ptr<WakeUp> wake_up_;
  std::shared_ptr<memory::PersistService> persist_service_;
  std::vector<ReadySlot*> pending_;  // ready for JavaScript, from pending_at_ on
  std::size_t pending_at_ = 0;
  std::vector<Handle> unkicked_;  // connections with on-error operations that were not sent yet
  std::vector<Handle> quiet_;     // regions that nothing uses any more
  std::unique_ptr<HandleTable> handles_;
  // By the number that is their data in the epoll set; devices number by themselves.
  std::unordered_multimap<std::uint32_t, ConnectionObject*> connections_;
};

}  // namespace rpma::addon
