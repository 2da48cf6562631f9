// SPDX-License-Identifier: BSD-3-Clause
//
// The promise tier of one connection: a line for each of its two queues, made by the first awaited
// operation, which claims the queue by it, and the pumps of those queues. JS thread only.

import type { RpmaError } from '../errors.js';
import { operationNumber } from './abi.generated.js';
import type { QueueNote } from './connection-note.js';
import type { KeepAlive } from './keep-alive.js';
import { Line, type LinePort, type Pump } from './promise-tier.js';
import type { QueueCore } from './queue-core.js';

/** What the lines are over. */
export interface LineGround {
  readonly queue: QueueCore;
  readonly receiveQueue: QueueCore;
  readonly sizes: { readonly sendQueueSize: number; readonly receiveQueueSize: number };
  readonly keepAlive: KeepAlive;
}

export class ConnectionLines {
  readonly #port: LinePort;
  readonly #ground: LineGround;
  readonly #pumps: Pump[] = [];
  #sends: Line | null = null;
  #receives: Line | null = null;

  constructor(port: LinePort, ground: LineGround) {
    this.#port = port;
    this.#ground = ground;
  }

  /** The line of the send queue; null before the first awaited operation. */
  get madeSends(): Line | null {
    return this.#sends;
  }

  get madeReceives(): Line | null {
    return this.#receives;
  }

  get sends(): Line {
    const { queue, sizes } = this.#ground;
    return (this.#sends ??= this.#line(queue, sizes.sendQueueSize));
  }

  get receives(): Line {
    const { receiveQueue, sizes } = this.#ground;
    return (this.#receives ??= this.#line(receiveQueue, sizes.receiveQueueSize));
  }

  /** Sends that wait for room. */
  get waitingSends(): number {
    return this.#sends?.waiting ?? 0;
  }

  /** Completions are being settled at this moment. */
  get isBusy(): boolean {
    return this.#pumps.some((pump) => pump.busy);
  }

  /** Operations that nobody awaits any more are in flight: the queue stays the promise tier's. */
  restore(queue: QueueCore, { slots }: QueueNote): void {
    if (slots.length === 0) return;
    this.#pumpOf(queue).restore(slots, (operation) =>
      operation === operationNumber.receive ? this.receives : this.sends,
    );
  }

  /**
   * Operations that wait for room were accepted: resolves when they are posted, or after timeoutMs.
   */
  async untilPosted(timeoutMs: number): Promise<void> {
    if (this.#sends === null || this.#sends.waiting === 0) return;
    const posted = this.#sends.whenPosted();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, timeoutMs);
    });
    await Promise.race([posted, late]);
    clearTimeout(timer);
  }

  /** Rejects what was never posted. */
  failWaiting(error: Error): void {
    for (const line of [this.#sends, this.#receives]) line?.failWaiting(error);
  }

  /** Rejects what was posted and has no answer, each operation with an error of its own. */
  failPosted(makeError: () => RpmaError): void {
    for (const pump of this.#pumps) {
      for (const line of [this.#sends, this.#receives]) {
        if (line !== null) pump.failOperationsOf(line, makeError());
      }
    }
  }

  #line(queue: QueueCore, size: number): Line {
    return new Line(this.#port, this.#pumpOf(queue), size, this.#ground.keepAlive);
  }

  #pumpOf(queue: QueueCore): Pump {
    const pump = queue.claimForPromises();
    if (!this.#pumps.includes(pump)) this.#pumps.push(pump);
    return pump;
  }
}
