// SPDX-License-Identifier: BSD-3-Clause
//
// How flush and atomic write are carried out on one connection: natively, or as librpma does it (a
// Read of the range's first bytes after the writes; a fenced 8-byte Write). Chosen once, from the
// capabilities both sides agreed on. Called by the thread that posts; vouch() from any.
#pragma once

#include <atomic>
#include <memory>

#include "provider/provider.h"

namespace rpma::rma {

using core::Result;
using core::Status;

class FlushStrategy {
 public:
  FlushStrategy() = default;
  ~FlushStrategy();
  FlushStrategy(const FlushStrategy&) = delete;
  FlushStrategy& operator=(const FlushStrategy&) = delete;
  /** Turns a flush or atomic write into what carries it out, or refuses it. */
  Status prepare(provider::WorkRequest& request, provider::QueuePair& queue_pair,
                 provider::Device& device);
  void vouch(bool direct_write_to_pmem) { vouched_.store(direct_write_to_pmem); }

 private:
  Status emulate_flush(provider::WorkRequest& request, provider::Device& device);
  void choose(provider::QueuePair& queue_pair);

  bool chosen_ = false;
  bool native_flush_ = false;
  bool native_atomic_write_ = false;
  std::atomic<bool> vouched_{false};
  provider::Device* device_ = nullptr;  // outlives us: our connection holds its peer
  std::shared_ptr<memory::Region>
      scratch_;  // 8 bytes no one reads; made at the first emulated flush
};

}  // namespace rpma::rma
