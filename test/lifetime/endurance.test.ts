// SPDX-License-Identifier: BSD-3-Clause
// flavour: test
//
// Endurance, both sides in one process: ten thousand connections come and go and a million
// operations run, and what the process holds afterwards is what it held when it was warm: memory,
// descriptors, threads and native objects of each kind.

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { Peer } from 'rpma';
import {
  describeFootprints,
  type Footprint,
  settledFootprint,
  steadyGrowth,
} from '../support/footprint.js';
import { chosenSeed, SeededRandom } from '../support/random.js';
import { localUsage, remoteUsage } from '../support/world.js';
import {
  awaitMany,
  type Client,
  cycle,
  memoryBytes,
  openClient,
  operate,
  Server,
} from './programs/endurance.js';

const isSanitized = process.env['RPMA_SANITIZED'] === '1';
/** RPMA_ENDURANCE does so many times more. Sanitizers are slow, and keep freed memory a while. */
const share = isSanitized ? 0.02 : Number(process.env['RPMA_ENDURANCE'] ?? 1);
const timeout = 110_000 * Math.max(1, share);
/** After one that warms up. */
const rounds = 5;
/** A round. */
const allowedKiB = isSanitized ? 64 << 10 : 2 << 10;

interface Ground {
  readonly client: Client;
  readonly random: SeededRandom;
  readonly settled: () => Promise<Footprint>;
}

async function ground(test: TestContext, seed: number): Promise<Ground> {
  const targetPeer = await Peer.open({ localAddress: '127.0.0.1' });
  const region = await targetPeer.allocate(memoryBytes, { usage: remoteUsage });
  const endpoint = await targetPeer.listen('127.0.0.1', 0);
  const server = new Server(endpoint);
  const client = await openClient(endpoint.port, region.toDescriptor());
  test.after(async () => {
    await client.peer.close();
    await targetPeer.close();
  });
  const random = new SeededRandom(chosenSeed(seed));
  test.diagnostic(`seed ${random.seed} (RPMA_TEST_SEED repeats it)`);
  const settled = async (): Promise<Footprint> => {
    await server.untilQuiet();
    return settledFootprint();
  };
  return { client, random, settled };
}

/** Work of which the first part warms up; fails when the rounds after it leave something behind. */
async function endure(
  test: TestContext,
  { settled }: Ground,
  count: number,
  work: (count: number) => Promise<void>,
): Promise<void> {
  const perRound = Math.ceil((count * share) / (rounds + 1));
  await work(perRound);
  const looks = [await settled()];
  const started = performance.now();
  for (let round = 0; round < rounds; round++) {
    await work(perRound);
    looks.push(await settled());
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const figures = `${perRound} and then ${rounds} times as many in ${seconds} s`;
  console.log(`${test.name}: ${figures}: ${describeFootprints(looks)}`);
  assert.deepEqual(steadyGrowth(looks, allowedKiB), []);
}

/** What is found of rounds of a hundred connections that leave something behind. */
async function leaks(
  test: TestContext,
  leak: (client: Client) => Promise<void>,
): Promise<string[]> {
  const { client, random, settled } = await ground(test, 703);
  const looks: Footprint[] = [];
  for (let round = 0; round <= rounds; round++) {
    await cycle(client, 100, random);
    await leak(client);
    looks.push(await settled());
  }
  return steadyGrowth(looks, allowedKiB);
}

describe('endurance in one process', () => {
  it('10,000 connections come and go', { timeout }, async (test) => {
    const on = await ground(test, 701);
    await endure(test, on, 10_000, (count) => cycle(on.client, count, on.random));
  });

  it('a million operations run', { timeout }, async (test) => {
    const on = await ground(test, 702);
    await endure(test, on, 1_000_000, (count) => operate(on.client, count, on.random));
    await endure(test, on, 50_000, (count) => awaitMany(on.client, count));
  });

  it('control: a region a hundred connections that is left open is found', async (test) => {
    const found = await leaks(test, (client) =>
      client.peer.allocate(64, { usage: localUsage }).then(() => undefined),
    );
    assert.ok(
      found.some((each) => each.startsWith('regions: ')),
      found.join('; '),
    );
  });

  it('control: memory that each round leaves behind is found', async (test) => {
    const kept: Buffer[] = [];
    const found = await leaks(test, () => {
      kept.push(Buffer.alloc(2 * allowedKiB * 1024, 1));
      return Promise.resolve();
    });
    assert.ok(
      found.some((each) => each.startsWith('KiB resident: ')),
      `${found.join('; ')} (${kept.length} kept)`,
    );
  });
});
