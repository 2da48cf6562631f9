// SPDX-License-Identifier: BSD-3-Clause
// The test domain of the durability oracle, in the test flavour only: a second copy of a mapping
// that changes nowhere but inside persist. What a durable completion promised must be in it; what
// was written and not flushed must not. Storage is persisted in whole pages, so bytes that share a
// page with a flushed range may be in the copy; Pmem is persisted exactly as asked. Any thread.
//
// The mutation switches that this oracle must catch: persist.skip (PersistTarget::run leaves the
// persist out) and persist.answer-early (PersistService answers before it persists).
#pragma once

#if defined(RPMA_TEST_FLAVOUR)

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "core/status.h"
#include "memory/mapping.h"
#include "memory/persist.h"

namespace rpma::memory {

class PersistOracle : public std::enable_shared_from_this<PersistOracle> {
 public:
  static std::shared_ptr<PersistOracle> create();

  // For MapOptions::persist. The copy begins as what the mapping holds then. One mapping an
  // oracle; the mapping keeps the oracle alive.
  [[nodiscard]] PersistOverride persist_override(
      abi::PmemDurability kind = abi::PmemDurability::Storage);

  // The power fails in the nth persist from now on (1 is the next): only a seeded subset of that
  // range, by aligned 8 bytes, reaches the copy, and that persist and all later ones fail with
  // EIO and change nothing.
  void cut_at(std::uint64_t nth, std::uint64_t seed);
  [[nodiscard]] bool cut() const;

  [[nodiscard]] std::uint64_t persists() const;  // calls, the cut one included
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] std::vector<std::byte> copy(std::uint64_t offset, std::size_t length) const;
  [[nodiscard]] bool equals(std::uint64_t offset, const void* bytes, std::size_t length) const;

  // Called at the start of every persist, outside the lock: lets a test hold a persist open.
  void on_persist(std::function<void(std::uint64_t offset, std::size_t length)> observer);

 private:
  void attach(std::byte* base, std::size_t size);
  core::Status persist(std::byte* address, std::size_t length);
  void take_words(std::uint64_t offset, std::size_t length, bool subset);

  mutable std::mutex mutex_;
  const std::byte* base_ = nullptr;  // all guarded by mutex_
  std::vector<std::byte> copy_;
  std::uint64_t persists_ = 0;
  std::uint64_t cut_number_ = 0;  // 0: never
  std::uint64_t cut_seed_ = 0;
  bool cut_ = false;
  std::function<void(std::uint64_t, std::size_t)> observer_;
};

}  // namespace rpma::memory

#endif
