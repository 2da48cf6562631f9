// SPDX-License-Identifier: BSD-3-Clause
//
// Atomic writes of 8 bytes (librpma: rpma_atomic_write).

import assert from 'node:assert/strict';
import { MemoryUsage, RemoteRegion } from 'rpma';
import { argumentError, conform, withCode } from '../support/conform.js';
import { turn } from '../support/deadline.js';
import { remoteUsage, takeAll, takeOk } from '../support/world.js';

conform('atomic write', ({ it }) => {
  it('stores a bigint in host order and 8 bytes as they are', async (world) => {
    const pair = await world.pair();
    const { region, remote } = await world.lend(pair, 64);
    const view = new DataView(region.bytes.buffer, region.bytes.byteOffset, 64);
    const values = [0n, 1n, 0x0102030405060708n, 2n ** 63n, 2n ** 64n - 1n];
    for (const [n, value] of values.entries()) {
      pair.initiator.postAtomicWrite({ remote, remoteOffset: 8 * n, value, id: n });
    }
    const bytes = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
    pair.initiator.postAtomicWrite({ remote, remoteOffset: 56, value: bytes, id: 9 });
    pair.initiator.postFlush({ remote, length: 64, type: 'visibility', id: 10 });
    const done = await takeAll(pair.initiator.completionQueue, values.length + 2);
    assert.ok(done.every((each) => each.ok));
    assert.ok(done.slice(0, 6).every((each) => each.operation === 'atomic-write'));
    for (const [n, value] of values.entries()) assert.equal(view.getBigUint64(8 * n, true), value);
    assert.deepEqual([...region.bytes.subarray(56)], [...bytes]);
  });

  it('copies its source at the call', async (world) => {
    const pair = await world.pair();
    const { region, remote } = await world.lend(pair, 8);
    const value = Uint8Array.of(8, 7, 6, 5, 4, 3, 2, 1);
    pair.initiator.postAtomicWrite({ remote, value });
    value.fill(0);
    await takeOk(pair.initiator.completionQueue);
    pair.initiator.postFlush({ remote, length: 8, type: 'visibility' });
    await takeOk(pair.initiator.completionQueue);
    assert.deepEqual([...region.bytes], [8, 7, 6, 5, 4, 3, 2, 1]);
  });

  it('is not seen by a read that was posted before it', async (world) => {
    const pair = await world.pair({ initiator: { crc: false }, target: { crc: false } });
    const length = 1 << 20;
    const local = await world.local(pair, length);
    const { region, remote } = await world.lend(pair, length);
    const place = length - 8;
    const view = new DataView(region.bytes.buffer, region.bytes.byteOffset, length);
    for (let round = 1n; round <= 30n; round++) {
      const before = view.getBigUint64(place, true);
      pair.initiator.postRead({ local, remote, length });
      pair.initiator.postAtomicWrite({ remote, remoteOffset: place, value: round });
      pair.initiator.postFlush({ remote, length: 8, type: 'visibility' });
      assert.ok((await takeAll(pair.initiator.completionQueue, 3)).every((each) => each.ok));
      const seen = Buffer.from(local.bytes.buffer, local.bytes.byteOffset, length);
      assert.equal(seen.readBigUInt64LE(place), before);
      assert.equal(view.getBigUint64(place, true), round);
    }
  });

  it('needs an offset on 8 bytes, as librpma', async (world) => {
    const pair = await world.pair();
    const { remote } = await world.lend(pair, 64);
    for (const remoteOffset of [1, 2, 3, 4, 5, 6, 7, 9, 55]) {
      assert.throws(
        () => pair.initiator.postAtomicWrite({ remote, remoteOffset, value: 1n }),
        argumentError('RangeError', 'ALIGNMENT'),
      );
    }
    assert.equal(pair.initiator.sendQueueFree, 10);
  });

  it('aligns base plus offset (librpma looks at the offset alone)', async (world) => {
    const pair = await world.pair();
    const memory = new Uint8Array(new ArrayBuffer(64), 4, 32);
    const region = await pair.targetPeer.register(memory, { usage: remoteUsage });
    const remote = RemoteRegion.fromDescriptor(region.toDescriptor());
    const skew = Number((8n - (remote.address % 8n)) % 8n);
    assert.equal(skew, 4);
    assert.throws(
      () => pair.initiator.postAtomicWrite({ remote, remoteOffset: 0, value: 1n }),
      argumentError('RangeError', 'ALIGNMENT'),
    );
    pair.initiator.postAtomicWrite({ remote, remoteOffset: skew, value: 0xffn });
    pair.initiator.postFlush({ remote, length: 32, type: 'visibility' });
    await takeAll(pair.initiator.completionQueue, 2);
    assert.equal(memory[skew], 0xff);
  });

  it('refuses values that are not 8 bytes', async (world) => {
    const pair = await world.pair();
    const { remote } = await world.lend(pair, 64);
    const post = (value: unknown) => () =>
      pair.initiator.postAtomicWrite({ remote, value: value as bigint });
    assert.throws(post(-1n), RangeError);
    assert.throws(post(2n ** 64n), RangeError);
    for (const value of [1, '8 bytes', null, undefined]) assert.throws(post(value), TypeError);
    for (const length of [0, 7, 9]) {
      assert.throws(
        post(new Uint8Array(length)),
        (error) => error instanceof TypeError || error instanceof RangeError,
      );
    }
  });

  it('needs WriteDestination and stays within the region', async (world) => {
    const pair = await world.pair();
    const source = await world.lend(pair, 64, MemoryUsage.ReadSource);
    const { remote } = await world.lend(pair, 20);
    assert.throws(
      () => pair.initiator.postAtomicWrite({ remote: source.remote, value: 1n }),
      withCode('USAGE'),
    );
    assert.throws(
      () => pair.initiator.postAtomicWrite({ remote, remoteOffset: 16, value: 1n }),
      argumentError('RangeError', 'OUT_OF_RANGE'),
    );
  });

  it('is seen whole or not at all', async (world) => {
    const pair = await world.pair();
    const { region, remote } = await world.lend(pair, 8);
    const word = new BigInt64Array(region.bytes.buffer, region.bytes.byteOffset, 1);
    const patterns = [0n, -1n, 0x5555555555555555n, -0x5555555555555556n];
    for (let round = 0; round < 400; round++) {
      const value = BigInt.asUintN(64, patterns[round % 4] ?? 0n);
      pair.initiator.postAtomicWrite({ remote, value });
      do {
        assert.ok(patterns.includes(Atomics.load(word, 0)));
        await turn();
      } while (pair.initiator.completionQueue.poll().length === 0);
    }
  });

  it('on-error gives no completion on success', async (world) => {
    const pair = await world.pair();
    const { region, remote } = await world.lend(pair, 8);
    pair.initiator.postAtomicWrite({ remote, value: 77n, completion: 'on-error' });
    pair.initiator.postFlush({ remote, length: 8, type: 'visibility', id: 1 });
    assert.equal((await takeOk(pair.initiator.completionQueue)).id, 1);
    assert.equal(region.bytes[0], 77);
    assert.equal(pair.initiator.completionQueue.tryTake(), null);
  });
});
