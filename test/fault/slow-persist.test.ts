// SPDX-License-Identifier: BSD-3-Clause
//
// A persist that takes long holds up its own connection's later requests, and nobody else's.

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import { conform } from '../support/conform.js';
import { nativeTest } from '../support/native.js';
import { takeOk } from '../support/world.js';

const persistMs = 200;
const boundMs = 5;

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

conform('slow persist', ({ it }) => {
  it(`an msync of ${persistMs} ms does not move another connection's p99 beyond ${boundMs} ms`, async (world) => {
    const slow = await world.pair();
    const quick = await world.again(slow);
    const file = await world.file(65_536);
    const { remote } = await world.lendFile(slow, file);
    const lent = await world.lend(slow);
    const local = await world.local(slow);
    const flush = { remote: lent.remote, length: 64, type: 'visibility' as const };
    world.after(() => nativeTest().faultClear());
    nativeTest().faultSet('memory.msync', 1, 1_000_000, 0, persistMs);
    const laps: number[] = [];
    let persisting = true;
    const start = performance.now();
    slow.initiator.postFlush({ remote, length: 4096, type: 'persistent', id: 1 });
    const durable = takeOk(slow.initiator.completionQueue).then((done) => {
      persisting = false;
      return done;
    });
    while (persisting) {
      const from = performance.now();
      const write = { local, remote: lent.remote, length: 64 };
      quick.initiator.postWrite({ ...write, completion: 'on-error' });
      quick.initiator.postFlush(flush);
      await takeOk(quick.initiator.completionQueue);
      laps.push(performance.now() - from);
    }
    assert.equal((await durable).durability, 'persisted');
    assert.ok(performance.now() - start >= persistMs - 5, 'the persist was slow');
    assert.ok(nativeTest().faultHits('memory.msync') >= 1);
    laps.sort((a, b) => a - b);
    assert.ok(laps.length > 50, `${laps.length} laps`);
    const p99 = quantile(laps, 0.99);
    assert.ok(p99 < boundMs, `p99 ${p99.toFixed(2)} ms of ${laps.length} laps`);
  });

  it('writes of the same connection go on; its later flush waits', async (world) => {
    const pair = await world.pair();
    const file = await world.file(65_536);
    const { region, remote } = await world.lendFile(pair, file);
    const local = await world.local(pair);
    local.bytes.fill(5);
    world.after(() => nativeTest().faultClear());
    nativeTest().faultSet('memory.msync', 1, 1, 0, persistMs);
    pair.initiator.postFlush({ remote, length: 4096, type: 'persistent', id: 1 });
    pair.initiator.postWrite({ local, remote, length: 8, id: 2 });
    pair.initiator.postFlush({ remote, length: 8, type: 'visibility', id: 3 });
    const first = await takeOk(pair.initiator.completionQueue);
    assert.deepEqual([first.id, first.durability], [1, 'persisted']);
    assert.equal(region.bytes[0], 5, 'the write was placed while the persist ran');
    assert.equal((await takeOk(pair.initiator.completionQueue)).id, 2);
    assert.equal((await takeOk(pair.initiator.completionQueue)).id, 3);
  });
});
