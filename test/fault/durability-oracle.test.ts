// SPDX-License-Identifier: BSD-3-Clause
//
// The durability oracle. The target's file lies over the test domain: a second copy of it changes
// only inside persist, and the power may fail in the middle of any persist. Whatever a durable
// completion promised is in the second copy. The last tests turn a defect on and see that the
// oracle notices it.

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type Connection, type MemoryRegion, type RemoteRegion } from 'rpma';
import { conform } from '../support/conform.js';
import { nativeTest, OracleFile } from '../support/native.js';
import { SeededRandom } from '../support/random.js';
import { posted, takeOk, type World } from '../support/world.js';

const sizeBytes = 16_384;
const flushIds = 1_000_000;

/**
 * What the second copy may hold. Every byte has a history of the values that were written to it;
 * a durable completion moves its promise up to the value that was the newest at the post of the
 * flush.
 */
class Model {
  readonly #values: Uint8Array[];
  readonly #history: number[][];
  readonly #promised: Uint32Array;

  constructor(size: number) {
    this.#values = [];
    this.#history = Array.from({ length: size }, () => [0]);
    this.#promised = new Uint32Array(size);
  }

  wrote(offset: number, bytes: Uint8Array): void {
    this.#values.push(bytes);
    for (const [n, byte] of bytes.entries()) this.#history[offset + n]?.push(byte);
  }

  /** The newest version of each byte of a range, taken when a flush is posted. */
  versions(offset: number, length: number): number[] {
    const lengths = this.#history.slice(offset, offset + length);
    return lengths.map((each) => each.length - 1);
  }

  promise(offset: number, versions: readonly number[]): void {
    for (const [n, version] of versions.entries()) {
      const at = offset + n;
      this.#promised[at] = Math.max(this.#promised[at] ?? 0, version);
    }
  }

  /** Offsets whose byte in the copy is older than what was promised. */
  violations(copy: Uint8Array): number[] {
    const wrong: number[] = [];
    for (const [offset, history] of this.#history.entries()) {
      const allowed = history.slice(this.#promised[offset] ?? 0);
      if (!allowed.includes(copy[offset] ?? -1)) wrong.push(offset);
    }
    return wrong;
  }
}

interface Stage {
  readonly connection: Connection;
  readonly local: MemoryRegion;
  readonly remote: RemoteRegion;
  readonly oracle: OracleFile;
}

async function stage(world: World): Promise<Stage> {
  const pair = await world.pair({ initiator: { sendQueueSize: 64 } });
  const path = join(await world.folder(), 'oracle.pmem');
  const oracle = await OracleFile.map(path, { create: true, sizeBytes });
  world.keep(oracle.file);
  const { remote } = await world.lendFile(pair, oracle.file);
  const local = await world.local(pair, sizeBytes);
  return { connection: pair.initiator, local, remote, oracle };
}

interface Range {
  readonly offset: number;
  readonly versions: readonly number[];
}

/** Random writes, atomic writes and durable flushes, until done or until the connection ends. */
async function workload(on: Stage, model: Model, random: SeededRandom, rounds: number) {
  const { connection, local, remote } = on;
  const flushes = new Map<number, Range>();
  for (let round = 0; round < rounds; round++) {
    for (let writes = random.between(1, 4); writes > 0; writes--) {
      const length = random.between(1, 700);
      const offset = random.below(sizeBytes - length);
      const source = random.below(sizeBytes - length);
      const bytes = random.fill(local.view(source, length)).slice();
      const range = { local, localOffset: source, remote, remoteOffset: offset, length };
      if (!posted(() => connection.postWrite(range))) return;
      model.wrote(offset, bytes);
      if (!(await succeeds(connection))) return;
    }
    const length = random.between(0, 3000);
    const offset = random.below(sizeBytes - length);
    const range = { remote, remoteOffset: offset, length };
    flushes.set(flushIds + round, { offset, versions: model.versions(offset, length) });
    const flush = { ...range, type: 'persistent' as const, id: flushIds + round };
    if (!posted(() => connection.postFlush(flush))) return;
    const done = await connection.completionQueue.take({ timeoutMs: 5000 });
    const flushed = flushes.get(done?.id ?? -1);
    if (done === null || !done.ok || flushed === undefined) return;
    assert.equal(done.durability, 'persisted');
    model.promise(flushed.offset, flushed.versions);
  }
}

async function succeeds(connection: Connection): Promise<boolean> {
  const done = await connection.completionQueue.take({ timeoutMs: 5000 });
  return done !== null && done.ok;
}

/** One run; gives the offsets where a promise was broken, and the number of persists. */
async function run(world: World, seed: number, cut: number) {
  const on = await stage(world);
  const model = new Model(sizeBytes);
  if (cut > 0) on.oracle.cut(cut, seed + cut);
  await workload(on, model, new SeededRandom(seed), 12);
  on.connection.destroy();
  await on.connection.whenClosed();
  return { broken: model.violations(on.oracle.copy()), persists: on.oracle.persists };
}

/** Record, flush, counter, flush at once: the counter never shows a record that is not whole. */
async function commits(world: World, cut: number): Promise<void> {
  const { connection, local, remote, oracle } = await stage(world);
  const recordBytes = 600;
  if (cut > 0) oracle.cut(cut, 4242 + cut);
  for (let record = 1; record <= 10; record++) {
    const localOffset = record * recordBytes;
    local.bytes.fill(record, localOffset, localOffset + recordBytes);
    const range = { remote, remoteOffset: 4096 + localOffset, length: recordBytes };
    const silent = { completion: 'on-error' } as const;
    const durable = { type: 'persistent' } as const;
    const steps = [
      () => connection.postWrite({ local, localOffset, ...range, ...silent }),
      () => connection.postFlush({ ...range, ...durable, ...silent }),
      () => connection.postAtomicWrite({ remote, value: BigInt(record), ...silent }),
      () => connection.postFlush({ remote, length: 8, ...durable, id: record }),
    ];
    if (!steps.every((step) => posted(step))) break;
    const done = await connection.completionQueue.take({ timeoutMs: 5000 });
    if (done === null || !done.ok) break;
  }
  connection.destroy();
  await connection.whenClosed();
  const copy = Buffer.from(oracle.copy());
  const counted = Number(copy.readBigUInt64LE(0));
  for (let record = 1; record <= counted; record++) {
    const at = 4096 + record * recordBytes;
    const found = copy.subarray(at, at + recordBytes);
    assert.ok(
      found.every((byte) => byte === record),
      `cut ${cut}: the counter says ${counted}, record ${record} is not whole`,
    );
  }
}

conform('durability oracle', ({ it }) => {
  const seeds = [901, 902, 903];

  it(
    'what a durable completion promised is there, wherever the power fails',
    async (world) => {
      for (const seed of seeds) {
        const whole = await run(world, seed, 0);
        assert.deepEqual(whole.broken, [], `seed ${seed}, no cut`);
        assert.ok(whole.persists > 5, `${whole.persists} persists`);
        for (let cut = 1; cut <= whole.persists; cut++) {
          const { broken } = await run(world, seed, cut);
          assert.deepEqual(broken, [], `seed ${seed}, cut at persist ${cut}`);
        }
      }
    },
    { timeoutMs: 100_000 },
  );

  it(
    'write, flush, atomic write: a published counter has its record, wherever the power fails',
    async (world) => {
      for (let cut = 0; cut <= 20; cut++) await commits(world, cut);
    },
    { timeoutMs: 60_000 },
  );

  it('control: what was written and not flushed is not there', async (world) => {
    const { connection, local, remote, oracle } = await stage(world);
    local.bytes.fill(0xab);
    const write = (remoteOffset: number) =>
      connection.postWrite({ local, remote, remoteOffset, length: 4096, completion: 'on-error' });
    write(0);
    write(8192);
    connection.postFlush({ remote, length: sizeBytes, type: 'visibility', id: 1 });
    await takeOk(connection.completionQueue);
    assert.ok(
      oracle.copy().every((byte) => byte === 0),
      'visible is not durable',
    );
    connection.postFlush({ remote, length: 4096, type: 'persistent', id: 2 });
    await takeOk(connection.completionQueue);
    const copy = oracle.copy();
    assert.ok(copy.subarray(0, 4096).every((byte) => byte === 0xab));
    assert.ok(copy.subarray(8192, 12_288).every((byte) => byte === 0));
  });

  it('a persist that failed ends the connection, and later ones fail until mapped anew', async (world) => {
    const { connection, remote, oracle } = await stage(world);
    oracle.cut(1, 7);
    connection.postFlush({ remote, length: 4096, type: 'persistent', id: 1 });
    const done = await connection.completionQueue.take({ timeoutMs: 5000 });
    assert.equal(done?.status, 'remote-operation');
    assert.equal(Math.abs(done?.providerError ?? 0), 5); // EIO, the target's
    await connection.whenClosed();
    const persists = oracle.file.persist(0, 16);
    await assert.rejects(persists, (error: { errno?: number }) => Math.abs(error.errno ?? 0) === 5);
  });

  it(
    'mutation: without the persist the oracle finds broken promises',
    async (world) => {
      world.after(() => nativeTest().switchSet('persist.skip', false));
      nativeTest().switchSet('persist.skip', true);
      const { broken } = await run(world, 901, 0);
      assert.ok(broken.length > 0);
    },
    { timeoutMs: 60_000 },
  );

  it(
    'mutation: an answer before the persist is found too',
    async (world) => {
      world.after(() => nativeTest().switchSet('persist.answer-early', false));
      nativeTest().switchSet('persist.answer-early', true);
      let found = 0;
      for (let cut = 1; cut <= 12 && found === 0; cut++) {
        found += (await run(world, 902, cut)).broken.length;
      }
      assert.ok(found > 0);
    },
    { timeoutMs: 60_000 },
  );
});
