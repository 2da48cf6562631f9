// SPDX-License-Identifier: BSD-3-Clause
//
// Remote reads (librpma: rpma_read).

import assert from 'node:assert/strict';
import { MemoryUsage, RemoteRegion } from 'rpma';
import { argumentError, conform, withCode } from '../support/conform.js';
import { takeAll, takeOk } from '../support/world.js';

conform('read', ({ it }) => {
  it('brings exactly the bytes asked for, from offset to offset', async (world) => {
    const pair = await world.pair();
    const random = world.random(11);
    const local = await world.local(pair, 200_000);
    const { region, remote } = await world.lend(pair, 200_000);
    random.fill(region.bytes);
    for (const length of [1, 2, 3, 7, 8, 9, 63, 4095, 4096, 4097, 65_520, 65_521, 150_001]) {
      local.bytes.fill(0xaa);
      const remoteOffset = random.below(200_000 - length);
      const localOffset = random.below(200_000 - length - 1) + 1;
      pair.initiator.postRead({ local, localOffset, remote, remoteOffset, length, id: length });
      const done = await takeOk(pair.initiator.completionQueue);
      assert.equal(done.operation, 'read');
      assert.equal(done.id, length);
      const got = Buffer.from(local.bytes.subarray(localOffset, localOffset + length));
      assert.ok(got.equals(region.bytes.subarray(remoteOffset, remoteOffset + length)));
      assert.equal(local.bytes[localOffset - 1], 0xaa);
      if (localOffset + length < 200_000) assert.equal(local.bytes[localOffset + length], 0xaa);
    }
  });

  it('sees what earlier writes of the connection wrote', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    for (let round = 1; round < 50; round++) {
      local.bytes.fill(round, 0, 100);
      pair.initiator.postWrite({ local, remote, length: 100, completion: 'on-error' });
      pair.initiator.postRead({ local, localOffset: 1000, remote, length: 100, id: round });
      assert.equal((await takeOk(pair.initiator.completionQueue)).id, round);
      assert.ok(local.bytes.subarray(1000, 1100).every((byte) => byte === round));
    }
  });

  it('has a zero-byte form without memory, and with', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    pair.initiator.postRead({ length: 0, id: 1 });
    pair.initiator.postRead({ local, remote, length: 0, id: 2 });
    const done = await takeAll(pair.initiator.completionQueue, 2);
    assert.deepEqual(
      done.map((each) => [each.id, each.operation, each.ok]),
      [
        [1, 'read', true],
        [2, 'read', true],
      ],
    );
  });

  it('needs ReadDestination here and ReadSource there', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    const source = await pair.initiatorPeer.allocate(64, { usage: MemoryUsage.WriteSource });
    const sink = await world.lend(pair, 64, MemoryUsage.WriteDestination);
    assert.throws(
      () => pair.initiator.postRead({ local: source, remote, length: 8 }),
      withCode('USAGE'),
    );
    assert.throws(
      () => pair.initiator.postRead({ local, remote: sink.remote, length: 8 }),
      withCode('USAGE'),
    );
    assert.equal(pair.initiator.sendQueueFree, 10);
  });

  it('is checked by the target too: a forged usage byte opens nothing', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair);
    const { region } = await world.lend(pair, 64, MemoryUsage.WriteDestination);
    const forged = region.toDescriptor();
    forged[20] = MemoryUsage.ReadSource;
    const remote = RemoteRegion.fromDescriptor(forged);
    pair.initiator.postRead({ local, remote, length: 8, id: 1 });
    const [refused] = await takeAll(pair.initiator.completionQueue, 1);
    assert.equal(refused?.status, 'remote-access');
  });

  it('is checked by the target too: a forged length reaches nothing', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair);
    const { region } = await world.lend(pair, 64);
    const forged = region.toDescriptor();
    new DataView(forged.buffer).setBigUint64(8, 4096n, true);
    const remote = RemoteRegion.fromDescriptor(forged);
    pair.initiator.postRead({ local, remote, remoteOffset: 60, length: 8 });
    const [refused] = await takeAll(pair.initiator.completionQueue, 1);
    assert.equal(refused?.status, 'remote-access');
    assert.ok(local.bytes.subarray(0, 8).every((byte) => byte === 0));
  });

  it('is bounded on both sides at the post (librpma posts it)', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair, 100);
    const { remote } = await world.lend(pair, 200);
    const post = (localOffset: number, remoteOffset: number, length: number) => () =>
      pair.initiator.postRead({ local, localOffset, remote, remoteOffset, length });
    const refused = argumentError('RangeError', 'OUT_OF_RANGE');
    assert.throws(post(0, 0, 101), refused);
    assert.throws(post(93, 0, 8), refused);
    assert.throws(post(0, 193, 8), refused);
    assert.throws(post(0, 201, 0), refused);
    assert.throws(post(0, Number.MAX_SAFE_INTEGER, 8), refused);
    assert.throws(post(0, 0, 2 ** 31), refused);
    post(92, 192, 8)();
    await takeOk(pair.initiator.completionQueue);
    assert.equal(pair.initiator.sendQueueFree, 10);
  });

  it('beyond the outbound limit waits its turn', async (world) => {
    const reads = { sendQueueSize: 64, inboundReads: 1, outboundReads: 1 };
    const pair = await world.pair({ initiator: reads, target: reads });
    const local = await world.local(pair, 64 * 64);
    const { region, remote } = await world.lend(pair, 64 * 64);
    world.random(12).fill(region.bytes);
    for (let id = 0; id < 64; id++) {
      const offset = id * 64;
      const range = { localOffset: offset, remoteOffset: offset, length: 64 };
      pair.initiator.postRead({ local, remote, ...range, id });
    }
    const done = await takeAll(pair.initiator.completionQueue, 64);
    assert.deepEqual(
      done.map((each) => each.id),
      Array.from({ length: 64 }, (_, id) => id),
    );
    assert.ok(Buffer.from(local.bytes).equals(region.bytes));
  });

  it('with no outbound reads at all is not supported', async (world) => {
    const pair = await world.pair({ initiator: { outboundReads: 0 } });
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    const refused = withCode('NOT_SUPPORTED');
    assert.throws(() => pair.initiator.postRead({ local, remote, length: 8 }), refused);
    const flush = { remote, length: 8, type: 'visibility' as const };
    assert.throws(() => pair.initiator.postFlush(flush), refused);
    assert.throws(() => pair.initiator.postAtomicWrite({ remote, value: 1n }), refused);
    pair.initiator.postWrite({ local, remote, length: 8 });
    await takeOk(pair.initiator.completionQueue);
  });

  it('of the target goes the other way at the same time', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair, 65_536);
    const lent = await world.lend(pair, 65_536);
    const back = await pair.targetPeer.allocate(65_536, { usage: MemoryUsage.ReadDestination });
    const offered = await pair.initiatorPeer.allocate(65_536, { usage: MemoryUsage.ReadSource });
    lent.region.bytes.fill(1);
    offered.bytes.fill(2);
    const remote = RemoteRegion.fromDescriptor(offered.toDescriptor());
    for (let id = 0; id < 5; id++) {
      pair.initiator.postRead({ local, remote: lent.remote, length: 65_536, id });
      pair.target.postRead({ local: back, remote, length: 65_536, id });
    }
    await takeAll(pair.initiator.completionQueue, 5);
    await takeAll(pair.target.completionQueue, 5);
    assert.ok(local.bytes.every((byte) => byte === 1));
    assert.ok(back.bytes.every((byte) => byte === 2));
  });
});
