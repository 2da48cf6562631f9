// SPDX-License-Identifier: BSD-3-Clause
//
// TCP sockets as the iWARP provider uses them: non-blocking, no delay, owned by a value. Thin over
// the system calls, so that every other file speaks of sockets in these words only. Any thread.
#pragma once

#include <cstdint>
#include <string>

#include "core/result.h"
#include "provider/provider.h"

struct sockaddr_storage;

namespace rpma::iwarp {

using core::Result;
using core::Status;

/** Owns one descriptor. */
class Socket {
 public:
  Socket() = default;
  explicit Socket(int fd);
  ~Socket() { close(); }
  Socket(Socket&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Socket& operator=(Socket&& other) noexcept;
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] bool open() const { return fd_ >= 0; }
  void close();
  int release();  // the caller owns the descriptor from then on

 private:
  int fd_ = -1;
};

/** Binds and listens; port 0 picks one. */
Result<Socket> listen_on(const provider::Address& at, int backlog);
/** One pending connection, or no open socket when there is none; the errno in the status. */
Result<Socket> accept_from(int listener, provider::Address* remote);
/** Starts a connect; it has ended when the socket is writable. */
Result<Socket> start_connect(const provider::Address& to);
/** The errno a started connect ended with, 0 when it succeeded. */
int connect_outcome(int fd);

/** No delay, and keepalive so that an idle connection to a vanished host ends after about dead_ms.
 */
void tune(int fd, std::uint64_t dead_ms);

provider::Address local_address_of(int fd);
provider::Address remote_address_of(int fd);
/** True for addresses that never leave the host. */
bool is_loopback(const provider::Address& address);

/** What TCP knows of the other side's life. */
struct TcpHealth {
  bool known = false;
  bool waiting = false;             // bytes or window probes are unacknowledged
  std::uint32_t silent_ms = 0;      // since the last segment came in
  std::uint32_t segment_bytes = 0;  // maximum segment size
};
TcpHealth tcp_health(int fd);

/** The status of a connection that an errno ended. */
Status lost(int error, const char* syscall);

}  // namespace rpma::iwarp
