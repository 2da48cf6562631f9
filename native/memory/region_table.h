// SPDX-License-Identifier: BSD-3-Clause
// Registered memory and who may touch it. A RegionTable maps keys to regions; drivers look keys up
// for every frame, from several threads. A Region counts its users, so that revoking it can say
// when the last one is gone. Key and base together are the capability: both are random, and the
// base, not the address, is what the other side sees.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "abi.generated.h"
#include "core/counters.h"
#include "core/result.h"
#include "memory/mapping.h"
#include "memory/persist.h"

namespace rpma::memory {

class Region;

enum class AccessError : std::uint8_t {
  Ok,
  Unknown,  // no region has this key
  Domain,   // a region of another protection domain, or bound to another connection
  Rights,   // not registered for this use
  Wrap,     // address + length wraps around 2^64
  Bounds,   // outside the region
  Revoked,  // revoked or poisoned
};
[[nodiscard]] const char* access_error_name(AccessError error);

// One use of a region's memory: while it lives, revoke() is not quiet. Movable, not copyable.
class RegionUse {
 public:
  RegionUse() = default;
  ~RegionUse() { release(); }
  RegionUse(RegionUse&& other) noexcept : region_(std::move(other.region_)) {}
  RegionUse& operator=(RegionUse&& other) noexcept {
    if (this != &other) {
      release();
      region_ = std::move(other.region_);
    }
    return *this;
  }
  RegionUse(const RegionUse&) = delete;
  RegionUse& operator=(const RegionUse&) = delete;

  explicit operator bool() const { return region_ != nullptr; }
  [[nodiscard]] Region* operator->() const { return region_.get(); }
  [[nodiscard]] const std::shared_ptr<Region>& region() const { return region_; }
  void release();

 private:
  friend class Region;
  explicit RegionUse(std::shared_ptr<Region> region) : region_(std::move(region)) {}

  std::shared_ptr<Region> region_;
};

struct RegionOptions {
  std::byte* data = nullptr;
  std::uint64_t length = 0;
  std::uint32_t usage = 0;           // abi::kMemoryUsage* bits
  std::uint64_t domain = 0;          // protection domain
  std::uint64_t connection = 0;      // the one connection it is bound to, 0 for any
  std::shared_ptr<Mapping> mapping;  // what the data lies in, null for memory of the user's
  // Where a persistent flush goes, null for memory without a domain. Taken from the mapping when
  // it is null and the mapping has one; the offset is then worked out, too.
  std::shared_ptr<PersistTarget> persist;
  std::uint64_t persist_offset = 0;  // of the region within the target
  bool guarded = false;              // copies may fault: set by itself for file mappings
};

class Region : public std::enable_shared_from_this<Region> {
 public:
  struct Forget {
    std::function<void(std::uint32_t key)> function;  // takes the key out of its table
  };
  Region(RegionOptions options, std::uint32_t key, std::uint64_t base, Forget forget);
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  [[nodiscard]] std::uint32_t key() const { return key_; }
  [[nodiscard]] std::uint64_t base() const { return base_; }
  [[nodiscard]] std::uint64_t length() const { return options_.length; }
  [[nodiscard]] std::uint32_t usage() const { return options_.usage; }
  [[nodiscard]] std::uint64_t domain() const { return options_.domain; }
  [[nodiscard]] std::uint64_t connection() const { return options_.connection; }
  [[nodiscard]] std::byte* data() const { return options_.data; }
  [[nodiscard]] bool guarded() const { return options_.guarded; }
  [[nodiscard]] const std::shared_ptr<Mapping>& mapping() const { return options_.mapping; }
  [[nodiscard]] const std::shared_ptr<PersistTarget>& persist_target() const {
    return options_.persist;
  }
  [[nodiscard]] std::uint64_t persist_offset() const { return options_.persist_offset; }

  // Whether the remote range [address, address + length) may be used for every bit of need by
  // that connection. It reads no memory and takes no use. A length of 0 may lie at the end.
  [[nodiscard]] AccessError check(std::uint64_t address, std::uint64_t length, std::uint32_t need,
                                  std::uint64_t domain, std::uint64_t connection) const;
  // A Read on a connection without the extension: a flush grant admits Reads of at most 8 bytes,
  // because that Read is the flush; a larger one needs ReadSource.
  [[nodiscard]] AccessError check_plain_read(std::uint64_t address, std::uint64_t length,
                                             std::uint64_t domain, std::uint64_t connection) const;
  // The byte behind a remote address that check() accepted.
  [[nodiscard]] std::byte* at(std::uint64_t address) const {
    return options_.data + (address - base_);
  }
  [[nodiscard]] std::uint64_t offset_of(std::uint64_t address) const { return address - base_; }

  // Empty once revoked or poisoned. Also for the program's own operations on the memory.
  [[nodiscard]] RegionUse acquire();

  // From the call no acquire passes and the key is unknown. when_quiet runs exactly once, when the
  // last use is gone: within this call, or on the thread that releases it (so it must be short).
  // May be called again; each when_quiet runs.
  void revoke(std::function<void()> when_quiet);
  // No acquire passes any more, as the memory behind is gone (a truncated file). The region still
  // has to be revoked.
  void poison();

  [[nodiscard]] bool revoked() const { return (word_.load() & kRevoked) != 0; }
  [[nodiscard]] bool poisoned() const { return (word_.load() & kPoisoned) != 0; }
  [[nodiscard]] std::uint64_t users() const { return word_.load() & kUsers; }

 private:
  friend class RegionUse;
  static constexpr std::uint64_t kRevoked = std::uint64_t{1} << 63U;
  static constexpr std::uint64_t kPoisoned = std::uint64_t{1} << 62U;
  static constexpr std::uint64_t kUsers = kPoisoned - 1;

  [[nodiscard]] AccessError check_range(std::uint64_t address, std::uint64_t length) const;
  [[nodiscard]] AccessError check_owner(std::uint64_t domain, std::uint64_t connection) const;
  void release_use();
  void run_when_quiet();

  // State bits and user count in one word, so that a user's last step sees both at one instant.
  // A user adds itself and looks at the bits it added itself to; revoke registers its callback,
  // sets the bit and looks at the count it set it over. Whoever makes (revoked, 0 users) true, or
  // finds it true, takes the callbacks under the mutex: each is run once. A user that came too
  // late counts for a moment and goes through the same door. Two separate words would not do: a
  // releaser that brought the count to 0 could read the state after a new user came and a
  // revocation began.
  std::atomic<std::uint64_t> word_{0};
  const RegionOptions options_;
  const std::uint32_t key_;
  const std::uint64_t base_;
  const Forget forget_;
  std::mutex mutex_;
  std::vector<std::function<void()>> when_quiet_;  // guarded by mutex_
  core::LiveCount live_{core::counters().regions};
};

// The answer to one look-up: a use and the address when error is Ok.
struct RegionAccess {
  AccessError error = AccessError::Unknown;
  RegionUse use;
  std::byte* data = nullptr;
};

class RegionTable {
 public:
  RegionTable();
  RegionTable(const RegionTable&) = delete;
  RegionTable& operator=(const RegionTable&) = delete;

  // Codes: OutOfRange (length 0, or outside the mapping or the persist target), InvalidArgValue
  // (no usage, unknown bits), NotPersistent (persistent flush granted where there is no domain),
  // Usage (a read-only mapping granted for writing), Limit (no free key).
  core::Result<std::shared_ptr<Region>> add(RegionOptions options);

  [[nodiscard]] std::shared_ptr<Region> find(std::uint32_t key) const;

  // find, check and acquire in one.
  [[nodiscard]] RegionAccess resolve(std::uint32_t key, std::uint64_t address, std::uint64_t length,
                                     std::uint32_t need, std::uint64_t domain,
                                     std::uint64_t connection) const;

  [[nodiscard]] std::size_t size() const;
  // Every region registered now, for the end of a domain or an environment.
  [[nodiscard]] std::vector<std::shared_ptr<Region>> all() const;

 private:
  struct State;
  std::shared_ptr<State> state_;  // weakly known to the regions, which may outlive the table
};

}  // namespace rpma::memory
