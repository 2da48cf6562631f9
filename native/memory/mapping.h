// SPDX-License-Identifier: BSD-3-Clause
// Mapping: memory that may be registered, from the library's own allocation or from a file. Made
// on any thread (file() blocks in the disk: never a progress or JavaScript thread's work), held by
// shared_ptr from regions, views and persists; the addresses are given back by the last of them.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "abi.generated.h"
#include "core/counters.h"
#include "core/result.h"
#include "memory/persist.h"

namespace rpma::memory {

// Puts a domain of the caller's in the place of libpmem and msync, whatever the file system is.
// make is called once, when the range is mapped.
struct PersistOverride {
  abi::PmemDurability kind = abi::PmemDurability::Storage;
  std::function<PersistFunction(std::byte* base, std::size_t size)> make;
};

struct MapOptions {
  std::uint64_t size = 0;    // 0: from offset to the end of the file
  std::uint64_t offset = 0;  // a multiple of the page size
  bool create = false;       // make the file when there is none; extend it when it is too short
  mode_t mode = 0600;
  bool read_only = false;
  bool allow_volatile = false;  // accept tmpfs, ramfs and hugetlbfs
  std::optional<PersistOverride> persist;
};

class MappedRange;

class Mapping {
 public:
  // Zeroed memory of the process. Huge pages are a wish, not a promise.
  static core::Result<std::shared_ptr<Mapping>> anonymous(std::size_t size,
                                                          bool huge_pages = false);

  // A file, its blocks allocated. With create, the file and its name are on the disk before it
  // returns. Codes: NotPersistent (a file system that cannot last, without allow_volatile),
  // OutOfRange (size, offset), InvalidArgValue (not a regular file), else the failed system
  // call's, with errno and name.
  static core::Result<std::shared_ptr<Mapping>> file(const std::string& path,
                                                     const MapOptions& options);

  struct Parts {
    std::shared_ptr<MappedRange> range;
    std::size_t size = 0;
    bool read_only = false;
    FileIdentity identity;
    std::shared_ptr<PersistTarget> persist;
  };
  explicit Mapping(Parts parts) : parts_(std::move(parts)) {}
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  [[nodiscard]] std::byte* data() const;
  [[nodiscard]] std::size_t size() const { return parts_.size; }
  [[nodiscard]] bool is_file() const { return parts_.persist != nullptr; }
  [[nodiscard]] bool read_only() const { return parts_.read_only; }
  [[nodiscard]] const FileIdentity& identity() const { return parts_.identity; }

  // True when processor instructions alone make stores durable (libpmem over MAP_SYNC).
  [[nodiscard]] bool is_pmem() const;
  // What a persist of it survives; Memory for anonymous memory, which grants no persist at all.
  [[nodiscard]] abi::PmemDurability durability() const;
  // Null for anonymous memory.
  [[nodiscard]] const std::shared_ptr<PersistTarget>& persist_target() const {
    return parts_.persist;
  }

  // Ends the mapping while views of it may still exist: persists fail from here on, and anonymous
  // pages lie over the range at once, so that a late access reads zeros instead of the file. The
  // caller has revoked its regions and waited until they were quiet. The second call does nothing.
  core::Status retire();
  [[nodiscard]] bool retired() const { return retired_.load(std::memory_order_acquire); }

 private:
  const Parts parts_;
  std::atomic<bool> retired_{false};
  core::LiveCount live_{core::counters().mappings};
};

}  // namespace rpma::memory
