// SPDX-License-Identifier: BSD-3-Clause
//
// See wake_up.h. The handle's memory belongs to WakeUp until close(), then to the loop, which gives
// it back in the close callback.

#include "addon/wake_up.h"

#include <uv.h>

#include <utility>

#include "core/assert.h"
#include "core/fault_points.h"

namespace rpma::addon {

struct WakeUp::Handle {
  uv_poll_t poll{};
  uv_prepare_t prepare{};
  bool requested = false;
  int open = 2;  // handles the loop still links
  std::function<void()> readable;
  std::function<void()> before_sleep;
  std::function<void()> closed;
};

core::Result<std::unique_ptr<WakeUp>> WakeUp::start(napi_env env, int fd,
                                                    std::function<void()> readable,
                                                    std::function<void()> before_sleep) {
  uv_loop_s* loop = nullptr;
  if (RPMA_FAULT_POINT("addon.event-loop").fail || napi_get_uv_event_loop(env, &loop) != napi_ok) {
    return core::Status::failure(abi::Code::State, "the environment has no event loop");
  }
  auto handle = std::make_unique<Handle>();
  handle->readable = std::move(readable);
  handle->before_sleep = std::move(before_sleep);
  const core::FaultAction fault = RPMA_FAULT_POINT("addon.uv_poll_init");
  const int refused = fault.fail ? -fault.err : uv_poll_init(loop, &handle->poll, fd);
  if (refused != 0) return core::Status::from_errno(-refused, "uv_poll_init");
  handle->poll.data = handle.get();
  // It cannot fail: the handle is open and the event mask is valid.
  uv_poll_start(&handle->poll, UV_READABLE,
                [](uv_poll_t* poll, int, int) { static_cast<Handle*>(poll->data)->readable(); });
  uv_unref(reinterpret_cast<uv_handle_t*>(&handle->poll));
  uv_prepare_init(loop, &handle->prepare);
  uv_unref(reinterpret_cast<uv_handle_t*>(&handle->prepare));
  handle->prepare.data = handle.get();
  return std::make_unique<WakeUp>(std::move(handle));
}

WakeUp::WakeUp(std::unique_ptr<Handle> handle) : handle_(std::move(handle)) {}

WakeUp::~WakeUp() {
  // Memory that the loop still links must not be given back.
  RPMA_ASSERT(handle_ == nullptr);
}

void WakeUp::set_referenced(bool on) {
  if (!handle_) return;
  auto* handle = reinterpret_cast<uv_handle_t*>(&handle_->poll);
  if (on) {
    uv_ref(handle);
  } else {
    uv_unref(handle);
  }
}

void WakeUp::request_before_sleep() {
  if (!handle_ || handle_->requested) return;
  handle_->requested = true;
  uv_prepare_start(&handle_->prepare, [](uv_prepare_t* prepare) {
    auto* handle = static_cast<Handle*>(prepare->data);
    uv_prepare_stop(prepare);
    handle->requested = false;
    handle->before_sleep();
  });
}

void WakeUp::close(std::function<void()> closed) {
  if (!handle_) return;
  handle_->closed = std::move(closed);
  Handle* handle = handle_.release();
  const uv_close_cb done = [](uv_handle_t* closing) {
    auto* ended = static_cast<Handle*>(closing->data);
    ended->open -= 1;
    if (ended->open > 0) return;
    const std::unique_ptr<Handle> owned(ended);
    if (owned->closed) owned->closed();
  };
  uv_close(reinterpret_cast<uv_handle_t*>(&handle->prepare), done);
  uv_close(reinterpret_cast<uv_handle_t*>(&handle->poll), done);
}

}  // namespace rpma::addon
