// SPDX-License-Identifier: BSD-3-Clause
//
// Completion queues (librpma: cq_wait, cq_get_wc, conn_get_cq, conn_get_rcq).

import assert from 'node:assert/strict';
import { CompletionBatch, type Completion } from 'rpma';
import { conform, withCode } from '../support/conform.js';
import { until, withDeadline } from '../support/deadline.js';
import { takeAll, takeOk, takeRest } from '../support/world.js';

conform('completion queue', ({ it }) => {
  it('holds at least the queues it serves (librpma lets it overflow)', async (world) => {
    const pair = await world.pair({
      initiator: { sendQueueSize: 30, receiveQueueSize: 12, completionQueueSize: 1 },
      target: { completionQueueSize: 100 },
    });
    assert.ok(pair.initiator.completionQueue.capacity >= 42);
    assert.ok(pair.target.completionQueue.capacity >= 100);
  });

  it('filled to the brim loses nothing', async (world) => {
    const pair = await world.pair({
      initiator: { sendQueueSize: 16, receiveQueueSize: 16, completionQueueSize: 1 },
      target: { receiveQueueSize: 16 },
    });
    for (let id = 0; id < 16; id++) pair.target.postReceive({ length: 0 });
    for (let id = 0; id < 16; id++) pair.initiator.postReceive({ length: 0, id });
    for (let id = 0; id < 16; id++) pair.initiator.postSend({ length: 0, id: 100 + id });
    await takeAll(pair.target.completionQueue, 16);
    pair.target.disconnect();
    const rest = await takeRest(pair.initiator.completionQueue);
    assert.equal(rest.length, 32);
    assert.equal(rest.filter((each) => each.operation === 'send' && each.ok).length, 16);
  });

  it('an empty queue gives null, [] , 0 or false, never an error', async (world) => {
    const { initiator } = await world.pair();
    const queue = initiator.completionQueue;
    assert.deepEqual(queue.poll(), []);
    assert.equal(queue.pollInto(new CompletionBatch(4)), 0);
    assert.equal(queue.tryTake(), null);
    assert.equal(queue.takeSync(0), null);
    assert.equal(queue.waitSync(0), false);
    assert.equal(await queue.wait({ timeoutMs: 3 }), false);
    assert.equal(await queue.take({ timeoutMs: 3 }), null);
  });

  it('gives back ids as they were posted', async (world) => {
    const { initiator } = await world.pair();
    const ids = [0, 1, 2 ** 31, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER];
    for (const id of ids) initiator.postWrite({ length: 0, id });
    initiator.postWrite({ length: 0 });
    const done = await takeAll(initiator.completionQueue, 6);
    assert.deepEqual(
      done.map((each) => each.id),
      [...ids, 0],
    );
  });

  it('a completion names operation, status and queue pair, and is a value', async (world) => {
    const { initiator } = await world.pair();
    initiator.postWrite({ length: 0, id: 1 });
    const kept = await takeOk(initiator.completionQueue);
    const before: Completion = { ...kept };
    for (let id = 2; id < 8; id++) {
      initiator.postWrite({ length: 0, id });
      await takeOk(initiator.completionQueue);
    }
    assert.deepEqual({ ...kept }, before);
    assert.equal(kept.operation, 'write');
    assert.equal(kept.status, 'success');
    assert.equal(kept.ok, true);
    assert.equal(kept.queuePairNumber, initiator.queuePairNumber);
    assert.equal(kept.providerError, 0);
    assert.equal(kept.durability, undefined);
  });

  it('poll() gives at most what was asked for, 16 unless told', async (world) => {
    const { initiator } = await world.pair({ initiator: { sendQueueSize: 40 } });
    for (let id = 0; id < 40; id++) initiator.postWrite({ length: 0, id });
    const seen: number[] = [];
    const poll = (max?: number): number => {
      const batch = initiator.completionQueue.poll(max);
      seen.push(...batch.map((each) => each.id));
      return batch.length;
    };
    await until(() => {
      assert.ok(poll(3) <= 3);
      return seen.length >= 10;
    }, 'ten completions');
    await until(() => {
      assert.ok(poll() <= 16);
      return seen.length >= 40;
    }, 'forty completions');
    assert.deepEqual(
      seen,
      Array.from({ length: 40 }, (_, id) => id),
    );
  });

  it('pollInto() refills a reused batch whose at() gives fresh values', async (world) => {
    const { initiator } = await world.pair({ initiator: { sendQueueSize: 16 } });
    const batch = new CompletionBatch(4);
    assert.equal(batch.capacity, 4);
    for (let id = 0; id < 10; id++) initiator.postWrite({ length: 0, id });
    const kept: Completion[] = [];
    await until(() => {
      const count = initiator.completionQueue.pollInto(batch);
      assert.equal(batch.length, count);
      assert.ok(count <= 4);
      for (let i = 0; i < count; i++) {
        assert.equal(batch.id(i), kept.length);
        assert.equal(batch.ok(i), true);
        assert.equal(batch.status(i), 'success');
        assert.equal(batch.operation(i), 'write');
        assert.equal(batch.queuePairNumber(i), initiator.queuePairNumber);
        kept.push(batch.at(i));
      }
      return kept.length >= 10;
    }, 'ten completions');
    assert.deepEqual(
      kept.map((each) => each.id),
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    );
  });

  it('wait() tells that there is something and takes nothing', async (world) => {
    const { initiator } = await world.pair();
    const waiting = initiator.completionQueue.wait();
    initiator.postWrite({ length: 0, id: 4 });
    assert.equal(await withDeadline(waiting, 'wait()'), true);
    assert.equal(await initiator.completionQueue.wait(), true);
    assert.equal(initiator.completionQueue.tryTake()?.id, 4);
    initiator.postWrite({ length: 0, id: 5 });
    assert.equal(initiator.completionQueue.waitSync(5000), true);
    assert.equal(initiator.completionQueue.tryTake()?.id, 5);
  });

  it('takeSync() blocks the thread until an operation completes', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    for (let id = 0; id < 20; id++) {
      pair.initiator.postRead({ local, remote, length: 64, id });
      assert.equal(pair.initiator.completionQueue.takeSync(5000)?.id, id);
    }
  });

  it('no wake-up is lost: take() after every post, many times', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    for (let id = 0; id < 2000; id++) {
      pair.initiator.postRead({ local, remote, length: 8, id });
      const done = await pair.initiator.completionQueue.take({ timeoutMs: 5000 });
      assert.equal(done?.id, id);
    }
  });

  it('receives complete in a queue of their own where one was asked for', async (world) => {
    const pair = await world.pair({ target: { receiveCompletionQueueSize: 4 } });
    assert.equal(pair.initiator.receiveCompletionQueue, null);
    const receives = pair.target.receiveCompletionQueue;
    assert.ok(receives !== null);
    assert.notEqual(receives, pair.target.completionQueue);
    pair.target.postReceive({ length: 0, id: 1 });
    pair.initiator.postSend({ length: 0 });
    assert.equal((await takeOk(receives)).operation, 'receive');
    pair.target.postWrite({ length: 0, id: 2 });
    assert.equal((await takeOk(pair.target.completionQueue)).id, 2);
    assert.equal(receives.tryTake(), null);
    assert.equal(pair.target.completionQueue.tryTake(), null);
  });

  it('one queue may serve several connections and grows with them', async (world) => {
    const peer = await world.peer();
    const queue = await peer.createCompletionQueue({ size: 4 });
    const options = { initiatorPeer: peer, initiator: { completionQueue: queue } };
    const first = await world.pair(options);
    const second = await world.again(first, options);
    assert.equal(first.initiator.completionQueue, queue);
    assert.equal(second.initiator.completionQueue, queue);
    assert.ok(queue.capacity >= 40);
    first.initiator.postWrite({ length: 0, id: 1 });
    second.initiator.postWrite({ length: 0, id: 2 });
    const done = await takeAll(queue, 2);
    const byId = new Map(done.map((each) => [each.id, each.queuePairNumber]));
    assert.equal(byId.get(1), first.initiator.queuePairNumber);
    assert.equal(byId.get(2), second.initiator.queuePairNumber);
    first.target.disconnect();
    await withDeadline(first.initiator.whenClosed(), 'the first ends');
    second.initiator.postWrite({ length: 0, id: 3 });
    assert.equal((await takeOk(queue)).id, 3);
  });

  it('belongs to the tier that used it first', async (world) => {
    const pair = await world.pair();
    assert.equal(pair.initiator.completionQueue.claimedBy, 'nobody');
    await pair.initiator.write({ length: 0 });
    assert.equal(pair.initiator.completionQueue.claimedBy, 'promise-tier');
    assert.throws(() => pair.initiator.completionQueue.poll(), withCode('QUEUE_CLAIMED'));
    await assert.rejects(pair.initiator.completionQueue.take(), withCode('QUEUE_CLAIMED'));
    pair.target.completionQueue.poll();
    assert.equal(pair.target.completionQueue.claimedBy, 'verbs-tier');
    await assert.rejects(pair.target.write({ length: 0 }), withCode('QUEUE_CLAIMED'));
  });

  it('cannot be claimed by promises while posted operations are outstanding', async (world) => {
    const pair = await world.pair();
    pair.target.postReceive({ length: 0 });
    await assert.rejects(pair.target.write({ length: 0 }), withCode('QUEUE_CLAIMED'));
  });

  it('has one iterating consumer at a time', async (world) => {
    const { initiator } = await world.pair();
    const queue = initiator.completionQueue;
    const waiting = queue[Symbol.asyncIterator]().next();
    await assert.rejects(queue.take(), withCode('BUSY'));
    await assert.rejects(queue[Symbol.asyncIterator]().next(), withCode('BUSY'));
    initiator.postWrite({ length: 0, id: 9 });
    const result = await withDeadline(waiting, 'the iteration');
    assert.equal(result.done === true ? null : result.value.id, 9);
  });

  it('serves several take() in the order of their calls', async (world) => {
    const { initiator } = await world.pair();
    const waiting = Promise.all([1, 2, 3].map(() => initiator.completionQueue.take()));
    for (const id of [1, 2, 3]) initiator.postWrite({ length: 0, id });
    const taken = await withDeadline(waiting, 'all of them');
    assert.deepEqual(
      taken.map((each) => each?.id),
      [1, 2, 3],
    );
  });

  it('for await yields failures as values and ends when all is over', async (world) => {
    const pair = await world.pair();
    pair.initiator.postWrite({ length: 0, id: 1 });
    pair.initiator.postReceive({ length: 0, id: 2 });
    const iterating = takeRest(pair.initiator.completionQueue);
    await pair.target.close();
    const all = await iterating;
    assert.deepEqual(
      all.map((each) => [each.id, each.ok]),
      [
        [1, true],
        [2, false],
      ],
    );
    assert.equal(pair.initiator.completionQueue.closed, true);
    assert.equal(await pair.initiator.completionQueue.take(), null);
    assert.equal(await pair.initiator.completionQueue.wait(), false);
  });

  it('break lets go and leaves the unread completions', async (world) => {
    const pair = await world.pair();
    for (let id = 0; id < 5; id++) pair.initiator.postWrite({ length: 0, id });
    const seen: number[] = [];
    for await (const completion of pair.initiator.completionQueue) {
      seen.push(completion.id);
      if (seen.length === 2) break;
    }
    const rest = await takeAll(pair.initiator.completionQueue, 3);
    assert.deepEqual([...seen, ...rest.map((each) => each.id)], [0, 1, 2, 3, 4]);
  });

  it('stays readable after close()', async (world) => {
    const pair = await world.pair();
    for (let id = 0; id < 3; id++) pair.initiator.postWrite({ length: 0, id });
    pair.initiator.postReceive({ length: 0, id: 3 });
    await withDeadline(pair.initiator.close(), 'close()');
    const rest = await takeRest(pair.initiator.completionQueue);
    assert.deepEqual(
      rest.map((each) => [each.id, each.status]),
      [
        [0, 'success'],
        [1, 'success'],
        [2, 'success'],
        [3, 'flushed'],
      ],
    );
  });
});
