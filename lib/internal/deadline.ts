// SPDX-License-Identifier: BSD-3-Clause
//
// The two ways in which a wait is ended early: a deadline and an AbortSignal. The timer never keeps
// the process alive by itself: what is waited for does. JS thread only.

import { RpmaError, type RpmaErrorOptions } from '../errors.js';
import type { WaitOptions } from '../types.js';
import { asError, timeoutMsMax } from './validate.js';

/** The error of a wait that a signal ended. */
export function abortedError(
  signal: AbortSignal,
  what: string,
  options?: RpmaErrorOptions,
): RpmaError {
  return new RpmaError('ERR_RPMA_ABORTED', `${what} was aborted`, {
    ...options,
    cause: signal.reason,
  });
}

/** The error of a wait that its deadline ended; `what` is a sentence that lacks only the bound. */
export function timeoutError(
  what: string,
  timeoutMs: number,
  options?: RpmaErrorOptions,
): RpmaError {
  const bound = Math.ceil(timeoutMs);
  return new RpmaError('ERR_RPMA_TIMEOUT', `${what} within ${bound} ms`, options);
}

/** Throws when the signal is aborted already: nothing has happened yet. */
export function throwIfAborted(options: WaitOptions | undefined, what: string): void {
  if (options?.signal?.aborted === true) throw abortedError(options.signal, what);
}

/** Calls one of two functions when a wait shall end early, until it is cleared. */
export class Deadline {
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #signal: AbortSignal | undefined;
  #listener: (() => void) | undefined;

  constructor(options: WaitOptions, onTimeout: () => void, onAbort: (signal: AbortSignal) => void) {
    const { timeoutMs, signal } = options;
    if (timeoutMs !== undefined && timeoutMs <= timeoutMsMax) {
      this.#timer = setTimeout(onTimeout, timeoutMs);
      this.#timer.unref();
    }
    if (signal !== undefined) {
      this.#signal = signal;
      this.#listener = () => {
        onAbort(signal);
      };
      signal.addEventListener('abort', this.#listener, { once: true });
    }
  }

  /** A deadline when there is something to watch, else undefined. */
  static of(
    options: WaitOptions | undefined,
    onTimeout: () => void,
    onAbort: (signal: AbortSignal) => void,
  ): Deadline | undefined {
    if (options === undefined) return undefined;
    if (options.timeoutMs === undefined && options.signal === undefined) return undefined;
    return new Deadline(options, onTimeout, onAbort);
  }

  clear(): void {
    clearTimeout(this.#timer);
    if (this.#listener !== undefined) this.#signal?.removeEventListener('abort', this.#listener);
    this.#listener = undefined;
  }
}

/** Waits for a promise no longer than the options say; rejects with the error of the early end. */
export function within<T>(
  promise: Promise<T>,
  options: WaitOptions | undefined,
  what: string,
): Promise<T> {
  if (options === undefined) return promise;
  if (options.signal?.aborted === true) return Promise.reject(abortedError(options.signal, what));
  return new Promise<T>((resolve, reject) => {
    const deadline = Deadline.of(
      options,
      () => {
        deadline?.clear();
        reject(timeoutError(`${what} did not end`, options.timeoutMs ?? 0));
      },
      (signal) => {
        deadline?.clear();
        reject(abortedError(signal, what));
      },
    );
    promise.then(
      (value) => {
        deadline?.clear();
        resolve(value);
      },
      (error: unknown) => {
        deadline?.clear();
        reject(asError(error));
      },
    );
  });
}
