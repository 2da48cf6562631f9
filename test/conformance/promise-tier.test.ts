// SPDX-License-Identifier: BSD-3-Clause
//
// The promise tier: plain verbs, built on the posts and queues of the verbs tier.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { type RpmaError } from 'rpma';
import { argumentError, conform, withCode } from '../support/conform.js';
import { until, withDeadline } from '../support/deadline.js';
import { durableUsage, localUsage, type World } from '../support/world.js';

async function ready(world: World, sizeBytes: number = 4096) {
  const pair = await world.pair();
  const local = await world.local(pair, sizeBytes);
  const lent = await world.lend(pair, sizeBytes);
  return { ...pair, pair, local, ...lent };
}

function outcome(promise: Promise<unknown>): Promise<RpmaError | null> {
  return withDeadline(
    promise.then(
      () => null,
      (error: RpmaError) => error,
    ),
    'an outcome',
  );
}

conform('promise tier', ({ it }) => {
  it('write resolves as reusable, without a durability', async (world) => {
    const { initiator, local, remote } = await ready(world);
    assert.equal((await initiator.write({ local, remote, length: 64 })).durability, undefined);
    const options = { local, remote, length: 64, until: 'reusable' as const };
    assert.equal((await initiator.write(options)).durability, undefined);
  });

  it('write until delivered resolves when the bytes are visible', async (world) => {
    const { initiator, local, region, remote } = await ready(world);
    for (let round = 1; round <= 100; round++) {
      local.bytes.fill(round, 0, 1000);
      await initiator.write({ local, remote, length: 1000, until: 'delivered' });
      assert.ok(region.bytes[0] === round && region.bytes[999] === round);
    }
  });

  it('write until durable resolves when the bytes are persistent, and says so', async (world) => {
    const { pair, initiator, local } = await ready(world);
    const file = await world.file(4096);
    const { remote } = await world.lendFile(pair, file);
    local.bytes.fill(9, 0, 100);
    const range = { local, remote, remoteOffset: 50, length: 100 };
    assert.equal((await initiator.writeDurable(range)).durability, 'persisted');
    const options = { ...range, until: 'durable' as const };
    assert.equal((await initiator.write(options)).durability, 'persisted');
    const found = await readFile(file.path);
    assert.ok(found.subarray(50, 150).every((byte) => byte === 9));
  });

  it('writeDurable on a region that cannot be is refused and writes nothing', async (world) => {
    const { initiator, local, region, remote } = await ready(world);
    local.bytes.fill(1);
    const error = await outcome(initiator.writeDurable({ local, remote, length: 8 }));
    assert.ok(['ERR_RPMA_NOT_PERSISTENT', 'ERR_RPMA_USAGE'].includes(error?.code ?? 'none'));
    await initiator.flush({ remote, length: 8, type: 'visibility' });
    assert.equal(region.bytes[0], 0);
  });

  it('read, atomicWrite and flush resolve when done', async (world) => {
    const { initiator, local, region, remote } = await ready(world);
    region.bytes.set([4, 5, 6]);
    await initiator.read({ local, remote, length: 3 });
    assert.deepEqual([...local.bytes.subarray(0, 3)], [4, 5, 6]);
    await initiator.atomicWrite({ remote, value: 1n });
    await initiator.atomicWrite({ remote, remoteOffset: 8, value: 2n, until: 'delivered' });
    assert.equal(region.bytes[8], 2);
    const flushed = await initiator.flush({ remote, length: 16, type: 'visibility' });
    assert.equal(flushed.durability, undefined);
    assert.equal(region.bytes[0], 1);
  });

  it('atomicWrite until durable', async (world) => {
    const { pair, initiator } = await ready(world);
    const file = await world.file(4096);
    const { remote } = await world.lendFile(pair, file, durableUsage);
    const done = await initiator.atomicWrite({ remote, value: 3n, until: 'durable' });
    assert.equal(done.durability, 'persisted');
    const flushed = await initiator.flush({ remote, length: 8, type: 'persistent' });
    assert.equal(flushed.durability, 'persisted');
    assert.equal((await readFile(file.path)).readBigUInt64LE(0), 3n);
  });

  it('send and receive meet; receive tells length and queue pair', async (world) => {
    const { pair, initiator, target, local } = await ready(world);
    const box = await pair.targetPeer.allocate(64, { usage: localUsage });
    const receiving = target.receive({ local: box, length: 64 });
    local.bytes.set([1, 2]);
    await initiator.send({ local, length: 2 });
    const received = await withDeadline(receiving, 'a message');
    assert.equal(received.length, 2);
    assert.equal(received.queuePairNumber, target.queuePairNumber);
    assert.deepEqual([...box.bytes.subarray(0, 2)], [1, 2]);
  });

  it('the zero-byte forms resolve', async (world) => {
    const { initiator, target } = await ready(world);
    const receiving = target.receive({ length: 0 });
    await initiator.write({ length: 0 });
    await initiator.read({ length: 0 });
    await initiator.send({ length: 0 });
    assert.equal((await receiving).length, 0);
  });

  it('more than fits the queue waits its turn, in order', async (world) => {
    const { initiator, local, remote } = await ready(world);
    const order: number[] = [];
    const all = Array.from({ length: 300 }, (_, n) =>
      initiator.read({ local, remote, length: 8 }).then(() => order.push(n)),
    );
    await withDeadline(Promise.all(all), 'all of them');
    assert.deepEqual(
      order,
      Array.from({ length: 300 }, (_, n) => n),
    );
  });

  it('beyond 1024 waiting is AGAIN', async (world) => {
    const { initiator, local, remote } = await ready(world);
    const all = Array.from({ length: 1100 }, () =>
      outcome(initiator.read({ local, remote, length: 8 })),
    );
    const codes = (await Promise.all(all)).map((each) => each?.code ?? 'ok');
    const refused = codes.filter((code) => code === 'ERR_RPMA_AGAIN').length;
    // 10 are in the queue and 1024 wait; a few may complete while the others are being called.
    assert.ok(refused > 0 && refused <= 1100 - 1024 - 10, `${refused} refused`);
    assert.equal(codes.filter((code) => code === 'ok').length, 1100 - refused);
  });

  it('argument errors reject and leave the connection as it was', async (world) => {
    const { initiator, local, remote } = await ready(world, 64);
    await assert.rejects(
      initiator.write({ local, remote, length: 65 }),
      argumentError('RangeError', 'OUT_OF_RANGE'),
    );
    await assert.rejects(
      initiator.write({ local, remote, length: 8, until: 'forever' as 'durable' }),
      argumentError('TypeError', 'INVALID_ARG_VALUE'),
    );
    await initiator.write({ local, remote, length: 64 });
  });

  it("a write's own error rejects its promise, never the 'flushed' behind it", async (world) => {
    const { initiator, local, region, remote } = await ready(world);
    await region.close();
    const error = await outcome(initiator.write({ local, remote, length: 8, until: 'delivered' }));
    assert.equal(error?.code, 'ERR_RPMA_WC_REMOTE_ACCESS');
    assert.equal(error?.scope, 'connection');
    const later = await outcome(initiator.write({ length: 0 }));
    assert.ok(later !== null);
  });

  it('when the connection ends every pending promise rejects', async (world) => {
    const { initiator, target, pair } = await ready(world);
    const box = await pair.targetPeer.allocate(64, { usage: localUsage });
    void target.send({ length: 0 }).catch(() => undefined); // parks: what follows waits
    const pending = [
      target.receive({ local: box, length: 8 }),
      initiator.receive({ length: 0 }),
      initiator.receive({ length: 0 }),
    ];
    const first = await withDeadline(Promise.race(pending.slice(1)), 'the first receive');
    assert.equal(first.length, 0);
    target.destroy();
    const [ours, , theirs] = await Promise.all(pending.map((each) => outcome(each)));
    assert.equal(ours?.code, 'ERR_RPMA_WC_FLUSHED');
    assert.equal(theirs?.code, 'ERR_RPMA_WC_FLUSHED');
  });

  it('a receive that is flushed by close() is no unhandled rejection', async (world) => {
    const { initiator, target } = await ready(world);
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', note);
    world.after(() => void process.off('unhandledRejection', note));
    void target.receive({ length: 0 });
    await withDeadline(initiator.close(), 'close()');
    await withDeadline(target.whenClosed(), 'the end');
    let turns = 0;
    await until(() => ++turns > 20, 'some turns');
    assert.deepEqual(unhandled, []);
  });

  it('claims a queue with its first use; posts are refused from then on', async (world) => {
    const { initiator } = await ready(world);
    await initiator.write({ length: 0 });
    assert.equal(initiator.completionQueue.claimedBy, 'promise-tier');
    assert.throws(() => initiator.completionQueue.tryTake(), withCode('QUEUE_CLAIMED'));
  });

  it('receives of a queue of their own are claimed apart from the sends', async (world) => {
    const pair = await world.pair({ target: { receiveCompletionQueueSize: 8 } });
    const { initiator, target } = pair;
    target.postReceive({ length: 0, id: 3 });
    await target.write({ length: 0 });
    initiator.postSend({ length: 0 });
    const receives = target.receiveCompletionQueue;
    assert.equal((await receives?.take({ timeoutMs: 5000 }))?.id, 3);
    assert.equal(receives?.claimedBy, 'verbs-tier');
    assert.equal(target.completionQueue.claimedBy, 'promise-tier');
  });

  it('before established rejects with STATE, after the end with CLOSED', async (world) => {
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    const connection = (await peer.createConnectionRequest('127.0.0.1', endpoint.port)).connect();
    await assert.rejects(connection.write({ length: 0 }), withCode('STATE'));
    (await endpoint.take())?.accept();
    await withDeadline(connection.whenEstablished(), 'established');
    await connection.write({ length: 0 });
    await withDeadline(connection.close(), 'close()');
    await assert.rejects(connection.write({ length: 0 }), withCode('CLOSED'));
  });
});
