// SPDX-License-Identifier: BSD-3-Clause
//
// Lifetime: open, closing, closed; a parent closes its children newest first; one shared promise
// however often close() is called. A peer that has children is kept by a set of this module, so
// nothing open is ever collected; what has no children and is collected unclosed is reported once
// and let go of.

import { RpmaError } from '../errors.js';

export type ResourceKind =
  'peer' | 'endpoint' | 'connection' | 'region' | 'queue' | 'shared receive queue' | 'file';

/** Peers with children: nothing open is collected. */
const roots = new Set<Resource>();

/** What has native life behind it. */
export abstract class Resource {
  readonly kind: ResourceKind;
  readonly parent: Resource | null;
  readonly #children = new Set<Resource>();
  #state: 'open' | 'closing' | 'closed' = 'open';
  #closing: Promise<void> | undefined;

  constructor(kind: ResourceKind, parent: Resource | null) {
    this.kind = kind;
    this.parent = parent;
  }

  get state(): 'open' | 'closing' | 'closed' {
    return this.#state;
  }

  get children(): ReadonlySet<Resource> {
    return this.#children;
  }

  /** Hangs this object on its parent; from now on it is not collected. */
  join(): void {
    this.parent?.adopt(this);
  }

  /** Ends now what can be ended now; the rest follows with close(). */
  abstract destroy(reason?: Error): void;

  /** Closes children newest first, then this. The same promise each time. */
  close(): Promise<void> {
    return this.closeWith(() => this.shut());
  }

  /** Throws ERR_RPMA_CLOSED unless open. */
  requireOpen(what: string): void {
    if (this.#state === 'open') return;
    throw new RpmaError('ERR_RPMA_CLOSED', `${what}: the ${this.kind} is closed`);
  }

  protected abstract shut(): Promise<void>;

  /** close() with another ending; the first caller's counts. */
  protected closeWith(shut: () => Promise<void>): Promise<void> {
    if (this.#closing !== undefined) return this.#closing;
    if (this.#state === 'open') this.#state = 'closing';
    this.#closing = this.#run(shut);
    return this.#closing;
  }

  /** Lets a failed close() be tried again: the object is open as before. */
  protected reopen(): void {
    this.#state = 'open';
    this.#closing = undefined;
  }

  /** Nothing is left to close: the object ended by itself, or close() got there. */
  protected markClosed(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.parent?.drop(this);
  }

  private adopt(child: Resource): void {
    this.#children.add(child);
    if (this.parent === null) roots.add(this);
  }

  private drop(child: Resource): void {
    this.#children.delete(child);
    if (this.#children.size === 0) roots.delete(this);
  }

  async #run(shut: () => Promise<void>): Promise<void> {
    const failures = await this.#closeChildren();
    await shut();
    this.markClosed();
    if (failures.length === 1) throw failures[0];
    if (failures.length > 1) throw new AggregateError(failures, `closing the ${this.kind} failed`);
  }

  /**
   * Newest first, neighbours of one kind together: a thousand connections that take seconds to end
   * each must not end one after the other. Regions are waited for last: one is in use until
   * operations end that only an older connection's end may end.
   */
  async #closeChildren(): Promise<unknown[]> {
    const results: PromiseSettledResult<void>[] = [];
    const regions: Promise<PromiseSettledResult<void>[]>[] = [];
    const newestFirst = [...this.#children].reverse();
    for (let start = 0; start < newestFirst.length;) {
      const kind = newestFirst[start]?.kind;
      let end = start + 1;
      while (end < newestFirst.length && newestFirst[end]?.kind === kind) end++;
      const closing = Promise.allSettled(
        newestFirst.slice(start, end).map((child) => child.close()),
      );
      if (kind === 'region') regions.push(closing);
      else results.push(...(await closing));
      start = end;
    }
    results.push(...(await Promise.all(regions)).flat());
    const failures: unknown[] = [];
    for (const result of results) if (result.status === 'rejected') failures.push(result.reason);
    return failures;
  }
}

interface Leak {
  readonly what: string;
  /** Lets go of the native object. It must not refer to the object that is watched. */
  readonly release: () => void;
  /** Whether to say so. */
  readonly report: boolean;
}

const leaks = new FinalizationRegistry<Leak>((leak) => {
  leak.release();
  if (!leak.report) return;
  process.emitWarning(`${leak.what} was collected without having been closed`, {
    type: 'RpmaWarning',
    code: 'RPMA_LEAK',
    detail:
      'Call close() or use `await using`; until the collector ran, its resources stayed taken.',
  });
});

/** Reports and releases an object that is collected unclosed; `token` ends the watch. */
export function watchForLeak(object: object, token: object, leak: Leak): void {
  leaks.register(object, leak, token);
}

export function endLeakWatch(token: object): void {
  leaks.unregister(token);
}
