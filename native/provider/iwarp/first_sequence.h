// SPDX-License-Identifier: BSD-3-Clause
//
// Where the message sequence numbers of a connection begin, in each direction and on each queue. On
// the wire it is always 1; tests of the wrap let both sides begin shortly before it, because nobody
// waits for four thousand million messages. Read once a connection, when it is made; any thread.
#pragma once

#include <cstdint>

#include "core/fault_points.h"
#include "provider/iwarp/ddp.h"

namespace rpma::iwarp {

inline std::uint32_t first_sequence() {
  constexpr std::uint32_t kShortlyBeforeWrap = UINT32_MAX - 2;
  return RPMA_FAULT_SWITCH("iwarp.sequence-before-wrap") ? kShortlyBeforeWrap : kFirstSequence;
}

}  // namespace rpma::iwarp
