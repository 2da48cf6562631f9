// SPDX-License-Identifier: BSD-3-Clause
//
// Waiting with a bound. Tests wait for events and conditions, never for time to pass: a deadline
// only turns a hang into a failure that says what did not happen. The timers of the test tree
// live here.

/** Rejects with an error that names `what` when the promise has not settled in time. */
export function withDeadline<T>(
  promise: PromiseLike<T>,
  what: string,
  deadlineMs: number = 10_000,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`${what}: nothing in ${deadlineMs} ms`));
    }, deadlineMs);
    promise.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error instanceof Error ? error : new Error(String(error)));
      },
    );
  });
}

/** Lets one turn of the event loop pass. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Turns the event loop until the condition holds. */
export async function until(
  condition: () => boolean,
  what: string,
  deadlineMs: number = 10_000,
): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`${what}: not so within ${deadlineMs} ms`);
    await turn();
  }
}

/**
 * Holds for a stretch of time, because the stretch itself is under test (a bound that must be
 * outlived, a load that must last). Not for synchronisation.
 */
export function lastFor(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs));
}

/** Speaks after a stretch of time, unless the program has ended; `unref()` lets it end. */
export function alarm(durationMs: number, callback: () => void): NodeJS.Timeout {
  return setTimeout(callback, durationMs);
}

/** Keeps this thread busy; nothing else of its event loop runs meanwhile. */
export function spinFor(durationMs: number): void {
  const end = performance.now() + durationMs;
  while (performance.now() < end);
}

export interface Timed<T> {
  readonly value: T;
  readonly elapsedMs: number;
}

export async function timed<T>(promise: PromiseLike<T>): Promise<Timed<T>> {
  const start = performance.now();
  const value = await promise;
  return { value, elapsedMs: performance.now() - start };
}
