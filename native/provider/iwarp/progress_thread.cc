// SPDX-License-Identifier: BSD-3-Clause
//
// See progress_thread.h.
#include "provider/iwarp/progress_thread.h"

#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "abi.generated.h"
#include "core/clock.h"
#include "core/counters.h"
#include "core/fault_points.h"

namespace rpma::iwarp {
namespace {

constexpr std::uint64_t kWakeId = 0;
constexpr std::uint64_t kTakeBackNs = abi::kTakeBackMs * core::kNanosecondsPerMillisecond;

// Threads of this process that spin now; there is no sense in more of them than processors.
std::atomic<int>& spinners() {
  static std::atomic<int> count{0};
  return count;
}

int processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  const int looked = core::attempt(RPMA_FAULT_POINT("iwarp.sched-getaffinity"),
                                   [&set] { return ::sched_getaffinity(0, sizeof(set), &set); });
  return looked == 0 ? CPU_COUNT(&set) : 1;
}

}  // namespace

Result<std::shared_ptr<ProgressThread>> ProgressThread::start(std::uint64_t busy_poll_us) {
  core::FaultAction fault = RPMA_FAULT_POINT("iwarp.epoll_create1");
  Socket epoll(fault.fail ? (errno = fault.err, -1) : ::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.open()) return Status::from_errno(errno, "epoll_create1");
  fault = RPMA_FAULT_POINT("iwarp.eventfd");
  Socket event(fault.fail ? (errno = fault.err, -1) : ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!event.open()) return Status::from_errno(errno, "eventfd");
  epoll_event interest{};
  interest.events = EPOLLIN;
  interest.data.u64 = kWakeId;
  if (core::attempt(RPMA_FAULT_POINT("iwarp.epoll_ctl"), [&] {
        return ::epoll_ctl(epoll.fd(), EPOLL_CTL_ADD, event.fd(), &interest);
      }) != 0) {
    return Status::from_errno(errno, "epoll_ctl");
  }
  auto progress =
      std::make_shared<ProgressThread>(std::move(epoll), std::move(event), busy_poll_us);
  ProgressThread* self = progress.get();
  Result<core::Thread> thread = core::Thread::start("rpma-progress", [self] { self->run(); });
  if (!thread.ok()) return thread.status();
  progress->thread_ = std::move(thread).value();
  return progress;
}

ProgressThread::ProgressThread(Socket epoll, Socket event, std::uint64_t busy_poll_us)
    : epoll_(std::move(epoll)), event_(std::move(event)), busy_poll_ns_(busy_poll_us * 1000) {}

ProgressThread::~ProgressThread() { stop(); }

void ProgressThread::stop() {
  if (!thread_.running()) return;
  stopping_.store(true);
  wake();
  thread_.join();
  // Tasks posted at the last moment run here: what they would settle must not be lost.
  while (run_tasks()) {
  }
  // Destroyed outside the lock, as their owners may come back here.
  std::vector<Task> tasks;
  Timers timers;
  std::unordered_map<std::uint64_t, std::shared_ptr<SocketHandler>> handlers;
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  tasks.swap(tasks_);
  timers.swap(timers_);
  handlers.swap(handlers_);
  timer_places_.clear();
  lent_.clear();
}

void ProgressThread::wake() {
  if (woken_.exchange(true)) return;
  const std::uint64_t one = 1;
  ssize_t written = 0;
  do {
    written = core::attempt(RPMA_FAULT_POINT("iwarp.eventfd-write"),
                            [&] { return ::write(event_.fd(), &one, sizeof(one)); });
  } while (written < 0 && errno == EINTR);
}

void ProgressThread::post(Task task) {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    tasks_.push_back(std::move(task));
  }
  if (!is_current()) wake();
}

ProgressThread::TimerId ProgressThread::add_timer(std::uint64_t deadline_ns, Task task) {
  bool first = false;
  TimerId id = 0;
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return 0;
    id = next_timer_++;
    first = timers_.empty() || deadline_ns < timers_.begin()->first;
    timer_places_[id] = timers_.emplace(deadline_ns, std::pair(id, std::move(task)));
  }
  if (first && !is_current()) wake();
  return id;
}

bool ProgressThread::cancel_timer(TimerId id) {
  if (id == 0) return false;
  Task dropped;  // destroyed outside the lock: it may own objects with locks of their own
  const std::lock_guard lock(mutex_);
  const auto place = timer_places_.find(id);
  if (place == timer_places_.end()) return false;
  dropped = std::move(place->second->second.second);
  timers_.erase(place->second);
  timer_places_.erase(place);
  return true;
}

Status ProgressThread::add(std::uint64_t id, int fd, std::uint32_t events,
                           std::shared_ptr<SocketHandler> handler) {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return Status::failure(abi::Code::Closed, "the peer is closed");
    handlers_[id] = std::move(handler);
  }
  const Status status = resume(id, fd, events);
  if (!status.ok()) {
    const std::lock_guard lock(mutex_);
    handlers_.erase(id);
  }
  return status;
}

Status ProgressThread::resume(std::uint64_t id, int fd, std::uint32_t events) {
  epoll_event interest{};
  interest.events = events;
  interest.data.u64 = id;
  const core::FaultAction fault = RPMA_FAULT_POINT("iwarp.epoll_ctl");
  if (fault.fail ? (errno = fault.err, true)
                 : ::epoll_ctl(epoll_.fd(), EPOLL_CTL_ADD, fd, &interest) != 0) {
    return Status::from_errno(errno, "epoll_ctl");
  }
  return Status::success();
}

void ProgressThread::modify(std::uint64_t id, int fd, std::uint32_t events) {
  epoll_event interest{};
  interest.events = events;
  interest.data.u64 = id;
  static_cast<void>(::epoll_ctl(epoll_.fd(), EPOLL_CTL_MOD, fd, &interest));
}

void ProgressThread::suspend(int fd) {
  static_cast<void>(::epoll_ctl(epoll_.fd(), EPOLL_CTL_DEL, fd, nullptr));
}

void ProgressThread::remove(std::uint64_t id, int fd) {
  suspend(fd);
  std::shared_ptr<SocketHandler> forgotten;
  const std::lock_guard lock(mutex_);
  const auto found = handlers_.find(id);
  if (found == handlers_.end()) return;
  forgotten = std::move(found->second);
  handlers_.erase(found);
}

void ProgressThread::lend(std::weak_ptr<SocketHandler> handler) {
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    first = lent_.empty();
    if (first) lent_check_ns_ = core::now_ns() + kTakeBackNs;
    lent_.push_back(std::move(handler));
  }
  if (first && !is_current()) wake();
}

void ProgressThread::run() {
  const core::LiveCount live(core::counters().threads);
  while (!stopping_.load()) {
    const std::uint64_t now = core::now_ns();
    const int count = wait_for_events(now);
    if (count > 0) {
      core::count(core::counters().wake_ups);
      if (busy_poll_ns_ > 0) active_ns_ = core::now_ns();
      dispatch(count);
    }
    run_tasks();
    const std::uint64_t later = core::now_ns();
    run_timers(later);
    check_lent(later);
  }
}

int ProgressThread::wait_ms(std::uint64_t now) {
  const std::lock_guard lock(mutex_);
  if (!tasks_.empty()) return 0;
  std::uint64_t until = UINT64_MAX;
  if (!timers_.empty()) until = timers_.begin()->first;
  if (!lent_.empty()) until = std::min(until, lent_check_ns_);
  if (until == UINT64_MAX) return -1;
  if (until <= now) return 0;
  constexpr std::uint64_t kUnit = core::kNanosecondsPerMillisecond;
  return static_cast<int>(std::min<std::uint64_t>((until - now + kUnit - 1) / kUnit, 60'000));
}

bool ProgressThread::may_spin(std::uint64_t now) {
  if (busy_poll_ns_ == 0 || now - active_ns_ >= busy_poll_ns_) return false;
  const std::lock_guard lock(mutex_);
  return lent_.empty();  // a thread of the program polls: it must not compete with us
}

int ProgressThread::wait_for_events(std::uint64_t now) {
  if (may_spin(now)) {
    const bool alone = spinners().fetch_add(1) < processors();
    const int count = alone ? spin() : 0;
    spinners().fetch_sub(1);
    if (count > 0) return count;
  }
  return core::attempt(RPMA_FAULT_POINT("iwarp.epoll_wait"), [this] {
    return ::epoll_wait(epoll_.fd(), events_.data(), kEventsPerWait, wait_ms(core::now_ns()));
  });
}

void ProgressThread::stay_active() { active_ns_ = core::now_ns(); }

/** Looks at the sockets that were busy last, and now and then at all; ends when nothing comes. */
int ProgressThread::spin() {
  std::vector<std::shared_ptr<SocketHandler>> hot;
  for (const std::weak_ptr<SocketHandler>& weak : hot_) {
    if (auto handler = weak.lock()) hot.push_back(std::move(handler));
  }
  for (int round = 0; !stopping_.load(std::memory_order_relaxed); ++round) {
    for (const std::shared_ptr<SocketHandler>& handler : hot) handler->on_spin();
    if (!hot.empty() && round % kRoundsPerLook != 0) continue;
    const std::uint64_t now = core::now_ns();
    const int count = core::attempt(RPMA_FAULT_POINT("iwarp.epoll_wait"), [this] {
      return ::epoll_wait(epoll_.fd(), events_.data(), kEventsPerWait, 0);
    });
    if (count > 0 || !may_spin(now) || wait_ms(now) == 0) return count;
  }
  return 0;
}

void ProgressThread::dispatch(int count) {
  const bool spins = busy_poll_ns_ > 0;
  std::vector<std::weak_ptr<SocketHandler>> hot;
  for (int i = 0; i < count; ++i) {
    const std::uint64_t id = events_[static_cast<std::size_t>(i)].data.u64;
    if (id == kWakeId) {
      std::uint64_t value = 0;
      // In this order, and before the tasks are looked at: who finds woken_ set and does not write
      // has queued its task before, and the exchange makes us see it.
      static_cast<void>(core::attempt(RPMA_FAULT_POINT("iwarp.eventfd-read"),
                                      [&] { return ::read(event_.fd(), &value, sizeof(value)); }));
      static_cast<void>(woken_.exchange(false));
      continue;
    }
    std::shared_ptr<SocketHandler> handler;
    {
      const std::lock_guard lock(mutex_);
      const auto found = handlers_.find(id);
      if (found != handlers_.end()) handler = found->second;
    }
    if (!handler) continue;
    handler->on_ready(events_[static_cast<std::size_t>(i)].events);
    if (spins && hot.size() < kHotMax) hot.push_back(handler);
  }
  if (!hot.empty()) hot_ = std::move(hot);
}

bool ProgressThread::run_tasks() {
  std::vector<Task> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(tasks_);
  }
  for (Task& task : tasks) task();
  return !tasks.empty();
}

void ProgressThread::run_timers(std::uint64_t now) {
  for (;;) {
    Task task;
    {
      const std::lock_guard lock(mutex_);
      if (timers_.empty() || timers_.begin()->first > now) return;
      task = std::move(timers_.begin()->second.second);
      timer_places_.erase(timers_.begin()->second.first);
      timers_.erase(timers_.begin());
    }
    task();
  }
}

void ProgressThread::check_lent(std::uint64_t now) {
  std::vector<std::weak_ptr<SocketHandler>> lent;
  {
    const std::lock_guard lock(mutex_);
    if (lent_.empty() || now < lent_check_ns_) return;
    lent.swap(lent_);
  }
  std::erase_if(lent, [now](const std::weak_ptr<SocketHandler>& weak) {
    const std::shared_ptr<SocketHandler> handler = weak.lock();
    return handler == nullptr || handler->take_back(now);
  });
  const std::lock_guard lock(mutex_);
  for (std::weak_ptr<SocketHandler>& handler : lent) lent_.push_back(std::move(handler));
  lent_check_ns_ = core::now_ns() + kTakeBackNs;
}

}  // namespace rpma::iwarp
