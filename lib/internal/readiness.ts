// SPDX-License-Identifier: BSD-3-Clause
//
// The descriptors of sources: real ones, for epoll(7) and poll(2), made at first use. A descriptor
// is readable until the source has given nothing, and once the source has ended it stays readable
// until that was seen. The addon makes it readable from any thread; here it is cleared, on the JS
// thread, and looked at again behind that. See docs/internals/waiting.md.

import { RpmaError } from '../errors.js';
import { check } from './environment.js';
import { native, type Handle } from './native.js';

/** By number, so that an Epoll learns of the end of what it watches. */
const open = new Map<number, Readiness>();

/** Of sources that were collected: their objects had ended, or are let go of just now. */
const abandoned = new FinalizationRegistry<Readiness>((readiness) => {
  readiness.close();
});

/** One open descriptor. */
export class Readiness {
  readonly handle: Handle;
  readonly fd: number;
  readonly #closing = new Set<() => void>();
  #closed = false;

  constructor(what: string) {
    this.handle = check(native.readinessCreate(), `the descriptor of the ${what}`);
    this.fd = native.readinessFd(this.handle);
    open.set(this.fd, this);
  }

  /** Calls back when it is closed; give the callback to forget() to undo that. */
  onClose(callback: () => void): void {
    this.#closing.add(callback);
  }

  forget(callback: () => void): void {
    this.#closing.delete(callback);
  }

  /** Whoever sleeps on a duplicate of it wakes up. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    open.delete(this.fd);
    abandoned.unregister(this);
    native.readinessClose(this.handle);
    for (const callback of this.#closing) callback();
  }
}

/** Ours with this number, if there is one. */
export function readinessAt(fd: number): Readiness | undefined {
  return open.get(fd);
}

/** What a descriptor has to know of its source. */
export interface DescriptorHooks {
  /** For messages: 'endpoint', 'completion queue', … */
  readonly name: string;
  /** The source's notifications go through the descriptor from now on. */
  watch(readiness: Handle): void;
  /**
   * Before the source is looked at for the last time: notifications that were asked for one by one
   * are asked for again.
   */
  rearm(readiness: Handle): void;
  /** Whether something is there that the addon knows nothing of. */
  hasKept(): boolean;
  /** Nothing will come any more, and nothing is there. */
  ended(): boolean;
}

/** The descriptor of one source, made when it is asked for. */
export class SourceDescriptor {
  readonly #owner: object;
  readonly #hooks: DescriptorHooks;
  #readiness: Readiness | null = null;

  constructor(owner: object, hooks: DescriptorHooks) {
    this.#owner = owner;
    this.#hooks = hooks;
  }

  /** Made by the first call. Throws ERR_RPMA_CLOSED when nothing will come any more. */
  get fd(): number {
    if (this.#readiness !== null) return this.#readiness.fd;
    const { name } = this.#hooks;
    if (this.#hooks.ended()) {
      throw new RpmaError(
        'ERR_RPMA_CLOSED',
        `the ${name} has ended, and nothing is left to take: it has no descriptor any more`,
      );
    }
    const readiness = new Readiness(name);
    try {
      this.#hooks.watch(readiness.handle);
    } catch (error) {
      readiness.close();
      throw error;
    }
    this.#readiness = readiness;
    abandoned.register(this.#owner, readiness, readiness);
    if (this.#hooks.hasKept()) this.raise();
    return readiness.fd;
  }

  /**
   * What `fetch` gives. When that is nothing the descriptor is cleared, and the source looked at
   * again: what came between the two would make it readable for nobody.
   */
  take<T>(fetch: () => T | null): T | null {
    const first = fetch();
    if (first !== null || this.#readiness === null) return first;
    if (this.#hooks.ended()) {
      this.close();
      return null;
    }
    this.#hooks.rearm(this.#readiness.handle);
    // Also when it throws: there may be more behind what failed.
    let late: T | null | undefined;
    try {
      late = fetch();
    } finally {
      if (late !== null) this.raise();
    }
    return late;
  }

  raise(): void {
    if (this.#readiness !== null) native.readinessRaise(this.#readiness.handle);
  }

  close(): void {
    this.#readiness?.close();
    this.#readiness = null;
  }
}
