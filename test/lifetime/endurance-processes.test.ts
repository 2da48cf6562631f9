// SPDX-License-Identifier: BSD-3-Clause
// flavour: test
//
// Endurance, the two sides in two processes: neither holds more after thousands of connections and
// a million operations than it held when it was warm.

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { Child, fromHex } from '../support/child.js';
import {
  describeFootprints,
  type Footprint,
  settledFootprint,
  steadyGrowth,
} from '../support/footprint.js';
import { chosenSeed, SeededRandom } from '../support/random.js';
import {
  type Client,
  cycle,
  type Held,
  type Listening,
  openClient,
  operate,
} from './programs/endurance.js';

const program = new URL('./programs/endurance.js', import.meta.url);
const isSanitized = process.env['RPMA_SANITIZED'] === '1';
const share = isSanitized ? 0.02 : Number(process.env['RPMA_ENDURANCE'] ?? 1);
const timeout = 110_000 * Math.max(1, share);
/** After one that warms up. */
const rounds = 5;
/** A round. */
const allowedKiB = isSanitized ? 64 << 10 : 2 << 10;

interface Ground {
  readonly client: Client;
  readonly target: Child;
  readonly random: SeededRandom;
}

async function ground(test: TestContext, seed: number): Promise<Ground> {
  const target = Child.start(test, program, ['target']);
  const { port, descriptor } = await target.expect<Listening>('listening');
  const client = await openClient(port, fromHex(descriptor));
  test.after(() => client.peer.close());
  const random = new SeededRandom(chosenSeed(seed));
  test.diagnostic(`seed ${random.seed} (RPMA_TEST_SEED repeats it)`);
  return { client, target, random };
}

async function both({ target }: Ground): Promise<[Footprint, Footprint]> {
  target.send({ kind: 'look' });
  const { footprint } = await target.expect<Held>('held', 60_000);
  return [await settledFootprint(), footprint];
}

async function endure(
  test: TestContext,
  on: Ground,
  count: number,
  work: (count: number) => Promise<void>,
): Promise<void> {
  const perRound = Math.ceil((count * share) / (rounds + 1));
  await work(perRound);
  const looks = [await both(on)];
  const started = performance.now();
  for (let round = 0; round < rounds; round++) {
    await work(perRound);
    looks.push(await both(on));
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const figures = `${perRound} and then ${rounds} times as many in ${seconds} s`;
  for (const [n, side] of (['initiator', 'target'] as const).entries()) {
    const own = looks.map((pair) => pair[n]).filter((look) => look !== undefined);
    assert.equal(own.length, rounds + 1);
    console.log(`${test.name}, ${side}: ${figures}: ${describeFootprints(own)}`);
    assert.deepEqual(steadyGrowth(own, allowedKiB), [], side);
  }
}

describe('endurance in two processes', () => {
  it('5,000 connections come and go', { timeout }, async (test) => {
    const on = await ground(test, 711);
    await endure(test, on, 5000, (count) => cycle(on.client, count, on.random));
  });

  it('a million operations run', { timeout }, async (test) => {
    const on = await ground(test, 712);
    await endure(test, on, 1_000_000, (count) => operate(on.client, count, on.random));
  });
});
