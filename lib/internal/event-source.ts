// SPDX-License-Identifier: BSD-3-Clause
//
// The plain Source over a SourceCore, for what has no class of its own (the events of a
// connection).

import type { Source, WaitOptions } from '../types.js';
import type { SourceCore } from './source.js';

/** A source without options of its own. `next` of the core is tryTake(). */
export function eventSourceOf<T>(core: SourceCore<T>): Source<T> {
  return Object.freeze({
    take: (options?: WaitOptions) => core.take(options),
    takeSync: (timeoutMs: number) => core.takeSync(timeoutMs),
    tryTake: () => core.tryTake(),
    [Symbol.asyncIterator]: () => core.iterate(),
  });
}
