// SPDX-License-Identifier: BSD-3-Clause
//
// How an example that fails ends: with one line that names the code, the cause and what helps, and
// status 1. Imported for this effect by every program, first of all and without the library, so
// that it also speaks for a library that cannot be loaded. An error that ends the program has run
// every `await using` before it comes here, so nothing holds the process any more. A defect keeps
// its stack.

process.on('uncaughtException', (error: unknown) => {
  console.error('failed:', describeFailure(error));
  process.exitCode = 1;
});

// Nobody reads what is said: that this fails is not to be said again.
process.stderr.on('error', () => process.exit(1));

/** What to say of an error: one line, or the error itself where its stack is needed. */
export function describeFailure(error: unknown): unknown {
  const cause = firstOf(error);
  if (!(cause instanceof Error)) return cause;
  const code = 'code' in cause ? String(cause.code) : '';
  if (code === 'ERR_RPMA_INTERNAL') return cause;
  if (code.startsWith('ERR_RPMA_')) return `${code}: ${cause.message}`;
  return cause.constructor === Error ? cause.message : cause; // one that an example throws itself
}

/** An `await using` that fails on the way of an error wraps it: the first one is the cause. */
function firstOf(error: unknown): unknown {
  let cause = error;
  while (cause instanceof Error && 'suppressed' in cause) cause = cause.suppressed;
  return cause;
}
