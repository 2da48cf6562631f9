// SPDX-License-Identifier: BSD-3-Clause
//
// One connection of the soak's writer. It appends records of seeded sizes in two seeded styles.
// Chained: write, flush, commit word and flush are posted at once, several records deep, and only
// the order of the connection keeps the word behind its record. Grouped: some records, and one
// commit word once all of them are durable. Nothing is acknowledged before its durable completion.

import { type Completion, type Connection, type MemoryRegion, type Peer, RemoteRegion } from 'rpma';
import { report } from '../support/child.js';
import { footprint } from '../support/footprint.js';
import { Ledger } from '../support/ledger.js';
import { SeededRandom } from '../support/random.js';
import { localUsage, takeRest } from '../support/world.js';
import * as log from './log.js';
import type { Broken, Durable, Resumed, SessionEnd, Word, WriteCommand } from './protocol.js';

const slotBytes = 256 << 10;
const slotCount = 8;
const noiseBytes = 1 << 20;
const sendQueueSize = 64;
/** What a group of the largest records takes, with the filler at the ring's end. */
const freeUnitsMin: number = (slotCount + 1) * (slotBytes / log.unitBytes);
/** What is free after the oldest records have been forgotten. */
const freeUnitsWanted: number = log.ringUnits * 0.75;

export interface SessionMemory {
  readonly slots: MemoryRegion;
  readonly image: MemoryRegion;
  readonly noise: Buffer;
}

export async function sessionMemory(peer: Peer): Promise<SessionMemory> {
  const slots = await peer.allocate(slotBytes * slotCount, { usage: localUsage });
  const image = await peer.allocate(log.fileBytes, { usage: localUsage });
  const noise = Buffer.from(new SeededRandom(process.pid).bytes(noiseBytes));
  return { slots, image, noise };
}

/** The connection is no more; what it was is the connection's event. */
class Over extends Error {}

export class Session {
  readonly #peer: Peer;
  readonly #memory: SessionMemory;
  readonly #command: WriteCommand;
  readonly #random: SeededRandom;
  readonly #ledger: Ledger = new Ledger();
  readonly #waiting: Map<number, () => void> = new Map();
  readonly #freeSlots: number[] = Array.from({ length: slotCount }, (_, n) => n);
  #connection: Connection | null = null;
  #remote: RemoteRegion | null = null;
  /** Places of records that are in the log, the oldest first. */
  #places: number[] = [];
  #trim = 0;
  #end = 0;
  #isStopping = false;
  #finished: Promise<void> = Promise.resolve();

  constructor(peer: Peer, memory: SessionMemory, command: WriteCommand) {
    this.#peer = peer;
    this.#memory = memory;
    this.#command = command;
    this.#random = new SeededRandom(command.seed);
  }

  run(): Promise<void> {
    this.#finished = this.#run().catch((error: unknown) => {
      const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
      report<Broken>({ kind: 'broken', what });
      this.#tellEnd('broken');
    });
    return this.#finished;
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#finished;
  }

  async #run(): Promise<void> {
    const how = await this.#connect();
    if (how !== null) return this.#reportEnd(how, []);
    try {
      await this.#resume();
      while (!this.#isStopping) await this.#append();
      while (this.#waiting.size > 0) await this.#pump();
      await this.#established.close();
    } catch (error) {
      if (!(error instanceof Over)) throw error;
    }
    const rest = await takeRest(this.#established.completionQueue, 30_000);
    const { type } = await this.#established.whenClosed();
    this.#reportEnd(type, rest);
  }

  /** null, or why there is no connection. */
  async #connect(): Promise<string | null> {
    const crc = this.#random.below(2) === 0;
    try {
      this.#connection = await this.#peer.connect('127.0.0.1', this.#command.port, {
        connection: { sendQueueSize, crc },
      });
    } catch (error) {
      return (error as { code?: string }).code ?? String(error);
    }
    this.#remote = RemoteRegion.fromDescriptor(this.#connection.privateData);
    return null;
  }

  get #established(): Connection {
    if (this.#connection === null) throw new Error('there is no connection');
    return this.#connection;
  }

  get #target(): RemoteRegion {
    if (this.#remote === null) throw new Error('there is no remote region');
    return this.#remote;
  }

  /** Every accepted operation had one outcome, or the audit throws. */
  #reportEnd(how: string, rest: readonly Completion[]): void {
    this.#ledger.add(...rest);
    this.#ledger.audit();
    this.#tellEnd(how);
  }

  #tellEnd(how: string): void {
    const { accepted, failures: failed } = this.#ledger;
    report<SessionEnd>({ kind: 'ended', how, accepted, failed, footprint: footprint() });
  }

  #post(completion: 'always' | 'on-error', post: (id: number) => void): number {
    let posted = -1;
    const isAccepted = this.#ledger.post(completion, (id) => {
      posted = id;
      post(id);
    });
    if (!isAccepted) throw new Over();
    return posted;
  }

  /** One batch of completions. */
  async #pump(): Promise<void> {
    const { completionQueue } = this.#established;
    const first = await completionQueue.take();
    if (first === null) throw new Over();
    const batch = [first, ...completionQueue.poll(sendQueueSize)];
    this.#ledger.add(...batch);
    for (const done of batch) {
      if (!done.ok) throw new Over();
      this.#waiting.get(done.id)?.();
      this.#waiting.delete(done.id);
    }
  }

  async #until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await this.#pump();
  }

  async #await(id: number): Promise<void> {
    this.#waiting.set(id, () => undefined);
    await this.#until(() => !this.#waiting.has(id));
  }

  /** Reads the log through the connection and goes on at its end. */
  async #resume(): Promise<void> {
    const { image } = this.#memory;
    const range = { local: image, remote: this.#target, length: log.fileBytes };
    await this.#await(this.#post('always', (id) => this.#established.postRead({ ...range, id })));
    const bytes = Buffer.from(image.bytes.buffer, image.bytes.byteOffset, image.bytes.length);
    const words = log.readWords(bytes);
    this.#places = log.readRecords(bytes, words).map(({ at }) => at);
    this.#trim = words.trim;
    this.#end = words.commit;
    report<Resumed>({ kind: 'resumed', ...words });
  }

  #payloadBytes(): number {
    const random = this.#random;
    const kind = random.below(8);
    if (kind < 5) return random.between(1, 600);
    if (kind < 7) return random.between(4000, 24_000);
    return random.between(60_000, slotBytes - log.recordHeaderBytes);
  }

  async #append(): Promise<void> {
    await this.#makeRoom();
    const { mutant } = this.#command;
    // A mutant's groups are of one, so that its defect takes a good part of the time.
    const count = mutant === null ? this.#random.between(1, slotCount) : 1;
    if (mutant === null && this.#random.below(2) === 0) {
      for (let n = 0; n < count; n++) await this.#appendChained();
    } else if (mutant === 'order') {
      await this.#appendBehindItsWord();
    } else {
      await this.#appendGroup(count);
    }
  }

  /** Forgets the oldest records, durably, before anything is written over them. */
  async #makeRoom(): Promise<void> {
    const free = (): number => log.ringUnits - (this.#end - this.#trim);
    if (free() >= freeUnitsMin) return;
    await this.#until(() => this.#waiting.size === 0);
    while (this.#trim < this.#end && free() < freeUnitsWanted) {
      this.#places.shift();
      this.#trim = this.#places[0] ?? this.#end;
    }
    const at = this.#trim;
    this.#postAtomic(log.trimOffset, at);
    await this.#until(
      this.#flushed(log.trimOffset, 8, () => report<Word>({ kind: 'trimmed', at })),
    );
  }

  #postAtomic(remoteOffset: number, units: number): void {
    const value = log.encodeWord(units);
    const remote = this.#target;
    const operation = { remote, remoteOffset, value, completion: 'on-error' as const };
    this.#post('on-error', (id) => this.#established.postAtomicWrite({ ...operation, id }));
  }

  /** Posts a persistent flush; the function given back says whether it is done. */
  #flushed(remoteOffset: number, length: number, settle: () => void): () => boolean {
    const flush = { remote: this.#target, remoteOffset, length, type: 'persistent' as const };
    const id = this.#post('always', (own) => this.#established.postFlush({ ...flush, id: own }));
    this.#waiting.set(id, settle);
    return () => !this.#waiting.has(id);
  }

  /** Makes the next record in a slot, and a filler before it where the ring ends. */
  async #nextRecord(): Promise<{ record: log.LogRecord; slot: number; payloadBytes: number }> {
    await this.#until(() => this.#freeSlots.length > 0 && this.#established.sendQueueFree >= 8);
    let payloadBytes = this.#payloadBytes();
    let units = log.unitsOf(payloadBytes);
    const room = log.unitsToEnd(this.#end);
    if (units > room) {
      units = room;
      payloadBytes = 0;
    }
    const slot = this.#freeSlots.pop() ?? 0;
    const { slots, noise } = this.#memory;
    const { buffer, byteOffset } = slots.bytes;
    const bytes = Buffer.from(buffer, byteOffset + slot * slotBytes, slotBytes);
    const from = this.#random.below(noiseBytes - payloadBytes);
    noise.copy(bytes, log.recordHeaderBytes, from, from + payloadBytes);
    const record = log.sealRecord(bytes, this.#end, units, payloadBytes);
    this.#places.push(record.at);
    this.#end += units;
    return { record, slot, payloadBytes };
  }

  #postRecord(made: { record: log.LogRecord; slot: number; payloadBytes: number }): () => boolean {
    const { record, slot, payloadBytes } = made;
    const { at, checksum } = record;
    const remoteOffset = log.placeOf(at);
    const length = log.recordHeaderBytes + payloadBytes;
    const range = {
      local: this.#memory.slots,
      localOffset: slot * slotBytes,
      remoteOffset,
      length,
    };
    const write = { ...range, remote: this.#target, completion: 'on-error' as const };
    this.#post('on-error', (id) => this.#established.postWrite({ ...write, id }));
    return this.#flushed(remoteOffset, length, () => {
      this.#freeSlots.push(slot);
      report<Durable>({ kind: 'durable', at, checksum });
    });
  }

  #postCommit(at: number): () => boolean {
    this.#postAtomic(log.commitOffset, at);
    return this.#flushed(log.commitOffset, 8, () => report<Word>({ kind: 'committed', at }));
  }

  async #appendChained(): Promise<void> {
    const made = await this.#nextRecord();
    this.#postRecord(made);
    this.#postCommit(made.record.at + made.record.units);
  }

  async #appendGroup(count: number): Promise<void> {
    const posted: (() => boolean)[] = [];
    for (let n = 0; n < count; n++) posted.push(this.#postRecord(await this.#nextRecord()));
    await this.#until(() => posted.every((isDone) => isDone()));
    if (this.#command.mutant === 'torn') await this.#commitInHalves(this.#end);
    else this.#postCommit(this.#end);
  }

  /** Mutant: the word is durable before its record is. */
  async #appendBehindItsWord(): Promise<void> {
    const made = await this.#nextRecord();
    await this.#until(this.#postCommit(this.#end));
    await this.#until(this.#postRecord(made));
  }

  /** Mutant: two writes of four bytes instead of one of eight. */
  async #commitInHalves(at: number): Promise<void> {
    const { slots } = this.#memory;
    const localOffset = slotBytes * (slotCount - 1);
    const word = Buffer.alloc(8);
    word.writeBigUInt64LE(log.encodeWord(at));
    for (const half of [0, 4]) {
      slots.bytes.set(word.subarray(half, half + 4), localOffset);
      const remoteOffset = log.commitOffset + half;
      const range = { local: slots, localOffset, remote: this.#target, remoteOffset, length: 4 };
      this.#post('on-error', (id) =>
        this.#established.postWrite({ ...range, completion: 'on-error', id }),
      );
      await this.#until(this.#flushed(remoteOffset, 4, () => undefined));
    }
    report<Word>({ kind: 'committed', at });
  }
}
