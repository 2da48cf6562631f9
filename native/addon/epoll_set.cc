// SPDX-License-Identifier: BSD-3-Clause
//
// See epoll_set.h.

#include "addon/epoll_set.h"

#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "core/counters.h"
#include "core/fault_points.h"

namespace rpma::addon {

namespace {

std::uint32_t to_epoll(std::uint32_t interest) {
  std::uint32_t events = 0;
  // A writer is not told of a stream's end: while it has nothing to read it could not silence it.
  if ((interest & abi::kEpollFlagsReadable) != 0) events |= EPOLLIN | EPOLLRDHUP;
  if ((interest & abi::kEpollFlagsWritable) != 0) events |= EPOLLOUT;
  return events;
}

std::uint32_t from_epoll(std::uint32_t events) {
  std::uint32_t flags = 0;
  if ((events & EPOLLIN) != 0) flags |= abi::kEpollFlagsReadable;
  if ((events & EPOLLOUT) != 0) flags |= abi::kEpollFlagsWritable;
  if ((events & (EPOLLHUP | EPOLLRDHUP)) != 0) flags |= abi::kEpollFlagsHangup;
  if ((events & EPOLLERR) != 0) flags |= abi::kEpollFlagsError;
  return flags;
}

int operation_of(EpollSet::Change change) {
  switch (change) {
    case EpollSet::Change::Add:
      return EPOLL_CTL_ADD;
    case EpollSet::Change::Modify:
      return EPOLL_CTL_MOD;
    case EpollSet::Change::Remove:
      break;
  }
  return EPOLL_CTL_DEL;
}

const char* reason_of(int error) {
  switch (error) {
    case EBADF:
      return "no such descriptor is open";
    case EPERM:
      return "epoll(7) takes no regular files and no directories; they are always ready";
    case EEXIST:
      return "it is in this Epoll already: use modify(), or delete() first";
    case ENOENT:
      return "it is not in this Epoll: use add()";
    case EINVAL:
      return "an Epoll cannot watch itself";
    case ELOOP:
      return "sets of epoll(7) would watch each other in a circle, or five deep";
    default:
      return nullptr;
  }
}

}  // namespace

core::Result<int> EpollSet::make_descriptor() {
  const int fd = core::attempt(RPMA_FAULT_POINT("addon.epoll-set"),
                               [] { return ::epoll_create1(EPOLL_CLOEXEC); });
  if (fd < 0) return core::Status::from_errno(errno, "epoll_create1");
  return fd;
}

EpollSet::EpollSet(int fd) : fd_(fd) { core::count(core::counters().descriptors); }

EpollSet::~EpollSet() {
  ::close(fd_);
  core::count(core::counters().descriptors, -1);
}

core::Status EpollSet::change(Change change, int fd, std::uint32_t interest, std::uint64_t id) {
  epoll_event event{};
  event.events = to_epoll(interest);
  event.data.u64 = id;
  if (core::attempt(RPMA_FAULT_POINT("addon.epoll-set-ctl"),
                    [&] { return ::epoll_ctl(fd_, operation_of(change), fd, &event); }) == 0) {
    return core::Status::success();
  }
  const core::Status plain = core::Status::from_errno(errno, "epoll_ctl");
  return core::Status::from_errno(plain.code, plain.sys_errno, "epoll_ctl",
                                  reason_of(plain.sys_errno));
}

std::uint32_t EpollSet::poll(std::span<abi::EpollEvent> events) {
  std::array<epoll_event, abi::kEpollEvents> found;
  const auto most = static_cast<int>(std::min(found.size(), events.size()));
  const int got = core::attempt(RPMA_FAULT_POINT("addon.epoll-set-wait"),
                                [&] { return ::epoll_wait(fd_, found.data(), most, 0); });
  if (got <= 0) return 0;
  const auto count = static_cast<std::uint32_t>(got);
  for (std::uint32_t i = 0; i < count; i += 1) {
    events[i] = {.id = static_cast<double>(found[i].data.u64),
                 .flags = from_epoll(found[i].events),
                 .reserved = 0};
  }
  return count;
}

void EpollSet::block(std::uint64_t timeout_ms) {
  pollfd look{.fd = fd_, .events = POLLIN, .revents = 0};
  // Interrupted or refused it only ends early: the caller looks, and blocks again.
  static_cast<void>(core::attempt(RPMA_FAULT_POINT("addon.epoll-set-poll"), [&] {
    return ::poll(&look, 1, static_cast<int>(std::min(timeout_ms, abi::kSyncWaitSliceMs)));
  }));
}

core::Status EpollSet::join(int outer, std::uint64_t data) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLONESHOT;
  event.data.u64 = data;
  if (core::attempt(RPMA_FAULT_POINT("addon.epoll-set-join"), [&] {
        return ::epoll_ctl(outer, joined_ ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd_, &event);
      }) != 0) {
    return core::Status::from_errno(errno, "epoll_ctl");
  }
  joined_ = true;
  return core::Status::success();
}

}  // namespace rpma::addon
