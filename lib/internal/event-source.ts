// SPDX-License-Identifier: BSD-3-Clause
//
// The plain Source over a SourceCore, for what has no class of its own (the events and the
// completion channel of a connection).

import type { Source, WaitOptions } from '../types.js';
import type { SourceCore } from './source.js';
import { asError } from './validate.js';

/**
 * A source without options of its own. `before` runs first, and may throw; `fd` makes the
 * descriptor.
 */
export function eventSourceOf<T>(
  core: SourceCore<T>,
  fd: () => number,
  before: () => void = () => undefined,
): Source<T> {
  return Object.freeze({
    take: (options?: WaitOptions) => {
      try {
        before();
      } catch (error) {
        return Promise.reject(asError(error));
      }
      return core.take(options);
    },
    takeSync: (timeoutMs: number) => {
      before();
      return core.takeSync(timeoutMs);
    },
    tryTake: () => {
      before();
      return core.tryTake();
    },
    get fd(): number {
      before();
      return fd();
    },
    [Symbol.asyncIterator]: () => {
      before();
      return core.iterate();
    },
  });
}
