// SPDX-License-Identifier: BSD-3-Clause
//
// See readiness.h. The lock makes `raised_` and the eventfd one: without it a clear could read what
// a raise had not written yet, and leave the descriptor readable for ever, or silent.

#include "rma/readiness.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <utility>

#include "core/counters.h"
#include "core/fault_points.h"

namespace rpma::rma {

core::Result<std::shared_ptr<Readiness>> Readiness::create(
    std::shared_ptr<provider::Notifier> next) {
  const int fd = core::attempt(RPMA_FAULT_POINT("rma.eventfd"),
                               [] { return ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); });
  if (fd < 0) return core::Status::from_errno(errno, "eventfd");
  return std::make_shared<Readiness>(fd, std::move(next));
}

Readiness::Readiness(int fd, std::shared_ptr<provider::Notifier> next)
    : next_(std::move(next)), fd_(fd) {
  core::count(core::counters().descriptors);
}

Readiness::~Readiness() { close(); }

int Readiness::fd() const {
  const std::lock_guard lock(mutex_);
  return fd_;
}

void Readiness::notify(std::uint64_t token) {
  raise();
  if (next_) next_->notify(token);
}

void Readiness::raise() {
  const std::lock_guard lock(mutex_);
  if (raised_ || fd_ < 0) return;
  const std::uint64_t one = 1;
  // The counter is 0, so the write cannot block; nothing else can fail here.
  ssize_t written = 0;
  do {
    written = core::attempt(RPMA_FAULT_POINT("rma.eventfd-write"),
                            [&] { return ::write(fd_, &one, sizeof(one)); });
  } while (written < 0 && errno == EINTR);
  raised_ = true;
}

void Readiness::clear() {
  const std::lock_guard lock(mutex_);
  if (!raised_ || fd_ < 0) return;
  std::uint64_t value = 0;
  ssize_t got = 0;
  do {
    got = core::attempt(RPMA_FAULT_POINT("rma.eventfd-read"),
                        [&] { return ::read(fd_, &value, sizeof(value)); });
  } while (got < 0 && errno == EINTR);
  // EAGAIN: somebody else read it, which the contract forbids; it is not readable all the same.
  raised_ = false;
}

bool Readiness::rearm(std::span<provider::CompletionQueue* const> queues, bool end) {
  clear();
  bool quiet = true;
  bool all_ended = end;
  for (provider::CompletionQueue* queue : queues) {
    // Looked at behind the clearing: what came before it was announced to nobody.
    if (!queue->arm()) quiet = false;
    if (!queue->drained()) all_ended = false;
  }
  if (quiet && !all_ended) return true;
  raise();
  return false;
}

void Readiness::close() {
  raise();
  const std::lock_guard lock(mutex_);
  if (fd_ < 0) return;
  ::close(std::exchange(fd_, -1));
  core::count(core::counters().descriptors, -1);
}

}  // namespace rpma::rma
