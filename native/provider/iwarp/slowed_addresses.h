// SPDX-License-Identifier: BSD-3-Clause
//
// Source addresses whose connections were ended for protection errors: a key that names no region,
// bounds or rights that were not granted. A few are forgiven, as a region may be closed while
// others still use it; each further one doubles the time that a set-up of that address waits before
// it is taken up. Every step is forgotten after a while. Bounded: when the table is full, the
// address with the least errors makes room. One a device; any thread.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>

#include "provider/provider.h"

namespace rpma::iwarp {

class SlowedAddresses {
 public:
  /** A connection of this address has ended by a protection error. */
  void note(const provider::Address& remote, std::uint64_t now_ns);
  /** How long its next set-up waits. Loopback never waits: all programs of a host share it. */
  [[nodiscard]] std::uint64_t delay_ms(const provider::Address& remote, std::uint64_t now_ns);
  [[nodiscard]] std::size_t size() const;

 private:
  struct Entry {
    std::uint32_t errors = 0;    // not forgotten yet, at most as many as change anything
    std::uint64_t since_ns = 0;  // when the newest step of forgetting was taken
  };
  static bool forget(Entry& entry, std::uint64_t now_ns);
  void make_room(std::uint64_t now_ns);

  mutable std::mutex mutex_;
  std::unordered_map<std::string, Entry> entries_;
};

}  // namespace rpma::iwarp
