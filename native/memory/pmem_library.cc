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
    core::log(core::LogLevel::Info, "no libpmem: files are persisted by msync");
    return library;
  }
  if (RPMA_FAULT_POINT("memory.dlsym").fail) return library;
  library.persist = reinterpret_cast<decltype(library.persist)>(::dlsym(handle, "pmem_persist"));
  return library;
}

}  // namespace

const PmemLibrary* pmem_library() {
  if (std::getenv("PMEM_IS_PMEM_FORCE") != nullptr) return nullptr;
  if (std::getenv("PMEM_NO_FLUSH") != nullptr) return nullptr;
  static const PmemLibrary library = open_library();
  return library.persist == nullptr ? nullptr : &library;
}

}  // namespace rpma::memory
