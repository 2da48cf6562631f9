// SPDX-License-Identifier: BSD-3-Clause
// LogRing: a bounded ring of log records. Any number of writers, one reader, no lock and no
// allocation: a writer that finds no room counts its record as lost and goes on. The next record
// that finds room carries that count, so that whoever reads knows where something is missing.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "abi.generated.h"

namespace rpma::core {

struct LogRecord {
  std::uint64_t time_us = 0;  // since the epoch
  std::uint64_t dropped = 0;  // records lost right before this one
  const char* file = "";      // literals, all four
  const char* function = "";
  const char* provider = nullptr;  // null: of no provider
  std::uint32_t line = 0;
  abi::LogLevel level = abi::LogLevel::Debug;
  char message[abi::kLogMessageBytes] = {};
};

// A slot's turn says whose it is: 2·lap while a writer may fill it for that lap, 2·lap + 1 while
// the reader may take it. The writer that moves next_ owns the slot until it sets the turn, so a
// writer that is interrupted there holds up the reader, never another writer. All is zero in the
// beginning: a ring with static storage costs nothing until something is logged.
template <std::size_t kCapacity>
class LogRing {
 public:
  // False, and counted, when there is no room. Any thread.
  bool push(LogRecord record) {
    std::uint64_t position = next_.load(std::memory_order_relaxed);
    Slot* slot = nullptr;
    for (;;) {
      slot = &slots_[position % kCapacity];
      const std::uint64_t turn = slot->turn.load(std::memory_order_acquire);
      const std::uint64_t wanted = position / kCapacity * 2;
      if (turn < wanted) {
        lost_.fetch_add(1, std::memory_order_relaxed);
        return false;
      }
      if (turn > wanted) {
        position = next_.load(std::memory_order_relaxed);
        continue;
      }
      if (next_.compare_exchange_weak(position, position + 1, std::memory_order_relaxed)) break;
    }
    record.dropped = lost_.exchange(0, std::memory_order_relaxed);
    slot->record = record;
    slot->turn.store(position / kCapacity * 2 + 1, std::memory_order_release);
    return true;
  }

  // The oldest; false when there is none, or its writer is not done. One thread at a time.
  bool pop(LogRecord& record) {
    const std::uint64_t taken = taken_.load(std::memory_order_relaxed);
    Slot& slot = slots_[taken % kCapacity];
    const std::uint64_t full = taken / kCapacity * 2 + 1;
    if (slot.turn.load(std::memory_order_acquire) != full) return false;
    record = slot.record;
    slot.turn.store(full + 1, std::memory_order_release);
    taken_.store(taken + 1, std::memory_order_relaxed);
    return true;
  }

  // Whether pop() would give one. Any thread; a moment's value but for the reader.
  [[nodiscard]] bool empty() const {
    const std::uint64_t taken = taken_.load(std::memory_order_relaxed);
    const std::uint64_t full = taken / kCapacity * 2 + 1;
    return slots_[taken % kCapacity].turn.load(std::memory_order_acquire) != full;
  }

 private:
  struct Slot {
    std::atomic<std::uint64_t> turn{0};
    LogRecord record;
  };

  std::atomic<std::uint64_t> next_{0};   // of the writers
  std::atomic<std::uint64_t> taken_{0};  // of the reader
  std::atomic<std::uint64_t> lost_{0};   // since the last record that found room
  std::array<Slot, kCapacity> slots_{};
};

}  // namespace rpma::core
