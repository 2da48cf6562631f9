// SPDX-License-Identifier: BSD-3-Clause
// See advise.h. Kernels from 5.14 on populate a range in one call; older ones are asked to read
// ahead, then each page is touched under the guard. Either way in slices, so that a revocation need
// not wait for all of a large region.
#include "memory/advise.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "core/bytes.h"
#include "core/fault_points.h"
#include "core/log.h"
#include "memory/guarded_copy.h"

#if !defined(MADV_POPULATE_READ)
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

namespace rpma::memory {

namespace {

constexpr std::size_t kSliceBytes = std::size_t{16} << 20U;

struct Slice {
  std::byte* begin;  // whole pages
  std::size_t length;
};

std::size_t page_bytes() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

// As librpma has it of ibv_advise_mr.
core::Status refused(int error) {
  switch (error) {
    case EOPNOTSUPP:
      return core::Status::from_errno(abi::Code::NotSupported, error, "madvise");
    case EFAULT:
      return core::Status::from_errno(abi::Code::InvalidArgValue, error, "madvise",
                                      "the memory is gone (a truncated file?)");
    case EINVAL:
      return core::Status::from_errno(abi::Code::InvalidArgValue, error, "madvise");
    default:
      return core::Status::from_errno(abi::Code::Provider, error, "madvise");
  }
}

// A range of no length asks whether the kernel knows the advice.
bool can_populate(int advice) {
  return core::attempt(RPMA_FAULT_POINT("memory.advise-probe"),
                       [advice] { return ::madvise(nullptr, 0, advice); }) == 0;
}

// A plain read that the race detector does not watch: others may write the memory meanwhile, and a
// jump out of its atomics would leave its lock locked (guarded_copy.cc).
__attribute__((noinline, no_sanitize("thread"))) void read_byte(const volatile std::byte* at) {
  static_cast<void>(*at);
}

// A write fault is provoked without changing a bit, whoever writes meanwhile.
bool touch(const Slice& slice, std::size_t page, bool write) {
  return guarded_call([&] {
    for (std::size_t at = 0; at < slice.length; at += page) {
      read_byte(slice.begin + at);
      if (!write) continue;
      std::atomic_ref<std::uint8_t> byte(*reinterpret_cast<std::uint8_t*>(slice.begin + at));
      byte.fetch_or(0, std::memory_order_relaxed);
    }
  });
}

core::Status populate(const Slice& slice, int advice) {
  int outcome = 0;
  do {
    const core::FaultAction fault = RPMA_FAULT_POINT("memory.advise");
    core::apply_delay(fault);
    outcome = core::attempt(fault, [&] { return ::madvise(slice.begin, slice.length, advice); });
  } while (outcome != 0 && errno == EINTR);
  return outcome == 0 ? core::Status::success() : refused(errno);
}

core::Status read_ahead(const Slice& slice) {
  const int outcome = core::attempt(RPMA_FAULT_POINT("memory.advise-ahead"), [&] {
    return ::madvise(slice.begin, slice.length, MADV_WILLNEED);
  });
  return outcome == 0 ? core::Status::success() : refused(errno);
}

core::Status prefetch(const Slice& slice, std::size_t page, bool write) {
  const int advice = write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;
  if (can_populate(advice)) return populate(slice, advice);
  static_cast<void>(read_ahead(slice));  // only makes the touching quicker
  return touch(slice, page, write) ? core::Status::success() : refused(EFAULT);
}

}  // namespace

core::Status advise(const RegionUse& use, std::uint64_t offset, std::uint64_t length,
                    abi::AdviceKind kind) {
  Region& region = *use.region();
  if (offset > region.length() || length > region.length() - offset) {
    return core::Status::failure(abi::Code::OutOfRange, "outside of the region");
  }
  const bool write = kind == abi::AdviceKind::PrefetchWrite;
  if (write && region.mapping() && region.mapping()->read_only()) {
    return core::Status::failure(abi::Code::InvalidArgValue,
                                 "a file that was mapped readOnly is prefetched for reading only");
  }
  const std::size_t page = page_bytes();
  const auto address = reinterpret_cast<std::uintptr_t>(region.data() + offset);
  const std::size_t before = address - core::align_down(address, page);
  const std::size_t whole = core::align_up(before + length, page);
  std::byte* const begin = region.data() + offset - before;
  for (std::size_t at = 0; at < whole; at += kSliceBytes) {
    if (region.revoked())
      return core::Status::failure(abi::Code::Closed, "it was closed meanwhile");
    const Slice slice{begin + at, std::min(kSliceBytes, whole - at)};
    const core::Status status =
        kind == abi::AdviceKind::PrefetchNoFault ? read_ahead(slice) : prefetch(slice, page, write);
    if (!status.ok()) return status;
  }
  return core::Status::success();
}

}  // namespace rpma::memory
