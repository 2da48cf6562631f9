// SPDX-License-Identifier: BSD-3-Clause
//
// See linger.h.
#include "provider/iwarp/linger.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

#include "abi.generated.h"
#include "core/clock.h"
#include "core/fault_points.h"

namespace rpma::iwarp {

void Linger::start(std::shared_ptr<ProgressThread> progress, Socket socket,
                   std::vector<std::byte> last_words, Fin fin) {
  auto linger = std::make_shared<Linger>(progress, std::move(socket), std::move(last_words), fin);
  progress->post([linger] { linger->begin(); });
}

Linger::Linger(std::shared_ptr<ProgressThread> progress, Socket socket,
               std::vector<std::byte> last_words, Fin fin)
    : progress_(std::move(progress)),
      socket_(std::move(socket)),
      left_(std::move(last_words)),
      fin_(fin) {}

void Linger::begin() {
  id_ = progress_->next_id();
  const bool blocked = !write();
  if (!socket_.open()) return;
  if (!take_place()) return socket_.close();
  const std::uint32_t events = EPOLLIN | (blocked ? std::uint32_t{EPOLLOUT} : 0U);
  if (!progress_->add(id_, socket_.fd(), events, shared_from_this()).ok()) return finish();
  timer_ =
      progress_->add_timer(core::now_ns() + abi::kRejectLingerMs * core::kNanosecondsPerMillisecond,
                           [self = shared_from_this()] { self->finish(); });
}

bool Linger::take_place() {
  if (progress_->lingering() >= abi::kLingeringSockets) return false;
  ++progress_->lingering();
  counted_ = true;
  return true;
}

/** False while TCP does not take the rest. */
bool Linger::write() {
  while (written_ < left_.size()) {
    const ssize_t count = core::attempt(RPMA_FAULT_POINT("iwarp.linger-send"), [this] {
      return ::send(socket_.fd(), left_.data() + written_, left_.size() - written_,
                    MSG_NOSIGNAL | MSG_DONTWAIT);
    });
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
    if (count < 0) break;  // the other side is gone: nobody is left to hear it
    written_ += static_cast<std::size_t>(count);
  }
  if (fin_ == Fin::AtOnce) {
    static_cast<void>(core::attempt(RPMA_FAULT_POINT("iwarp.linger-shutdown"),
                                    [this] { return ::shutdown(socket_.fd(), SHUT_WR); }));
  }
  return true;
}

void Linger::on_ready(std::uint32_t events) {
  if ((events & EPOLLOUT) != 0 && write()) progress_->modify(id_, socket_.fd(), EPOLLIN);
  std::array<std::byte, 4096> unwanted;
  for (int round = 0; round < 16; ++round) {
    const ssize_t count = core::attempt(RPMA_FAULT_POINT("iwarp.linger-recv"), [&] {
      return ::recv(socket_.fd(), unwanted.data(), unwanted.size(), MSG_DONTWAIT);
    });
    if (count > 0 || (count < 0 && errno == EINTR)) continue;
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    return finish();
  }
}

void Linger::finish() {
  if (!socket_.open()) return;
  const std::shared_ptr<Linger> keep = shared_from_this();
  if (std::exchange(counted_, false)) --progress_->lingering();
  progress_->cancel_timer(timer_);
  progress_->remove(id_, socket_.fd());
  socket_.close();
}

}  // namespace rpma::iwarp
