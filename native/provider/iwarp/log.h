// SPDX-License-Identifier: BSD-3-Clause
//
// The log, for this provider's files: their lines say that they are iwarp's. Any thread.
#pragma once

#include "core/log.h"

namespace rpma::iwarp {

inline constexpr const char* kLogProvider = "iwarp";

}  // namespace rpma::iwarp
