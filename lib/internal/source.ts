// SPDX-License-Identifier: BSD-3-Clause
//
// The one implementation of take, takeSync, tryTake and `for await`: waiters in order over two
// functions of the object, next() (never blocks) and arm() (asks for one call of ready()). The rule
// against lost wake-ups is the addon's: arm() answers false when something is there already. JS
// thread only; the environment is given as a value, so that it runs without the addon.

import { argumentError, RpmaError } from '../errors.js';
import type { WaitOptions } from '../types.js';
import { limits } from './abi.generated.js';
import { abortedError, Deadline } from './deadline.js';
import type { KeepAlive } from './keep-alive.js';
import { asError, checkWaitOptions, outOfRange, timeoutMsMax, wrongType } from './validate.js';

/** What a source needs of the thread it lives on. */
export interface SourceEnvironment {
  /** Whether this is the main thread, where an endless synchronous wait would never end. */
  readonly isMainThread: boolean;
  /** Blocks for at most timeoutMs and serves what is ready. */
  driveOnce(timeoutMs: number): void;
  /** Calls back in a later turn of the loop. */
  later(callback: () => void): void;
}

/** What a source is over. */
export interface SourceHooks<T> {
  /** For messages: 'endpoint', 'completion queue', … */
  readonly name: string;
  /** Takes one; null when there is none now. */
  readonly next: () => T | null;
  /** Whether nothing will come any more; asked only after next() gave null. */
  ended(): boolean;
  /** Asks for one call of ready(); false when something is there already. */
  arm(): boolean;
  /** Blocks at most so long until something may be there: then arm() is not asked. */
  block?(timeoutMs: number): void;
}

type Attempt = () => unknown;

interface Waiter {
  readonly attempt: Attempt;
  /** The iterator that waits, if one does. */
  readonly iterator: object | null;
  /** What the wait ends with when nothing comes. */
  readonly nothing: unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  deadline: Deadline | undefined;
}

/** Waiters and the iterator of one object. */
export class SourceCore<T> {
  readonly #hooks: SourceHooks<T>;
  readonly #keepAlive: KeepAlive;
  readonly #environment: SourceEnvironment;
  readonly #waiters: Waiter[] = [];
  #iterator: object | null = null;
  #serving = false;
  /** Takes that were served at once since one waited. */
  #atOnce = 0;

  constructor(hooks: SourceHooks<T>, keepAlive: KeepAlive, environment: SourceEnvironment) {
    this.#hooks = hooks;
    this.#keepAlive = keepAlive;
    this.#environment = environment;
  }

  /** Somebody waits. */
  get isAwaited(): boolean {
    return this.#waiters.length > 0;
  }

  /** Takes one; never blocks. */
  tryTake(): T | null {
    return this.#hooks.next();
  }

  /** Waits for one; null at the deadline or at the end. */
  take(options?: WaitOptions, attempt: () => T | null = this.#hooks.next): Promise<T | null> {
    return this.waitFor(options, attempt, null) as Promise<T | null>;
  }

  /**
   * Waits until attempt() gives something that is not null; `nothing` at the deadline or the end.
   */
  waitFor(options: WaitOptions | undefined, attempt: Attempt, nothing: unknown): Promise<unknown> {
    try {
      checkWaitOptions(options);
      if (options?.signal?.aborted === true) throw abortedError(options.signal, this.#waitName());
      this.#refuseBeside(null);
      if (options?.timeoutMs === 0 || !this.#mustWait()) {
        const value = this.#attemptOrArm(attempt);
        if (value !== null) return Promise.resolve(value);
        if (this.#hooks.ended() || options?.timeoutMs === 0) return Promise.resolve(nothing);
      }
      return this.#enqueue(options, attempt, nothing, null);
    } catch (error) {
      return Promise.reject(asError(error));
    }
  }

  /** Blocks this thread for at most timeoutMs. */
  takeSync(timeoutMs: number, attempt: () => T | null = this.#hooks.next): T | null {
    return this.waitForSync(timeoutMs, attempt, null) as T | null;
  }

  /** As waitFor, blocking. */
  waitForSync(timeoutMs: number, attempt: Attempt, nothing: unknown): unknown {
    this.#checkSyncTimeout(timeoutMs);
    this.#refuseBeside(null);
    const end = timeoutMs === Infinity ? Infinity : performance.now() + timeoutMs;
    const hooks = this.#hooks;
    for (;;) {
      const value = hooks.block === undefined ? this.#attemptOrArm(attempt) : attempt();
      if (value !== null) return value;
      if (hooks.ended()) return nothing;
      const left = end - performance.now();
      if (left <= 0) return nothing;
      // Slices keep worker.terminate() possible, which a long native wait would delay.
      const slice = Math.min(Math.ceil(left), limits.syncWaitSliceMs);
      if (hooks.block === undefined) this.#environment.driveOnce(slice);
      else hooks.block(slice);
    }
  }

  /** Something came, or the end: serves the waiters in order. */
  ready(): void {
    if (this.#serving) return;
    this.#serving = true;
    try {
      this.#serve();
    } finally {
      this.#serving = false;
    }
  }

  /** `next` takes what the iterator yields; the signal ends the iteration by a rejection. */
  iterate<U = T>(
    next: () => U | null = this.#hooks.next as () => U | null,
    signal?: AbortSignal,
  ): AsyncIterableIterator<U> {
    const wait = signal === undefined ? undefined : { signal };
    const iterator: AsyncIterableIterator<U> = {
      next: () => this.#iteratorNext(iterator, next, wait),
      return: () => this.#iteratorReturn(iterator),
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }

  #waitName(): string {
    return `the wait on the ${this.#hooks.name}`;
  }

  #serve(): void {
    const hooks = this.#hooks;
    for (let rounds = 0; this.#waiters.length > 0;) {
      const waiter = this.#waiters[0] as Waiter;
      let value: unknown;
      try {
        value = waiter.attempt();
        if (value === null) {
          if (hooks.ended()) value = waiter.nothing;
          else if (hooks.arm()) return;
          else if (++rounds < 4) continue;
          else return this.#environment.later(() => this.ready());
        }
      } catch (error) {
        this.#remove(waiter);
        waiter.reject(error);
        continue;
      }
      this.#remove(waiter);
      waiter.resolve(value);
    }
  }

  /**
   * Whoever waits is served first. And who finds something time after time leaves the event loop a
   * turn now and then: promises that are settled already would keep it from timers and from every
   * other object for as long as something comes.
   */
  #mustWait(): boolean {
    if (this.#waiters.length > 0) return true;
    if (++this.#atOnce < limits.takesPerTurn) return false;
    this.#atOnce = 0;
    this.#environment.later(() => this.ready());
    return true;
  }

  #attemptOrArm(attempt: Attempt): unknown {
    // What armed may say "something is there" for what attempt() does not count; the bound keeps a
    // wait from becoming a loop, and the later turn from becoming a lost wake-up.
    for (let rounds = 0; rounds < 4; rounds++) {
      const value = attempt();
      if (value !== null) return value;
      if (this.#hooks.ended() || this.#hooks.arm()) {
        this.#atOnce = 0;
        return null;
      }
    }
    this.#environment.later(() => this.ready());
    return null;
  }

  #enqueue(
    options: WaitOptions | undefined,
    attempt: Attempt,
    nothing: unknown,
    iterator: object | null,
  ): Promise<unknown> {
    if (this.#waiters.length >= limits.promisesWaiting) {
      throw new RpmaError(
        'ERR_RPMA_AGAIN',
        `${limits.promisesWaiting} waits are pending on the ${this.#hooks.name}; await some first`,
      );
    }
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { attempt, iterator, nothing, resolve, reject, deadline: undefined };
      this.#waiters.push(waiter);
      this.#keepAlive.hold();
      waiter.deadline = Deadline.of(
        options,
        () => {
          this.#remove(waiter);
          resolve(nothing);
        },
        (signal) => {
          this.#remove(waiter);
          // A loop does not call return() when next() rejects.
          this.#letGo(iterator);
          reject(abortedError(signal, this.#waitName()));
        },
      );
    });
  }

  #remove(waiter: Waiter): void {
    const index = this.#waiters.indexOf(waiter);
    if (index < 0) return;
    this.#waiters.splice(index, 1);
    waiter.deadline?.clear();
    this.#keepAlive.release();
  }

  /** One consumer at a time: an iterator that waits is alone. */
  #refuseBeside(iterator: object | null): void {
    const other = this.#waiters[0];
    if (other === undefined || other.iterator === iterator) return;
    throw new RpmaError(
      'ERR_RPMA_BUSY',
      `another consumer waits on this ${this.#hooks.name}; one iterator at a time, and no take() beside it`,
    );
  }

  #checkSyncTimeout(timeoutMs: unknown): void {
    if (typeof timeoutMs !== 'number') throw wrongType('timeoutMs', 'a number', timeoutMs);
    if (timeoutMs === Infinity) {
      if (!this.#environment.isMainThread) return;
      throw argumentError(
        'ERR_RPMA_OUT_OF_RANGE',
        'timeoutMs must not be Infinity on the main thread: nothing could end the wait; use a ' +
          'number, take(), or a worker',
      );
    }
    if (!(timeoutMs >= 0 && timeoutMs <= timeoutMsMax)) {
      throw outOfRange('timeoutMs', `from 0 to ${timeoutMsMax}`, timeoutMs);
    }
  }

  #iteratorNext<U>(
    iterator: object,
    next: () => U | null,
    wait: WaitOptions | undefined,
  ): Promise<IteratorResult<U>> {
    try {
      if (this.#iterator === null) this.#iterator = iterator;
      if (this.#iterator !== iterator) {
        throw new RpmaError(
          'ERR_RPMA_BUSY',
          `another loop iterates over this ${this.#hooks.name}; end that one with break first`,
        );
      }
      this.#refuseBeside(iterator);
      if (wait?.signal?.aborted === true) {
        this.#letGo(iterator);
        throw abortedError(wait.signal, this.#waitName());
      }
      const attempt = (): IteratorResult<U> | null => {
        const value = next();
        return value === null ? null : { done: false, value };
      };
      const end: IteratorResult<U> = { done: true, value: undefined };
      if (!this.#mustWait()) {
        const result = this.#attemptOrArm(attempt) as IteratorResult<U> | null;
        if (result !== null) return Promise.resolve(result);
        if (this.#hooks.ended()) return this.#iteratorReturn(iterator);
      }
      return this.#enqueue(wait, attempt, end, iterator) as Promise<IteratorResult<U>>;
    } catch (error) {
      return Promise.reject(asError(error));
    }
  }

  #letGo(iterator: object | null): void {
    if (iterator !== null && this.#iterator === iterator) this.#iterator = null;
  }

  #iteratorReturn(iterator: object): Promise<IteratorReturnResult<undefined>> {
    const end: IteratorReturnResult<undefined> = { done: true, value: undefined };
    this.#letGo(iterator);
    for (const waiter of [...this.#waiters]) {
      if (waiter.iterator !== iterator) continue;
      this.#remove(waiter);
      waiter.resolve(end);
    }
    return Promise.resolve(end);
  }
}
