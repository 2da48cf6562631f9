// SPDX-License-Identifier: BSD-3-Clause
//
// Counts the posts of one connection that found a full queue, and tells of them on
// `rpma:queue:full` a few times a second at most: a program may well post in a loop until there is
// room. JS thread only; no addon.

import type { Connection } from '../connection.js';
import type { Operation } from '../types.js';
import { limits } from './abi.generated.js';
import { isHeard, publish } from './channels.js';

interface FullConnection {
  readonly owner: Connection | null;
  readonly sizes: { readonly sendQueueSize: number; readonly receiveQueueSize: number };
}

export class QueueFullNotes {
  readonly #counts: Record<'send' | 'receive', number> = { send: 0, receive: 0 };
  readonly #next: Record<'send' | 'receive', number> = { send: 0, receive: 0 };

  /** Costs a look at the channel while nobody subscribed. */
  note({ owner: connection, sizes }: FullConnection, operation: Operation): void {
    if (connection === null || !isHeard('queueFull')) return;
    const queue = operation === 'receive' ? 'receive' : 'send';
    const count = ++this.#counts[queue];
    const now = performance.now();
    if (now < this.#next[queue]) return;
    this.#next[queue] = now + limits.reportIntervalMs;
    this.#counts[queue] = 0;
    const capacity = queue === 'send' ? sizes.sendQueueSize : sizes.receiveQueueSize;
    publish('queueFull', () => Object.freeze({ connection, queue, capacity, count }));
  }
}
