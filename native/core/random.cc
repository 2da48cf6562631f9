// SPDX-License-Identifier: BSD-3-Clause
// The secure half of random.h, over getrandom. Any thread.
#include "core/random.h"

#include <sys/random.h>

#include <cerrno>

#include "core/assert.h"
#include "core/fault_points.h"

namespace rpma::core {

void secure_bytes(void* destination, std::size_t length) {
  auto* cursor = static_cast<unsigned char*>(destination);
  while (length > 0) {
    const ssize_t count =
        attempt(RPMA_FAULT_POINT("core.getrandom"), [&] { return ::getrandom(cursor, length, 0); });
    if (count < 0) {
      RPMA_ASSERT(errno == EINTR);
      continue;
    }
    cursor += count;
    length -= static_cast<std::size_t>(count);
  }
}

std::uint32_t secure_u32() {
  std::uint32_t value = 0;
  secure_bytes(&value, sizeof(value));
  return value;
}

std::uint64_t secure_u64() {
  std::uint64_t value = 0;
  secure_bytes(&value, sizeof(value));
  return value;
}

}  // namespace rpma::core
