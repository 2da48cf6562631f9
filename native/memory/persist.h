// SPDX-License-Identifier: BSD-3-Clause
// Persist as a value. A PersistTarget is what one mapping of a file offers to a persistent flush:
// where it lies, how it is persisted and what that is worth. Any thread may persist; who may do it
// inline is the target's kind: pmem (processor instructions, in slices) and memory (nothing to do)
// run on the caller's thread, storage (msync) goes through PersistService because it blocks.
#pragma once

#include <atomic>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>

#include "abi.generated.h"
#include "core/counters.h"
#include "core/status.h"

namespace rpma::memory {

// Makes [address, address + length) durable, or says why not. It is called from several threads
// at once for ranges of several files, and for several ranges of one pmem file.
using PersistFunction = std::function<core::Status(std::byte* address, std::size_t length)>;

// Which file, whatever its name: two mappings of one file share their fate.
struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  auto operator<=>(const FileIdentity&) const = default;
};

// One file as far as persisting goes, shared by all mappings made of it while it was sound. The
// kernel reports a failed write-back once and then calls the pages clean, so the first failure
// stays: every later persist of the file fails with it, until the file is mapped anew and thereby
// gets a new PersistFile.
class PersistFile {
 public:
  // The sound PersistFile of the identity, or a new one.
  static std::shared_ptr<PersistFile> open(const FileIdentity& identity);

  explicit PersistFile(const FileIdentity& identity) : identity_(identity) {}
  PersistFile(const PersistFile&) = delete;
  PersistFile& operator=(const PersistFile&) = delete;

  [[nodiscard]] const FileIdentity& identity() const { return identity_; }
  [[nodiscard]] bool failed() const { return failed_.load(std::memory_order_acquire); }
  [[nodiscard]] core::Status failure() const;  // ok while sound
  void fail(const core::Status& status);       // the first one stays

 private:
  const FileIdentity identity_;
  std::atomic<bool> failed_{false};
  mutable std::mutex mutex_;
  core::Status failure_;  // guarded by mutex_
};

class PersistTarget {
 public:
  struct Parts {
    std::shared_ptr<PersistFile> file;
    std::shared_ptr<void> range;  // keeps the addresses mapped for as long as the target lives
    std::byte* base = nullptr;
    std::size_t size = 0;
    std::size_t page_bytes = 4096;
    abi::PmemDurability kind = abi::PmemDurability::Storage;
    PersistFunction function;
  };
  explicit PersistTarget(Parts parts);
  PersistTarget(const PersistTarget&) = delete;
  PersistTarget& operator=(const PersistTarget&) = delete;

  [[nodiscard]] abi::PmemDurability kind() const { return parts_.kind; }
  [[nodiscard]] std::size_t size() const { return parts_.size; }
  [[nodiscard]] const std::byte* base() const { return parts_.base; }
  [[nodiscard]] const std::shared_ptr<PersistFile>& file() const { return parts_.file; }

  // What a persistent flush that succeeds here completes as: Persisted, or Volatile for memory.
  [[nodiscard]] abi::Durability durability() const;

  // True when a progress thread may call persist() itself, in slices of kPersistSliceBytes.
  // False: it would block in the disk, use PersistService.
  [[nodiscard]] bool runs_inline() const { return parts_.kind != abi::PmemDurability::Storage; }

  // Persists the range, offsets counted from the base of the target; it returns when it is
  // durable. Storage is widened to whole pages. Length 0 persists nothing and succeeds. Fails with
  // OutOfRange, with Closed once retired, with the file's first failure for ever after it.
  core::Status persist(std::uint64_t offset, std::uint64_t length);

  // From the return on no persist touches the memory and all fail with Closed. Waits for running
  // ones; callers retire only when quiet, so there are none.
  void retire();

 private:
  core::Status run(std::uint64_t offset, std::uint64_t length);

  const Parts parts_;
  std::shared_mutex retire_mutex_;  // shared by persists, exclusive for retire
  bool retired_ = false;            // guarded by retire_mutex_
  core::LiveCount live_{core::counters().persist_targets};
};

// A pmem persist in slices, so that its thread can serve others in between. Copyable state of one
// flush: call step() until finished().
class PersistSlices {
 public:
  PersistSlices() = default;
  PersistSlices(std::shared_ptr<PersistTarget> target, std::uint64_t offset, std::uint64_t length)
      : target_(std::move(target)), offset_(offset), left_(length) {}

  [[nodiscard]] bool finished() const { return left_ == 0; }
  [[nodiscard]] std::uint64_t left() const { return left_; }

  // Persists the next slice. After a failure nothing is left.
  core::Status step();

 private:
  std::shared_ptr<PersistTarget> target_;
  std::uint64_t offset_ = 0;
  std::uint64_t left_ = 0;
};

}  // namespace rpma::memory
