// SPDX-License-Identifier: BSD-3-Clause
//
// A whole process as the object of one fault, for npm run fault. Test flavour only; any thread.
#pragma once

#if defined(RPMA_TEST_FLAVOUR)

namespace rpma::addon {

/**
 * Reads, once a process, RPMA_FAULT (point:nth:errno, the fault to set) and RPMA_FAULT_REPORT (the
 * file that gets, at the process's end, one line of JSON: hits of each point, live objects, sums).
 * False when RPMA_FAULT names nothing that could happen.
 */
bool begin_fault_run();

}  // namespace rpma::addon

#endif
