// SPDX-License-Identifier: BSD-3-Clause
//
// Waits for room in a send queue, whoever frees it: completions that the program reads, those that
// the promise tier reads, or on-error operations that succeed by themselves. The addon tells once
// for each question; operations that wait in the promise tier's line go first, and the line tells
// when it is empty. JS thread only; no addon.

import { RpmaError } from '../errors.js';
import type { WaitOptions } from '../types.js';
import { limits } from './abi.generated.js';
import { abortedError, Deadline, timeoutError } from './deadline.js';
import type { FailureContext } from './failure.js';
import type { KeepAlive } from './keep-alive.js';

/** The send queue as a wait sees it. */
export interface RoomPort {
  /** Slots that a post would find free. */
  readonly sendRoom: number;
  /** Operations that were accepted and wait for room: they come first. */
  readonly hasWaitingSends: boolean;
  /** Asks for one ready(); false when so many slots are free already. */
  watchSendQueue(slots: number): boolean;
  /** Of a wait that nothing can fulfil any more. */
  readonly endError: () => Error;
  readonly failureContext: FailureContext;
}

interface Waiter {
  readonly slots: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
  deadline: Deadline | undefined;
}

const what = 'the wait for room in the send queue';

export class SendRoom {
  readonly #port: RoomPort;
  readonly #keepAlive: KeepAlive;
  readonly #waiters: Waiter[] = [];

  constructor(port: RoomPort, keepAlive: KeepAlive) {
    this.#port = port;
    this.#keepAlive = keepAlive;
  }

  /** Somebody waits. */
  get isAwaited(): boolean {
    return this.#waiters.length > 0;
  }

  /** The options and the number were checked. */
  wait(slots: number, options: WaitOptions | undefined): Promise<void> {
    const context = this.#port.failureContext;
    if (options?.signal?.aborted === true) throw abortedError(options.signal, what, context);
    if (this.#isRoomFor(slots)) return Promise.resolve();
    if (this.#waiters.length >= limits.promisesWaiting) {
      throw new RpmaError(
        'ERR_RPMA_AGAIN',
        `${limits.promisesWaiting} waits for room in the send queue are pending; await some first`,
        context,
      );
    }
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { slots, resolve, reject, deadline: undefined };
      this.#waiters.push(waiter);
      this.#keepAlive.hold();
      waiter.deadline = Deadline.of(
        options,
        () => {
          this.#remove(waiter);
          const bound = options?.timeoutMs ?? 0;
          reject(timeoutError('the send queue had no room', bound, context));
        },
        (signal) => {
          this.#remove(waiter);
          reject(abortedError(signal, what, context));
        },
      );
      this.ready();
    });
  }

  /** Something may be free now: those who have room for what they wait for are told. */
  ready(): void {
    while (this.#waiters.length > 0 && !this.#port.hasWaitingSends) {
      const room = this.#port.sendRoom;
      for (const waiter of this.#waiters.filter(({ slots }) => slots <= room)) {
        this.#remove(waiter);
        waiter.resolve();
      }
      if (this.#waiters.length === 0) return;
      const least = Math.min(...this.#waiters.map(({ slots }) => slots));
      if (this.#port.watchSendQueue(least)) return;
    }
  }

  /** Nothing can be posted any more. */
  end(): void {
    for (const waiter of [...this.#waiters]) {
      this.#remove(waiter);
      waiter.reject(this.#port.endError());
    }
  }

  #isRoomFor(slots: number): boolean {
    return !this.#port.hasWaitingSends && slots <= this.#port.sendRoom;
  }

  #remove(waiter: Waiter): void {
    const index = this.#waiters.indexOf(waiter);
    if (index < 0) return;
    this.#waiters.splice(index, 1);
    waiter.deadline?.clear();
    this.#keepAlive.release();
  }
}
