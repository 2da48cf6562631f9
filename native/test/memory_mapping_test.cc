// SPDX-License-Identifier: BSD-3-Clause
// Mapping: anonymous memory, files, refusals, what a failed call leaves behind, retire.
#include "memory/mapping.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "core/counters.h"
#include "core/fault_points.h"
#include "test/check.h"

using namespace rpma;
using memory::MapOptions;
using memory::Mapping;

namespace {

constexpr const char* kTmpfs = "/dev/shm";
constexpr long kTmpfsMagic = 0x01021994;

bool have_tmpfs() {
  struct statfs system {};
  return ::statfs(kTmpfs, &system) == 0 && system.f_type == kTmpfsMagic;
}

// Files of these tests last only where TMPDIR is a disk; elsewhere volatile must be allowed.
MapOptions create(std::uint64_t size) {
  MapOptions options;
  options.size = size;
  options.create = true;
  return options;
}

bool on_disk(const test::TemporaryDirectory& directory) {
  struct statfs system {};
  return ::statfs(directory.path().c_str(), &system) == 0 && system.f_type != kTmpfsMagic;
}

abi::Code code_of(const core::Result<std::shared_ptr<Mapping>>& result) {
  return result.ok() ? abi::Code::Ok : result.status().code;
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

std::uint64_t bytes_on_disk(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? static_cast<std::uint64_t>(status.st_blocks) * 512
                                            : 0;
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

}  // namespace

TEST(anonymous_memory_is_zeroed_and_writable) {
  for (const bool huge : {false, true}) {
    auto mapping = Mapping::anonymous(10'000, huge);
    REQUIRE(mapping.ok());
    CHECK_EQ((*mapping)->size(), 10'000);
    CHECK(!(*mapping)->is_file());
    CHECK((*mapping)->persist_target() == nullptr);
    CHECK_EQ((*mapping)->durability(), abi::PmemDurability::Memory);
    int dirty = 0;
    for (std::size_t i = 0; i < 10'000; ++i) dirty += (*mapping)->data()[i] != std::byte{0};
    CHECK_EQ(dirty, 0);
    std::memset((*mapping)->data(), 1, 10'000);
  }
  CHECK_EQ(code_of(Mapping::anonymous(0)), abi::Code::OutOfRange);
  CHECK_EQ(code_of(Mapping::anonymous(SIZE_MAX)), abi::Code::OutOfRange);
  CHECK_EQ(code_of(Mapping::anonymous(SIZE_MAX / 4)), abi::Code::NoMemory);
  CHECK_EQ(core::counters().mappings.load(), 0);
  CHECK_EQ(core::counters().mapped_ranges.load(), 0);
}

TEST(a_created_file_has_all_its_blocks_and_keeps_what_was_stored) {
  const test::TemporaryDirectory directory;
  REQUIRE(directory.ok());
  const std::string path = directory.file("new");
  MapOptions options = create(100'000);
  options.allow_volatile = !on_disk(directory);
  {
    auto mapping = Mapping::file(path, options);
    REQUIRE(mapping.ok());
    CHECK((*mapping)->is_file());
    CHECK(!(*mapping)->is_pmem());
    CHECK(bytes_on_disk(path) >= 100'000);
    std::memcpy((*mapping)->data() + 99'000, "kept", 4);
    CHECK((*mapping)->persist_target()->persist(99'000, 4).ok());
  }
  CHECK_EQ(core::counters().mapped_ranges.load(), 0);
  CHECK_EQ(core::counters().persist_targets.load(), 0);
  std::ifstream stream(path, std::ios::binary);
  stream.seekg(99'000);
  char text[5] = {};
  stream.read(text, 4);
  CHECK_EQ(std::string(text), "kept");
  struct stat status {};
  CHECK_EQ(::stat(path.c_str(), &status), 0);
  CHECK_EQ(status.st_mode & 0777, 0600);
}

TEST(a_disk_file_is_storage) {
  const test::TemporaryDirectory directory;
  REQUIRE(directory.ok());
  if (!on_disk(directory)) {
    CHECK_EQ(code_of(Mapping::file(directory.file("f"), create(4096))), abi::Code::NotPersistent);
    return;
  }
  auto mapping = Mapping::file(directory.file("f"), create(4096));
  REQUIRE(mapping.ok());
  CHECK_EQ((*mapping)->durability(), abi::PmemDurability::Storage);
  CHECK_EQ((*mapping)->persist_target()->durability(), abi::Durability::Persisted);
  CHECK(!(*mapping)->persist_target()->runs_inline());
}

TEST(a_forced_pmem_answer_is_not_believed) {
  const test::TemporaryDirectory directory;
  REQUIRE(directory.ok());
  ::setenv("PMEM_IS_PMEM_FORCE", "1", 1);
  MapOptions options = create(4096);
  options.allow_volatile = true;
  auto mapping = Mapping::file(directory.file("f"), options);
  ::unsetenv("PMEM_IS_PMEM_FORCE");
  REQUIRE(mapping.ok());
  CHECK(!(*mapping)->is_pmem());
}

TEST(an_existing_file_is_mapped_whole_or_in_part) {
  const test::TemporaryDirectory directory;
  REQUIRE(directory.ok());
  const std::string path = directory.file("f");
  write_file(path, std::string(4096, 'a') + std::string(5000, 'b'));
  MapOptions options;
  options.allow_volatile = true;
  auto whole = Mapping::file(path, options);
  REQUIRE(whole.ok());
  CHECK_EQ((*whole)->size(), 9096);
  options.offset = 4096;
  auto rest = Mapping::file(path, options);
  REQUIRE(rest.ok());
  CHECK_EQ((*rest)->size(), 5000);
  CHECK((*rest)->data()[0] == std::byte{'b'});
  CHECK((*whole)->identity() == (*rest)->identity());
  CHECK((*whole)->persist_target()->file() == (*rest)->persist_target()->file());
  options.size = 100;
  CHECK_EQ(code_of(Mapping::file(path, options)), abi::Code::Ok);
}

TEST(a_sparse_file_gets_its_blocks) {
  const test::TemporaryDirectory directory;
  REQUIRE(directory.ok());
  const std::string path = directory.file("sparse");
  write_file(path, "");
  CHECK_EQ(::truncate(path.c_str(), 1 << 20), 0);
  CHECK(bytes_on_disk(path) < (1 << 20));
  MapOptions options;
  options.allow_volatile = true;
  CHECK_EQ(code_of(Mapping::file(path, options)), abi::Code::Ok);
  CHECK(bytes_on_disk(path) >= (1 << 20));
}

TEST(create_extends_a_short_file_and_leaves_no_hole) {
  const test::TemporaryDirectory directory;
  REQUIRE(directory.ok());
  const std::string path = directory.file("short");
  write_file(path, "begin");
  MapOptions options = create(8192);
  options.offset = 65'536;
  options.allow_volatile = true;
  REQUIRE(Mapping::file(path, options).ok());
  CHECK(bytes_on_disk(path) >= 65'536 + 8192 - 4096);
  std::ifstream stream(path, std::ios::binary);
  std::string begin(5, ' ');
  stream.read(begin.data(), 5);
  CHECK_EQ(begin, "begin");
}

static abi::Code map_sizeless(const std::string& path) {
  MapOptions options = create(0);
  options.allow_volatile = true;
  return code_of(Mapping::file(path, options));
}

TEST(ranges_that_cannot_be_are_refused) {
  const test::TemporaryDirectory directory;
  REQUIRE(directory.ok());
  const std::string path = directory.file("f");
  write_file(path, std::string(4096, 'a'));
  const auto map = [&path](std::uint64_t size, std::uint64_t offset, bool make) {
    MapOptions options;
    options.size = size;
    options.offset = offset;
    options.create = make;
    options.allow_volatile = true;
    return code_of(Mapping::file(path, options));
  };
  CHECK_EQ(map(4097, 0, false), abi::Code::OutOfRange);
  CHECK_EQ(map(1, 4096, false), abi::Code::OutOfRange);
  CHECK_EQ(map(0, 4096, false), abi::Code::OutOfRange);
  CHECK_EQ(map(1, 100, false), abi::Code::OutOfRange);
  CHECK_EQ(map(UINT64_MAX, 0, true), abi::Code::OutOfRange);
  CHECK_EQ(map(UINT64_MAX - 4095, 4096, true), abi::Code::OutOfRange);
  CHECK_EQ(map(1, UINT64_MAX - 4095, true), abi::Code::OutOfRange);
  CHECK_EQ(map_sizeless(directory.file("none")), abi::Code::OutOfRange);
  CHECK(!exists(directory.file("none")));
}

TEST(what_is_no_file_is_refused) {
  const test::TemporaryDirectory directory;
  REQUIRE(directory.ok());
  MapOptions options;
  options.allow_volatile = true;
  const auto missing = Mapping::file(directory.file("missing"), options);
  REQUIRE(!missing.ok());
  CHECK_EQ(missing.status().sys_errno, ENOENT);
  CHECK_EQ(std::string(missing.status().syscall), "open");
  CHECK_EQ(Mapping::file(directory.path(), options).status().sys_errno, EISDIR);
  CHECK_EQ(::mkfifo(directory.file("fifo").c_str(), 0600), 0);
  CHECK_EQ(code_of(Mapping::file(directory.file("fifo"), options)), abi::Code::InvalidArgValue);
  CHECK_EQ(code_of(Mapping::file("/dev/zero", options)), abi::Code::InvalidArgValue);
  CHECK_EQ(code_of(Mapping::file("", options)), abi::Code::InvalidArgValue);
  CHECK_EQ(code_of(Mapping::file(std::string("a\0b", 3), options)), abi::Code::InvalidArgValue);
  options.create = true;
  options.read_only = true;
  CHECK_EQ(code_of(Mapping::file(directory.file("f"), options)), abi::Code::InvalidArgValue);
}

TEST(a_read_only_mapping_neither_allocates_nor_writes) {
  const test::TemporaryDirectory directory;
  REQUIRE(directory.ok());
  const std::string path = directory.file("f");
  write_file(path, "");
  CHECK_EQ(::truncate(path.c_str(), 1 << 20), 0);
  MapOptions options;
  options.read_only = true;
  options.allow_volatile = true;
  auto mapping = Mapping::file(path, options);
  REQUIRE(mapping.ok());
  CHECK((*mapping)->read_only());
  CHECK((*mapping)->data()[(1 << 20) - 1] == std::byte{0});
  CHECK(bytes_on_disk(path) < (1 << 20));
}

TEST(a_file_in_memory_is_refused_unless_volatile_is_allowed) {
  if (!have_tmpfs()) {
    CHECK(true);
    return;
  }
  const test::TemporaryDirectory directory(kTmpfs);
  REQUIRE(directory.ok());
  MapOptions options = create(4096);
  CHECK_EQ(code_of(Mapping::file(directory.file("f"), options)), abi::Code::NotPersistent);
  CHECK(!exists(directory.file("f")));
  options.allow_volatile = true;
  auto mapping = Mapping::file(directory.file("f"), options);
  REQUIRE(mapping.ok());
  CHECK_EQ((*mapping)->durability(), abi::PmemDurability::Memory);
  CHECK_EQ((*mapping)->persist_target()->durability(), abi::Durability::Volatile);
  CHECK((*mapping)->persist_target()->runs_inline());
  CHECK((*mapping)->persist_target()->persist(0, 4096).ok());
}

TEST(a_link_is_followed_and_its_file_created) {
  const test::TemporaryDirectory directory;
  REQUIRE(directory.ok());
  CHECK_EQ(::mkdir(directory.file("other").c_str(), 0700), 0);
  CHECK_EQ(::symlink("other/real", directory.file("link").c_str()), 0);
  MapOptions options = create(4096);
  options.allow_volatile = true;
  CHECK_EQ(code_of(Mapping::file(directory.file("link"), options)), abi::Code::Ok);
  CHECK(exists(directory.file("other/real")));
}

TEST(retire_puts_zeros_in_place_and_leaves_the_file_alone) {
  const test::TemporaryDirectory directory;
  REQUIRE(directory.ok());
  const std::string path = directory.file("f");
  MapOptions options = create(8192);
  options.allow_volatile = true;
  auto mapping = Mapping::file(path, options);
  REQUIRE(mapping.ok());
  std::byte* const data = (*mapping)->data();
  std::memset(data, 'x', 8192);
  CHECK((*mapping)->persist_target()->persist(0, 8192).ok());
  CHECK((*mapping)->retire().ok());
  CHECK((*mapping)->retired());
  CHECK((*mapping)->retire().ok());
  CHECK(data[0] == std::byte{0} && data[8191] == std::byte{0});
  std::memset(data, 'y', 8192);
  CHECK_EQ((*mapping)->persist_target()->persist(0, 1).code, abi::Code::Closed);
  std::ifstream stream(path, std::ios::binary);
  CHECK_EQ(static_cast<char>(stream.get()), 'x');
}

TEST(the_range_lives_as_long_as_its_persist_target) {
  const test::TemporaryDirectory directory;
  REQUIRE(directory.ok());
  MapOptions options = create(4096);
  options.allow_volatile = true;
  auto mapping = Mapping::file(directory.file("f"), options);
  REQUIRE(mapping.ok());
  std::shared_ptr<memory::PersistTarget> target = (*mapping)->persist_target();
  mapping = core::Status::failure(abi::Code::Closed);
  CHECK_EQ(core::counters().mappings.load(), 0);
  CHECK_EQ(core::counters().mapped_ranges.load(), 1);
  CHECK(target->persist(0, 4096).ok());
  target = nullptr;
  CHECK_EQ(core::counters().mapped_ranges.load(), 0);
}

#if defined(RPMA_TEST_FLAVOUR)

TEST(every_system_call_may_fail_and_leaves_nothing_behind) {
  const test::TemporaryDirectory directory;
  REQUIRE(directory.ok());
  struct Row {
    const char* point;
    std::uint64_t nth;
    int error;
    abi::Code code;
  };
  constexpr Row kRows[] = {
      {"memory.open", 1, EMFILE, abi::Code::Limit},
      {"memory.create", 1, EACCES, abi::Code::Provider},
      {"memory.stat", 1, EIO, abi::Code::Provider},
      {"memory.statfs", 1, EIO, abi::Code::Provider},
      {"memory.fallocate", 1, ENOSPC, abi::Code::Provider},
      {"memory.fsync", 1, EIO, abi::Code::Provider},
      {"memory.open-directory", 1, EACCES, abi::Code::Provider},
      {"memory.fsync", 2, EIO, abi::Code::Provider},
      {"memory.mmap", 1, ENOMEM, abi::Code::NoMemory},
  };
  for (const Row& row : kRows) {
    core::fault::clear_all();
    CHECK(core::fault::set(row.point, row.nth, core::fault::kForever, row.error));
    MapOptions options = create(4096);
    options.allow_volatile = true;
    const auto mapping = Mapping::file(directory.file("f"), options);
    core::fault::clear_all();
    CHECK_EQ(code_of(mapping), row.code);
    CHECK_EQ(mapping.status().sys_errno, row.error);
    CHECK(mapping.status().syscall != nullptr);
    CHECK(!exists(directory.file("f")));
    CHECK_EQ(core::live_total(), 0);
    CHECK_EQ(code_of(Mapping::file(directory.file("f"), options)), abi::Code::Ok);
    CHECK_EQ(::unlink(directory.file("f").c_str()), 0);
  }
}

TEST(an_interrupted_call_is_made_again) {
  const test::TemporaryDirectory directory;
  REQUIRE(directory.ok());
  MapOptions options = create(4096);
  options.allow_volatile = true;
  for (const char* point :
       {"memory.open", "memory.create", "memory.open-directory", "memory.fallocate"}) {
    CHECK(core::fault::set(point, 1, 1, EINTR));
    CHECK_EQ(code_of(Mapping::file(directory.file("f"), options)), abi::Code::Ok);
    CHECK(core::fault::hits(point) > 0);
    core::fault::clear_all();
    CHECK_EQ(::unlink(directory.file("f").c_str()), 0);
  }
}

TEST(what_may_fail_without_harm_does) {
  const test::TemporaryDirectory directory;
  REQUIRE(directory.ok());
  CHECK(core::fault::set("memory.madvise", 1, 1, ENOMEM));
  CHECK(Mapping::anonymous(4096, true).ok());
  CHECK_EQ(core::fault::hits("memory.madvise"), 1);
  MapOptions options = create(4096);
  options.allow_volatile = true;
  // Without /proc the name that was given is good enough.
  CHECK(core::fault::set("memory.readlink", 1, core::fault::kForever, ENOENT));
  CHECK_EQ(code_of(Mapping::file(directory.file("f"), options)), abi::Code::Ok);
  CHECK(core::fault::hits("memory.readlink") > 0);
  core::fault::clear_all();
  // What cannot be removed stays; the first cause is what is told.
  CHECK(core::fault::set("memory.unlink", 1, 1, EROFS));
  CHECK(core::fault::set("memory.fsync", 1, 1, EIO));
  const auto failed = Mapping::file(directory.file("g"), options);
  CHECK_EQ(failed.status().sys_errno, EIO);
  CHECK_EQ(core::fault::hits("memory.unlink"), 1);
  CHECK(exists(directory.file("g")));
  core::fault::clear_all();
  CHECK_EQ(core::live_total(), 0);
}

TEST(a_failed_cover_is_reported) {
  auto mapping = Mapping::anonymous(4096);
  REQUIRE(mapping.ok());
  CHECK(core::fault::set("memory.cover", 1, 1, ENOMEM));
  CHECK_EQ((*mapping)->retire().code, abi::Code::NoMemory);
  core::fault::clear_all();
}

#endif

CHECK_MAIN()
