// SPDX-License-Identifier: BSD-3-Clause
//
// What the fuzz targets that run a whole connection share: one device for all inputs, whose
// progress thread runs the ends of connections, and memory of every right. Everything is made once
// in a process, because that is what costs time. The fuzzer's thread drives, the memory is the
// world's. After each input it is checked that what nobody granted is as it was, and that no
// readable way led to what nobody may read: such memory holds a word that no input knows.
#pragma once

#include <sanitizer/asan_interface.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "core/random.h"
#include "memory/guarded_copy.h"
#include "memory/mapping.h"
#include "memory/persist_oracle.h"
#include "provider/iwarp/completion_queue.h"
#include "provider/iwarp/device_context.h"
#include "provider/iwarp/queue_pair.h"
#include "test/check.h"
#include "test/fuzz_input.h"

namespace rpma::test {

inline constexpr auto kFuzzDeadline = std::chrono::seconds(20);  // only a defect reaches it

/** What an area is there for. The first ones of the list are those that inputs name most often. */
enum class Grant : std::uint8_t {
  kAll,         // every right but the persistent flush
  kWrite,       // write only
  kRead,        // read only
  kPersistent,  // every right, a file's memory behind it
  kPmem,        // every right, and a persist that the progress thread does itself
  kBound,       // every right, for this connection
  kBoundElsewhere,
  kOtherDomain,
  kRevoked,
  kPoisoned,
  kSendOnly,
  kTiny,    // every right on one byte
  kLocal,   // nothing for the other side: where our receives and reads go
  kSource,  // nothing for the other side: where our writes and sends come from
  kCount,
};
inline constexpr std::size_t kAreas = static_cast<std::size_t>(Grant::kCount);

inline constexpr std::uint32_t kEveryRight =
    abi::kMemoryUsageReadSource | abi::kMemoryUsageReadDestination | abi::kMemoryUsageWriteSource |
    abi::kMemoryUsageWriteDestination | abi::kMemoryUsageFlushVisibility | abi::kMemoryUsageSend |
    abi::kMemoryUsageReceive;

/** A registered piece of memory between two guards. */
struct Area {
  static constexpr std::size_t kGuardBytes = 64;

  std::vector<std::byte> block;   // guard, data, guard; empty when a file is behind it
  std::vector<std::byte> before;  // what it held at first
  std::byte* data = nullptr;
  std::size_t length = 0;
  bool writable = false;  // by the other side
  bool secret = false;    // the other side never sees a byte of it
  std::shared_ptr<memory::Mapping> mapping;
  std::shared_ptr<memory::Region> region;

  void make_block(std::size_t bytes) {
    block.assign(bytes + 2 * kGuardBytes, std::byte{0});
    data = block.data() + kGuardBytes;
    length = bytes;
  }
  void expect_unchanged() const {
    if (block.empty()) return;
    const std::size_t bytes = writable ? kGuardBytes : block.size();
    expect(std::memcmp(block.data(), before.data(), bytes) == 0, "memory nobody granted changed");
    const std::size_t behind = block.size() - kGuardBytes;
    expect(std::memcmp(block.data() + behind, before.data() + behind, kGuardBytes) == 0,
           "memory behind an area changed");
  }
  /** While a connection lives an access to a guard ends the process; after it they are compared. */
  void guard(bool closed) const {
    if (block.empty()) return;
    const std::byte* const begins[] = {block.data(), data + length};
    for (const std::byte* begin : begins) {
      if (closed) {
        ASAN_POISON_MEMORY_REGION(begin, kGuardBytes);
      } else {
        ASAN_UNPOISON_MEMORY_REGION(begin, kGuardBytes);
      }
    }
  }
};

/** Rings when an event of a connection was published. */
class FuzzBell final : public provider::Notifier {
 public:
  void notify(std::uint64_t) override {
    const std::lock_guard lock(mutex_);
    rang_ = true;
    changed_.notify_all();
  }
  void wait(std::chrono::milliseconds at_most) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, at_most, [this] { return rang_; });
    rang_ = false;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool rang_ = false;
};

class FuzzWorld {
 public:
  static FuzzWorld& instance() {
    static FuzzWorld world;
    return world;
  }

  [[nodiscard]] const std::shared_ptr<iwarp::DeviceContext>& context() const { return context_; }
  [[nodiscard]] Area& area(Grant grant) { return areas_[static_cast<std::size_t>(grant)]; }
  [[nodiscard]] Area& area(std::size_t index) { return areas_[index % kAreas]; }
  [[nodiscard]] std::uint64_t secret() const { return secret_; }

  /** Before an input: the bound region is made for this connection; the guards are closed. */
  void begin(std::uint32_t connection) {
    Area& bound = area(Grant::kBound);
    bound.region = add(bound, kEveryRight, context_->domain, connection, nullptr);
    for (Area& each : areas_) each.guard(true);
  }

  /**
   * After an input, when the connection has ended: nothing changed that nobody granted. `granted`
   * are ranges of the local area that receives and reads were posted for.
   */
  void end(const std::vector<std::pair<std::size_t, std::size_t>>& granted) {
    Area& bound = area(Grant::kBound);
    bound.region->revoke([] {});
    bound.region.reset();
    for (Area& each : areas_) each.guard(false);
    // What was granted is made as it was; then all that is not the other side's is compared.
    Area& local = area(Grant::kLocal);
    for (const auto& [offset, length] : granted) {
      std::memcpy(local.data + offset, local.before.data() + Area::kGuardBytes + offset, length);
    }
    for (const Area& each : areas_) each.expect_unchanged();
  }

  /** What exists now belongs to the target, not to an input. */
  void rebase() { baseline_ = live(); }

  /** Waits until all that belonged to the input is gone; what is left over then is a leak. */
  void settle(std::int64_t bound_regions) const {
    const auto deadline = std::chrono::steady_clock::now() + kFuzzDeadline;
    const auto bell = std::make_shared<FuzzBell>();
    while (live() != baseline_ + bound_regions) {
      expect(std::chrono::steady_clock::now() < deadline, "counters do not return to zero");
      // Behind what the progress thread still does; a persist thread may need more rounds.
      context_->progress->post([bell] { bell->notify(0); });
      bell->wait(kFuzzDeadline);
    }
  }

 private:
  static constexpr std::size_t kSmallBytes = 4096;
  static constexpr std::size_t kLargeBytes = 72 * 1024;  // more than one frame can carry

  FuzzWorld() : secret_(core::secure_u64()) {
    memory::install_fault_guard();
    context_ = std::make_shared<iwarp::DeviceContext>();
    context_->persist = memory::PersistService::process();
    auto progress = iwarp::ProgressThread::start(0);
    expect(progress.ok() && directory_.ok(), "no progress thread, or no temporary directory");
    context_->progress = std::move(progress).value();
    make_memory();
    warm_up();
    // The one region that begin() makes and end() takes away is not there yet.
    baseline_ = live();
  }

  ~FuzzWorld() { context_->progress->stop(); }

  /** Threads that persist start when they are needed and stay: they are no input's. */
  static std::int64_t live() { return core::live_total() - core::counters().threads.load(); }

  std::byte fill_at(const std::byte* address) const {
    // A word of eight bytes again and again, wherever an area begins.
    std::byte bytes[8];
    std::memcpy(bytes, &secret_, sizeof(bytes));
    return bytes[reinterpret_cast<std::uintptr_t>(address) % sizeof(bytes)];
  }

  void fill(Area& area) const {
    std::byte* begin = area.block.empty() ? area.data : area.block.data();
    const std::size_t bytes = area.block.empty() ? area.length : area.block.size();
    for (std::size_t i = 0; i < bytes; ++i) begin[i] = fill_at(begin + i);
    // What may be read must not look like what may not.
    if (!area.secret) std::memset(area.data, 0x5A, area.length);
    area.before = area.block;
  }

  std::shared_ptr<memory::Region> add(const Area& area, std::uint32_t usage, std::uint64_t domain,
                                      std::uint64_t connection,
                                      const std::shared_ptr<memory::Mapping>& mapping) {
    memory::RegionOptions options;
    options.data = area.data;
    options.length = area.length;
    options.usage = usage;
    options.domain = domain;
    options.connection = connection;
    options.mapping = mapping;
    auto made = context_->regions.add(std::move(options));
    expect(made.ok(), "a region cannot be registered");
    return std::move(made).value();
  }

  void make_plain(Grant grant, std::uint32_t usage, std::size_t bytes) {
    Area& made = area(grant);
    made.make_block(bytes);
    made.writable = (usage & abi::kMemoryUsageWriteDestination) != 0;
    // A plain Read of at most eight bytes is a flush, which a flush grant admits.
    made.secret = (usage & (abi::kMemoryUsageReadSource | abi::kMemoryUsageFlushVisibility)) == 0;
    if (grant == Grant::kSource) made.secret = false;  // we send it ourselves
    if (grant != Grant::kBound) made.region = add(made, usage, context_->domain, 0, nullptr);
  }

  void make_closed(Grant grant, std::uint64_t domain, std::uint64_t connection) {
    Area& made = area(grant);
    made.make_block(kSmallBytes);
    made.secret = true;
    made.region = add(made, kEveryRight, domain, connection, nullptr);
  }

  void make_file(Grant grant, abi::PmemDurability kind) {
    Area& made = area(grant);
    memory::MapOptions options;
    options.size = 2 * kSmallBytes;
    options.create = true;
    options.allow_volatile = true;
    options.persist = memory::PersistOracle::create()->persist_override(kind);
    auto mapping =
        memory::Mapping::file(directory_.file(grant == Grant::kPmem ? "pmem" : "storage"), options);
    expect(mapping.ok(), "a file cannot be mapped");
    made.mapping = std::move(mapping).value();
    made.data = made.mapping->data();
    made.length = made.mapping->size();
    made.writable = true;
    made.region = add(made, kEveryRight | abi::kMemoryUsageFlushPersistent, context_->domain, 0,
                      made.mapping);
  }

  void make_memory() {
    constexpr std::uint32_t kLocalUse = abi::kMemoryUsageReadDestination | abi::kMemoryUsageReceive;
    make_plain(Grant::kAll, kEveryRight, kLargeBytes);
    make_plain(Grant::kWrite, abi::kMemoryUsageWriteDestination, kLargeBytes);
    make_plain(Grant::kRead, abi::kMemoryUsageReadSource, kSmallBytes);
    make_file(Grant::kPersistent, abi::PmemDurability::Storage);
    make_file(Grant::kPmem, abi::PmemDurability::Pmem);
    make_plain(Grant::kBound, kEveryRight, kSmallBytes);
    make_closed(Grant::kBoundElsewhere, context_->domain, ~std::uint64_t{0});
    make_closed(Grant::kOtherDomain, context_->domain + 1, 0);
    make_closed(Grant::kRevoked, context_->domain, 0);
    area(Grant::kRevoked).region->revoke([] {});
    make_closed(Grant::kPoisoned, context_->domain, 0);
    area(Grant::kPoisoned).region->poison();
    make_plain(Grant::kSendOnly, abi::kMemoryUsageSend, kSmallBytes);
    make_plain(Grant::kTiny, kEveryRight, 1);
    make_plain(Grant::kLocal, kLocalUse, kLargeBytes);
    make_plain(Grant::kSource, abi::kMemoryUsageWriteSource | abi::kMemoryUsageSend, kLargeBytes);
    for (Area& each : areas_) fill(each);
  }

  /** What the first persist starts belongs to no input. */
  void warm_up() const {
    std::atomic<bool> done{false};
    const auto& target = areas_[static_cast<std::size_t>(Grant::kPersistent)].mapping;
    const auto status = context_->persist->submit(target->persist_target(), 0, 8,
                                                  [&done](const core::Status&) { done = true; });
    expect(status.ok() && wait_until([&] { return done.load(); }), "nothing can be persisted");
    expect(wait_until([] { return core::counters().persists_queued.load() == 0; }), "a persist");
  }

  TemporaryDirectory directory_;
  const std::uint64_t secret_;
  std::shared_ptr<iwarp::DeviceContext> context_;
  std::array<Area, kAreas> areas_;
  std::int64_t baseline_ = 0;
};

}  // namespace rpma::test
