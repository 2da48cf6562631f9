// SPDX-License-Identifier: BSD-3-Clause
// Thread: a named thread whose start can fail with a status (std::thread can only throw). All
// asynchronous signals are blocked in it, so that the program's handlers run on its own threads;
// faults (SIGBUS, SIGSEGV and their kind) stay open, for the guards need them.
#pragma once

#include <pthread.h>

#include <functional>

#include "core/result.h"

namespace rpma::core {

class Thread {
 public:
  // The name is cut at 15 characters, the kernel's limit.
  static Result<Thread> start(const char* name, std::function<void()> body);

  Thread() = default;
  ~Thread();  // a thread neither joined nor detached is a defect
  Thread(Thread&& other) noexcept;
  Thread& operator=(Thread&& other) noexcept;
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;

  [[nodiscard]] bool running() const { return running_; }
  [[nodiscard]] bool is_current() const;
  void join();
  void detach();

 private:
  pthread_t handle_{};
  bool running_ = false;
};

}  // namespace rpma::core
