// SPDX-License-Identifier: BSD-3-Clause
//
// What is behind an Epoll: the native set, what was added to it, and the waiting. An entry is found
// by its number in what epoll(7) reports, never by its descriptor, which may have been closed and
// given out again. JS thread only; see docs/internals/waiting.md.

import { RpmaError } from '../errors.js';
import type { EpollEvent, Pollable } from '../types.js';
import { epollEventLayout, epollFlags, limits } from './abi.generated.js';
import {
  check,
  holderCount,
  listen,
  serveReady,
  sourceEnvironment,
  startEnvironment,
  unlisten,
  type ReadyListener,
} from './environment.js';
import { KeepAlive } from './keep-alive.js';
import { native, type Handle } from './native.js';
import { readinessAt, type Readiness } from './readiness.js';
import { endLeakWatch, watchForLeak } from './resource.js';
import { SourceCore, type SourceHooks } from './source.js';
import { describe, requireInteger, wrongType } from './validate.js';

const doublesPerEvent = epollEventLayout.sizeBytes / 8;
const wordsPerEvent = epollEventLayout.sizeBytes / 4;
const flagsAt = epollEventLayout.flags / 4;
const fdMax = 2 ** 31 - 1;

/** What was added. */
interface Entry<D> {
  readonly id: number;
  readonly fd: number;
  readonly source: Pollable;
  data: D;
  /** Of ours: what takes it out of here when its source closes it. */
  readonly readiness: Readiness | undefined;
  readonly left: () => void;
}

/** Where epollPoll() puts its records. */
class EpollRecords {
  readonly buffer: ArrayBuffer;
  readonly ids: Float64Array;
  readonly words: Uint32Array;

  constructor(capacity: number) {
    this.buffer = new ArrayBuffer(capacity * epollEventLayout.sizeBytes);
    this.ids = new Float64Array(this.buffer);
    this.words = new Uint32Array(this.buffer);
  }

  get capacity(): number {
    return this.ids.length / doublesPerEvent;
  }
}

export class EpollCore<D> implements ReadyListener, SourceHooks<EpollEvent<D>> {
  readonly name = 'Epoll';
  readonly handle: Handle;
  readonly fd: number;
  readonly keepAlive: KeepAlive = new KeepAlive(holderCount);
  readonly source: SourceCore<EpollEvent<D>>;
  readonly next: () => EpollEvent<D> | null;
  readonly #byId = new Map<number, Entry<D>>();
  readonly #byFd = new Map<number, Entry<D>>();
  readonly #bySource = new Map<Pollable, Entry<D>>();
  #records = new EpollRecords(1);
  #lastId = 0;
  #closed = false;

  constructor() {
    startEnvironment();
    this.handle = check(native.epollCreate(), 'new Epoll()');
    this.fd = native.epollFd(this.handle);
    this.next = () => this.wait(1)[0] ?? null;
    this.source = new SourceCore(this, this.keepAlive, sourceEnvironment);
    const release = releaseOf(this.handle);
    watchForLeak(this, this, { what: 'an Epoll', release, report: true });
  }

  get size(): number {
    return this.#byId.size;
  }

  get closed(): boolean {
    return this.#closed;
  }

  requireOpen(what: string): void {
    if (this.#closed) throw new RpmaError('ERR_RPMA_CLOSED', `${what}: the Epoll is closed`);
  }

  add(source: Pollable, data: D, interest: number): void {
    const fd = descriptorOf(source);
    const id = ++this.#lastId;
    const what = `epoll.add(descriptor ${fd})`;
    check(native.epollAdd(this.handle, fd, interest, id), what);
    // The system took the number, so what had it here before was closed without delete().
    this.#forget(this.#byFd.get(fd));
    this.#forget(this.#bySource.get(source));
    const readiness = readinessAt(fd);
    // Weak: an Epoll that the program dropped is not kept by what it watched.
    const weak = new WeakRef(this);
    const left = (): void => weak.deref()?.leave(id);
    const entry: Entry<D> = { id, fd, source, data, readiness, left };
    readiness?.onClose(left);
    this.#byId.set(id, entry);
    this.#byFd.set(fd, entry);
    this.#bySource.set(source, entry);
  }

  modify(source: Pollable, data: D, interest: number): void {
    const entry = this.#find(source);
    const fd = entry?.fd ?? descriptorOf(source);
    const what = `epoll.modify(descriptor ${fd})`;
    check(native.epollModify(this.handle, fd, interest, entry?.id ?? 0), what);
    if (entry !== undefined) entry.data = data;
  }

  delete(source: Pollable): boolean {
    const entry = this.#find(source);
    if (entry === undefined) return false;
    this.#forget(entry);
    // What was closed before has left the set by itself; its number may be another's now.
    native.epollRemove(this.handle, entry.fd);
    return true;
  }

  /** Its source has closed the descriptor, and the system has taken it out. */
  leave(id: number): void {
    this.#forget(this.#byId.get(id));
  }

  /** What is ready, at most max; never blocks. */
  wait(max: number): EpollEvent<D>[] {
    const found: EpollEvent<D>[] = [];
    if (this.#closed) return found;
    // Objects that only the loop would hear of go on here, too: what ends leaves the set.
    serveReady();
    if (this.#records.capacity < max) this.#records = new EpollRecords(max);
    const { ids, words, buffer } = this.#records;
    const count = check(native.epollPoll(this.handle, max, buffer), 'Epoll');
    for (let i = 0; i < count; i++) {
      const entry = this.#byId.get(ids[i * doublesPerEvent] ?? 0);
      if (entry !== undefined) found.push(eventOf(entry.data, words[i * wordsPerEvent + flagsAt]));
    }
    return found;
  }

  ended(): boolean {
    return this.#closed;
  }

  arm(): boolean {
    // Listening keeps this object, so only while somebody waits.
    listen(this.handle, this);
    check(native.epollArm(this.handle), 'the wait on the Epoll');
    return true;
  }

  block(timeoutMs: number): void {
    native.epollBlock(this.handle, timeoutMs);
  }

  onReady(): void {
    unlisten(this.handle);
    this.source.ready();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    endLeakWatch(this);
    unlisten(this.handle);
    for (const entry of [...this.#byId.values()]) this.#forget(entry);
    native.epollClose(this.handle);
    this.source.ready();
  }

  #find(source: Pollable): Entry<D> | undefined {
    const entry = this.#bySource.get(source);
    if (entry !== undefined || typeof source !== 'number') return entry;
    return this.#byFd.get(source);
  }

  #forget(entry: Entry<D> | undefined): void {
    if (entry === undefined) return;
    this.#byId.delete(entry.id);
    if (this.#byFd.get(entry.fd) === entry) this.#byFd.delete(entry.fd);
    if (this.#bySource.get(entry.source) === entry) this.#bySource.delete(entry.source);
    entry.readiness?.forget(entry.left);
  }
}

/** Made out here: a closure of the constructor would hold the object that is watched. */
function releaseOf(handle: Handle): () => void {
  return () => {
    native.epollClose(handle);
  };
}

function eventOf<D>(data: D, flags: number = 0): EpollEvent<D> {
  return {
    data,
    readable: (flags & epollFlags.readable) !== 0,
    writable: (flags & epollFlags.writable) !== 0,
    hangup: (flags & epollFlags.hangup) !== 0,
    error: (flags & epollFlags.error) !== 0,
  };
}

/** The number itself, or the object's `fd`, which makes the descriptor of a Source. */
function descriptorOf(source: unknown): number {
  if (typeof source === 'number') return requireInteger(source, 'source', 0, fdMax);
  if (typeof source !== 'object' || source === null) {
    throw wrongType('source', 'a Source, an object with an fd, or a descriptor', source);
  }
  const { fd } = source as { readonly fd?: unknown };
  if (typeof fd === 'number') return requireInteger(fd, 'source.fd', 0, fdMax);
  throw wrongType('source.fd', `a number (source is ${describe(source)})`, fd);
}

/** The bits of an interest word. */
export const interestBits: Readonly<Record<'read' | 'write' | 'both', number>> = {
  read: epollFlags.readable,
  write: epollFlags.writable,
  both: epollFlags.readable | epollFlags.writable,
};

/** Most events of one waitSync(). */
export const eventsMax: number = limits.epollEvents;
