// SPDX-License-Identifier: BSD-3-Clause
//
// Messages (librpma: rpma_send, rpma_recv), and what happens when no receive is posted: the message
// waits, as with InfiniBand's infinite retry, which is librpma's setting.

import assert from 'node:assert/strict';
import { MemoryUsage, RemoteRegion } from 'rpma';
import { argumentError, conform, withCode } from '../support/conform.js';
import { until, withDeadline } from '../support/deadline.js';
import { localUsage, type Pair, takeAll, takeOk, takeRest, type World } from '../support/world.js';

function inbox(pair: Pair, sizeBytes: number) {
  return pair.targetPeer.allocate(sizeBytes, { usage: localUsage });
}

async function messaging(world: World, queue: number, sizeBytes: number) {
  const pair = await world.pair({
    initiator: { sendQueueSize: queue },
    target: { receiveQueueSize: queue },
  });
  return { pair, local: await world.local(pair, sizeBytes), box: await inbox(pair, sizeBytes) };
}

conform('send and receive', ({ it }) => {
  it('a message fills the oldest receive; the completion tells its length', async (world) => {
    const { pair, local, box } = await messaging(world, 10, 1000);
    world.random(41).fill(local.bytes);
    pair.target.postReceive({ local: box, localOffset: 0, length: 300, id: 1 });
    pair.target.postReceive({ local: box, localOffset: 300, length: 300, id: 2 });
    pair.initiator.postSend({ local, localOffset: 0, length: 300, id: 10 });
    pair.initiator.postSend({ local, localOffset: 300, length: 77, id: 11 });
    const received = await takeAll(pair.target.completionQueue, 2);
    assert.deepEqual(
      received.map((each) => [each.id, each.operation, each.length, each.ok]),
      [
        [1, 'receive', 300, true],
        [2, 'receive', 77, true],
      ],
    );
    const sent = await takeAll(pair.initiator.completionQueue, 2);
    assert.deepEqual(
      sent.map((each) => [each.id, each.operation]),
      [
        [10, 'send'],
        [11, 'send'],
      ],
    );
    assert.ok(Buffer.from(box.bytes.subarray(0, 377)).equals(local.bytes.subarray(0, 377)));
    assert.equal(box.bytes[377], 0);
  });

  it('the zero-byte forms meet, with memory and without', async (world) => {
    const { pair, local, box } = await messaging(world, 10, 64);
    pair.target.postReceive({ length: 0, id: 1 });
    pair.target.postReceive({ local: box, length: 64, id: 2 });
    pair.target.postReceive({ local: box, length: 0, id: 3 });
    pair.initiator.postSend({ length: 0 });
    pair.initiator.postSend({ length: 0 });
    pair.initiator.postSend({ local, length: 0 });
    const received = await takeAll(pair.target.completionQueue, 3);
    assert.deepEqual(
      received.map((each) => [each.id, each.length]),
      [
        [1, 0],
        [2, 0],
        [3, 0],
      ],
    );
  });

  it('a message longer than its receive completes it with a length error and ends all', async (world) => {
    const { pair, local, box } = await messaging(world, 10, 64);
    pair.target.postReceive({ local: box, length: 8, id: 1 });
    pair.target.postReceive({ local: box, length: 64, id: 2 });
    pair.initiator.postSend({ local, length: 9 });
    const ended = await takeRest(pair.target.completionQueue);
    assert.deepEqual(
      ended.map((each) => [each.id, each.status]),
      [
        [1, 'length'],
        [2, 'flushed'],
      ],
    );
    await withDeadline(pair.initiator.whenClosed(), 'the sender learns of it');
  });

  it('long messages arrive whole', async (world) => {
    const { pair, local, box } = await messaging(world, 10, 3 << 20);
    world.random(42).fill(local.bytes.subarray(0, 1 << 20));
    local.bytes.copyWithin(1 << 20, 3, (1 << 20) - 5);
    pair.target.postReceive({ local: box, length: 3 << 20, id: 1 });
    pair.initiator.postSend({ local, length: (3 << 20) - 1 });
    const received = await takeOk(pair.target.completionQueue);
    assert.equal(received.length, (3 << 20) - 1);
    assert.ok(Buffer.from(box.bytes.subarray(0, -1)).equals(local.bytes.subarray(0, -1)));
  });

  it('messages go both ways at once', async (world) => {
    const { pair, local, box } = await messaging(world, 10, 128);
    for (let round = 0; round < 300; round++) {
      pair.target.postReceive({ local: box, length: 64 });
      pair.initiator.postReceive({ local, length: 64 });
      pair.initiator.postSend({ local, localOffset: 64, length: 64, completion: 'on-error' });
      pair.target.postSend({ local: box, localOffset: 64, length: 64, completion: 'on-error' });
      await takeOk(pair.target.completionQueue);
      await takeOk(pair.initiator.completionQueue);
    }
  });

  it('what a message says was written before it is visible when it arrives', async (world) => {
    const { pair, local } = await messaging(world, 10, 4096);
    const { region, remote } = await world.lend(pair);
    for (let round = 1; round <= 100; round++) {
      local.bytes.fill(round, 0, 4096);
      pair.target.postReceive({ length: 0 });
      pair.initiator.postWrite({ local, remote, length: 4096, completion: 'on-error' });
      pair.initiator.postSend({ length: 0 });
      await takeOk(pair.target.completionQueue);
      assert.ok(region.bytes[0] === round && region.bytes[4095] === round);
      await takeOk(pair.initiator.completionQueue);
    }
  });

  it('a receive posted late still gets its message: it was parked', async (world) => {
    const { pair, local, box } = await messaging(world, 10, 64);
    local.bytes.set([1, 2, 3, 4]);
    for (let n = 0; n < 4; n++) pair.initiator.postSend({ local, localOffset: n, length: 1 });
    await takeAll(pair.initiator.completionQueue, 4); // they have left this side
    for (let id = 0; id < 4; id++) {
      pair.target.postReceive({ local: box, localOffset: id, length: 1, id });
      assert.equal((await takeOk(pair.target.completionQueue)).id, id);
    }
    assert.deepEqual([...box.bytes.subarray(0, 5)], [1, 2, 3, 4, 0]);
    assert.equal(pair.target.state, 'established');
  });

  it('requests behind a parked message wait for it, in order', async (world) => {
    const { pair, local } = await messaging(world, 10, 64);
    const { region, remote } = await world.lend(pair);
    local.bytes[0] = 99;
    pair.initiator.postSend({ length: 0, id: 1 });
    pair.initiator.postWrite({ local, remote, length: 1, completion: 'on-error' });
    pair.initiator.postFlush({ remote, length: 1, type: 'visibility', id: 2 });
    assert.equal((await takeOk(pair.initiator.completionQueue)).id, 1);
    assert.equal(pair.initiator.completionQueue.tryTake(), null);
    pair.target.postReceive({ length: 0 });
    await takeOk(pair.target.completionQueue);
    assert.equal((await takeOk(pair.initiator.completionQueue)).id, 2);
    assert.equal(region.bytes[0], 99);
  });

  it('answers pass a parked message: both sides may read meanwhile', async (world) => {
    const { pair, local } = await messaging(world, 10, 64);
    const box = await inbox(pair, 64);
    const offered = await pair.initiatorPeer.allocate(64, { usage: MemoryUsage.ReadSource });
    offered.bytes.fill(8);
    const remote = RemoteRegion.fromDescriptor(offered.toDescriptor());
    pair.initiator.postSend({ local, length: 64 });
    await takeOk(pair.initiator.completionQueue);
    for (let round = 0; round < 10; round++) {
      box.bytes.fill(0);
      pair.target.postRead({ local: box, remote, length: 64 });
      await takeOk(pair.target.completionQueue);
      assert.ok(box.bytes.every((byte) => byte === 8));
    }
  });

  it('beyond the parking space the sender is held back, and nothing is lost', async (world) => {
    const { pair, local, box } = await messaging(world, 8, 64 * 1024);
    const count = 400;
    const chunk = 32 * 1024;
    let sent = 0;
    const sending = (async () => {
      for (let n = 0; n < count; n++) {
        await until(() => pair.initiator.sendQueueFree > 0, 'a free slot', 20_000);
        local.bytes[0] = n & 0xff;
        local.bytes[1] = n >> 8;
        pair.initiator.postSend({ local, length: chunk });
        await takeOk(pair.initiator.completionQueue, 20_000);
        sent++;
      }
    })();
    // Held back: another connection of the same peers goes round a hundred times, and meanwhile not
    // one more Send is accepted, though the sender waits for nothing else.
    const other = await world.again(pair);
    const { remote } = await world.lend(pair);
    await until(() => sent > 0, 'the first sends');
    for (let before = -1; sent !== before;) {
      before = sent;
      for (let round = 0; round < 100; round++) {
        other.initiator.postFlush({ remote, length: 1, type: 'visibility' });
        await takeOk(other.initiator.completionQueue);
      }
    }
    assert.ok(sent < count, `${sent} of ${count} sends found room`);
    for (let n = 0; n < count; n++) {
      pair.target.postReceive({ local: box, length: chunk, id: n });
      const received = await takeOk(pair.target.completionQueue);
      assert.deepEqual([received.id, received.length], [n, chunk]);
      assert.equal((box.bytes[0] ?? 0) | ((box.bytes[1] ?? 0) << 8), n);
    }
    await withDeadline(sending, 'all sent');
  });

  it('one message larger than the parking space waits too', async (world) => {
    const { pair, local, box } = await messaging(world, 4, 1 << 20);
    world.random(43).fill(local.bytes.subarray(0, 4096));
    local.bytes.copyWithin(500_000, 0, 4096);
    pair.initiator.postSend({ local, length: 1 << 20 });
    await pair.initiator.completionQueue.take({ timeoutMs: 20 });
    pair.target.postReceive({ local: box, length: 1 << 20 });
    assert.equal((await takeOk(pair.target.completionQueue)).length, 1 << 20);
    assert.ok(Buffer.from(box.bytes).equals(local.bytes));
  });

  it('receiverNotReadyTimeoutMs bounds the wait: then the connection ends', async (world) => {
    const pair = await world.pair({ target: { receiverNotReadyTimeoutMs: 50 } });
    pair.initiator.postSend({ length: 0 });
    pair.initiator.postReceive({ length: 0, id: 7 });
    const end = await withDeadline(pair.initiator.whenClosed(), 'the end', 3000);
    assert.ok(end.type === 'lost' || end.type === 'closed');
    await withDeadline(pair.target.whenClosed(), 'the end of the target', 3000);
    const rest = await takeRest(pair.initiator.completionQueue);
    assert.ok(rest.some((each) => each.id === 7 && !each.ok));
  });

  it('needs Send here and Receive there, within bounds', async (world) => {
    const { pair, local } = await messaging(world, 4, 64);
    const source = await pair.initiatorPeer.allocate(64, { usage: MemoryUsage.WriteSource });
    assert.throws(() => pair.initiator.postSend({ local: source, length: 8 }), withCode('USAGE'));
    assert.throws(
      () => pair.initiator.postReceive({ local: source, length: 8 }),
      withCode('USAGE'),
    );
    const refused = argumentError('RangeError', 'OUT_OF_RANGE');
    assert.throws(() => pair.initiator.postSend({ local, length: 65 }), refused);
    assert.throws(() => pair.initiator.postSend({ local, localOffset: 60, length: 5 }), refused);
    assert.throws(() => pair.initiator.postReceive({ local, length: 65 }), refused);
    assert.equal(pair.initiator.sendQueueFree, 4);
  });

  it('posted receives are flushed, in order, when the connection ends', async (world) => {
    const pair = await world.pair();
    for (let id = 0; id < 10; id++) pair.target.postReceive({ length: 0, id });
    pair.initiator.disconnect();
    const rest = await takeRest(pair.target.completionQueue);
    assert.deepEqual(
      rest.map((each) => [each.id, each.status]),
      Array.from({ length: 10 }, (_, id) => [id, 'flushed']),
    );
  });

  it('a Send that went out before the end is still received', async (world) => {
    const { pair, local, box } = await messaging(world, 10, 64);
    local.bytes[0] = 5;
    pair.target.postReceive({ local: box, length: 64, id: 1 });
    pair.initiator.postSend({ local, length: 1 });
    await withDeadline(pair.initiator.close(), 'close()');
    const rest = await takeRest(pair.target.completionQueue);
    assert.deepEqual(
      rest.map((each) => [each.id, each.ok, each.length]),
      [[1, true, 1]],
    );
    assert.equal(box.bytes[0], 5);
  });
});
