// SPDX-License-Identifier: BSD-3-Clause
//
// queue.batches(): one wake-up, many completions, in one view that is refilled (librpma: cq_wait,
// then cq_get_wc for several).

import assert from 'node:assert/strict';
import type { CompletionBatch } from 'rpma';
import { type CompletionQueue } from 'rpma';
import { argumentError, conform, withCode } from '../support/conform.js';
import { withDeadline } from '../support/deadline.js';
import { takeAll, takeOk, takeRest } from '../support/world.js';

/** The ids of each turn, until `count` have come. */
async function turnsOf(queue: CompletionQueue, count: number, capacity: number) {
  const turns: number[][] = [];
  let seen = 0;
  for await (const batch of queue.batches({ capacity })) {
    turns.push(Array.from(batch, ({ id }) => id));
    seen += batch.length;
    if (seen >= count) break;
  }
  return turns;
}

conform('batches of completions', ({ it }) => {
  it('give everything once, in order, in the same view', async (world) => {
    const { initiator } = await world.pair({ initiator: { sendQueueSize: 100 } });
    for (let id = 0; id < 100; id++) initiator.postWrite({ length: 0, id });
    const views = new Set<CompletionBatch>();
    const ids: number[] = [];
    for await (const batch of initiator.completionQueue.batches({ capacity: 7 })) {
      views.add(batch);
      assert.ok(batch.length >= 1 && batch.length <= 7);
      assert.equal(batch.capacity, 7);
      for (let i = 0; i < batch.length; i++) ids.push(batch.id(i));
      if (ids.length === 100) break;
    }
    assert.equal(views.size, 1);
    assert.deepEqual(
      ids,
      Array.from({ length: 100 }, (_, id) => id),
    );
    assert.equal(initiator.sendQueueFree, 100);
  });

  it('one turn gives what has gathered', async (world) => {
    const { initiator } = await world.pair({ initiator: { sendQueueSize: 40 } });
    for (let id = 0; id < 40; id++) initiator.postWrite({ length: 0, id });
    // Writes of no bytes are over when TCP has them, which is within the post.
    const turns = await withDeadline(turnsOf(initiator.completionQueue, 40, 64), 'forty');
    assert.equal(turns.flat().length, 40);
    assert.ok(turns.length <= 4, `${turns.length} turns`);
  });

  it('wait for what comes later', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    const iterator = pair.initiator.completionQueue.batches();
    for (let id = 0; id < 500; id++) {
      const next = iterator.next();
      pair.initiator.postRead({ local, remote, length: 8, id });
      const result = await withDeadline(next, `completion ${id}`);
      assert.ok(result.done !== true);
      assert.deepEqual([result.value.length, result.value.id(0)], [1, id]);
    }
    await iterator.return?.();
  });

  it('failures are in it as values, and it ends with the connection', async (world) => {
    const pair = await world.pair();
    pair.initiator.postWrite({ length: 0, id: 1 });
    pair.initiator.postReceive({ length: 0, id: 2 });
    const all: [number, boolean][] = [];
    const iterating = (async () => {
      for await (const batch of pair.initiator.completionQueue.batches()) {
        for (const { id, ok } of batch) all.push([id, ok]);
      }
    })();
    await pair.target.close();
    await withDeadline(iterating, 'the end');
    assert.deepEqual(all, [
      [1, true],
      [2, false],
    ]);
    assert.equal(pair.initiator.completionQueue.closed, true);
    const again = await pair.initiator.completionQueue.batches().next();
    assert.equal(again.done, true);
  });

  it('break leaves what is unread, and whoever comes next goes on', async (world) => {
    const { initiator } = await world.pair({ initiator: { sendQueueSize: 30 } });
    const queue = initiator.completionQueue;
    for (let id = 0; id < 30; id++) initiator.postWrite({ length: 0, id });
    const ids = (await turnsOf(queue, 1, 3)).flat();
    // Taking fetches ahead; the next batch begins with that.
    ids.push((await takeOk(queue)).id);
    ids.push(...(await turnsOf(queue, 1, 5)).flat());
    ids.push(...(await takeAll(queue, 30 - ids.length)).map(({ id }) => id));
    assert.deepEqual(
      ids,
      Array.from({ length: 30 }, (_, id) => id),
    );
  });

  it('one consumer at a time', async (world) => {
    const { initiator } = await world.pair();
    const queue = initiator.completionQueue;
    const iterator = queue.batches();
    const waiting = iterator.next();
    await assert.rejects(queue.take(), withCode('BUSY'));
    await assert.rejects(queue.batches().next(), withCode('BUSY'));
    await assert.rejects(queue[Symbol.asyncIterator]().next(), withCode('BUSY'));
    initiator.postWrite({ length: 0, id: 3 });
    const result = await withDeadline(waiting, 'a batch');
    assert.equal(result.done === true ? null : result.value.id(0), 3);
    await iterator.return?.();
    initiator.postWrite({ length: 0, id: 4 });
    assert.equal((await takeOk(queue)).id, 4);
  });

  it('next() before the last one was awaited is refused and loses nothing', async (world) => {
    const { initiator } = await world.pair({ initiator: { sendQueueSize: 8 } });
    for (let id = 0; id < 8; id++) initiator.postWrite({ length: 0, id });
    const iterator = initiator.completionQueue.batches({ capacity: 4 });
    const first = iterator.next();
    await assert.rejects(iterator.next(), withCode('BUSY'));
    const ids: number[] = [];
    for (let result = await first; ids.length < 8; result = await iterator.next()) {
      if (result.done !== true) ids.push(...Array.from(result.value, ({ id }) => id));
      if (ids.length === 8) break;
    }
    assert.deepEqual(ids, [0, 1, 2, 3, 4, 5, 6, 7]);
    await iterator.return?.();
  });

  it('a signal ends the iteration; nothing is lost', async (world) => {
    const { initiator } = await world.pair();
    const queue = initiator.completionQueue;
    const controller = new AbortController();
    const { signal } = controller;
    const reason = new Error('enough');
    const iterator = queue.batches({ signal });
    const waiting = iterator.next();
    controller.abort(reason);
    await assert.rejects(waiting, withCode('ABORTED', { name: 'AbortError', cause: reason }));
    // Without a return(): a loop does not call it when next() rejects.
    initiator.postWrite({ length: 0, id: 7 });
    assert.deepEqual(await withDeadline(turnsOf(queue, 1, 4), 'the next consumer'), [[7]]);
    initiator.postWrite({ length: 0, id: 8 });
    await assert.rejects(iterator.next(), withCode('ABORTED'));
    await assert.rejects(queue.batches({ signal }).next(), withCode('ABORTED'));
    assert.equal((await takeOk(queue)).id, 8);
  });

  it('claims the queue for the verbs tier, and checks its options', async (world) => {
    const pair = await world.pair();
    const type = argumentError('TypeError', 'INVALID_ARG_TYPE');
    const queue = pair.initiator.completionQueue;
    for (const options of [null, 3]) assert.throws(() => queue.batches(options as never), type);
    assert.throws(() => queue.batches({ capacity: '4' as never }), type);
    assert.throws(() => queue.batches({ signal: {} as never }), type);
    for (const capacity of [0, 65_537, 1.5]) {
      assert.throws(() => queue.batches({ capacity }), argumentError('RangeError', 'OUT_OF_RANGE'));
    }
    assert.equal(queue.claimedBy, 'nobody');
    queue.batches();
    assert.equal(queue.claimedBy, 'verbs-tier');
    await pair.target.write({ length: 0 });
    assert.throws(() => pair.target.completionQueue.batches(), withCode('QUEUE_CLAIMED'));
  });

  it('serve a queue of several connections', async (world) => {
    const peer = await world.peer();
    const queue = await peer.createCompletionQueue({ size: 4 });
    const options = { initiatorPeer: peer, initiator: { completionQueue: queue } };
    const first = await world.pair(options);
    const second = await world.again(first, options);
    const counts = new Map<number, number>();
    let seen = 0;
    first.initiator.postWrite({ length: 0 });
    for await (const batch of queue.batches()) {
      for (let i = 0; i < batch.length; i++) {
        const number = batch.queuePairNumber(i);
        counts.set(number, (counts.get(number) ?? 0) + 1);
        if (++seen < 100) [first, second][seen % 2]?.initiator.postWrite({ length: 0 });
      }
      if (seen === 100) break;
    }
    assert.equal(counts.get(first.initiator.queuePairNumber), 50);
    assert.equal(counts.get(second.initiator.queuePairNumber), 50);
  });

  it('what a batch leaves behind at the end is read by the rest of the queue', async (world) => {
    const { initiator } = await world.pair({ initiator: { sendQueueSize: 20 } });
    for (let id = 0; id < 20; id++) initiator.postWrite({ length: 0, id });
    const ids = (await turnsOf(initiator.completionQueue, 6, 6)).flat();
    await withDeadline(initiator.close(), 'close()');
    const rest = await takeRest(initiator.completionQueue);
    assert.deepEqual(
      [...ids, ...rest.map(({ id }) => id)],
      Array.from({ length: 20 }, (_, id) => id),
    );
  });
});
