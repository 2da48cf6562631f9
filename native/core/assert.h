// SPDX-License-Identifier: BSD-3-Clause
// RPMA_ASSERT: a cheap, always compiled check for defects of our own (never for input). It prints
// one readable line and aborts, because a broken invariant must not reach memory that lasts.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace rpma::core {

[[noreturn]] inline void assertion_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "rpma: defect: %s at %s:%d\n", expression, file, line);
  std::abort();
}

}  // namespace rpma::core

#define RPMA_ASSERT(expression)        \
  ((expression) ? static_cast<void>(0) \
                : ::rpma::core::assertion_failed(#expression, __FILE__, __LINE__))
