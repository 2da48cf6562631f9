// SPDX-License-Identifier: BSD-3-Clause
//
// epoll(7) for programs that wait for many things in one thread. What is behind it is
// internal/epoll-core.ts. JS thread only.

import { EpollCore, eventsMax, interestBits } from './internal/epoll-core.js';
import { requireInteger, requireWord } from './internal/validate.js';
import type { EpollEvent, EpollInterest, Pollable, Source, WaitOptions } from './types.js';

const eventsDefault = 64;

function bitsOf(interest: EpollInterest): number {
  return interestBits[requireWord<EpollInterest>(interest, 'interest', ['read', 'write', 'both'])];
}

/**
 * epoll(7) for any Source or descriptor, level-triggered: what is ready is told again and again
 * until it is not. `D` is what you attach to each: an object, or the function that serves it. A
 * Source that is closed leaves by itself; delete() a descriptor of your own before you close it.
 * Close it when it is no longer needed: one that is collected unclosed is reported (RPMA_LEAK).
 *
 * @remarks Thread safety: per object, on the thread that made it.
 * @see librpma: epoll(7) over `rpma_ep_get_fd`, `rpma_conn_get_event_fd`, `rpma_cq_get_fd`
 */
export class Epoll<D = unknown> implements Source<EpollEvent<D>>, Disposable {
  readonly #core: EpollCore<D>;

  /**
   * Makes an empty set.
   *
   * @throws ERR_RPMA_LIMIT the system has no descriptor left
   * @throws ERR_RPMA_NO_MEMORY the system has no memory for it
   * @remarks Thread safety: any thread; it belongs to the one that made it.
   */
  constructor() {
    this.#core = new EpollCore();
  }

  /** How many are in it. */
  get size(): number {
    return this.#core.size;
  }

  /**
   * Its own descriptor, readable while something in it is ready; another set may watch it.
   *
   * @throws ERR_RPMA_CLOSED it is closed
   */
  get fd(): number {
    this.#core.requireOpen('epoll.fd');
    return this.#core.fd;
  }

  /**
   * Adds a Source (its descriptor is made by that), an object with an `fd`, or a descriptor.
   *
   * @param source - each once
   * @param data - comes back in events
   * @param interest - 'read' by default; Sources are only ever readable
   * @returns this
   * @throws ERR_RPMA_INVALID_ARG_TYPE source is none of these
   * @throws ERR_RPMA_INVALID_ARG_VALUE interest is an unknown word
   * @throws ERR_RPMA_OUT_OF_RANGE the descriptor is no whole number from 0
   * @throws ERR_RPMA_CLOSED the Epoll is closed, or the Source has ended
   * @throws ERR_RPMA_QUEUE_CLAIMED awaited operations consume the completion queue
   * @throws ERR_RPMA_SHARED_CHANNEL the queue's connection waits by its completionChannel
   * @throws ERR_RPMA_PROVIDER epoll_ctl refused it: errno says whether it is in it already
   *   (EEXIST), not open (EBADF) or a regular file (EPERM)
   * @throws ERR_RPMA_LIMIT no descriptor is left for the Source
   * @remarks Thread safety: per object, on the thread that made it.
   */
  add(source: Pollable, data: D, interest: EpollInterest = 'read'): this {
    this.#core.requireOpen('epoll.add()');
    this.#core.add(source, data, bitsOf(interest));
    return this;
  }

  /**
   * Changes what is attached and what is waited for.
   *
   * @param source - as it was added
   * @param data - comes back in events from now on
   * @param interest - 'read' by default
   * @returns this
   * @throws ERR_RPMA_INVALID_ARG_TYPE source is no Source, object with an fd, or descriptor
   * @throws ERR_RPMA_INVALID_ARG_VALUE interest is an unknown word
   * @throws ERR_RPMA_OUT_OF_RANGE the descriptor is no whole number from 0
   * @throws ERR_RPMA_CLOSED the Epoll is closed, or the Source has ended
   * @throws ERR_RPMA_PROVIDER epoll_ctl refused it: errno says whether it is not in it (ENOENT)
   * @remarks Thread safety: per object, on the thread that made it.
   */
  modify(source: Pollable, data: D, interest: EpollInterest = 'read'): this {
    this.#core.requireOpen('epoll.modify()');
    this.#core.modify(source, data, bitsOf(interest));
    return this;
  }

  /**
   * Takes it out. Done by itself when a Source is closed.
   *
   * @param source - as it was added
   * @returns whether it was in it
   * @remarks Thread safety: per object, on the thread that made it.
   */
  delete(source: Pollable): boolean {
    return this.#core.delete(source);
  }

  /**
   * Waits for one that is ready without blocking the thread.
   *
   * @param options - signal and deadline
   * @returns what is ready; null at the deadline or once closed
   * @throws ERR_RPMA_INVALID_ARG_TYPE options, timeoutMs or signal has the wrong type
   * @throws ERR_RPMA_OUT_OF_RANGE timeoutMs is out of bounds
   * @throws ERR_RPMA_ABORTED the signal ended the wait
   * @throws ERR_RPMA_BUSY an iterator waits on it
   * @throws ERR_RPMA_AGAIN 1024 waits are pending
   * @remarks Thread safety: per object, on the thread that made it.
   */
  take(options?: WaitOptions): Promise<EpollEvent<D> | null> {
    return this.#core.source.take(options);
  }

  /**
   * Blocks this thread for one that is ready.
   *
   * @param timeoutMs - 0 to 2^31-1; Infinity only in a worker, which can still be terminated
   * @returns what is ready; null at the deadline or once closed
   * @throws ERR_RPMA_INVALID_ARG_TYPE timeoutMs is no number
   * @throws ERR_RPMA_OUT_OF_RANGE timeoutMs is out of bounds, or Infinity on the main thread
   * @throws ERR_RPMA_BUSY an iterator waits on it
   * @remarks Thread safety: per object, on the thread that made it.
   */
  takeSync(timeoutMs: number): EpollEvent<D> | null {
    return this.#core.source.takeSync(timeoutMs);
  }

  /**
   * One that is ready, if there is one; never blocks. Several are given in turn.
   *
   * @returns what is ready, or null
   * @remarks Thread safety: per object, on the thread that made it.
   */
  tryTake(): EpollEvent<D> | null {
    return this.#core.source.tryTake();
  }

  /**
   * Blocks this thread until some are ready.
   *
   * @param timeoutMs - 0 to 2^31-1; Infinity only in a worker, which can still be terminated
   * @param max - most events, 1 to 1024, default 64
   * @returns those that are ready, each once; empty at the deadline or once closed
   * @throws ERR_RPMA_INVALID_ARG_TYPE timeoutMs or max is no number
   * @throws ERR_RPMA_OUT_OF_RANGE one of them is out of bounds, or timeoutMs is Infinity on the
   *   main thread
   * @throws ERR_RPMA_BUSY an iterator waits on it
   * @remarks Thread safety: per object, on the thread that made it.
   */
  waitSync(timeoutMs: number, max: number = eventsDefault): EpollEvent<D>[] {
    requireInteger(max, 'max', 1, eventsMax);
    const attempt = (): EpollEvent<D>[] | null => {
      const found = this.#core.wait(max);
      return found.length > 0 ? found : null;
    };
    return this.#core.source.waitForSync(timeoutMs, attempt, []) as EpollEvent<D>[];
  }

  /**
   * Yields what is ready until it is closed. `break` lets go. A second loop at the same time gets
   * ERR_RPMA_BUSY.
   *
   * @returns an iterator
   * @remarks Thread safety: per object, on the thread that made it.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<EpollEvent<D>> {
    return this.#core.source.iterate();
  }

  /**
   * Undoes unref().
   *
   * @returns this
   * @remarks Thread safety: per object, on the thread that made it.
   */
  ref(): this {
    this.#core.keepAlive.setReferenced(true);
    return this;
  }

  /**
   * Waits on it do not keep the process alive any more.
   *
   * @returns this
   * @remarks Thread safety: per object, on the thread that made it.
   */
  unref(): this {
    this.#core.keepAlive.setReferenced(false);
    return this;
  }

  /**
   * Closes its descriptor; waits end with null, the Sources in it live on. Idempotent.
   *
   * @remarks Thread safety: per object, on the thread that made it.
   */
  close(): void {
    this.#core.close();
  }

  /**
   * close().
   *
   * @remarks Thread safety: per object, on the thread that made it.
   */
  [Symbol.dispose](): void {
    this.close();
  }
}
