// SPDX-License-Identifier: BSD-3-Clause
// See region_table.h. Shards keep drivers of different connections from meeting at one lock; a
// look-up takes it shared.
#include "memory/region_table.h"

#include <array>
#include <cinttypes>
#include <limits>
#include <shared_mutex>
#include <unordered_map>
#include <utility>

#include "core/assert.h"
#include "core/bytes.h"
#include "core/fault_points.h"
#include "core/log.h"
#include "core/random.h"
#include "core/ring.h"

namespace rpma::memory {

namespace {

using core::Status;

constexpr std::uint32_t kFlushUsage =
    abi::kMemoryUsageFlushVisibility | abi::kMemoryUsageFlushPersistent;
constexpr std::uint32_t kStoringUsage =
    abi::kMemoryUsageReadDestination | abi::kMemoryUsageWriteDestination | abi::kMemoryUsageReceive;
constexpr std::uint32_t kAllUsage = kFlushUsage | kStoringUsage | abi::kMemoryUsageReadSource |
                                    abi::kMemoryUsageWriteSource | abi::kMemoryUsageSend;
constexpr std::uint64_t kPlainFlushBytesMax = 8;
constexpr std::uint64_t kBaseAlignment = 4096;

bool lies_within(const std::byte* data, std::uint64_t length, const std::byte* base,
                 std::size_t size) {
  const auto begin = reinterpret_cast<std::uintptr_t>(base);
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  return address >= begin && address - begin <= size && length <= size - (address - begin);
}

// Random, congruent to the address (devices and peers may care about the offset in a page), not 0
// and such that base + length does not wrap.
std::uint64_t choose_base(const std::byte* data, std::uint64_t length) {
  const std::uint64_t low = reinterpret_cast<std::uintptr_t>(data) % kBaseAlignment;
  for (;;) {
    const std::uint64_t base = core::align_down(core::secure_u64(), kBaseAlignment) | low;
    if (base != 0 && length <= std::numeric_limits<std::uint64_t>::max() - base) return base;
  }
}

Status complete_from_mapping(RegionOptions& options) {
  if (options.mapping == nullptr) return Status::success();
  const Mapping& mapping = *options.mapping;
  if (mapping.retired()) return Status::failure(abi::Code::Closed, "the mapping is unmapped");
  if (!lies_within(options.data, options.length, mapping.data(), mapping.size())) {
    return Status::failure(abi::Code::OutOfRange, "the region is outside its mapping");
  }
  if (mapping.read_only() && (options.usage & kStoringUsage) != 0) {
    return Status::failure(abi::Code::Usage, "the mapping is read-only");
  }
  if (options.persist == nullptr && mapping.persist_target() != nullptr) {
    options.persist = mapping.persist_target();
    options.persist_offset = static_cast<std::uint64_t>(options.data - mapping.data());
  }
  options.guarded = options.guarded || mapping.is_file();
  return Status::success();
}

Status complete(RegionOptions& options) {
  if (options.data == nullptr || options.length == 0) {
    return Status::failure(abi::Code::OutOfRange, "a region has at least one byte");
  }
  if (options.usage == 0 || (options.usage & ~kAllUsage) != 0) {
    return Status::failure(abi::Code::InvalidArgValue, "usage names no use, or an unknown one");
  }
  const Status status = complete_from_mapping(options);
  if (!status.ok()) return status;
  const bool persistent = (options.usage & abi::kMemoryUsageFlushPersistent) != 0;
  if (options.persist == nullptr) {
    return persistent
               ? Status::failure(abi::Code::NotPersistent, "persistent flush needs a mapped file")
               : Status::success();
  }
  const std::uint64_t size = options.persist->size();
  if (options.persist_offset > size || options.length > size - options.persist_offset) {
    return Status::failure(abi::Code::OutOfRange, "the region is outside its persist target");
  }
  return Status::success();
}

}  // namespace

const char* access_error_name(AccessError error) {
  static constexpr std::array<const char*, 7> kNames = {"ok",   "unknown", "domain", "rights",
                                                        "wrap", "bounds",  "revoked"};
  return kNames[static_cast<std::size_t>(error)];
}

void RegionUse::release() {
  const std::shared_ptr<Region> region = std::move(region_);
  region_ = nullptr;
  if (region != nullptr) region->release_use();
}

Region::Region(RegionOptions options, std::uint32_t key, std::uint64_t base, Forget forget)
    : options_(std::move(options)), key_(key), base_(base), forget_(std::move(forget)) {}

AccessError Region::check_owner(std::uint64_t domain, std::uint64_t connection) const {
  if (domain != options_.domain) return AccessError::Domain;
  const bool bound_elsewhere = options_.connection != 0 && options_.connection != connection;
  return bound_elsewhere ? AccessError::Domain : AccessError::Ok;
}

// By subtraction: base + length does not wrap by construction, address + length may.
AccessError Region::check_range(std::uint64_t address, std::uint64_t length) const {
  if (length > std::numeric_limits<std::uint64_t>::max() - address) return AccessError::Wrap;
  if (address < base_) return AccessError::Bounds;
  const std::uint64_t offset = address - base_;
  if (offset > options_.length || length > options_.length - offset) return AccessError::Bounds;
  return (word_.load() & ~kUsers) == 0 ? AccessError::Ok : AccessError::Revoked;
}

AccessError Region::check(std::uint64_t address, std::uint64_t length, std::uint32_t need,
                          std::uint64_t domain, std::uint64_t connection) const {
  const AccessError owner = check_owner(domain, connection);
  if (owner != AccessError::Ok) return owner;
  if ((options_.usage & need) != need) return AccessError::Rights;
  return check_range(address, length);
}

AccessError Region::check_plain_read(std::uint64_t address, std::uint64_t length,
                                     std::uint64_t domain, std::uint64_t connection) const {
  const AccessError owner = check_owner(domain, connection);
  if (owner != AccessError::Ok) return owner;
  const bool is_flush = (options_.usage & kFlushUsage) != 0 && length <= kPlainFlushBytesMax;
  if ((options_.usage & abi::kMemoryUsageReadSource) == 0 && !is_flush) {
    return AccessError::Rights;
  }
  return check_range(address, length);
}

RegionUse Region::acquire() {
  const std::uint64_t before = word_.fetch_add(1);
  if ((before & ~kUsers) != 0) {
    release_use();
    return RegionUse{};
  }
  return RegionUse(shared_from_this());
}

void Region::release_use() {
  const std::uint64_t before = word_.fetch_sub(1);
  RPMA_ASSERT((before & kUsers) != 0);
  if ((before & kUsers) == 1 && (before & kRevoked) != 0) run_when_quiet();
}

void Region::revoke(std::function<void()> when_quiet) {
  // The table's reference may be the last one.
  const std::shared_ptr<Region> self = shared_from_this();
  {
    const std::lock_guard lock(mutex_);
    when_quiet_.push_back(std::move(when_quiet));
  }
  const std::uint64_t before = word_.fetch_or(kRevoked);
  if ((before & kRevoked) == 0 && forget_.function) forget_.function(key_);
  if ((before & kUsers) == 0) run_when_quiet();
}

void Region::run_when_quiet() {
  std::vector<std::function<void()>> callbacks;
  {
    const std::lock_guard lock(mutex_);
    callbacks.swap(when_quiet_);
  }
  for (const std::function<void()>& callback : callbacks) {
    if (callback) callback();
  }
}

void Region::poison() {
  if ((word_.fetch_or(kPoisoned) & kPoisoned) != 0) return;
  RPMA_LOG(Error, "a region of %" PRIu64 " bytes lost its memory (a truncated file?)", length());
}

struct RegionTable::State {
  static constexpr std::size_t kShards = 16;
  static constexpr std::size_t kKeysRemembered = 1024;
  static constexpr int kAttempts = 64;

  struct alignas(64) Shard {
    mutable std::shared_mutex mutex;
    std::unordered_map<std::uint32_t, std::shared_ptr<Region>> regions;  // guarded by mutex
  };

  [[nodiscard]] Shard& shard_of(std::uint32_t key) { return shards[key % kShards]; }

  // A key just given up is not given out again soon: a frame that is still on its way would meet
  // another region's memory.
  [[nodiscard]] bool is_recent(std::uint32_t key) {
    const std::lock_guard lock(recent_mutex);
    for (std::size_t i = 0; i < recent.size(); ++i) {
      if (recent[i] == key) return true;
    }
    return false;
  }

  void forget(std::uint32_t key) {
    {
      const std::lock_guard lock(recent_mutex);
      if (recent.full()) recent.pop_front();
      static_cast<void>(recent.push_back(key));
    }
    Shard& shard = shard_of(key);
    std::shared_ptr<Region> last;  // destroyed after the lock is released
    const std::unique_lock lock(shard.mutex);
    const auto entry = shard.regions.find(key);
    if (entry == shard.regions.end()) return;
    last = std::move(entry->second);
    shard.regions.erase(entry);
  }

  [[nodiscard]] bool insert(const std::shared_ptr<Region>& region) {
    Shard& shard = shard_of(region->key());
    const std::unique_lock lock(shard.mutex);
    return shard.regions.emplace(region->key(), region).second;
  }

  std::array<Shard, kShards> shards;
  std::mutex recent_mutex;
  core::FixedQueue<std::uint32_t> recent{kKeysRemembered};  // guarded by recent_mutex
};

RegionTable::RegionTable() : state_(std::make_shared<State>()) {}

core::Result<std::shared_ptr<Region>> RegionTable::add(RegionOptions options) {
  const core::FaultAction fault = RPMA_FAULT_POINT("memory.register");
  if (fault.fail) return Status::from_errno(fault.err, "register");
  const Status status = complete(options);
  if (!status.ok()) return status;
  for (int attempt = 0; attempt < State::kAttempts; ++attempt) {
    const std::uint32_t key = core::secure_u32();
    if (key == 0 || state_->is_recent(key)) continue;
    Region::Forget forget{[weak = std::weak_ptr<State>(state_)](std::uint32_t gone) {
      if (const std::shared_ptr<State> state = weak.lock()) state->forget(gone);
    }};
    auto region = std::make_shared<Region>(options, key, choose_base(options.data, options.length),
                                           std::move(forget));
    if (state_->insert(region)) return region;
  }
  return Status::failure(abi::Code::Limit, "no free key");
}

std::shared_ptr<Region> RegionTable::find(std::uint32_t key) const {
  const State::Shard& shard = state_->shard_of(key);
  const std::shared_lock lock(shard.mutex);
  const auto entry = shard.regions.find(key);
  return entry == shard.regions.end() ? nullptr : entry->second;
}

RegionAccess RegionTable::resolve(std::uint32_t key, std::uint64_t address, std::uint64_t length,
                                  std::uint32_t need, std::uint64_t domain,
                                  std::uint64_t connection) const {
  RegionAccess access;
  const std::shared_ptr<Region> region = find(key);
  if (region == nullptr) return access;
  access.error = region->check(address, length, need, domain, connection);
  if (access.error != AccessError::Ok) return access;
  access.use = region->acquire();
  if (!access.use) {
    access.error = AccessError::Revoked;
    return access;
  }
  access.data = region->at(address);
  return access;
}

std::size_t RegionTable::size() const {
  std::size_t total = 0;
  for (const State::Shard& shard : state_->shards) {
    const std::shared_lock lock(shard.mutex);
    total += shard.regions.size();
  }
  return total;
}

std::vector<std::shared_ptr<Region>> RegionTable::all() const {
  std::vector<std::shared_ptr<Region>> regions;
  for (const State::Shard& shard : state_->shards) {
    const std::shared_lock lock(shard.mutex);
    for (const auto& [key, region] : shard.regions) regions.push_back(region);
  }
  return regions;
}

}  // namespace rpma::memory
