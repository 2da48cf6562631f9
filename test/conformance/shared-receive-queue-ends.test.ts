// SPDX-License-Identifier: BSD-3-Clause
//
// What becomes of the receives of a shared receive queue when connections, the queue itself or its
// peer end (librpma: srq_delete).

import assert from 'node:assert/strict';
import type { Completion } from 'rpma';
import { conform, withCode } from '../support/conform.js';
import { until, withDeadline } from '../support/deadline.js';
import { outcome, ownOf, pairOf, say, scene, slotBytes } from '../support/shared-receives.js';
import { localUsage, takeAll, takeOk, takeRest } from '../support/world.js';

conform('the end of a shared receive queue', ({ it }) => {
  it('the end of one connection leaves the receives to the others', async (world) => {
    const { pairs, queue, post, text } = await scene(world, { connections: 2 });
    const [gone, stays] = [pairOf(pairs, 0), pairOf(pairs, 1)];
    for (let id = 0; id < 4; id++) post(id);
    await say(world, gone, 'last words');
    assert.equal((await takeOk(ownOf(queue))).id, 0);
    await withDeadline(gone.target.close(), 'one ends');
    assert.equal(ownOf(queue).tryTake(), null, 'nothing is flushed');
    assert.equal(ownOf(queue).closed, false);
    await say(world, stays, 'still here');
    const done = await takeOk(ownOf(queue));
    assert.deepEqual(outcome(done), [1, 'success', stays.target.queuePairNumber]);
    assert.equal(text(1, done.length ?? 0), 'still here');
    // And one that comes later.
    const late = await world.again(stays, { target: { sharedReceiveQueue: queue } });
    await say(world, late, 'hello');
    assert.deepEqual(outcome(await takeOk(ownOf(queue))), [
      2,
      'success',
      late.target.queuePairNumber,
    ]);
  });

  it('a message too long ends its connection alone', async (world) => {
    const { pairs, queue, post } = await scene(world, { connections: 2 });
    const [bad, good] = [pairOf(pairs, 0), pairOf(pairs, 1)];
    post(0);
    post(1);
    const local = await world.local(bad, 64);
    bad.initiator.postSend({ local, length: slotBytes + 1 });
    const [failed] = await takeAll(ownOf(queue), 1);
    assert.ok(failed !== undefined);
    assert.deepEqual(outcome(failed), [0, 'length', bad.target.queuePairNumber]);
    assert.equal((await withDeadline(bad.target.whenClosed(), 'it ends')).type, 'lost');
    await say(world, good, 'fine');
    assert.deepEqual(outcome(await takeOk(ownOf(queue))), [
      1,
      'success',
      good.target.queuePairNumber,
    ]);
  });

  it('close() is refused while it is used, then flushes what is posted', async (world) => {
    const { peer, pairs, queue, post } = await scene(world);
    const { target, endpoint } = pairOf(pairs, 0);
    await assert.rejects(queue.close(), withCode('BUSY'));
    const connection = { sharedReceiveQueue: queue };
    const request = await peer.createConnectionRequest('127.0.0.1', endpoint.port, { connection });
    await withDeadline(target.close(), 'the connection ends');
    await assert.rejects(queue.close(), withCode('BUSY'), 'the unspent request');
    for (let id = 1; id <= 3; id++) post(id);
    request.destroy();
    const reading = takeRest(ownOf(queue));
    await withDeadline(queue.close(), 'close()');
    assert.deepEqual((await withDeadline(reading, 'its end')).map(outcome), [
      [1, 'flushed', 0],
      [2, 'flushed', 0],
      [3, 'flushed', 0],
    ]);
    assert.equal(ownOf(queue).closed, true);
    assert.equal(queue.receiveQueueFree, 0);
    assert.throws(() => {
      post(4);
    }, withCode('CLOSED'));
    await assert.rejects(queue.receive({ length: 0 }), withCode('CLOSED'));
    await assert.rejects(
      peer.createConnectionRequest('127.0.0.1', endpoint.port, { connection }),
      withCode('CLOSED'),
    );
    await queue.close();
  });

  it('an endpoint whose queue was closed says so and keeps the request', async (world) => {
    const peer = await world.peer();
    const queue = await peer.createSharedReceiveQueue();
    const connection = { sharedReceiveQueue: queue };
    const endpoint = await peer.listen('127.0.0.1', 0, { connection });
    await queue.close();
    const other = await world.peer();
    const connecting = other.connect('127.0.0.1', endpoint.port);
    await assert.rejects(endpoint.take({ timeoutMs: 10_000 }), withCode('CLOSED'));
    const request = await endpoint.take({ connection: {} });
    assert.ok(request !== null);
    request.accept();
    await withDeadline(connecting, 'it connects all the same');
  });

  it('closed without a queue of its own it lets go of the memory', async (world) => {
    const { memory, queue, pairs, post } = await scene(world, { receiveCompletionQueueSize: 0 });
    for (let id = 0; id < 3; id++) post(id);
    assert.equal(memory.inFlight, 3);
    await withDeadline(pairOf(pairs, 0).target.close(), 'the connection ends');
    await queue.close();
    assert.equal(memory.inFlight, 0);
    await withDeadline(memory.close(), 'the region closes');
  });

  it('peer.close() ends it with what uses it', async (world) => {
    const { peer, pairs, queue, memory, post } = await scene(world, { connections: 2 });
    const port = pairOf(pairs, 0).endpoint.port;
    const connection = { sharedReceiveQueue: queue };
    // Nobody spends it, and its peer does not know it: it must not keep the memory.
    const unspent = await peer.createConnectionRequest('127.0.0.1', port, { connection });
    for (let id = 0; id < 3; id++) post(id);
    const reading = takeRest(ownOf(queue));
    await withDeadline(peer.close(), 'the peer closes');
    assert.deepEqual((await withDeadline(reading, 'the end of its queue')).map(outcome), [
      [0, 'flushed', 0],
      [1, 'flushed', 0],
      [2, 'flushed', 0],
    ]);
    assert.equal(memory.inFlight, 0);
    unspent.destroy();
  });

  it('peer.destroy() as well', async (world) => {
    const { peer, queue, post } = await scene(world, { connections: 2 });
    for (let id = 0; id < 3; id++) post(id);
    peer.destroy();
    assert.equal((await withDeadline(takeRest(ownOf(queue)), 'its end')).length, 3);
    await withDeadline(peer.close(), 'the peer closes');
  });

  it('receives that are awaited when it closes are flushed, also those in line', async (world) => {
    const { pairs, queue } = await scene(world, { receiveQueueSize: 2 });
    const receiving = Promise.allSettled([0, 1, 2, 3].map(() => queue.receive({ length: 0 })));
    await withDeadline(pairOf(pairs, 0).target.close(), 'the connection ends');
    await queue.close();
    for (const each of await withDeadline(receiving, 'all of them')) {
      assert.equal(each.status, 'rejected');
      withCode('WC_FLUSHED')(each.reason);
    }
  });

  it('is not closed by an end that it cannot see: a destroyed connection', async (world) => {
    const { pairs, queue, post } = await scene(world, { connections: 2 });
    post(0);
    post(1);
    for (const pair of pairs) pair.target.destroy();
    // Both are certain to end: nothing holds it any more.
    await queue.close();
    const rest = await withDeadline(takeRest(ownOf(queue)), 'its end');
    assert.deepEqual(rest.map((each) => each.id).sort(), [0, 1]);
    await until(() => ownOf(queue).closed, 'its queue is over');
  });

  it('closed while connections end, it loses no receive of theirs', async (world) => {
    const bytes = 4 << 20;
    for (let round = 0; round < 6; round++) {
      const { pairs, peer, queue } = await scene(world);
      const { initiator, initiatorPeer, target } = pairOf(pairs, 0);
      const memory = await peer.allocate(2 * bytes, { usage: localUsage });
      const local = await initiatorPeer.allocate(bytes, { usage: localUsage });
      for (const id of [0, 1]) {
        queue.postReceive({ local: memory, localOffset: id * bytes, length: bytes, id });
      }
      local.bytes.fill(7);
      initiator.postSend({ local, length: bytes });
      await until(() => memory.bytes[0] === 7, 'the message has begun');
      target.destroy();
      await queue.close();
      const all: Completion[] = [];
      // The receive of the message in progress may come a moment later than the others.
      all.push(...ownOf(queue).poll(), ...ownOf(queue).poll(), ...(await takeRest(ownOf(queue))));
      assert.deepEqual(all.map((each) => each.id).sort(), [0, 1]);
    }
  });
});
