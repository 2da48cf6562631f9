// SPDX-License-Identifier: BSD-3-Clause
// See mapping.h. Making a file mapping goes: open, look (kind, file system, size), allocate, make
// it last (with create), map. A file that this call created and could not finish is removed; one
// that it extended stays extended, because cutting it could cut what another process wrote.
#include "memory/mapping.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <limits>
#include <utility>

#include "core/bytes.h"
#include "core/fault_points.h"
#include "memory/guarded_copy.h"
#include "memory/mapped_range.h"
#include "memory/pmem_library.h"

namespace rpma::memory {

namespace {

using core::Result;
using core::Status;

constexpr std::uint64_t kFileBytesMax = std::numeric_limits<off_t>::max();

std::size_t system_page_bytes() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int number() const { return number_; }

 private:
  int number_;
};

struct OpenFile {
  Descriptor descriptor;
  bool created = false;
  std::uint64_t file_bytes = 0;  // as found
  std::uint64_t map_bytes = 0;   // as asked, or up to the end
  std::size_t page_bytes = 0;
  abi::PmemDurability kind = abi::PmemDurability::Storage;
  FileIdentity identity;
};

Status refuse(abi::Code code, const char* detail) { return Status::failure(code, detail); }

// The fault stands for the first call; its fault points are memory.open, memory.create and
// memory.open-directory.
int open_retrying(core::FaultAction fault, const char* path, int flags, mode_t mode) {
  int number = -1;
  do {
    number = core::attempt(fault, [&] { return ::open(path, flags, mode); });
    fault = {};
  } while (number < 0 && errno == EINTR);
  return number;
}

// O_NONBLOCK, so that a FIFO of that name cannot hold the thread; regular files ignore it.
Status open_file(const char* path, const MapOptions& options, OpenFile& file) {
  const int flags = (options.read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK;
  int number = open_retrying(RPMA_FAULT_POINT("memory.open"), path, flags, 0);
  if (number < 0 && errno == ENOENT && options.create) {
    const int create = flags | O_CREAT;
    number = open_retrying(RPMA_FAULT_POINT("memory.create"), path, create | O_EXCL, options.mode);
    file.created = number >= 0;
    // Somebody else made it just now, or the name is a link to a file that is not there yet.
    if (number < 0 && errno == EEXIST) number = open_retrying({}, path, create, options.mode);
  }
  if (number < 0) return Status::from_errno(errno, "open");
  file.descriptor = Descriptor(number);
  return Status::success();
}

Status look_at_file(const MapOptions& options, OpenFile& file) {
  const int number = file.descriptor.number();
  struct stat status {};
  struct statfs system {};
  if (core::attempt(RPMA_FAULT_POINT("memory.stat"), [&] { return ::fstat(number, &status); }) !=
      0) {
    return Status::from_errno(errno, "fstat");
  }
  if (!S_ISREG(status.st_mode)) {
    return refuse(abi::Code::InvalidArgValue, "only regular files can be mapped");
  }
  if (core::attempt(RPMA_FAULT_POINT("memory.statfs"),
                    [&] { return ::fstatfs(number, &system); }) != 0) {
    return Status::from_errno(errno, "fstatfs");
  }
  file.identity = {static_cast<std::uint64_t>(status.st_dev),
                   static_cast<std::uint64_t>(status.st_ino)};
  file.file_bytes = static_cast<std::uint64_t>(status.st_size);
  file.page_bytes = system_page_bytes();
  // f_type is signed on some architectures and the magic numbers use the top bit.
  const auto type = static_cast<std::uint32_t>(system.f_type);
  const bool huge = type == static_cast<std::uint32_t>(HUGETLBFS_MAGIC);
  if (huge) file.page_bytes = static_cast<std::size_t>(system.f_bsize);
  if (options.persist.has_value()) {
    file.kind = options.persist->kind;
  } else if (huge || type == TMPFS_MAGIC || type == RAMFS_MAGIC) {
    if (!options.allow_volatile) {
      return refuse(abi::Code::NotPersistent,
                    "tmpfs, ramfs and hugetlbfs do not last; allowVolatile accepts them");
    }
    file.kind = abi::PmemDurability::Memory;
  }
  return Status::success();
}

Status choose_range(const MapOptions& options, OpenFile& file) {
  if (!core::is_aligned(options.offset, file.page_bytes)) {
    return refuse(abi::Code::OutOfRange, "the offset is not a multiple of the page size");
  }
  file.map_bytes = options.size;
  if (options.size == 0) {
    if (options.offset >= file.file_bytes) {
      return refuse(abi::Code::OutOfRange, "nothing to map: give a size");
    }
    file.map_bytes = file.file_bytes - options.offset;
  }
  if (options.offset > kFileBytesMax || file.map_bytes > kFileBytesMax - options.offset) {
    return refuse(abi::Code::OutOfRange, "offset and size are beyond what a file can have");
  }
  if (options.offset + file.map_bytes > file.file_bytes && !options.create) {
    return refuse(abi::Code::OutOfRange, "the file is shorter; create extends it");
  }
  return Status::success();
}

// Every block exists before the first store: running out of space later would be a SIGBUS. What
// lies between the old end and the offset is allocated as well, for no file of ours is sparse.
Status allocate_blocks(const MapOptions& options, const OpenFile& file) {
  core::FaultAction fault = RPMA_FAULT_POINT("memory.fallocate");
  const std::uint64_t begin = std::min(options.offset, file.file_bytes);
  const std::uint64_t end = options.offset + file.map_bytes;
  int error = 0;
  do {
    error = fault.fail ? fault.err
                       : ::posix_fallocate(file.descriptor.number(), static_cast<off_t>(begin),
                                           static_cast<off_t>(end - begin));
    fault = {};
  } while (error == EINTR);
  return error == 0 ? Status::success() : Status::from_errno(error, "posix_fallocate");
}

// The real path behind a descriptor: the name given may be a link into another directory.
std::string real_path(const OpenFile& file, const std::string& path) {
  char link[64];
  char target[PATH_MAX];
  static_cast<void>(
      std::snprintf(link, sizeof(link), "/proc/self/fd/%d", file.descriptor.number()));
  const ssize_t length = core::attempt(RPMA_FAULT_POINT("memory.readlink"),
                                       [&] { return ::readlink(link, target, sizeof(target)); });
  if (length <= 0 || target[0] != '/') return path;
  return std::string(target, static_cast<std::size_t>(length));
}

Status sync_descriptor(int number) {
  const bool synced =
      core::attempt(RPMA_FAULT_POINT("memory.fsync"), [&] { return ::fsync(number); }) == 0;
  return synced ? Status::success() : Status::from_errno(errno, "fsync");
}

// A file is found again after a power loss only when its directory entry is on the disk, too.
Status sync_file_and_directory(const OpenFile& file, const std::string& path) {
  const Status status = sync_descriptor(file.descriptor.number());
  if (!status.ok()) return status;
  const std::string real = real_path(file, path);
  const std::size_t slash = real.rfind('/');
  const std::string directory =
      slash == std::string::npos ? "." : real.substr(0, slash == 0 ? 1 : slash);
  const Descriptor opened(open_retrying(RPMA_FAULT_POINT("memory.open-directory"),
                                        directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0));
  if (opened.number() < 0) return Status::from_errno(errno, "open", "the file's directory");
  return sync_descriptor(opened.number());
}

// Its fault point is memory.msync in PersistTarget::run, which stands for every persist function.
Status sync_range(std::byte* address, std::size_t length) {
  if (::msync(address, length, MS_SYNC) == 0) return Status::success();
  return Status::from_errno(abi::Code::Provider, errno, "msync", "persist failed");
}

// A truncated DAX file faults in the flush instructions as it does in a copy.
PersistFunction pmem_persist_function(const PmemLibrary& library) {
  return [persist = library.persist](std::byte* address, std::size_t length) -> Status {
    if (guarded_call([&] { persist(address, length); })) return Status::success();
    return Status::from_errno(abi::Code::Provider, EFAULT, "pmem_persist",
                              "the file was truncated");
  };
}

struct FileRange {
  std::shared_ptr<MappedRange> range;
  abi::PmemDurability kind = abi::PmemDurability::Storage;
  PersistFunction function;
};

Result<FileRange> map_range(const MapOptions& options, const OpenFile& file) {
  const int protection = PROT_READ | (options.read_only ? 0 : PROT_WRITE);
  const std::size_t length = core::align_up(file.map_bytes, file.page_bytes);
  const auto offset = static_cast<long>(options.offset);
  const int number = file.descriptor.number();
  const PmemLibrary* library = nullptr;
  if (!options.persist.has_value() && file.kind == abi::PmemDurability::Storage) {
    library = pmem_library();
  }
  if (library != nullptr) {
    // The kernel grants MAP_SYNC only where flushed stores are durable without a system call.
    Result<std::shared_ptr<MappedRange>> synced =
        MappedRange::map(length, protection, MAP_SHARED_VALIDATE | MAP_SYNC, number, offset);
    if (synced.ok()) {
      return FileRange{std::move(synced).value(), abi::PmemDurability::Pmem,
                       pmem_persist_function(*library)};
    }
  }
  Result<std::shared_ptr<MappedRange>> range =
      MappedRange::map(length, protection, MAP_SHARED, number, offset);
  if (!range.ok()) return range.status();
  FileRange result{std::move(range).value(), file.kind, nullptr};
  if (options.persist.has_value()) {
    result.function = options.persist->make(result.range->base(), file.map_bytes);
  } else if (file.kind == abi::PmemDurability::Storage) {
    result.function = sync_range;
  }
  return result;
}

Result<std::shared_ptr<Mapping>> map_open_file(const std::string& path, const MapOptions& options,
                                               OpenFile& file) {
  Status status = look_at_file(options, file);
  if (!status.ok()) return status;
  status = choose_range(options, file);
  if (!status.ok()) return status;
  if (!options.read_only) {
    status = allocate_blocks(options, file);
    if (!status.ok()) return status;
  }
  if (options.create) {
    status = sync_file_and_directory(file, path);
    if (!status.ok()) return status;
  }
  Result<FileRange> mapped = map_range(options, file);
  if (!mapped.ok()) return mapped.status();
  install_fault_guard();
  auto target = std::make_shared<PersistTarget>(PersistTarget::Parts{
      PersistFile::open(file.identity), mapped->range, mapped->range->base(), file.map_bytes,
      file.page_bytes, mapped->kind, std::move(mapped->function)});
  return std::make_shared<Mapping>(Mapping::Parts{mapped->range, file.map_bytes, options.read_only,
                                                  file.identity, std::move(target)});
}

}  // namespace

Result<std::shared_ptr<Mapping>> Mapping::anonymous(std::size_t size, bool huge_pages) {
  const std::size_t page = system_page_bytes();
  if (size == 0 || size > kFileBytesMax - page) {
    return refuse(abi::Code::OutOfRange, "size out of bounds");
  }
  Result<std::shared_ptr<MappedRange>> range = MappedRange::map(
      core::align_up(size, page), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
  if (!range.ok()) return range.status();
  if (huge_pages) (*range)->advise_huge_pages();
  return std::make_shared<Mapping>(
      Parts{std::move(range).value(), size, false, FileIdentity{}, nullptr});
}

Result<std::shared_ptr<Mapping>> Mapping::file(const std::string& path, const MapOptions& options) {
  if (options.create && options.read_only) {
    return refuse(abi::Code::InvalidArgValue, "create and readOnly exclude each other");
  }
  if (path.empty() || path.find('\0') != std::string::npos) {
    return refuse(abi::Code::InvalidArgValue, "not a path");
  }
  OpenFile file;
  const Status status = open_file(path.c_str(), options, file);
  if (!status.ok()) return status;
  Result<std::shared_ptr<Mapping>> mapping = map_open_file(path, options, file);
  if (!mapping.ok() && file.created) {
    const std::string made = real_path(file, path);
    static_cast<void>(core::attempt(RPMA_FAULT_POINT("memory.unlink"),
                                    [&made] { return ::unlink(made.c_str()); }));
  }
  return mapping;
}

std::byte* Mapping::data() const { return parts_.range->base(); }

bool Mapping::is_pmem() const { return durability() == abi::PmemDurability::Pmem; }

abi::PmemDurability Mapping::durability() const {
  return parts_.persist == nullptr ? abi::PmemDurability::Memory : parts_.persist->kind();
}

Status Mapping::retire() {
  if (retired_.exchange(true, std::memory_order_acq_rel)) return Status::success();
  if (parts_.persist != nullptr) parts_.persist->retire();
  return parts_.range->cover_with_zeros();
}

}  // namespace rpma::memory
