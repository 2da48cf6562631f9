// SPDX-License-Identifier: BSD-3-Clause
//
// Batches of operations: encoded ahead, posted with one call, reusable (librpma has none).

import assert from 'node:assert/strict';
import { OperationBatch } from 'rpma';
import { argumentError, conform, withCode } from '../support/conform.js';
import { until, withDeadline } from '../support/deadline.js';
import { durableUsage, localUsage, takeAll, takeOk } from '../support/world.js';

/** An error of this code whose message names the operation's place. */
function atPlace(
  index: number,
  code: string,
  properties?: Readonly<Record<string, unknown>>,
): (error: unknown) => true {
  return (error: unknown) => {
    withCode(code, properties)(error);
    const { message, stack } = error as Error;
    assert.match(message, new RegExp(`^operation ${index} of the batch: `));
    assert.ok(stack?.includes(message), stack);
    return true;
  };
}

conform('operation batch', ({ it }) => {
  it('every operation does what its single post does, in order', async (world) => {
    const pair = await world.pair({ initiator: { sendQueueSize: 16 } });
    const local = await world.local(pair, 64);
    const { region, remote } = await world.lend(pair, 64);
    const box = await pair.targetPeer.allocate(8, { usage: localUsage });
    pair.target.postReceive({ local: box, length: 8, id: 77 });
    local.bytes.set([1, 2, 3, 4]);
    const batch = new OperationBatch(8)
      .write({ local, remote, length: 2, id: 1 })
      .write({ local, localOffset: 2, remote, remoteOffset: 2, length: 2, completion: 'on-error' })
      .atomicWrite({ remote, remoteOffset: 8, value: 0x0807n, id: 2 })
      .flush({ remote, length: 16, type: 'visibility', id: 3 })
      .read({ local, localOffset: 16, remote, length: 16, id: 4 })
      .send({ local, length: 4, id: 5 })
      .write({ length: 0, id: 6 });
    assert.deepEqual([batch.capacity, batch.length], [8, 7]);
    assert.equal(pair.initiator.post(batch), 7);
    const done = await takeAll(pair.initiator.completionQueue, 6);
    assert.deepEqual(
      done.map((each) => [each.id, each.operation, each.ok]),
      [
        [1, 'write', true],
        [2, 'atomic-write', true],
        [3, 'flush', true],
        [4, 'read', true],
        [5, 'send', true],
        [6, 'write', true],
      ],
    );
    assert.deepEqual([...region.bytes.subarray(0, 10)], [1, 2, 3, 4, 0, 0, 0, 0, 7, 8]);
    assert.deepEqual([...local.bytes.subarray(16, 26)], [1, 2, 3, 4, 0, 0, 0, 0, 7, 8]);
    assert.equal((await takeOk(pair.target.completionQueue)).length, 4);
    assert.deepEqual([...box.bytes.subarray(0, 4)], [1, 2, 3, 4]);
  });

  it('a short count says where to go on; a full queue is 0, not an error', async (world) => {
    const pair = await world.pair({ initiator: { sendQueueSize: 7 } });
    const batch = new OperationBatch(40);
    for (let id = 0; id < 40; id++) batch.write({ length: 0, id });
    const seen: number[] = [];
    for (let start = 0; start < batch.length;) {
      const accepted = pair.initiator.post(batch, start);
      assert.ok(accepted <= 7);
      start += accepted;
      if (accepted > 0) continue;
      assert.equal(pair.initiator.sendQueueFree, 0);
      const [first, ...more] = await takeAll(pair.initiator.completionQueue, 3);
      seen.push(...[first, ...more].map((each) => each?.id ?? -1));
    }
    const rest = await takeAll(pair.initiator.completionQueue, 40 - seen.length);
    seen.push(...rest.map((each) => each.id));
    assert.deepEqual(
      seen,
      Array.from({ length: 40 }, (_, id) => id),
    );
    assert.equal(pair.initiator.post(batch, 40), 0);
    assert.equal(pair.initiator.sendQueueFree, 7);
  });

  it('thousands go with one call, each with its own bytes', async (world) => {
    const count = 4000;
    const pair = await world.pair({ initiator: { sendQueueSize: count + 1 } });
    const local = await world.local(pair, count * 8);
    const { region, remote } = await world.lend(pair, count * 8);
    const words = new BigUint64Array(local.bytes.buffer, local.bytes.byteOffset, count);
    const batch = new OperationBatch(count + 1);
    for (let n = 0; n < count; n++) {
      words[n] = BigInt(n) * 0x1_0000_0001n;
      const completion = n % 10 === 9 ? 'always' : 'on-error';
      const place = { localOffset: n * 8, remoteOffset: n * 8 };
      batch.write({ local, remote, ...place, length: 8, id: n, completion });
    }
    batch.flush({ remote, length: count * 8, type: 'visibility', id: count });
    assert.equal(pair.initiator.post(batch), count + 1);
    const done = await takeAll(pair.initiator.completionQueue, count / 10 + 1);
    assert.deepEqual(
      done.map((each) => each.id),
      [...Array.from({ length: count / 10 }, (_, n) => n * 10 + 9), count],
    );
    const found = new BigUint64Array(region.bytes.buffer, region.bytes.byteOffset, count);
    assert.deepEqual(found, words);
    assert.equal(pair.initiator.sendQueueFree, count + 1);
  });

  it('is reusable, on every connection of the peer; clear() empties it', async (world) => {
    const first = await world.pair();
    const second = await world.again(first);
    const local = await world.local(first);
    const { region, remote } = await world.lend(first);
    const batch = new OperationBatch(4).write({ local, remote, length: 1, id: 9 });
    batch.flush({ remote, length: 1, type: 'visibility', id: 10 });
    for (let round = 1; round <= 6; round++) {
      local.bytes[0] = round;
      const { initiator } = round % 2 === 0 ? first : second;
      assert.equal(initiator.post(batch), 2);
      assert.deepEqual(
        (await takeAll(initiator.completionQueue, 2)).map((each) => each.id),
        [9, 10],
      );
      assert.equal(region.bytes[0], round);
    }
    assert.equal(batch.clear(), batch);
    assert.equal(batch.length, 0);
    assert.equal(first.initiator.post(batch), 0);
    batch.write({ length: 0, id: 11 });
    assert.equal(first.initiator.post(batch), 1);
    assert.equal((await takeOk(first.initiator.completionQueue)).id, 11);
  });

  it('the options object is read during the call only', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair, 16);
    const { region, remote } = await world.lend(pair, 16);
    local.bytes.set([1, 2, 3, 4]);
    const batch = new OperationBatch(4);
    const write = { local, localOffset: 0, remote, remoteOffset: 0, length: 1, id: 0 };
    for (let n = 0; n < 4; n++) {
      write.localOffset = write.remoteOffset = write.id = n;
      batch.write(write);
    }
    write.length = 9;
    assert.equal(pair.initiator.post(batch), 4);
    await takeAll(pair.initiator.completionQueue, 4);
    pair.initiator.postFlush({ remote, length: 4, type: 'visibility' });
    await takeOk(pair.initiator.completionQueue);
    assert.deepEqual([...region.bytes.subarray(0, 5)], [1, 2, 3, 4, 0]);
  });

  it('a bad operation is refused when it is added, with its place, and adds nothing', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair, 64);
    const { remote } = await world.lend(pair, 64);
    const sink = await pair.initiatorPeer.allocate(64, { usage: 0x02 });
    const batch = new OperationBatch(4).write({ length: 0 });
    const range = { local, remote, length: 65 };
    assert.throws(() => batch.write(range), atPlace(1, 'OUT_OF_RANGE'));
    assert.throws(() => batch.read({ ...range, length: -1 }), atPlace(1, 'OUT_OF_RANGE'));
    assert.throws(
      () => batch.flush({ remote, remoteOffset: 60, length: 5, type: 'visibility' }),
      atPlace(1, 'OUT_OF_RANGE'),
    );
    assert.throws(
      () => batch.atomicWrite({ remote, remoteOffset: 4, value: 1n }),
      atPlace(1, 'ALIGNMENT'),
    );
    assert.throws(() => batch.send({ local: sink, length: 8 }), atPlace(1, 'USAGE'));
    assert.throws(() => batch.write({ ...range, local: sink, length: 8 }), atPlace(1, 'USAGE'));
    assert.throws(
      () => batch.flush({ remote, length: 8, type: 'persistent' }),
      atPlace(1, 'USAGE'),
    );
    assert.throws(() => batch.write({ length: 0, id: -1 }), atPlace(1, 'OUT_OF_RANGE'));
    assert.throws(() => batch.read(undefined as never), atPlace(1, 'INVALID_ARG_TYPE'));
    assert.throws(
      () => batch.write({ length: 0, completion: 'never' as 'always' }),
      atPlace(1, 'INVALID_ARG_VALUE'),
    );
    assert.throws(() => batch.send({ local: null as never, length: 0 }), TypeError);
    assert.equal(batch.length, 1);
    assert.equal(pair.initiator.post(batch), 1);
    await takeOk(pair.initiator.completionQueue);
  });

  it('holds what it was made for; one more is a RangeError', () => {
    const batch = new OperationBatch(2).write({ length: 0 }).read({ length: 0 });
    assert.throws(() => batch.send({ length: 0 }), argumentError('RangeError', 'OUT_OF_RANGE'));
    assert.equal(batch.length, 2);
    batch.clear().send({ length: 0 });
    for (const capacity of [0, -1, 1.5, 65_537, Number.NaN]) {
      assert.throws(
        () => new OperationBatch(capacity),
        argumentError('RangeError', 'OUT_OF_RANGE'),
      );
    }
    assert.throws(
      () => new OperationBatch('8' as never),
      argumentError('TypeError', 'INVALID_ARG_TYPE'),
    );
  });

  it('post() checks its own arguments', async (world) => {
    const { initiator } = await world.pair();
    const batch = new OperationBatch(2).write({ length: 0 });
    const bad = argumentError('TypeError', 'INVALID_ARG_TYPE');
    for (const it of [
      undefined,
      null,
      {},
      [],
      Object.create(OperationBatch.prototype) as unknown,
    ]) {
      assert.throws(() => initiator.post(it as never), bad);
    }
    assert.throws(() => initiator.post(batch, '0' as never), bad);
    for (const start of [-1, 2, 0.5]) {
      assert.throws(
        () => initiator.post(batch, start),
        argumentError('RangeError', 'OUT_OF_RANGE'),
      );
    }
    assert.equal(initiator.sendQueueFree, 10);
  });

  it('regions of another peer are refused at the post, which posts nothing', async (world) => {
    const pair = await world.pair();
    const { region, remote } = await world.lend(pair);
    const own = await world.local(pair);
    const foreign = await pair.targetPeer.allocate(64, { usage: localUsage });
    own.bytes[0] = 1;
    const batch = new OperationBatch(8)
      .write({ local: own, remote, length: 1 })
      .write({ length: 0 })
      .write({ local: foreign, remote, length: 1 });
    assert.throws(() => pair.initiator.post(batch), atPlace(2, 'FOREIGN'));
    assert.equal(pair.initiator.sendQueueFree, 10);
    // Behind the ones in question it is free to go on.
    batch.write({ local: own, remote, remoteOffset: 1, length: 1, id: 4 });
    assert.equal(pair.initiator.post(batch, 3), 1);
    assert.equal((await takeOk(pair.initiator.completionQueue)).id, 4);
    pair.initiator.postFlush({ remote, length: 2, type: 'visibility' });
    await takeOk(pair.initiator.completionQueue);
    assert.deepEqual([...region.bytes.subarray(0, 2)], [0, 1]);
  });

  it('a region that was closed meanwhile is told by place, and nothing is posted', async (world) => {
    const pair = await world.pair();
    const { region, remote } = await world.lend(pair);
    const stays = await world.local(pair);
    const goes = await world.local(pair);
    stays.bytes[0] = goes.bytes[0] = 7;
    const batch = new OperationBatch(8)
      .write({ local: stays, remote, length: 1 })
      .write({ local: goes, remote, remoteOffset: 1, length: 1 })
      .send({ local: goes, length: 1 });
    const closing = goes.close();
    assert.throws(() => pair.initiator.post(batch), atPlace(1, 'CLOSED'));
    assert.throws(() => batch.write({ local: goes, remote, length: 1 }), atPlace(3, 'CLOSED'));
    await closing;
    assert.throws(() => pair.initiator.post(batch), atPlace(1, 'CLOSED'));
    assert.throws(() => pair.initiator.post(batch, 2), atPlace(2, 'CLOSED'));
    assert.equal(pair.initiator.sendQueueFree, 10);
    // Memory that is registered afterwards, perhaps with the same number, is not what was meant.
    const next = await world.local(pair);
    next.bytes[0] = 9;
    assert.throws(() => pair.initiator.post(batch), atPlace(1, 'CLOSED'));
    pair.initiator.postFlush({ remote, length: 2, type: 'visibility' });
    await takeOk(pair.initiator.completionQueue);
    assert.deepEqual([...region.bytes.subarray(0, 2)], [0, 0]);
  });

  it('is refused before the connection is established, and after its end', async (world) => {
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    const connection = (await peer.createConnectionRequest('127.0.0.1', endpoint.port)).connect();
    const batch = new OperationBatch(2).write({ length: 0, id: 5 });
    const state = { operation: 'write', mayHaveTakenEffect: false };
    assert.throws(() => connection.post(batch), atPlace(0, 'STATE', state));
    (await endpoint.take())?.accept();
    await withDeadline(connection.whenEstablished(), 'established');
    assert.equal(connection.post(batch), 1);
    assert.equal((await takeOk(connection.completionQueue)).id, 5);
    await withDeadline(connection.close(), 'close()');
    assert.throws(() => connection.post(batch), withCode('CLOSED'));
  });

  it('what an end cuts short is told by the next post', async (world) => {
    const pair = await world.pair({ initiator: { sendQueueSize: 4 } });
    const batch = new OperationBatch(8);
    for (let id = 0; id < 8; id++) batch.write({ length: 0, id });
    assert.equal(pair.initiator.post(batch), 4);
    pair.target.destroy();
    await withDeadline(pair.initiator.whenClosed(), 'the end');
    assert.throws(() => pair.initiator.post(batch, 4), withCode('CLOSED'));
    const done = await takeAll(pair.initiator.completionQueue, 4);
    assert.deepEqual(
      done.map((each) => each.id),
      [0, 1, 2, 3],
    );
  });

  it('belongs to the verbs tier: its completions never reach a promise', async (world) => {
    const pair = await world.pair();
    const batch = new OperationBatch(1).write({ length: 0 });
    assert.equal(pair.initiator.post(batch), 1);
    await assert.rejects(pair.initiator.write({ length: 0 }), withCode('QUEUE_CLAIMED'));
    await pair.target.write({ length: 0 });
    assert.throws(() => pair.target.post(batch), withCode('QUEUE_CLAIMED'));
  });

  it('persistent flushes complete as persisted', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair);
    const file = await world.file(4096);
    const { remote } = await world.lendFile(pair, file, durableUsage);
    const batch = new OperationBatch(2)
      .write({ local, remote, length: 8, completion: 'on-error' })
      .flush({ remote, length: 8, type: 'persistent' });
    assert.equal(pair.initiator.post(batch), 2);
    assert.equal((await takeOk(pair.initiator.completionQueue)).durability, 'persisted');
  });

  it('on-error operations of batches free their places themselves', async (world) => {
    const pair = await world.pair({ initiator: { sendQueueSize: 8 } });
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    const batch = new OperationBatch(5);
    for (let n = 0; n < 5; n++) batch.write({ local, remote, length: 8, completion: 'on-error' });
    for (let posted = 0; posted < 5000;) {
      posted += pair.initiator.post(batch, posted % 5);
      await until(() => pair.initiator.sendQueueFree > 0, 'a place without any poll');
    }
    await until(() => pair.initiator.sendQueueFree === 8, 'all places free');
    assert.equal(pair.initiator.completionQueue.tryTake(), null);
  });
});
