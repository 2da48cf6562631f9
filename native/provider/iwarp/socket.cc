// SPDX-License-Identifier: BSD-3-Clause
//
// See socket.h.
#include "provider/iwarp/socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "core/counters.h"
#include "core/fault_points.h"

namespace rpma::iwarp {
namespace {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  [[nodiscard]] sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

/** An IPv4 or IPv6 literal, the latter with an optional zone ("fe80::1%eth0"). */
bool parse(const provider::Address& address, SocketAddress* out) {
  auto* v4 = reinterpret_cast<sockaddr_in*>(&out->storage);
  if (::inet_pton(AF_INET, address.host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(address.port);
    out->length = sizeof(sockaddr_in);
    return true;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&out->storage);
  const std::size_t percent = address.host.find('%');
  const std::string host = address.host.substr(0, percent);
  if (::inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) != 1) return false;
  if (percent != std::string::npos) {
    const std::string zone = address.host.substr(percent + 1);
    const core::FaultAction fault = RPMA_FAULT_POINT("iwarp.if-nametoindex");
    v6->sin6_scope_id = fault.fail ? 0 : ::if_nametoindex(zone.c_str());
    if (v6->sin6_scope_id == 0) {
      const auto end = zone.data() + zone.size();
      if (std::from_chars(zone.data(), end, v6->sin6_scope_id).ptr != end) return false;
    }
  }
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(address.port);
  out->length = sizeof(sockaddr_in6);
  return true;
}

provider::Address format(const sockaddr_storage& storage) {
  char text[INET6_ADDRSTRLEN] = {};
  provider::Address address;
  if (storage.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&storage);
    static_cast<void>(::inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text)));
    address.port = ntohs(v4->sin_port);
  } else if (storage.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage);
    static_cast<void>(::inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text)));
    address.port = ntohs(v6->sin6_port);
  }
  address.host = text;
  return address;
}

Result<Socket> make_socket(int family) {
  const core::FaultAction fault = RPMA_FAULT_POINT("iwarp.socket");
  const int fd = fault.fail ? (errno = fault.err, -1)
                            : ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return Status::from_errno(errno, "socket");
  return Socket(fd);
}

void set_option(int fd, int level, int name, int value) {
  // Failing to tune is no reason to fail a connection: the socket works without.
  static_cast<void>(core::attempt(RPMA_FAULT_POINT("iwarp.setsockopt"), [&] {
    return ::setsockopt(fd, level, name, &value, sizeof(value));
  }));
}

}  // namespace

Socket::Socket(int fd) : fd_(fd) {
  if (fd_ >= 0) core::count(core::counters().sockets);
}

Socket& Socket::operator=(Socket&& other) noexcept {
  if (this != &other) {
    close();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

void Socket::close() {
  if (fd_ < 0) return;
  static_cast<void>(::close(fd_));
  fd_ = -1;
  core::count(core::counters().sockets, -1);
}

int Socket::release() {
  if (fd_ >= 0) core::count(core::counters().sockets, -1);
  return std::exchange(fd_, -1);
}

Result<Socket> listen_on(const provider::Address& at, int backlog) {
  SocketAddress address;
  if (!parse(at, &address)) {
    return Status::failure(abi::Code::InvalidArgValue, "not an IPv4 or IPv6 address");
  }
  Result<Socket> made = make_socket(address.storage.ss_family);
  if (!made.ok()) return made.status();
  Socket socket = std::move(made).value();
  set_option(socket.fd(), SOL_SOCKET, SO_REUSEADDR, 1);
  core::FaultAction fault = RPMA_FAULT_POINT("iwarp.bind");
  if (fault.fail ? (errno = fault.err, true)
                 : ::bind(socket.fd(), address.get(), address.length) != 0) {
    return Status::from_errno(errno, "bind");
  }
  fault = RPMA_FAULT_POINT("iwarp.listen");
  if (fault.fail ? (errno = fault.err, true)
                 : ::listen(socket.fd(), backlog > 0 ? backlog : SOMAXCONN) != 0) {
    return Status::from_errno(errno, "listen");
  }
  return socket;
}

Result<Socket> accept_from(int listener, provider::Address* remote) {
  sockaddr_storage storage{};
  socklen_t length = sizeof(storage);
  const core::FaultAction fault = RPMA_FAULT_POINT("iwarp.accept");
  const int fd = fault.fail ? (errno = fault.err, -1)
                            : ::accept4(listener, reinterpret_cast<sockaddr*>(&storage), &length,
                                        SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) return Socket();
    return Status::from_errno(errno, "accept4");
  }
  *remote = format(storage);
  return Socket(fd);
}

Result<Socket> start_connect(const provider::Address& to) {
  SocketAddress address;
  if (!parse(to, &address)) {
    return Status::failure(abi::Code::InvalidArgValue, "not an IPv4 or IPv6 address");
  }
  Result<Socket> made = make_socket(address.storage.ss_family);
  if (!made.ok()) return made.status();
  Socket socket = std::move(made).value();
  const core::FaultAction fault = RPMA_FAULT_POINT("iwarp.connect");
  if (fault.fail ? (errno = fault.err, true)
                 : ::connect(socket.fd(), address.get(), address.length) != 0) {
    if (errno != EINPROGRESS) return Status::from_errno(errno, "connect");
  }
  return socket;
}

int connect_outcome(int fd) {
  int error = 0;
  socklen_t length = sizeof(error);
  if (core::attempt(RPMA_FAULT_POINT("iwarp.socket-error"),
                    [&] { return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length); }) != 0) {
    return errno;
  }
  return error;
}

void tune(int fd, std::uint64_t dead_ms) {
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  // Half the bound in silence, then two probes a quarter of it apart: whole seconds, at least one.
  const int quarter = static_cast<int>(std::clamp<std::uint64_t>(dead_ms / 4000, 1, 8000));
  const int half = static_cast<int>(std::clamp<std::uint64_t>(dead_ms / 2000, 1, 16000));
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, half);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, quarter);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, dead_ms < 4000 ? 1 : 2);
}

provider::Address local_address_of(int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof(storage);
  if (core::attempt(RPMA_FAULT_POINT("iwarp.getsockname"), [&] {
        return ::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length);
      }) != 0) {
    return {};
  }
  return format(storage);
}

provider::Address remote_address_of(int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof(storage);
  if (core::attempt(RPMA_FAULT_POINT("iwarp.getpeername"), [&] {
        return ::getpeername(fd, reinterpret_cast<sockaddr*>(&storage), &length);
      }) != 0) {
    return {};
  }
  return format(storage);
}

bool is_loopback(const provider::Address& address) {
  return address.host.starts_with("127.") || address.host == "::1" ||
         address.host.starts_with("::ffff:127.");
}

TcpHealth tcp_health(int fd) {
  tcp_info info{};
  socklen_t length = sizeof(info);
  TcpHealth health;
  if (core::attempt(RPMA_FAULT_POINT("iwarp.tcp-info"),
                    [&] { return ::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length); }) != 0) {
    return health;
  }
  health.known = true;
  health.waiting = info.tcpi_unacked > 0 || info.tcpi_probes > 0;
  health.silent_ms = std::min(info.tcpi_last_ack_recv, info.tcpi_last_data_recv);
  health.segment_bytes = info.tcpi_snd_mss;
  return health;
}

Status lost(int error, const char* syscall) {
  return Status::from_errno(abi::Code::ConnectionLost, error, syscall);
}

}  // namespace rpma::iwarp
