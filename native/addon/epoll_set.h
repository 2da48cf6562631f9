// SPDX-License-Identifier: BSD-3-Clause
//
// The epoll(7) set behind an Epoll of JavaScript. JavaScript thread only; it owns its descriptor. A
// wait of the event loop goes through the environment's own set: the descriptor joins that set
// one-shot, so that a set which is ready and not looked at does not keep the loop turning.
#pragma once

#include <cstdint>
#include <span>

#include "abi.generated.h"
#include "core/result.h"

namespace rpma::addon {

class EpollSet {
 public:
  static core::Result<int> make_descriptor();

  /** Owns the descriptor. */
  explicit EpollSet(int fd);
  ~EpollSet();
  EpollSet(const EpollSet&) = delete;
  EpollSet& operator=(const EpollSet&) = delete;

  int fd() const { return fd_; }

  enum class Change : std::uint8_t { Add, Modify, Remove };
  /** `interest`: abi::kEpollFlagsReadable and kEpollFlagsWritable. `id` comes back in events. */
  core::Status change(Change change, int fd, std::uint32_t interest, std::uint64_t id);
  /** What is ready now; never blocks. */
  std::uint32_t poll(std::span<abi::EpollEvent> events);
  /** Blocks until something is ready, at most so long. */
  void block(std::uint64_t timeout_ms);
  /** `outer` reports, once and with this data, when something is ready. */
  core::Status join(int outer, std::uint64_t data);

 private:
  const int fd_;
  bool joined_ = false;
};

}  // namespace rpma::addon
