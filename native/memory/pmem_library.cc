// SPDX-License-Identifier: BSD-3-Clause
// See pmem_library.h. The library is opened once and stays open: targets hold its functions.
#include "memory/pmem_library.h"

#include <dlfcn.h>

#include <cstdlib>

#include "core/fault_points.h"
#include "core/log.h"

namespace rpma::memory {

namespace {

PmemLibrary open_library() {
  PmemLibrary library;
  void* const handle = RPMA_FAULT_POINT("memory.dlopen").fail
                           ? nullptr
                           : ::dlopen("libpmem.so.1", RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    RPMA_LOG(Info, "no libpmem.so.1: files are persisted by msync, and none is taken for pmem");
    return library;
  }
  if (RPMA_FAULT_POINT("memory.dlsym").fail) return library;
  library.persist = reinterpret_cast<decltype(library.persist)>(::dlsym(handle, "pmem_persist"));
  return library;
}

}  // namespace

const PmemLibrary* pmem_library() {
  for (const char* name : {"PMEM_IS_PMEM_FORCE", "PMEM_NO_FLUSH"}) {
    if (std::getenv(name) == nullptr) continue;
    RPMA_LOG(Info, "%s is set and not believed: files are persisted by msync", name);
    return nullptr;
  }
  static const PmemLibrary library = open_library();
  return library.persist == nullptr ? nullptr : &library;
}

}  // namespace rpma::memory
