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
  describeFootprint,
  type Footprint,
  growth,
  settledFootprint,
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
const timeout = 100_000 * Math.max(1, share);
const allowedKiB = isSanitized ? 256 << 10 : 8 << 10;

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

/** Work of which the first part warms up; fails when the rest leaves something behind. */
async function endure(
  test: TestContext,
  { settled }: Ground,
  count: number,
  work: (count: number) => Promise<void>,
): Promise<void> {
  const warm = Math.ceil(count * share * 0.3);
  const rest = Math.ceil(count * share * 0.7);
  await work(warm);
  const before = await settled();
  const started = performance.now();
  await work(rest);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const later = await settled();
  const figures = `${warm} and then ${rest} in ${seconds} s`;
  const held = `${describeFootprint(before)}; later ${describeFootprint(later)}`;
  test.diagnostic(`${figures}: ${held}`);
  console.log(`${test.name}: ${figures}: ${held}`);
  assert.deepEqual(growth(before, later, allowedKiB), []);
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
    const on = await ground(test, 703);
    const leak = async (count: number): Promise<void> => {
      await cycle(on.client, count, on.random);
      await on.client.peer.allocate(64, { usage: localUsage });
    };
    await leak(100);
    const before = await on.settled();
    await leak(100);
    const found = growth(before, await on.settled(), allowedKiB);
    assert.ok(
      found.some((each) => each.startsWith('regions: ')),
      found.join('; '),
    );
  });
});
