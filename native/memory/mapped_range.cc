// SPDX-License-Identifier: BSD-3-Clause
// See mapped_range.h.
#include "memory/mapped_range.h"

#include <sys/mman.h>

#include <cerrno>

#include "core/fault_points.h"
#include "core/log.h"

namespace rpma::memory {

core::Result<std::shared_ptr<MappedRange>> MappedRange::map(std::size_t length, int protection,
                                                            int flags, int descriptor,
                                                            long offset) {
  const core::FaultAction fault = RPMA_FAULT_POINT("memory.mmap");
  if (fault.fail) return core::Status::from_errno(fault.err, "mmap");
  void* const address = ::mmap(nullptr, length, protection, flags, descriptor, offset);
  if (address == MAP_FAILED) return core::Status::from_errno(errno, "mmap");
  return std::make_shared<MappedRange>(static_cast<std::byte*>(address), length);
}

MappedRange::~MappedRange() {
  if (core::attempt(RPMA_FAULT_POINT("memory.munmap"),
                    [this] { return ::munmap(base_, length_); }) != 0) {
    RPMA_LOG(Warning, "%zu bytes stay mapped: %s", length_,
             core::StatusText(core::Status::from_errno(errno, "munmap")).text());
  }
}

core::Status MappedRange::cover_with_zeros() {
  const core::FaultAction fault = RPMA_FAULT_POINT("memory.cover");
  if (fault.fail) return core::Status::from_errno(fault.err, "mmap");
  // MAP_FIXED replaces the pages in one step: there is no moment in which the range belongs to
  // nobody and another thread's mmap could be given a part of it.
  void* const address = ::mmap(base_, length_, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
  if (address == MAP_FAILED) return core::Status::from_errno(errno, "mmap");
  return core::Status::success();
}

void MappedRange::advise_huge_pages() {
  static_cast<void>(core::attempt(RPMA_FAULT_POINT("memory.madvise"), [this] {
    return ::madvise(base_, length_, MADV_HUGEPAGE);  // only a wish
  }));
}

}  // namespace rpma::memory
