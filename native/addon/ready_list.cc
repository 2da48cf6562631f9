// SPDX-License-Identifier: BSD-3-Clause
//
// See ready_list.h. Publish then test: a notifier puts its slot on the list, then looks whether a
// wake-up is under way; the environment clears the wake-up, then takes the list. Both sequentially
// consistent, so at least one of the two sees the other and no wake-up is lost.

#include "addon/ready_list.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "core/counters.h"
#include "core/fault_points.h"

namespace rpma::addon {

core::Result<std::shared_ptr<ReadyList>> ReadyList::create() {
  const int epoll_fd = core::attempt(RPMA_FAULT_POINT("addon.epoll_create1"),
                                     [] { return ::epoll_create1(EPOLL_CLOEXEC); });
  if (epoll_fd < 0) return core::Status::from_errno(errno, "epoll_create1");
  const int event_fd = core::attempt(RPMA_FAULT_POINT("addon.eventfd"),
                                     [] { return ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); });
  if (event_fd < 0) {
    const int error = errno;
    ::close(epoll_fd);
    return core::Status::from_errno(error, "eventfd");
  }
  // Edge-triggered: each write is reported once, so the descriptor never has to be read.
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = 0;
  if (core::attempt(RPMA_FAULT_POINT("addon.epoll_ctl"),
                    [&] { return ::epoll_ctl(epoll_fd, EPOLL_CTL_ADD, event_fd, &event); }) != 0) {
    const int error = errno;
    ::close(event_fd);
    ::close(epoll_fd);
    return core::Status::from_errno(error, "epoll_ctl");
  }
  return std::make_shared<ReadyList>(epoll_fd, event_fd);
}

ReadyList::ReadyList(int epoll_fd, int event_fd)
    : epoll_fd_(epoll_fd), event_fd_(event_fd), thread_(std::this_thread::get_id()) {
  core::count(core::counters().descriptors, 2);
}

ReadyList::~ReadyList() {
  ::close(event_fd_);
  ::close(epoll_fd_);
  core::count(core::counters().descriptors, -2);
}

ReadySlot* ReadyList::find(Handle handle) const {
  const std::uint32_t index = handle_index(handle);
  Chunk* chunk = chunks_[index / kChunkSlots].load(std::memory_order_acquire);
  return chunk == nullptr ? nullptr : &(*chunk)[index % kChunkSlots];
}

void ReadyList::notify(std::uint64_t token) {
  ReadySlot* slot = find(token);
  if (slot == nullptr || slot->handle.load(std::memory_order_acquire) != token) return;
  if (slot->queued.exchange(true, std::memory_order_seq_cst)) return;
  ReadySlot* newest = newest_.load(std::memory_order_relaxed);
  do {
    slot->next = newest;
  } while (!newest_.compare_exchange_weak(newest, slot, std::memory_order_seq_cst,
                                          std::memory_order_relaxed));
  if (std::this_thread::get_id() == thread_ && driving_) return;
  signal();
}

void ReadyList::signal() {
  if (signalled_.exchange(true, std::memory_order_seq_cst)) return;
  const std::uint64_t one = 1;
  // The counter would need 2^64 - 1 unread writes to overflow; nothing else can fail here.
  ssize_t written = 0;
  do {
    written = core::attempt(RPMA_FAULT_POINT("addon.eventfd-write"),
                            [&] { return ::write(event_fd_, &one, sizeof(one)); });
  } while (written < 0 && errno == EINTR);
  core::count(core::counters().wake_ups);
}

void ReadyList::attach(Handle handle) {
  const std::uint32_t chunk = handle_index(handle) / kChunkSlots;
  if (chunks_[chunk].load(std::memory_order_relaxed) == nullptr) {
    owned_.push_back(std::make_unique<Chunk>());
    chunks_[chunk].store(owned_.back().get(), std::memory_order_release);
  }
  // A slot still queued by its former owner stays so: the new one is then told once too often.
  find(handle)->handle.store(handle, std::memory_order_release);
}

void ReadyList::detach(Handle handle) {
  ReadySlot* slot = find(handle);
  if (slot != nullptr) slot->handle.store(0, std::memory_order_release);
}

ReadySlot* ReadyList::take() {
  if (oldest_ == nullptr) {
    ReadySlot* slot = newest_.exchange(nullptr, std::memory_order_seq_cst);
    while (slot != nullptr) {
      ReadySlot* earlier = slot->next;
      slot->next = oldest_;
      oldest_ = slot;
      slot = earlier;
    }
  }
  ReadySlot* slot = oldest_;
  if (slot != nullptr) oldest_ = slot->next;
  return slot;
}

Handle ReadyList::release(ReadySlot* slot) {
  slot->queued.store(false, std::memory_order_seq_cst);
  return slot->handle.load(std::memory_order_acquire);
}

}  // namespace rpma::addon
