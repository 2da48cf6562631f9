// SPDX-License-Identifier: BSD-3-Clause
//
// Shared receive queues (librpma: srq_new, srq_recv, srq_get_rcq, conn_cfg_set_srq).

import assert from 'node:assert/strict';
import {
  ConnectionConfig,
  type ConnectionOptions,
  SharedReceiveQueue,
  type SharedReceiveQueueOptions,
} from 'rpma';
import { argumentError, conform, withCode } from '../support/conform.js';
import { withDeadline } from '../support/deadline.js';
import { outcome, ownOf, pairOf, say, scene, slotBytes } from '../support/shared-receives.js';
import { localUsage, takeAll, takeOk } from '../support/world.js';

conform('shared receive queue', ({ it }) => {
  it("has librpma's sizes unless told, and a completion queue of its own", async (world) => {
    const peer = await world.peer();
    assert.equal(peer.capabilities.sharedReceiveQueue, true);
    const queue = await peer.createSharedReceiveQueue();
    assert.ok(queue instanceof SharedReceiveQueue);
    assert.equal(queue.peer, peer);
    assert.equal(queue.receiveQueueSize, 20);
    assert.equal(queue.receiveCompletionQueueSize, 20);
    assert.equal(queue.receiveQueueFree, 20);
    assert.ok(ownOf(queue).capacity >= 20);
    const small = await peer.createSharedReceiveQueue({
      receiveQueueSize: 7,
      receiveCompletionQueueSize: 2,
    });
    assert.equal(small.receiveCompletionQueueSize, 2);
    assert.ok(ownOf(small).capacity >= 7, 'it cannot overflow');
    const without = await peer.createSharedReceiveQueue({ receiveCompletionQueueSize: 0 });
    assert.equal(without.completionQueue, null);
    assert.equal(new ConnectionConfig({ sharedReceiveQueue: queue }).sharedReceiveQueue, queue);
    assert.equal(new ConnectionConfig().sharedReceiveQueue, undefined);
  });

  it('refuses sizes out of bounds and options of the wrong type', async (world) => {
    const peer = await world.peer();
    const create = (options: unknown): Promise<unknown> =>
      peer.createSharedReceiveQueue(options as SharedReceiveQueueOptions);
    const tooLittleOrMuch = [
      { receiveQueueSize: 0 },
      { receiveQueueSize: 65_537 },
      { receiveQueueSize: 1.5 },
      { receiveCompletionQueueSize: -1 },
      { receiveCompletionQueueSize: 65_537 },
    ];
    for (const options of tooLittleOrMuch) {
      await assert.rejects(create(options), argumentError('RangeError', 'OUT_OF_RANGE'));
    }
    for (const options of [5, null, { receiveQueueSize: '8' }]) {
      await assert.rejects(create(options), argumentError('TypeError', 'INVALID_ARG_TYPE'));
    }
    for (const sharedReceiveQueue of [{}, 5, null, peer]) {
      assert.throws(
        () => new ConnectionConfig({ sharedReceiveQueue } as unknown as ConnectionOptions),
        argumentError('TypeError', 'INVALID_ARG_TYPE'),
      );
    }
    assert.throws(
      () => new (SharedReceiveQueue as unknown as new () => unknown)(),
      argumentError('TypeError', 'INVALID_ARG_VALUE'),
    );
  });

  it('receives of several connections complete in its own queue, by number', async (world) => {
    const { pairs, queue, post, text } = await scene(world, { connections: 3 });
    for (const [index, pair] of pairs.entries()) {
      post(index);
      await say(world, pair, `from ${index}`);
      const done = await takeOk(ownOf(queue));
      assert.equal(done.id, index, 'they are taken in the order of the posts');
      assert.equal(done.operation, 'receive');
      assert.equal(done.queuePairNumber, pair.target.queuePairNumber);
      assert.equal(text(index, done.length ?? 0), `from ${index}`);
      assert.equal(pair.target.receiveCompletionQueue, null);
      assert.equal(pair.target.capabilities.sharedReceiveQueue, true);
    }
  });

  it("its own queue goes before the connection's", async (world) => {
    const target = { receiveCompletionQueueSize: 4 };
    const { pairs, queue, post } = await scene(world, { target });
    const pair = pairOf(pairs, 0);
    assert.equal(pair.target.receiveCompletionQueue, null);
    post(1);
    await say(world, pair, 'x');
    assert.equal((await takeOk(ownOf(queue))).id, 1);
  });

  it("without one they complete in the connections' receive queues", async (world) => {
    const { pairs, queue, post } = await scene(world, {
      connections: 2,
      receiveQueueSize: 8,
      receiveCompletionQueueSize: 0,
      target: { receiveCompletionQueueSize: 1 },
    });
    assert.equal(queue.completionQueue, null);
    for (const [index, pair] of pairs.entries()) {
      post(index);
      await say(world, pair, 'x');
      const receives = pair.target.receiveCompletionQueue;
      assert.ok(receives !== null && receives.capacity >= 8);
      assert.deepEqual(outcome(await takeOk(receives)), [
        index,
        'success',
        pair.target.queuePairNumber,
      ]);
      // Its main queue is free for either tier.
      await pair.target.write({ length: 0 });
    }
  });

  it('and without those in their main queues, which the verbs tier consumes', async (world) => {
    const { pairs, post } = await scene(world, { connections: 2, receiveCompletionQueueSize: 0 });
    for (const [index, pair] of pairs.entries()) {
      await assert.rejects(pair.target.write({ length: 0 }), withCode('QUEUE_CLAIMED'));
      post(index);
      pair.target.postWrite({ length: 0, id: 100 });
      await say(world, pair, 'x');
      const done = await takeAll(pair.target.completionQueue, 2);
      assert.deepEqual(done.map((each) => each.operation).sort(), ['receive', 'write']);
      assert.equal(pair.target.receiveCompletionQueue, null);
    }
  });

  it('one completion queue of all connections holds it all', async (world) => {
    const peer = await world.peer();
    const common = await peer.createCompletionQueue({ size: 1 });
    const queue = await peer.createSharedReceiveQueue({
      receiveQueueSize: 30,
      receiveCompletionQueueSize: 0,
    });
    const target = { sharedReceiveQueue: queue, completionQueue: common, sendQueueSize: 5 };
    const first = await world.pair({ targetPeer: peer, target });
    const second = await world.again(first, { target });
    assert.equal(common.capacity, 40, 'room for the receives once, for each send queue');
    for (let id = 0; id < 30; id++) queue.postReceive({ length: 0, id });
    for (const pair of [first, second]) {
      for (let id = 0; id < 5; id++) pair.target.postWrite({ length: 0, id: 100 + id });
      for (let sent = 0; sent < 15; sent++) await pair.initiator.send({ length: 0 });
    }
    const done = await takeAll(common, 40);
    for (const { target: end } of [first, second]) {
      const its = done.filter((each) => each.queuePairNumber === end.queuePairNumber);
      assert.equal(its.filter((each) => each.operation === 'receive').length, 15);
      const receives = its.filter((each) => each.operation === 'receive').map((each) => each.id);
      assert.deepEqual(
        receives,
        receives.toSorted((a, b) => a - b),
      );
      assert.equal(its.filter((each) => each.operation === 'write').length, 5);
    }
  });

  it('a full one throws ERR_RPMA_AGAIN until completions are consumed', async (world) => {
    const { pairs, queue, post } = await scene(world, { receiveQueueSize: 3 });
    for (let id = 0; id < 3; id++) post(id);
    assert.equal(queue.receiveQueueFree, 0);
    assert.throws(
      () => {
        post(3);
      },
      withCode('AGAIN', { retryable: true, operation: 'receive' }),
    );
    await say(world, pairOf(pairs, 0), 'x');
    assert.equal((await takeOk(ownOf(queue))).id, 0);
    assert.equal(queue.receiveQueueFree, 1);
    post(3);
  });

  it('refuses what it cannot post', async (world) => {
    const { memory, queue, peer } = await scene(world);
    const other = await (await world.peer()).allocate(64, { usage: localUsage });
    const deaf = await peer.allocate(64, { usage: localUsage & ~memory.usage || 1 });
    const cases: readonly [object, (error: unknown) => boolean][] = [
      [{ length: 8 }, argumentError('TypeError', 'INVALID_ARG_VALUE', 'INVALID_ARG_TYPE')],
      [
        { local: memory, length: memory.sizeBytes + 1 },
        argumentError('RangeError', 'OUT_OF_RANGE'),
      ],
      [{ local: memory, length: 8, id: -1 }, argumentError('RangeError', 'OUT_OF_RANGE')],
      [{ local: other, length: 8 }, withCode('FOREIGN')],
      [{ local: deaf, length: 8 }, withCode('USAGE')],
    ];
    for (const [operation, expected] of cases) {
      assert.throws(() => {
        queue.postReceive(operation as Parameters<typeof queue.postReceive>[0]);
      }, expected);
    }
    assert.equal(queue.receiveQueueFree, 20);
  });

  it('takes messages without bytes, and receives without memory', async (world) => {
    const { pairs, queue, memory } = await scene(world);
    queue.postReceive({ length: 0, id: 1 });
    queue.postReceive({ local: memory, length: 8, id: 2 });
    const { initiator } = pairOf(pairs, 0);
    await initiator.send({ length: 0 });
    await initiator.send({ length: 0 });
    const done = await takeAll(ownOf(queue), 2);
    assert.deepEqual(
      done.map((each) => [each.id, each.ok, each.length]),
      [
        [1, true, 0],
        [2, true, 0],
      ],
    );
  });

  it('serves connections whose messages wait in turn, whoever sends more', async (world) => {
    const { pairs, queue } = await scene(world, { connections: 3, receiveQueueSize: 4 });
    // Each has five messages under way and no receive is posted; answers tell that they arrived.
    for (const pair of pairs) {
      for (let sent = 0; sent < 5; sent++) await pair.initiator.send({ length: 0 });
    }
    const turns: number[] = [];
    for (let id = 0; id < 15; id++) {
      queue.postReceive({ length: 0, id });
      const done = await takeOk(ownOf(queue));
      assert.equal(done.id, id);
      turns.push(done.queuePairNumber);
    }
    for (const pair of pairs) {
      const its = turns.filter((number) => number === pair.target.queuePairNumber);
      assert.equal(its.length, 5, 'none is forgotten');
    }
  });

  it('many messages of several connections with few receives lose nothing', async (world) => {
    const { pairs, queue, post, memory } = await scene(world, {
      connections: 4,
      receiveQueueSize: 3,
    });
    const each = 200;
    const sending = pairs.map(async (pair, index) => {
      const local = await world.local(pair, 64);
      const words = new Uint32Array(local.bytes.buffer, local.bytes.byteOffset, 2);
      for (let sent = 0; sent < each; sent++) {
        words[0] = index;
        words[1] = sent;
        await pair.initiator.send({ local, length: 8 });
      }
    });
    for (let id = 0; id < 3; id++) post(id);
    const next = pairs.map(() => 0);
    for (let received = 0; received < each * pairs.length; received++) {
      const done = await takeOk(ownOf(queue));
      const place = memory.bytes.byteOffset + done.id * slotBytes;
      const [index = -1, sent = -1] = new Uint32Array(memory.bytes.buffer, place, 2);
      assert.equal(done.queuePairNumber, pairOf(pairs, index).target.queuePairNumber);
      assert.equal(sent, next[index], 'the messages of a connection keep their order');
      next[index] = sent + 1;
      post(done.id);
    }
    await withDeadline(Promise.all(sending), 'everything is sent');
  });

  it('connections that use it are refused receives of their own', async (world) => {
    const peer = await world.peer();
    const queue = await peer.createSharedReceiveQueue();
    const target = { sharedReceiveQueue: queue };
    const named = withCode('NOT_SUPPORTED', { operation: 'receive' });
    const pair = await world.pair({
      targetPeer: peer,
      target,
      beforeAccept: (request) => {
        assert.equal(request.config.sharedReceiveQueue, queue);
        assert.throws(() => {
          request.postReceive({ length: 0 });
        }, named);
      },
    });
    assert.throws(() => {
      pair.target.postReceive({ length: 0 });
    }, named);
    await assert.rejects(pair.target.receive({ length: 0 }), named);
    assert.throws(
      () => {
        pair.target.postReceive({ length: 0 });
      },
      (error: Error) => error.message.includes('shared receive queue'),
    );
    assert.equal(pair.target.receiveQueueFree, 0);
  });

  it('serves either side: connect(), requests, listen() and configurations', async (world) => {
    const peer = await world.peer();
    const queue = await peer.createSharedReceiveQueue();
    const config = new ConnectionConfig({ sharedReceiveQueue: queue });
    const endpoint = await peer.listen('127.0.0.1', 0, { connection: config });
    const other = await world.peer();
    const connecting = other.connect('127.0.0.1', endpoint.port);
    const request = await endpoint.take();
    assert.ok(request !== null);
    const accepted = await request.accept().whenEstablished();
    const active = await world.pair({ initiatorPeer: peer, initiator: config });
    queue.postReceive({ length: 0, id: 1 });
    queue.postReceive({ length: 0, id: 2 });
    await (await connecting).send({ length: 0 });
    assert.equal((await takeOk(ownOf(queue))).queuePairNumber, accepted.queuePairNumber);
    await active.target.send({ length: 0 });
    assert.equal((await takeOk(ownOf(queue))).queuePairNumber, active.initiator.queuePairNumber);
  });

  it("is refused for another peer's connections", async (world) => {
    const peer = await world.peer();
    const other = await world.peer();
    const sharedReceiveQueue = await other.createSharedReceiveQueue();
    const connection = { sharedReceiveQueue };
    await assert.rejects(peer.listen('127.0.0.1', 0, { connection }), withCode('FOREIGN'));
    await assert.rejects(
      peer.createConnectionRequest('127.0.0.1', 1, { connection }),
      withCode('FOREIGN'),
    );
    await assert.rejects(peer.connect('127.0.0.1', 1, { connection }), withCode('FOREIGN'));
    const endpoint = await peer.listen('127.0.0.1', 0);
    assert.throws(() => endpoint.tryTake(connection), withCode('FOREIGN'));
  });

  it('its own completion queue serves nothing else', async (world) => {
    const peer = await world.peer();
    const completionQueue = ownOf(await peer.createSharedReceiveQueue());
    await assert.rejects(
      peer.listen('127.0.0.1', 0, { connection: { completionQueue } }),
      withCode('INVALID_ARG_VALUE'),
    );
  });

  it('a shared completion channel cannot tell of its own queue', async (world) => {
    const peer = await world.peer();
    const sharedReceiveQueue = await peer.createSharedReceiveQueue();
    const options = { sharedReceiveQueue, sharedCompletionChannel: true };
    assert.throws(
      () => new ConnectionConfig(options),
      argumentError('TypeError', 'INVALID_ARG_VALUE'),
    );
  });

  it('receive() gives messages of whichever connection, in turn', async (world) => {
    const { pairs, queue, memory, text } = await scene(world, {
      connections: 2,
      receiveQueueSize: 2,
    });
    // More than fit: the rest waits its turn.
    const receiving = [0, 1, 2, 3].map((slot) =>
      queue.receive({ local: memory, localOffset: slot * slotBytes, length: slotBytes }),
    );
    assert.equal(ownOf(queue).claimedBy, 'promise-tier');
    for (let slot = 0; slot < 4; slot++) {
      const pair = pairOf(pairs, slot % 2);
      await say(world, pair, `message ${slot}`);
      const { length, queuePairNumber } = await withDeadline(
        receiving[slot] ?? Promise.reject(new Error('no receive')),
        'a message',
      );
      assert.equal(queuePairNumber, pair.target.queuePairNumber);
      assert.equal(text(slot, length), `message ${slot}`);
    }
    assert.throws(() => {
      queue.postReceive({ length: 0 });
    }, withCode('QUEUE_CLAIMED'));
    assert.throws(() => ownOf(queue).poll(), withCode('QUEUE_CLAIMED'));
  });

  it('receive() needs a completion queue of its own', async (world) => {
    const peer = await world.peer();
    const queue = await peer.createSharedReceiveQueue({ receiveCompletionQueueSize: 0 });
    await assert.rejects(
      queue.receive({ length: 0 }),
      withCode('NOT_SUPPORTED', { operation: 'receive' }),
    );
  });

  it('and nobody who consumes it by hand', async (world) => {
    const { queue } = await scene(world);
    queue.postReceive({ length: 0 });
    await assert.rejects(queue.receive({ length: 0 }), withCode('QUEUE_CLAIMED'));
  });

  it('does not mix its receives into a queue whose operations are awaited', async (world) => {
    const peer = await world.peer();
    const completionQueue = await peer.createCompletionQueue();
    const pair = await world.pair({ targetPeer: peer, target: { completionQueue } });
    await pair.target.write({ length: 0 });
    const sharedReceiveQueue = await peer.createSharedReceiveQueue({
      receiveCompletionQueueSize: 0,
    });
    const connection = { sharedReceiveQueue, completionQueue };
    await assert.rejects(peer.listen('127.0.0.1', 0, { connection }), withCode('QUEUE_CLAIMED'));
    const apart = { ...connection, receiveCompletionQueueSize: 1 };
    await peer.listen('127.0.0.1', 0, { connection: apart });
  });

  it('a connection or request that uses it is not handed over', async (world) => {
    const peer = await world.peer();
    const queue = await peer.createSharedReceiveQueue();
    const pair = await world.pair({
      targetPeer: peer,
      target: { sharedReceiveQueue: queue },
      beforeAccept: (request) => {
        assert.throws(() => request.handOver(), withCode('BUSY'));
      },
    });
    assert.throws(() => pair.target.handOver(), withCode('BUSY'));
  });
});
