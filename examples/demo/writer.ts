// SPDX-License-Identifier: BSD-3-Clause
//
// Writes records into the target's memory. A record counts once its durable completion has come:
// the write and the persistent flush behind it were carried out, and the target's library persisted
// it.

import { type Connection, type Durability, type MemoryRegion, type RemoteRegion } from 'rpma';
import { DemoError } from './error.js';
import { fillRecord, recordBytes } from './records.js';

/** Records that are written at the same time while the target is killed. */
export const lanes = 8;

/** How long one durable write may take: an answer that never comes must not hang the program. */
const writeTimeoutMs = 10_000;

export class RecordWriter {
  readonly #connection: Connection;
  /** Room for one record a lane: its bytes stay untouched until its write is done. */
  readonly #local: MemoryRegion;
  readonly #remote: RemoteRegion;
  readonly #seed: number;
  #next = 0;
  /** Indexes of the records that were acknowledged as durable. */
  readonly acknowledged: number[] = [];
  readonly latenciesMs: number[] = [];
  durability: Durability | null = null;

  constructor(connection: Connection, local: MemoryRegion, remote: RemoteRegion, seed: number) {
    this.#connection = connection;
    this.#local = local;
    this.#remote = remote;
    this.#seed = seed;
  }

  /** Whether the file has room for another record. */
  get hasRoom(): boolean {
    return (this.#next + 1) * recordBytes <= this.#remote.sizeBytes;
  }

  /** Records that were started and not acknowledged. */
  get unacknowledged(): number {
    return this.#next - this.acknowledged.length;
  }

  /** Writes the next record and waits until it is durable. */
  async write(lane: number): Promise<void> {
    const index = this.#next++;
    fillRecord(this.#local.view(lane * recordBytes, recordBytes), this.#seed, index);
    const start = performance.now();
    const { durability } = await this.#connection.writeDurable({
      local: this.#local,
      localOffset: lane * recordBytes,
      remote: this.#remote,
      remoteOffset: index * recordBytes,
      length: recordBytes,
      timeoutMs: writeTimeoutMs,
    });
    this.latenciesMs.push(performance.now() - start);
    this.#note(durability);
    this.acknowledged.push(index);
  }

  #note(durability: Durability | undefined): void {
    if (durability === undefined) throw new DemoError('a durable write named no durability');
    if (this.durability !== null && this.durability !== durability) {
      throw new DemoError(`the durability changed from ${this.durability} to ${durability}`);
    }
    this.durability = durability;
  }
}
