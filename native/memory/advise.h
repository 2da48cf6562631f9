// SPDX-License-Identifier: BSD-3-Clause
// Advice about registered memory: brings its pages in before they are needed. It blocks in the
// disk, so it is a pool thread's work, never a progress or JavaScript thread's. A file that was
// truncated meanwhile is an error, not a SIGBUS.
#pragma once

#include <cstdint>

#include "abi.generated.h"
#include "core/status.h"
#include "memory/region_table.h"

namespace rpma::memory {

// Returns when it is done; the use holds the memory until then. A region that is revoked meanwhile
// ends it early with Closed. Codes else: InvalidArgValue (the memory is gone; a read-only mapping
// advised for writing), NotSupported, Provider with the errno.
core::Status advise(const RegionUse& use, std::uint64_t offset, std::uint64_t length,
                    abi::AdviceKind kind);

}  // namespace rpma::memory
