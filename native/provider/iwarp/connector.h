// SPDX-License-Identifier: BSD-3-Clause
//
// The active side's set-up: TCP connect, MPA Request, MPA Reply. On the progress thread; the queue
// pair's set-up timer bounds the whole. Ends by QueuePair::adopt() or QueuePair::end().
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "provider/iwarp/mpa.h"
#include "provider/iwarp/queue_pair.h"

namespace rpma::iwarp {

class Connector final : public SocketHandler, public std::enable_shared_from_this<Connector> {
 public:
  static Status start(std::shared_ptr<QueuePair> queue_pair, const provider::Address& to,
                      std::vector<std::uint8_t> private_data);
  Connector(const std::shared_ptr<QueuePair>& queue_pair, Socket socket,
            std::vector<std::uint8_t> private_data);
  void on_ready(std::uint32_t events) override;
  /** The queue pair ended meanwhile: lets go of the socket. */
  void cancel();

 private:
  void begin();
  void connected(QueuePair& queue_pair);
  void read_reply(QueuePair& queue_pair);
  void accept_reply(QueuePair& queue_pair, const SetupFrame& reply, std::size_t have);
  void fail(abi::ConnectionEvent event, const Status& cause,
            std::vector<std::uint8_t> private_data = {});
  void refuse(Cause cause, bool crc, const char* detail);
  Socket detach();

  const std::weak_ptr<QueuePair> queue_pair_;
  const std::shared_ptr<ProgressThread> progress_;
  Socket socket_;
  std::vector<std::uint8_t> private_data_;
  std::uint64_t id_ = 0;
  bool requested_ = false;
  // A Reply, and FPDUs that came right behind it.
  std::vector<std::byte> input_;
};

}  // namespace rpma::iwarp
