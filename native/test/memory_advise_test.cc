// SPDX-License-Identifier: BSD-3-Clause
// Advice: pages really come in (the kernel's page map says so), with and without the kernel's help;
// truncated files, revoked regions, and what the system refuses.
#include "memory/advise.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "core/fault_points.h"
#include "memory/mapping.h"
#include "memory/region_table.h"
#include "test/check.h"

using namespace rpma;
using abi::AdviceKind;
using memory::Mapping;
using memory::Region;

namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kPages = 64;

constexpr unsigned kPresent = 63;
constexpr unsigned kExclusive = 56;  // unlike the one page of zeros that untouched memory shares

/** Of how many pages of the range the kernel's page map says so. */
std::size_t mapped_pages(const std::byte* begin, std::size_t length, unsigned bit = kPresent) {
  const int fd = ::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  std::size_t mapped = 0;
  for (std::size_t at = 0; at < length; at += kPage) {
    std::uint64_t entry = 0;
    const auto page = reinterpret_cast<std::uintptr_t>(begin + at) / kPage;
    const auto offset = static_cast<off_t>(page * sizeof(entry));
    if (::pread(fd, &entry, sizeof(entry), offset) != sizeof(entry)) continue;
    mapped += entry >> bit & 1U;
  }
  ::close(fd);
  return mapped;
}

struct Memory {
  std::shared_ptr<Mapping> mapping;
  std::shared_ptr<Region> region;
  memory::RegionUse use() const { return region->acquire(); }
  std::size_t mapped() const { return mapped_pages(mapping->data(), mapping->size()); }
};

struct World {
  test::TemporaryDirectory directory;
  memory::RegionTable table;

  World() { core::fault::clear_all(); }
  ~World() { core::fault::clear_all(); }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  Memory registered(std::shared_ptr<Mapping> mapping) {
    memory::RegionOptions options;
    options.data = mapping->data();
    options.length = mapping->size();
    options.usage = abi::kMemoryUsageReadSource;
    options.mapping = mapping;
    auto region = table.add(std::move(options));
    CHECK(region.ok());
    return {std::move(mapping), std::move(region).value()};
  }
  Memory anonymous() { return registered(Mapping::anonymous(kPages * kPage).value()); }
  Memory file(bool read_only = false) {
    memory::MapOptions options;
    options.size = kPages * kPage;
    options.create = true;
    options.allow_volatile = true;
    const std::string path = directory.file("f");
    if (read_only) {
      CHECK(Mapping::file(path, options).ok());
      options.create = false;
      options.read_only = true;
    }
    return registered(Mapping::file(path, options).value());
  }
  void truncate() { CHECK_EQ(::truncate(directory.file("f").c_str(), kPages / 2 * kPage), 0); }
};

core::Status advise_all(const Memory& memory, AdviceKind kind) {
  return memory::advise(memory.use(), 0, memory.region->length(), kind);
}

}  // namespace

TEST(advice_brings_every_page_in) {
  for (const bool old_kernel : {false, true}) {
    for (const AdviceKind kind : {AdviceKind::Prefetch, AdviceKind::PrefetchWrite}) {
      World world;
      if (old_kernel) {
        core::fault::set("memory.advise-probe", 1, core::fault::kForever, EINVAL);
      }
      const Memory anonymous = world.anonymous();
      CHECK_EQ(anonymous.mapped(), 0);
      CHECK(advise_all(anonymous, kind).ok());
      CHECK_EQ(anonymous.mapped(), kPages);
      const std::size_t written = kind == AdviceKind::PrefetchWrite ? kPages : 0;
      CHECK_EQ(mapped_pages(anonymous.mapping->data(), kPages * kPage, kExclusive), written);
      const Memory file = world.file();
      CHECK_EQ(file.mapped(), 0);
      CHECK(advise_all(file, kind).ok());
      CHECK_EQ(file.mapped(), kPages);
      CHECK_EQ(core::fault::hits("memory.advise") > 0, !old_kernel);
      CHECK_EQ(anonymous.region->users(), 0);
    }
  }
}

TEST(advice_changes_no_byte) {
  for (const bool old_kernel : {false, true}) {
    World world;
    if (old_kernel) core::fault::set("memory.advise-probe", 1, core::fault::kForever, EINVAL);
    const Memory file = world.file();
    std::memset(file.mapping->data(), 0xA5, file.mapping->size());
    CHECK(advise_all(file, AdviceKind::PrefetchWrite).ok());
    std::size_t changed = 0;
    for (std::size_t i = 0; i < file.mapping->size(); ++i) {
      changed += file.mapping->data()[i] != std::byte{0xA5} ? 1 : 0;
    }
    CHECK_EQ(changed, 0);
  }
}

TEST(advice_stays_within_the_pages_of_its_range) {
  World world;
  const Memory memory = world.anonymous();
  CHECK(memory::advise(memory.use(), kPage + 1, kPage, AdviceKind::PrefetchWrite).ok());
  CHECK_EQ(mapped_pages(memory.mapping->data(), kPage), 0);
  CHECK_EQ(mapped_pages(memory.mapping->data() + kPage, 2 * kPage), 2);
  CHECK_EQ(memory.mapped(), 2);
  const std::uint64_t size = memory.region->length();
  CHECK_EQ(memory::advise(memory.use(), size, 1, AdviceKind::Prefetch).code, abi::Code::OutOfRange);
  CHECK_EQ(memory::advise(memory.use(), 1, size, AdviceKind::Prefetch).code, abi::Code::OutOfRange);
  CHECK_EQ(memory::advise(memory.use(), 1, UINT64_MAX, AdviceKind::Prefetch).code,
           abi::Code::OutOfRange);
}

TEST(advice_without_faults_maps_nothing) {
  World world;
  const Memory file = world.file();
  CHECK(advise_all(file, AdviceKind::PrefetchNoFault).ok());
  CHECK_EQ(file.mapped(), 0);
  CHECK_EQ(core::fault::hits("memory.advise-ahead"), 1);
}

TEST(advice_takes_memory_that_is_on_no_page_boundary) {
  World world;
  std::vector<std::byte> memory(3 * kPage);
  memory::RegionOptions options;
  options.data = memory.data() + 13;
  options.length = kPage + 7;
  options.usage = abi::kMemoryUsageReadSource;
  const std::shared_ptr<Region> region = world.table.add(std::move(options)).value();
  for (const AdviceKind kind : {AdviceKind::Prefetch, AdviceKind::PrefetchWrite}) {
    CHECK(memory::advise(region->acquire(), 0, region->length(), kind).ok());
  }
}

TEST(advice_on_a_truncated_file_is_an_error) {
  for (const bool old_kernel : {false, true}) {
    for (const AdviceKind kind : {AdviceKind::Prefetch, AdviceKind::PrefetchWrite}) {
      World world;
      if (old_kernel) {
        core::fault::set("memory.advise-probe", 1, core::fault::kForever, EINVAL);
      }
      const Memory file = world.file();
      world.truncate();
      const core::Status status = advise_all(file, kind);
      CHECK_EQ(status.code, abi::Code::InvalidArgValue);
      CHECK_EQ(status.sys_errno, EFAULT);
      CHECK(memory::advise(file.use(), 0, kPages / 2 * kPage, kind).ok());
    }
  }
}

TEST(advice_for_writing_needs_a_mapping_that_can_be_written) {
  World world;
  const Memory file = world.file(true);
  CHECK_EQ(advise_all(file, AdviceKind::PrefetchWrite).code, abi::Code::InvalidArgValue);
  CHECK(advise_all(file, AdviceKind::Prefetch).ok());
  CHECK_EQ(file.mapped(), kPages);
}

TEST(advice_ends_early_when_its_region_is_closed) {
  World world;
  const Memory memory = world.anonymous();
  const memory::RegionUse use = memory.use();
  bool quiet = false;
  memory.region->revoke([&quiet] { quiet = true; });
  CHECK_EQ(memory::advise(use, 0, kPage, AdviceKind::Prefetch).code, abi::Code::Closed);
  CHECK(!quiet);
  CHECK_EQ(memory.mapped(), 0);
}

TEST(advice_that_the_system_refuses_is_told_as_librpma_does) {
  World world;
  const Memory memory = world.anonymous();
  const auto refused = [&memory](const char* point, int error) {
    core::fault::set(point, 1, 1, error);
    const bool ahead = std::string(point) == "memory.advise-ahead";
    return advise_all(memory, ahead ? AdviceKind::PrefetchNoFault : AdviceKind::Prefetch);
  };
  for (const char* point : {"memory.advise", "memory.advise-ahead"}) {
    CHECK_EQ(refused(point, EOPNOTSUPP).code, abi::Code::NotSupported);
    CHECK_EQ(refused(point, EINVAL).code, abi::Code::InvalidArgValue);
    CHECK_EQ(refused(point, EFAULT).code, abi::Code::InvalidArgValue);
    const core::Status other = refused(point, ENOMEM);
    CHECK_EQ(other.code, abi::Code::Provider);
    CHECK_EQ(other.sys_errno, ENOMEM);
  }
  CHECK(refused("memory.advise", EINTR).ok());
}

CHECK_MAIN()
