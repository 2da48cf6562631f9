// SPDX-License-Identifier: BSD-3-Clause
//
// The environment's handles in the event loop: one watches one descriptor, the environment's own
// epoll set; the other runs once, on request, before the loop sleeps. JavaScript thread only.
// wake_up.cc alone includes uv.h.
#pragma once

#include <node_api.h>

#include <functional>
#include <memory>

#include "core/result.h"

namespace rpma::addon {

class WakeUp {
 public:
  struct Handle;

  /** readable runs in a turn of the loop, outside of any callback scope. It begins unreferenced. */
  static core::Result<std::unique_ptr<WakeUp>> start(napi_env env, int fd,
                                                     std::function<void()> readable,
                                                     std::function<void()> before_sleep);
  explicit WakeUp(std::unique_ptr<Handle> handle);
  ~WakeUp();
  WakeUp(const WakeUp&) = delete;
  WakeUp& operator=(const WakeUp&) = delete;

  /** Whether it keeps the loop, and with it the process, alive. */
  void set_referenced(bool on);
  /** before_sleep runs once, before the loop looks for events again. */
  void request_before_sleep();
  /**
   * Stops watching; closed runs in a later turn of the loop. A handle left open when its
   * environment ends aborts the process.
   */
  void close(std::function<void()> closed);

 private:
  std::unique_ptr<Handle> handle_;  // the loop's from close() on
};

}  // namespace rpma::addon
