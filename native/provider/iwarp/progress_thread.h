// SPDX-License-Identifier: BSD-3-Clause
//
// The thread that makes a device progress by itself: an epoll loop with timers, tasks, and the
// connections that are lent to drivers on other threads. It sleeps when nothing happens; with an
// idle process it has no periodic wake-up at all. See docs/internals/progress.md.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "core/thread.h"
#include "provider/iwarp/socket.h"

namespace rpma::iwarp {

/** Something with a socket in the thread's epoll set. */
class SocketHandler {
 public:
  virtual ~SocketHandler() = default;
  /** On the progress thread. */
  virtual void on_ready(std::uint32_t events) = 0;
  /** While the thread spins: looks for work without waiting for readiness. */
  virtual void on_spin() {}
  /** Of one that is lent: takes itself back when its driver rests; false while it stays lent. */
  virtual bool take_back(std::uint64_t now_ns) {
    static_cast<void>(now_ns);
    return true;
  }
};

class ProgressThread {
 public:
  using Task = std::function<void()>;
  using TimerId = std::uint64_t;  // 0: none

  static Result<std::shared_ptr<ProgressThread>> start(std::uint64_t busy_poll_us);
  ProgressThread(Socket epoll, Socket event, std::uint64_t busy_poll_us);
  ~ProgressThread();
  ProgressThread(const ProgressThread&) = delete;
  ProgressThread& operator=(const ProgressThread&) = delete;

  /** Runs what is queued, stops, joins. Not from the thread itself. */
  void stop();

  // Everything below may be called from any thread. Once stopped, tasks, timers and handlers are
  // dropped.
  [[nodiscard]] bool is_current() const { return thread_.is_current(); }
  void post(Task task);
  TimerId add_timer(std::uint64_t deadline_ns, Task task);
  /** False when it ran, runs or never was. */
  bool cancel_timer(TimerId id);
  /** An id for add(), never used again. */
  [[nodiscard]] std::uint64_t next_id() { return next_id_.fetch_add(1); }
  Status add(std::uint64_t id, int fd, std::uint32_t events,
             std::shared_ptr<SocketHandler> handler);
  void modify(std::uint64_t id, int fd, std::uint32_t events);
  /** Something happened to a handler without readiness: the thread goes on spinning. Of the thread.
   */
  void stay_active();
  /** Out of the epoll set; the handler stays known (it is lent). */
  void suspend(int fd);
  Status resume(std::uint64_t id, int fd, std::uint32_t events);
  /** Out of the set and forgotten. */
  void remove(std::uint64_t id, int fd);
  /** Sockets in their last moments; linger.cc keeps the count. Of the thread. */
  [[nodiscard]] std::uint32_t& lingering() { return lingering_; }
  /** Watches, every abi::kTakeBackMs, that the driver which took the handler over does not rest. */
  void lend(std::weak_ptr<SocketHandler> handler);

 private:
  void run();
  int wait_ms(std::uint64_t now);
  int wait_for_events(std::uint64_t now);
  int spin();
  bool may_spin(std::uint64_t now);
  void dispatch(int count);
  bool run_tasks();
  void run_timers(std::uint64_t now);
  void check_lent(std::uint64_t now);
  void wake();

  static constexpr int kEventsPerWait = 64;
  static constexpr std::size_t kHotMax = 4;
  static constexpr int kRoundsPerLook = 16;

  Socket epoll_;
  Socket event_;
  const std::uint64_t busy_poll_ns_;
  std::array<epoll_event, kEventsPerWait> events_;  // of this thread
  // Of this thread: when something last happened, and the handlers that it happened to.
  std::uint64_t active_ns_ = 0;
  std::vector<std::weak_ptr<SocketHandler>> hot_;
  std::uint32_t lingering_ = 0;
  std::atomic<std::uint64_t> next_id_{1};
  std::atomic<bool> woken_{false};
  std::atomic<bool> stopping_{false};

  std::mutex mutex_;      // guards what follows; held for moments only, never while calling out
  bool stopped_ = false;  // nothing is taken any more: it would keep its owner alive for ever
  std::vector<Task> tasks_;
  using Timers = std::multimap<std::uint64_t, std::pair<TimerId, Task>>;
  Timers timers_;
  std::unordered_map<TimerId, Timers::iterator> timer_places_;
  TimerId next_timer_ = 1;
  std::unordered_map<std::uint64_t, std::shared_ptr<SocketHandler>> handlers_;
  std::vector<std::weak_ptr<SocketHandler>> lent_;
  std::uint64_t lent_check_ns_ = 0;

  core::Thread thread_;
};

}  // namespace rpma::iwarp
