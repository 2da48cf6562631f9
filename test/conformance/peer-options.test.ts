// SPDX-License-Identifier: BSD-3-Clause
//
// Choices that change how something is done and nothing of what it means: memory in huge pages, and
// a peer that spins before it sleeps. librpma has neither; its users take huge pages by mmap.

import assert from 'node:assert/strict';
import { conform } from '../support/conform.js';
import { lastFor } from '../support/deadline.js';
import { localUsage, type Pair, remoteUsage, takeOk, type World } from '../support/world.js';

const mebibyte = 1 << 20;

async function roundTrips(world: World, pair: Pair, count: number): Promise<void> {
  const local = await world.local(pair, 64);
  const { region, remote } = await world.lend(pair, 64);
  for (let round = 1; round <= count; round++) {
    local.bytes.fill(round & 0xff);
    pair.initiator.postWrite({ local, remote, length: 64, completion: 'on-error' });
    pair.initiator.postFlush({ remote, length: 64, type: 'visibility', id: round });
    assert.equal((await takeOk(pair.initiator.completionQueue)).id, round);
    assert.ok(region.bytes.every((byte) => byte === (round & 0xff)));
  }
}

/** Processor time of this whole process over a stretch without any work, in milliseconds. */
async function idleCpuMs(durationMs: number): Promise<number> {
  const before = process.cpuUsage();
  await lastFor(durationMs);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

conform('options of peers and memory', ({ it }) => {
  for (const sizeBytes of [1, 4096, 2 * mebibyte, 5 * mebibyte + 1]) {
    it(`hugePages gives ${sizeBytes} bytes, zeroed, that work as any others`, async (world) => {
      const pair = await world.pair();
      const usage = localUsage | remoteUsage;
      const huge = await pair.initiatorPeer.allocate(sizeBytes, { usage, hugePages: true });
      assert.equal(huge.sizeBytes, sizeBytes);
      assert.equal(huge.bytes.length, sizeBytes);
      assert.ok(Buffer.from(huge.bytes).equals(Buffer.alloc(sizeBytes)), 'not zeroed');
      world.random(44).fill(huge.bytes);
      const { region, remote } = await world.lend(pair, sizeBytes);
      pair.initiator.postWrite({ local: huge, remote, length: sizeBytes });
      await takeOk(pair.initiator.completionQueue);
      pair.initiator.postFlush({ remote, length: sizeBytes, type: 'visibility' });
      await takeOk(pair.initiator.completionQueue);
      assert.ok(Buffer.from(huge.bytes).equals(region.bytes));
      await huge.close();
      // What the next one gets is zeroed as well, though it may lie where this one was.
      const next = await pair.initiatorPeer.allocate(sizeBytes, { usage, hugePages: true });
      assert.ok(Buffer.from(next.bytes).equals(Buffer.alloc(sizeBytes)), 'not zeroed again');
    });
  }

  for (const busyPollMicroseconds of [50, 10_000]) {
    it(`a peer that spins for ${busyPollMicroseconds} µs works, and goes idle`, async (world) => {
      const pair = await world.pair({
        initiatorPeer: await world.peer({ busyPollMicroseconds }),
        targetPeer: await world.peer({ busyPollMicroseconds }),
      });
      await roundTrips(world, pair, 200);
      await idleCpuMs(100); // what the round trips left behind, and the last spin
      // One thread that never stopped to spin would take all of the stretch.
      const cpuMs = Math.min(await idleCpuMs(300), await idleCpuMs(300));
      assert.ok(cpuMs < 60, `${cpuMs.toFixed(0)} ms of processor time in 300 ms of idleness`);
      await roundTrips(world, pair, 50);
    });
  }
});
