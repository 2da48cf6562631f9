// SPDX-License-Identifier: BSD-3-Clause
// See thread.h. The counter of live threads covers the time in which the body can touch memory.
#include "core/thread.h"

#include <csignal>
#include <cstring>
#include <memory>
#include <utility>

#include "core/assert.h"
#include "core/counters.h"
#include "core/fault_points.h"

namespace rpma::core {

namespace {

struct Start {
  std::function<void()> body;
  char name[16] = {};
  LiveCount live{counters().threads};
};

void* run(void* argument) {
  const std::unique_ptr<Start> start(static_cast<Start*>(argument));
  static_cast<void>(::pthread_setname_np(::pthread_self(), start->name));
  start->body();
  return nullptr;
}

// A new thread inherits the mask, so the creator blocks, creates and restores: no signal can
// arrive in the new thread before it could have blocked it itself.
int create_with_signals_blocked(pthread_t* handle, Start* start) {
  sigset_t blocked;
  sigset_t previous;
  sigfillset(&blocked);
  for (const int fault : {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS}) {
    sigdelset(&blocked, fault);
  }
  static_cast<void>(::pthread_sigmask(SIG_SETMASK, &blocked, &previous));
  // Its fault point is core.thread-create, in Thread::start.
  const int error = ::pthread_create(handle, nullptr, run, start);
  static_cast<void>(::pthread_sigmask(SIG_SETMASK, &previous, nullptr));
  return error;
}

}  // namespace

Result<Thread> Thread::start(const char* name, std::function<void()> body) {
  auto start = std::make_unique<Start>();
  start->body = std::move(body);
  std::strncpy(start->name, name, sizeof(start->name) - 1);
  const FaultAction fault = RPMA_FAULT_POINT("core.thread-create");
  Thread thread;
  const int error =
      fault.fail ? fault.err : create_with_signals_blocked(&thread.handle_, start.get());
  if (error != 0) return Status::from_errno(error, "pthread_create");
  static_cast<void>(start.release());  // the new thread owns it
  thread.running_ = true;
  return thread;
}

Thread::~Thread() { RPMA_ASSERT(!running_); }

Thread::Thread(Thread&& other) noexcept
    : handle_(other.handle_), running_(std::exchange(other.running_, false)) {}

Thread& Thread::operator=(Thread&& other) noexcept {
  RPMA_ASSERT(!running_);
  handle_ = other.handle_;
  running_ = std::exchange(other.running_, false);
  return *this;
}

bool Thread::is_current() const {
  return running_ && ::pthread_equal(handle_, ::pthread_self()) != 0;
}

void Thread::join() {
  RPMA_ASSERT(running_ && !is_current());
  static_cast<void>(::pthread_join(handle_, nullptr));
  running_ = false;
}

void Thread::detach() {
  RPMA_ASSERT(running_);
  static_cast<void>(::pthread_detach(handle_));
  running_ = false;
}

}  // namespace rpma::core
