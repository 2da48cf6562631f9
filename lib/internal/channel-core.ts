// SPDX-License-Identifier: BSD-3-Clause
//
// What is behind connection.completionChannel: it tells which of a connection's queues has
// something. It offers a queue as long as there is something in it, the two of them in turn, so
// that neither is forgotten while the other one is busy. JS thread only.

import { sourceEnvironment } from './environment.js';
import type { KeepAlive } from './keep-alive.js';
import { native, type Handle } from './native.js';
import type { QueueCore } from './queue-core.js';
import { SourceDescriptor } from './readiness.js';
import { SourceCore, type SourceHooks } from './source.js';

/** One of the two queues, and the object that the program knows it by. */
export interface ChannelQueue<T> {
  readonly core: QueueCore;
  readonly face: T;
}

/** What the connection knows of it. */
export interface ConnectionChannel {
  readonly source: { readonly isAwaited: boolean };
  readonly descriptor: SourceDescriptor;
  closeIfEmpty(): void;
}

export class ChannelCore<T> implements SourceHooks<T>, ConnectionChannel {
  readonly name = 'completion channel';
  readonly source: SourceCore<T>;
  readonly descriptor: SourceDescriptor;
  readonly next: () => T | null;
  readonly #queues: readonly ChannelQueue<T>[];
  #turn = 0;

  /** `requireHere`: throws when the connection is another thread's. */
  constructor(queues: readonly ChannelQueue<T>[], keepAlive: KeepAlive, requireHere: () => void) {
    this.#queues = queues;
    this.descriptor = new SourceDescriptor(this, {
      name: this.name,
      watch: (readiness) => {
        for (const { core } of queues) {
          if (core.liveHandle !== 0) native.readinessWatch(readiness, core.liveHandle, false);
        }
        this.#rearm(readiness);
      },
      rearm: (readiness) => {
        this.#rearm(readiness);
      },
      hasKept: () => queues.some(({ core }) => core.hasSome()),
      ended: () => this.ended(),
    });
    this.next = () => {
      requireHere();
      return this.descriptor.take(() => this.#find());
    };
    this.source = new SourceCore(this, keepAlive, sourceEnvironment);
    for (const { core } of queues) core.channel = this;
  }

  /** The program consumes both queues by it. */
  claim(): void {
    for (const { core } of this.#queues) core.claimForVerbs();
  }

  ended(): boolean {
    return this.#queues.every(({ core }) => core.ended());
  }

  arm(): boolean {
    return this.#queues.map(({ core }) => core.arm()).every((armed) => armed);
  }

  /** The program has closed the connection. */
  closeIfEmpty(): void {
    if (this.ended()) this.descriptor.close();
  }

  #find(): T | null {
    const count = this.#queues.length;
    for (let i = 0; i < count; i++) {
      const at = (this.#turn + i) % count;
      const queue = this.#queues[at];
      if (queue === undefined || !queue.core.hasSome()) continue;
      this.#turn = (at + 1) % count;
      return queue.face;
    }
    return null;
  }

  #rearm(readiness: Handle): void {
    const [first, second] = this.#queues;
    native.readinessRearm(readiness, first?.core.liveHandle ?? 0, second?.core.liveHandle ?? 0);
  }
}
