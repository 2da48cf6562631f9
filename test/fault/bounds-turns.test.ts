// SPDX-License-Identifier: BSD-3-Clause
//
// A connection that floods a target does not starve a quiet one: what one takes in a turn is
// bounded, whatever it consists of. That a turn ends after its frames and bytes is shown without
// clocks in native/test/engine_turns_test.cc; here it is what a program sees of it.

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import { type Connection, type MemoryRegion, RemoteRegion } from 'rpma';
import { Child, fromHex } from '../support/child.js';
import { conform } from '../support/conform.js';
import { localUsage } from '../support/world.js';
import type { Listening } from './programs/target.js';

const crowd = new URL('./programs/crowd.js', import.meta.url);
const flood = new URL('./programs/flood.js', import.meta.url);
const kinds = ['bare frames', 'big writes', 'tiny writes', 'parked sends', 'tiny reads', 'flushes'];

/**
 * With turns of 64 frames or 256 KiB the quiet connection waits for some tens of microseconds at
 * the target. What it is measured at is what the processors have left: the flooder, the target and
 * this process compete with everything else for two of them, and a time slice of each competitor
 * may come before ours. So the bar is many time slices, and a starved connection is far beyond it:
 * it waits as long as the flood lasts.
 */
const barMs = 400;
const barRatio = 200;
const samples = 300;

/** The 99th percentile of awaited writes with their flush, in ms. */
async function p99(connection: Connection, local: MemoryRegion, remote: RemoteRegion) {
  const times: number[] = [];
  for (let n = 0; n < samples; n++) {
    const start = performance.now();
    await connection.write({ local, remote, length: 64, until: 'delivered', timeoutMs: 20_000 });
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  return times[Math.ceil(samples * 0.99) - 1] ?? Infinity;
}

conform('turns', ({ provider, it }) => {
  if (provider !== 'iwarp') return;

  for (const kind of kinds) {
    it(
      `a flood of ${kind} does not starve a quiet connection`,
      async (world) => {
        const target = Child.start(world.test, crowd);
        const { port, descriptor } = await target.expect<Listening>('listening');
        const peer = await world.peer();
        const local = await peer.allocate(64, { usage: localUsage });
        const remote = RemoteRegion.fromDescriptor(fromHex(descriptor));
        const quiet = await peer.connect('127.0.0.1', port);
        const alone = await p99(quiet, local, remote);
        const flooder = Child.start(world.test, flood, [String(port), descriptor, kind]);
        await flooder.expect('flooding');
        const beside = await p99(quiet, local, remote);
        const told = `p99 ${beside.toFixed(2)} ms beside, ${alone.toFixed(2)} ms alone`;
        world.test.diagnostic(`${kind}: ${told}, ratio ${(beside / alone).toFixed(1)}`);
        assert.equal(flooder.process.exitCode, null, 'the flood goes on');
        assert.ok(beside <= Math.max(barMs, barRatio * alone), told);
        await flooder.kill();
      },
      { timeoutMs: 90_000 },
    );
  }
});
