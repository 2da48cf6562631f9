// SPDX-License-Identifier: BSD-3-Clause
//
// A connection that floods a target does not starve another one of the same target: who has much to
// do is served in turns, and who has little waits for a turn, not for the end of the flood.

import assert from 'node:assert/strict';
import type { Connection, MemoryRegion, RemoteRegion } from 'rpma';
import { conform } from '../support/conform.js';
import { turn } from '../support/deadline.js';
import { localUsage, takeOk } from '../support/world.js';

const floodBytes = 1 << 20;
const floodMs = 1000;

interface Flood {
  over: boolean;
  writes: number;
}

/** Keeps the send queue full of large Writes until told to stop; then reads the last outcomes. */
async function flood(
  connection: Connection,
  local: MemoryRegion,
  remote: RemoteRegion,
  state: Flood,
): Promise<void> {
  let outstanding = 0;
  while (!state.over || outstanding > 0) {
    while (!state.over && connection.sendQueueFree > 0) {
      connection.postWrite({ local, remote, length: floodBytes });
      outstanding++;
    }
    for (const completion of connection.completionQueue.poll()) {
      assert.ok(completion.ok, completion.status);
      outstanding--;
      state.writes++;
    }
    await turn();
  }
}

conform('fairness', ({ it }) => {
  it('a flooding connection does not starve a quiet one', async (world) => {
    const loud = await world.pair();
    // Peers of its own at this side: what is shared, and under test, is the target.
    const quietPeer = await world.peer();
    const quiet = await world.again({ ...loud, initiatorPeer: quietPeer });
    const much = await world.local(loud, floodBytes);
    const { remote: sink } = await world.lend(loud, floodBytes);
    const local = await quietPeer.allocate(64, { usage: localUsage });
    const { region, remote } = await world.lend(loud, 64);
    const state: Flood = { over: false, writes: 0 };
    const flooding = flood(loud.initiator, much, sink, state);
    const latencies: number[] = [];
    const end = performance.now() + floodMs;
    try {
      while (performance.now() < end) {
        const start = performance.now();
        const id = latencies.length;
        local.bytes.fill(id & 0xff);
        quiet.initiator.postWrite({ local, remote, length: 64, completion: 'on-error' });
        quiet.initiator.postFlush({ remote, length: 64, type: 'visibility', id });
        assert.equal((await takeOk(quiet.initiator.completionQueue)).id, id);
        latencies.push(performance.now() - start);
        assert.ok(region.bytes.every((byte) => byte === (id & 0xff)));
      }
    } finally {
      state.over = true;
      await flooding;
    }
    latencies.sort((a, b) => a - b);
    const p99 = latencies[Math.ceil(latencies.length * 0.99) - 1] ?? Infinity;
    const told = `${latencies.length} operations, p99 ${p99.toFixed(1)} ms`;
    world.test.diagnostic(`${told}, beside ${state.writes} MiB`);
    assert.ok(state.writes >= 50, `${state.writes} MiB are no flood`);
    // A starved connection waits as long as the flood lasts; a loaded machine may hold up a few
    // operations for some of its time slices, but not most of them.
    assert.ok(latencies.length >= 10, told);
    assert.ok((latencies[latencies.length >> 1] ?? Infinity) < 100, told);
  });

  it('a loop whose operations complete at once leaves timers and other connections their turn', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair, 64);
    const { remote } = await world.lend(pair, 64);
    const other = await world.again(pair);
    const quiet = await world.local(pair, 64);
    let done = false;
    const inTheMeantime = other.initiator
      .write({ local: quiet, remote, length: 64, until: 'delivered' })
      .then(() => {
        done = true;
      });
    // Promises that are settled already would go on as long as there is one after the other.
    let rounds = 0;
    for (; !done && rounds < 100_000; rounds++) {
      pair.initiator.postWrite({ local, remote, length: 64 });
      assert.ok((await pair.initiator.completionQueue.take())?.ok);
    }
    assert.ok(done, `nothing else in ${rounds} rounds`);
    await inTheMeantime;
  });

  it('so does an iteration', async (world) => {
    const pair = await world.pair({ initiator: { sendQueueSize: 256 } });
    const local = await world.local(pair, 64);
    const { remote } = await world.lend(pair, 64);
    let turned = false;
    void turn().then(() => {
      turned = true;
    });
    let rounds = 0;
    pair.initiator.postWrite({ local, remote, length: 64 });
    for await (const completion of pair.initiator.completionQueue) {
      assert.ok(completion.ok);
      if (turned || ++rounds === 100_000) break;
      pair.initiator.postWrite({ local, remote, length: 64 });
    }
    assert.ok(turned, `no turn in ${rounds} rounds`);
  });
});
