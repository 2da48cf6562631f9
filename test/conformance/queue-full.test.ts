// SPDX-License-Identifier: BSD-3-Clause
//
// Full queues: a synchronous, retryable answer that posts nothing (librpma: E_PROVIDER).

import assert from 'node:assert/strict';
import { conform, withCode } from '../support/conform.js';
import { until } from '../support/deadline.js';
import { takeAll, takeOk } from '../support/world.js';

const full = withCode('AGAIN', { retryable: true, scope: 'operation', mayHaveTakenEffect: false });

conform('full queue', ({ it }) => {
  it('a send queue holds what was asked for, then posts throw AGAIN', async (world) => {
    const pair = await world.pair({ initiator: { sendQueueSize: 4 } });
    const { initiator } = pair;
    const { remote } = await world.lend(pair);
    for (let id = 0; id < 4; id++) {
      assert.equal(initiator.sendQueueFree, 4 - id);
      initiator.postWrite({ length: 0, id });
    }
    assert.equal(initiator.sendQueueFree, 0);
    assert.throws(() => initiator.postWrite({ length: 0 }), full);
    assert.throws(() => initiator.postRead({ length: 0 }), full);
    assert.throws(() => initiator.postSend({ length: 0 }), full);
    assert.throws(() => initiator.postAtomicWrite({ remote, value: 0n }), full);
    assert.throws(() => initiator.postFlush({ remote, length: 0, type: 'visibility' }), full);
    const done = await takeAll(initiator.completionQueue, 4);
    assert.deepEqual(
      done.map((each) => each.id),
      [0, 1, 2, 3],
    );
    assert.equal(initiator.sendQueueFree, 4);
    assert.equal(initiator.completionQueue.tryTake(), null);
  });

  it('taking a completion frees its slot', async (world) => {
    const { initiator } = await world.pair({ initiator: { sendQueueSize: 2 } });
    initiator.postWrite({ length: 0, id: 0 });
    initiator.postWrite({ length: 0, id: 1 });
    for (let id = 2; id < 50; id++) {
      assert.equal(await initiator.completionQueue.wait({ timeoutMs: 5000 }), true);
      assert.equal((await takeOk(initiator.completionQueue)).id, id - 2);
      assert.ok(initiator.sendQueueFree >= 1);
      initiator.postWrite({ length: 0, id });
    }
  });

  it('on-error operations free their slots themselves (librpma keeps them until a poll)', async (world) => {
    const pair = await world.pair({ initiator: { sendQueueSize: 4 } });
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    for (let n = 0; n < 500; n++) {
      await until(() => pair.initiator.sendQueueFree > 0, 'a slot without any poll');
      pair.initiator.postWrite({ local, remote, length: 64, completion: 'on-error' });
    }
    await until(() => pair.initiator.sendQueueFree === 4, 'all slots free');
    assert.equal(pair.initiator.completionQueue.tryTake(), null);
  });

  it('on-error reads and flushes free theirs too', async (world) => {
    const pair = await world.pair({ initiator: { sendQueueSize: 3 } });
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    for (let n = 0; n < 200; n++) {
      await until(() => pair.initiator.sendQueueFree > 0, 'a slot without any poll');
      const common = { remote, length: 64, completion: 'on-error' as const };
      if (n % 2 === 0) pair.initiator.postRead({ local, ...common });
      else pair.initiator.postFlush({ ...common, type: 'visibility' });
    }
    await until(() => pair.initiator.sendQueueFree === 3, 'all slots free');
  });

  it('a receive queue holds what was asked for, then posts throw AGAIN', async (world) => {
    const { initiator, target } = await world.pair({ target: { receiveQueueSize: 3 } });
    for (let id = 0; id < 3; id++) {
      assert.equal(target.receiveQueueFree, 3 - id);
      target.postReceive({ length: 0, id });
    }
    assert.throws(() => target.postReceive({ length: 0 }), full);
    initiator.postSend({ length: 0 });
    assert.equal((await takeOk(target.completionQueue)).id, 0);
    assert.equal(target.receiveQueueFree, 1);
    target.postReceive({ length: 0, id: 3 });
  });

  it('an argument error takes no slot', async (world) => {
    const pair = await world.pair({ initiator: { sendQueueSize: 1 } });
    const { remote } = await world.lend(pair, 8);
    for (let n = 0; n < 10; n++) {
      const flush = { remote, remoteOffset: 9, length: 1, type: 'visibility' as const };
      assert.throws(() => pair.initiator.postFlush(flush));
    }
    assert.equal(pair.initiator.sendQueueFree, 1);
  });
});
