// SPDX-License-Identifier: BSD-3-Clause
//
// How an example that fails ends: with one line that names the cause and what helps, and status 1.
// Imported by every program for this effect; an error that ends the program has run every
// `await using` before it comes here. A defect keeps its stack.

import { isRpmaError } from 'rpma';

process.once('uncaughtException', (error: unknown) => {
  console.error('failed:', isOrdinary(error) ? error.message : error);
  process.exit(1);
});

/** An error of the library, or one that an example throws itself. */
function isOrdinary(error: unknown): error is Error {
  if (isRpmaError(error)) return error.code !== 'ERR_RPMA_INTERNAL';
  return error instanceof Error && error.constructor === Error;
}
