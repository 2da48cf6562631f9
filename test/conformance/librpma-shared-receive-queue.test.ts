// SPDX-License-Identifier: BSD-3-Clause
//
// Shared receive queues (librpma: srq_cfg_*, srq_new, srq_delete, srq_recv, srq_get_rcq,
// conn_cfg_set_srq): defaults, settings, arguments, and in which queue a receive completes.

import assert from 'node:assert/strict';
import { ConnectionConfig, isRpmaError, MemoryUsage, SharedReceiveQueue } from 'rpma';
import { argumentError, conform, withCode } from '../support/conform.js';
import { withDeadline } from '../support/deadline.js';
import { takeAll, takeOk } from '../support/world.js';

const type = argumentError('TypeError', 'INVALID_ARG_TYPE');
const value = argumentError('TypeError', 'INVALID_ARG_VALUE');
const range = argumentError('RangeError', 'OUT_OF_RANGE');

conform("librpma's shared receive queue", ({ it }) => {
  it('rq_size and rcq_size are 20 by default', async (world) => {
    const peer = await world.peer();
    for (const options of [undefined, {}, { receiveQueueSize: undefined }]) {
      const queue = await peer.createSharedReceiveQueue(options);
      assert.equal(queue.peer, peer);
      assert.equal(queue.receiveQueueSize, 20);
      assert.equal(queue.receiveCompletionQueueSize, 20);
      assert.equal(queue.receiveQueueFree, 20);
      assert.ok(queue.completionQueue !== null);
      await queue.close();
    }
  });

  it('rq_size and rcq_size are kept as given', async (world) => {
    const peer = await world.peer();
    const options = { receiveQueueSize: 3, receiveCompletionQueueSize: 70 };
    const queue = await peer.createSharedReceiveQueue(options);
    options.receiveQueueSize = 9;
    assert.equal(queue.receiveQueueSize, 3);
    assert.equal(queue.receiveCompletionQueueSize, 70);
    for (let id = 0; id < 3; id++) queue.postReceive({ length: 0, id });
    assert.equal(queue.receiveQueueFree, 0);
    assert.throws(() => queue.postReceive({ length: 0 }), withCode('AGAIN', { retryable: true }));
  });

  it('sizes beyond what there can be are refused (librpma cuts them to an int), and so is 0 receives', async (world) => {
    const peer = await world.peer();
    for (const size of [2 ** 31, 2 ** 32 - 1, 2 ** 53, -1, 1.5]) {
      await assert.rejects(peer.createSharedReceiveQueue({ receiveQueueSize: size }), range);
      const options = { receiveCompletionQueueSize: size };
      await assert.rejects(peer.createSharedReceiveQueue(options), range);
    }
    await assert.rejects(peer.createSharedReceiveQueue({ receiveQueueSize: 0 }), range);
  });

  it('NULL in place of a setting, or of all, is a TypeError', async (world) => {
    const peer = await world.peer();
    for (const size of [null, '20', 20n] as never[]) {
      await assert.rejects(peer.createSharedReceiveQueue({ receiveQueueSize: size }), type);
      const options = { receiveCompletionQueueSize: size };
      await assert.rejects(peer.createSharedReceiveQueue(options), type);
    }
    await assert.rejects(peer.createSharedReceiveQueue(null as never), type);
  });

  it('without rcq_size it has no completion queue of its own', async (world) => {
    const peer = await world.peer();
    const queue = await peer.createSharedReceiveQueue({ receiveCompletionQueueSize: 0 });
    assert.equal(queue.completionQueue, null);
  });

  it('rpma_srq_recv: a length or offset without local is refused, the zero-byte form is taken', async (world) => {
    const peer = await world.peer();
    const queue = await peer.createSharedReceiveQueue();
    const local = await peer.allocate(64, { usage: MemoryUsage.Receive });
    for (const options of [
      { localOffset: 8, length: 0 },
      { length: 8 },
      { localOffset: 8, length: 8 },
    ] as never[]) {
      assert.throws(() => queue.postReceive(options), value);
    }
    assert.throws(() => queue.postReceive({ local: null, length: 8 } as never), type);
    assert.throws(() => queue.postReceive({ local, length: 65 }), range);
    assert.equal(queue.receiveQueueFree, 20);
    queue.postReceive({ length: 0 });
    queue.postReceive({ local, length: 64 });
    assert.equal(queue.receiveQueueFree, 18);
  });

  it('receives complete in its own queue if it has one, whatever the connection asks for', async (world) => {
    const peer = await world.peer();
    const shared = await peer.createSharedReceiveQueue();
    const pair = await world.pair({
      targetPeer: peer,
      target: { sharedReceiveQueue: shared, receiveCompletionQueueSize: 5 },
    });
    assert.equal(pair.target.receiveCompletionQueue, null);
    shared.postReceive({ length: 0, id: 4 });
    pair.initiator.postSend({ length: 0 });
    assert.ok(shared.completionQueue !== null);
    const received = await takeOk(shared.completionQueue);
    assert.deepEqual([received.id, received.queuePairNumber], [4, pair.target.queuePairNumber]);
    assert.equal(pair.target.completionQueue.tryTake(), null);
  });

  it('else in the receive queue of the connection, else in its main queue', async (world) => {
    for (const receiveCompletionQueueSize of [5, 0]) {
      const peer = await world.peer();
      const shared = await peer.createSharedReceiveQueue({ receiveCompletionQueueSize: 0 });
      const pair = await world.pair({
        targetPeer: peer,
        target: { sharedReceiveQueue: shared, receiveCompletionQueueSize },
      });
      const own = pair.target.receiveCompletionQueue;
      assert.equal(own === null, receiveCompletionQueueSize === 0);
      shared.postReceive({ length: 0, id: 6 });
      pair.initiator.postSend({ length: 0 });
      assert.equal((await takeOk(own ?? pair.target.completionQueue)).id, 6);
    }
  });

  it('serves several connections, told apart by their queue-pair numbers', async (world) => {
    const peer = await world.peer();
    const shared = await peer.createSharedReceiveQueue();
    const options = { targetPeer: peer, target: { sharedReceiveQueue: shared } };
    const first = await world.pair(options);
    const second = await world.again(first, options);
    for (let id = 0; id < 2; id++) shared.postReceive({ length: 0, id });
    first.initiator.postSend({ length: 0 });
    second.initiator.postSend({ length: 0 });
    assert.ok(shared.completionQueue !== null);
    const received = await takeAll(shared.completionQueue, 2);
    assert.deepEqual(
      new Set(received.map((each) => each.queuePairNumber)),
      new Set([first.target.queuePairNumber, second.target.queuePairNumber]),
    );
  });

  it('is kept by a configuration, and unset by leaving it out (librpma cannot)', async (world) => {
    const peer = await world.peer();
    const shared = await peer.createSharedReceiveQueue();
    const config = new ConnectionConfig({ sharedReceiveQueue: shared });
    assert.equal(config.sharedReceiveQueue, shared);
    const without = new ConnectionConfig({ ...config, sharedReceiveQueue: undefined });
    assert.equal(without.sharedReceiveQueue, undefined);
    assert.equal(new ConnectionConfig().sharedReceiveQueue, undefined);
    for (const wrong of [{}, 5, peer] as never[]) {
      assert.throws(() => new ConnectionConfig({ sharedReceiveQueue: wrong }), type);
    }
  });

  it('a shared completion channel and a shared receive queue with its own queue exclude each other', async (world) => {
    const peer = await world.peer();
    const shared = await peer.createSharedReceiveQueue();
    const connection = { sharedReceiveQueue: shared, sharedCompletionChannel: true };
    const refused = (error: unknown): boolean => isRpmaError(error);
    await assert.rejects(peer.createConnectionRequest('127.0.0.1', 9, { connection }), refused);
    await assert.rejects(peer.listen('127.0.0.1', 0, { connection }), refused);
  });

  it('B11: while a connection uses it, closing it is BUSY, and it stays usable', async (world) => {
    const peer = await world.peer();
    const shared = await peer.createSharedReceiveQueue();
    const pair = await world.pair({ targetPeer: peer, target: { sharedReceiveQueue: shared } });
    await assert.rejects(shared.close(), withCode('BUSY'));
    shared.postReceive({ length: 0, id: 1 });
    pair.initiator.postSend({ length: 0 });
    assert.ok(shared.completionQueue !== null);
    assert.equal((await takeOk(shared.completionQueue)).id, 1);
    await withDeadline(pair.target.close(), 'the connection closes');
    const closing = shared.close();
    assert.equal(shared.close(), closing);
    await withDeadline(closing, 'the queue closes');
    assert.throws(() => shared.postReceive({ length: 0 }), withCode('CLOSED'));
  });

  it('is made by its peer alone', () => {
    const Class = SharedReceiveQueue as unknown as new () => unknown;
    assert.throws(() => new Class(), TypeError);
  });
});
