// SPDX-License-Identifier: BSD-3-Clause
//
// Counts outcomes: every accepted operation has exactly one, whatever ends the connection.
// 'always' gives one completion; 'on-error' none on success, one otherwise.

import assert from 'node:assert/strict';
import type { Completion, Connection, MemoryRegion, RemoteRegion } from 'rpma';
import type { SeededRandom } from './random.js';
import { posted } from './world.js';

export interface Load {
  readonly connection: Connection;
  readonly local: MemoryRegion;
  readonly remote: RemoteRegion;
  readonly random: SeededRandom;
  /** Lengths to choose from. */
  readonly lengths: readonly number[];
  /** Whether zero-byte messages are in the mix; they park over there unless receives are posted. */
  readonly sends: boolean;
}

/** What one thread saw of a connection; a value that postMessage takes. */
export interface LedgerPage {
  readonly nextId: number;
  readonly always: ReadonlySet<number>;
  readonly onError: ReadonlySet<number>;
  readonly completions: readonly Completion[];
}

export class Ledger {
  readonly #always = new Set<number>();
  readonly #onError = new Set<number>();
  readonly #completions: Completion[] = [];
  #nextId: number;

  constructor(firstId: number = 0) {
    this.#nextId = firstId;
  }

  /** For another thread's ledger. */
  get page(): LedgerPage {
    return {
      nextId: this.#nextId,
      always: this.#always,
      onError: this.#onError,
      completions: this.#completions,
    };
  }

  /** What another thread went on with. */
  append(page: LedgerPage): void {
    for (const id of page.always) this.#always.add(id);
    for (const id of page.onError) this.#onError.add(id);
    this.#completions.push(...page.completions);
    this.#nextId = page.nextId;
  }

  /** Operations that were accepted. */
  get accepted(): number {
    return this.#always.size + this.#onError.size;
  }

  get failures(): number {
    return this.#completions.filter((each) => !each.ok).length;
  }

  /** Of all that were accepted, in the order of their posts. */
  ids(): number[] {
    return [...this.#always, ...this.#onError].sort((a, b) => a - b);
  }

  /** Posts one operation under the next id; false when the connection has ended. */
  post(completion: 'always' | 'on-error', post: (id: number) => void): boolean {
    const id = this.#nextId++;
    if (!posted(() => post(id))) return false;
    (completion === 'always' ? this.#always : this.#onError).add(id);
    return true;
  }

  /** Fills the send queue with a random mix, then the receive queue; false when it has ended. */
  fill(load: Load): boolean {
    const { connection } = load;
    while (connection.sendQueueFree > 0) if (!this.#postAny(load)) return false;
    while (connection.receiveQueueFree > 0) {
      const accepted = this.post('always', (id) => connection.postReceive({ length: 0, id }));
      if (!accepted) return false;
    }
    return true;
  }

  #postAny({ connection, local, remote, random, lengths, sends }: Load): boolean {
    const completion = random.pick(['always', 'always', 'on-error'] as const);
    const length = random.pick(lengths);
    const kind = random.below(sends ? 5 : 4);
    return this.post(completion, (id) => {
      const options = { id, completion };
      const range = { local, remote, length };
      if (kind === 0) connection.postRead({ ...range, ...options });
      else if (kind === 1) connection.postWrite({ ...range, ...options });
      else if (kind === 2) connection.postAtomicWrite({ remote, value: 9n, ...options });
      else if (kind === 3) {
        connection.postFlush({ remote, length, type: 'visibility', ...options });
      } else connection.postSend({ length: 0, ...options });
    });
  }

  add(...completions: readonly Completion[]): void {
    this.#completions.push(...completions);
  }

  /** Every operation had its one outcome, those of each queue in the order of their posts. */
  audit(): void {
    const seen = new Set<number>();
    const newest = { sends: -1, receives: -1 };
    for (const { id, ok, operation } of this.#completions) {
      const queue = operation === 'receive' ? 'receives' : 'sends';
      assert.ok(id > newest[queue], `${operation} ${id} completed after ${newest[queue]}`);
      newest[queue] = id;
      assert.ok(!seen.has(id), `${operation} ${id} completed twice`);
      seen.add(id);
      assert.ok(this.#always.has(id) || this.#onError.has(id), `${id} was never accepted`);
      if (this.#onError.has(id)) assert.equal(ok, false, `on-error ${id} completed with success`);
    }
    const missing = [...this.#always].filter((id) => !seen.has(id));
    assert.deepEqual(missing, [], 'operations without an outcome');
  }
}
