// SPDX-License-Identifier: BSD-3-Clause
//
// The last moments of a socket whose connection has ended for the program: what is still to be said
// is written, FIN is sent, and the other side's FIN is awaited for a bounded time, so that unread
// input does not make the kernel destroy our last words with a reset. Only abi::kLingeringSockets
// of a device wait at a time, as such a socket has no place in any other bound: beyond them what is
// still to be said is written as far as TCP takes it, and that is all. On the progress thread; owns
// the socket.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "provider/iwarp/progress_thread.h"

namespace rpma::iwarp {

class Linger final : public SocketHandler, public std::enable_shared_from_this<Linger> {
 public:
  /** A Terminate is followed by FIN; a rejecting Reply by the other side's, which makes some peers
   * lose what the Reply says when it is ours that comes first. */
  enum class Fin : std::uint8_t { AtOnce, AfterTheirs };
  static void start(std::shared_ptr<ProgressThread> progress, Socket socket,
                    std::vector<std::byte> last_words, Fin fin);
  Linger(std::shared_ptr<ProgressThread> progress, Socket socket, std::vector<std::byte> last_words,
         Fin fin);
  void on_ready(std::uint32_t events) override;

 private:
  void begin();
  bool write();
  bool take_place();
  void finish();

  const std::shared_ptr<ProgressThread> progress_;
  Socket socket_;
  std::vector<std::byte> left_;
  const Fin fin_;
  std::size_t written_ = 0;
  std::uint64_t id_ = 0;
  ProgressThread::TimerId timer_ = 0;
  bool counted_ = false;
};

}  // namespace rpma::iwarp
