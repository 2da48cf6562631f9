// SPDX-License-Identifier: BSD-3-Clause
//
// Shares of what several environments may have open at once: a peer, a region. Held by the handles
// of environments and by tickets (rma/ticket_table.h); counted by atomics, because they are let go
// of on different threads. The last share ends the object: docs/internals/ownership.md.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

#include "memory/mapping.h"
#include "memory/region_table.h"
#include "rma/peer.h"

namespace rpma::rma {

/** Held by shared_ptr: the last one ends the peer's tickets, then the peer and its threads. */
class PeerShare {
 public:
  explicit PeerShare(std::shared_ptr<Peer> peer) : peer_(std::move(peer)) {}
  ~PeerShare();
  PeerShare(const PeerShare&) = delete;
  PeerShare& operator=(const PeerShare&) = delete;

 private:
  const std::shared_ptr<Peer> peer_;
};

/** Regions registered over one mapped file, by whichever environment: no unmap before it is 0. */
using RegionCount = std::atomic<std::uint32_t>;

/** A region and how many have it open; made with one holder. */
class SharedRegion : public std::enable_shared_from_this<SharedRegion> {
 public:
  struct Parts {
    std::shared_ptr<Peer> peer;
    std::shared_ptr<memory::Region> region;
    std::shared_ptr<memory::Mapping> library_memory;  // retired with the region; null for others
    std::shared_ptr<RegionCount> of_file;             // null for memory that is no file's
  };
  explicit SharedRegion(Parts parts);
  ~SharedRegion();
  SharedRegion(const SharedRegion&) = delete;
  SharedRegion& operator=(const SharedRegion&) = delete;

  const std::shared_ptr<memory::Region>& region() const { return parts_.region; }
  const std::shared_ptr<Peer>& peer() const { return parts_.peer; }
  /** The memory is the program's: it lives only as long as an environment holds it. */
  bool is_user_memory() const { return parts_.region->mapping() == nullptr; }

  /** One holder more; false when the last has left already. Any thread. */
  [[nodiscard]] bool join();
  /**
   * One holder less. Of the last one access is revoked within this call, and `quiet` runs when
   * nothing uses the memory any more, on any thread; of the others it runs at once. Whether it was
   * the last.
   */
  bool leave(std::function<void()> quiet);
  /** How the memory was given back; for the last, once told that it is quiet. */
  const core::Status& outcome() const { return outcome_; }

 private:
  void finish();

  const Parts parts_;
  std::atomic<std::uint32_t> holders_{1};
  core::Status outcome_;  // written before `quiet` runs
};

}  // namespace rpma::rma
