// SPDX-License-Identifier: BSD-3-Clause
// flavour: test
//
// Eight workers over two copies of the addon in one process, each connected to others and moving
// bytes, ended at seeded random moments and replaced. Each copy counts its own objects: in the end
// there are none.

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import { copyFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { NativeBinding } from '../../lib/internal/native.js';
import { until, withDeadline } from '../support/deadline.js';
import { diskFolder, removeFolder } from '../support/folders.js';
import { chosenSeed, SeededRandom } from '../support/random.js';
import type { Member } from './programs/mesh-member.js';
import { threadsOf } from './states/expect.js';

const program = new URL('./programs/mesh-member.js', import.meta.url);
const width = 8;
const roundsMax = 200;
const boundMs = process.env['RPMA_SANITIZED'] === undefined ? 15_000 : 60_000;
const endMs = 40_000;

interface Running {
  readonly worker: Worker;
  readonly exited: Promise<number>;
  member: Member | null;
}

class Mesh {
  readonly errors: Error[] = [];
  readonly #random: SeededRandom;
  readonly #copies: readonly string[];
  readonly #running: Running[] = [];
  started = 0;

  constructor(random: SeededRandom, copies: readonly string[]) {
    this.#random = random;
    this.#copies = copies;
  }

  start(): void {
    const copy = this.#copies[this.started++ % this.#copies.length] ?? '';
    const worker = new Worker(program, { env: { ...process.env, RPMA_NATIVE: copy } });
    const exited = new Promise<number>((resolve) => worker.once('exit', resolve));
    const running: Running = { worker, exited, member: null };
    worker.on('error', (error: Error) => this.errors.push(error));
    worker.on('message', (member: Member) => {
      running.member = member;
      const others = this.#running.flatMap((each) => each.member ?? []);
      const chosen = others.filter(() => this.#random.below(2) === 0);
      worker.postMessage([member, ...chosen]); // itself, too
    });
    this.#running.push(running);
  }

  /** Ends one of them, in whatever it is at, and says how many had got as far as to listen. */
  async endOne(): Promise<number> {
    const [chosen] = this.#running.splice(this.#random.below(this.#running.length), 1);
    assert.ok(chosen !== undefined);
    const terminated = withDeadline(chosen.worker.terminate(), 'a worker is terminated', endMs);
    await terminated.catch((cause: unknown) => {
      throw new Error(`a worker is not terminated; threads:\n${threadsOf('self')}`, { cause });
    });
    // Before its first line Node says 0.
    const code = await chosen.exited;
    assert.ok(code === 1 || (code === 0 && chosen.member === null), `exit code ${code}`);
    return chosen.member === null ? 0 : 1;
  }

  async endAll(): Promise<void> {
    await Promise.all(this.#running.map(({ worker }) => worker.terminate()));
  }

  get size(): number {
    return this.#running.length;
  }
}

describe('workers over two copies of the addon', () => {
  it('connect to each other and end at random moments, and nothing stays', async (test) => {
    const random = new SeededRandom(chosenSeed(0x3e54));
    test.diagnostic(`seed ${random.seed} (RPMA_TEST_SEED repeats it)`);
    const folder = await diskFolder();
    test.after(() => removeFolder(folder));
    const first = process.env['RPMA_NATIVE'] ?? '';
    const second = join(folder, 'second.node');
    await copyFile(first, second);
    const require = createRequire(import.meta.url);
    const bindings = [first, second].map((path) => require(path) as NativeBinding);
    const live = (): string => JSON.stringify(bindings.map(({ test }) => test?.counters()));
    const none = live();
    assert.ok(!/[1-9]/.test(none), none);

    const mesh = new Mesh(random, [first, second]);
    test.after(() => mesh.endAll());
    for (let i = 0; i < width; i++) mesh.start();
    const end = performance.now() + boundMs;
    let rounds = 0;
    let listened = 0;
    let pairsMax = 0;
    for (; rounds < roundsMax && performance.now() < end; rounds++) {
      const moment = performance.now() + random.below(120);
      await until(() => performance.now() >= moment, 'the moment');
      const pairs = bindings.map(({ test }) => test?.counters()['queue_pairs'] ?? 0);
      pairsMax = Math.max(pairsMax, Math.min(...pairs));
      listened += await mesh.endOne();
      mesh.start();
    }
    assert.ok(pairsMax >= 2, 'over each copy some were connected');
    while (mesh.size > 0) listened += await mesh.endOne();
    test.diagnostic(`${rounds} rounds; ${listened} of ${mesh.started} workers got to listen`);
    assert.ok(rounds >= 8 && listened >= 4, `${rounds} rounds, ${listened} workers listened`);
    assert.deepEqual(mesh.errors, []);
    await until(() => live() === none, 'nothing stays', endMs).catch((cause: unknown) => {
      throw new Error(`live objects in the end: ${live()}`, { cause });
    });
  });
});
