// SPDX-License-Identifier: BSD-3-Clause
// libpmem, opened at run time: the machine may have none, and then files are persisted by msync.
// Any thread.
#pragma once

#include <cstddef>

namespace rpma::memory {

struct PmemLibrary {
  void (*persist)(const void* address, std::size_t length) = nullptr;
};

// Null when there is no libpmem, or when the environment makes it say what is not true:
// PMEM_IS_PMEM_FORCE calls anything persistent memory, PMEM_NO_FLUSH leaves the flushes out.
//
// pmem_is_pmem is not asked: it is defined only for mappings that pmem_map_file made, and what it
// would check is what our own mapping knows, that the kernel granted MAP_SYNC.
[[nodiscard]] const PmemLibrary* pmem_library();

}  // namespace rpma::memory
