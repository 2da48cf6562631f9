// SPDX-License-Identifier: BSD-3-Clause
//
// Flushes (librpma: rpma_flush). A visibility flush completes as delivered, a persistent flush as
// durable; the completion's durability says what stands behind it.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Completion,
  type FlushType,
  MemoryUsage,
  PeerConfig,
  PmemFile,
  RemoteRegion,
} from 'rpma';
import { argumentError, conform, withCode } from '../support/conform.js';
import { turn } from '../support/deadline.js';
import { durableUsage, remoteUsage, takeAll, takeOk } from '../support/world.js';

conform('flush', ({ it }) => {
  it('visibility: earlier writes are visible when it completes', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair);
    const { region, remote } = await world.lend(pair);
    for (let round = 1; round <= 200; round++) {
      local.bytes.fill(round & 0xff, 0, 512);
      pair.initiator.postWrite({ local, remote, length: 512, completion: 'on-error' });
      pair.initiator.postFlush({ remote, length: 512, type: 'visibility', id: round });
      const done = await takeOk(pair.initiator.completionQueue);
      assert.deepEqual([done.operation, done.id], ['flush', round]);
      assert.equal(done.durability, undefined);
      assert.equal(region.bytes[0], round & 0xff);
      assert.equal(region.bytes[511], round & 0xff);
    }
  });

  it('works on regions under 8 bytes and up to the last byte (librpma reads beyond)', async (world) => {
    const pair = await world.pair({ initiator: { sendQueueSize: 32 } });
    for (let size = 1; size <= 9; size++) {
      const { remote } = await world.lend(pair, size);
      for (let at = 0; at <= size; at++) {
        pair.initiator.postFlush({
          remote,
          remoteOffset: at,
          length: size - at,
          type: 'visibility',
        });
      }
      const done = await takeAll(pair.initiator.completionQueue, size + 1);
      assert.ok(done.every((each) => each.ok));
    }
  });

  it('length 0 orders and persists nothing', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair);
    const file = await world.file(4096);
    const { region, remote } = await world.lendFile(pair, file);
    local.bytes.set([1, 2, 3]);
    pair.initiator.postWrite({ local, remote, length: 3, completion: 'on-error' });
    pair.initiator.postFlush({ remote, length: 0, type: 'visibility', id: 1 });
    pair.initiator.postFlush({ remote, length: 0, type: 'persistent', id: 2 });
    const done = await takeAll(pair.initiator.completionQueue, 2);
    assert.ok(done.every((each) => each.ok));
    assert.deepEqual([...region.bytes.subarray(0, 3)], [1, 2, 3]);
  });

  it('persistent: a file on disk is persisted, and no peer configuration is asked', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair);
    const file = await world.file(8192);
    assert.notEqual(file.durability, 'memory');
    const { remote } = await world.lendFile(pair, file);
    assert.equal(pair.initiator.canFlush(remote, 'persistent'), true);
    assert.equal(pair.initiator.canFlush(remote, 'visibility'), true);
    world.random(31).fill(local.bytes);
    const range = { remoteOffset: 1000, length: 3000 };
    pair.initiator.postWrite({ local, remote, ...range, completion: 'on-error' });
    pair.initiator.postFlush({ remote, ...range, type: 'persistent', id: 1 });
    const done = await takeOk(pair.initiator.completionQueue);
    assert.deepEqual([done.operation, done.id, done.durability], ['flush', 1, 'persisted']);
    const found = await readFile(file.path);
    assert.equal(found.length, 8192);
    assert.ok(found.subarray(1000, 4000).equals(local.bytes.subarray(0, 3000)));
    assert.ok(found.subarray(4000).every((byte) => byte === 0));
  });

  it('persistent: a configuration that says no takes nothing away natively', async (world) => {
    const pair = await world.pair();
    const file = await world.file(4096);
    const { remote } = await world.lendFile(pair, file);
    pair.initiator.applyRemotePeerConfig(new PeerConfig({ directWriteToPmem: false }));
    pair.initiator.postFlush({ remote, length: 4096, type: 'persistent' });
    assert.equal((await takeOk(pair.initiator.completionQueue)).durability, 'persisted');
  });

  it('persistent: a region at an offset of its file persists its own range', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair);
    const file = await world.file(65_536);
    const region = await pair.targetPeer.register(file, {
      usage: durableUsage,
      offset: 12_345,
      length: 1000,
    });
    const remote = RemoteRegion.fromDescriptor(region.toDescriptor());
    assert.equal(remote.sizeBytes, 1000);
    local.bytes.fill(0x5a, 0, 1000);
    pair.initiator.postWrite({ local, remote, length: 1000, completion: 'on-error' });
    pair.initiator.postFlush({ remote, length: 1000, type: 'persistent' });
    assert.equal((await takeOk(pair.initiator.completionQueue)).durability, 'persisted');
    const found = await readFile(file.path);
    assert.ok(found.subarray(12_345, 13_345).every((byte) => byte === 0x5a));
    assert.equal(found[12_344], 0);
    assert.equal(found[13_345], 0);
  });

  it('persistent: refused on anonymous memory at registration', async (world) => {
    const peer = await world.peer();
    await assert.rejects(peer.allocate(64, { usage: durableUsage }), withCode('NOT_PERSISTENT'));
  });

  it('persistent: a file on tmpfs is refused, or volatile where allowed by name', async (world) => {
    const folder = await world.volatileFolder();
    if (folder === null) return;
    const path = join(folder, 'memory');
    await assert.rejects(
      PmemFile.map(path, { create: true, sizeBytes: 4096 }),
      withCode('NOT_PERSISTENT'),
    );
    const options = { create: true, sizeBytes: 4096, allowVolatile: true };
    const file = world.keep(await PmemFile.map(path, options));
    assert.equal(file.durability, 'memory');
    const pair = await world.pair();
    const { remote } = await world.lendFile(pair, file);
    pair.initiator.postFlush({ remote, length: 4096, type: 'persistent' });
    assert.equal((await takeOk(pair.initiator.completionQueue)).durability, 'volatile');
  });

  it('of a type the region does not grant is refused at the post', async (world) => {
    const pair = await world.pair();
    const file = await world.file(4096);
    const none = await world.lend(pair, 64, MemoryUsage.WriteDestination);
    const visibility = await world.lend(pair, 64, remoteUsage);
    const persistent = await world.lendFile(pair, file, MemoryUsage.FlushPersistent);
    const post = (remote: typeof none.remote, type: FlushType) => () =>
      pair.initiator.postFlush({ remote, length: 8, type });
    const refused = (error: unknown): boolean =>
      error instanceof Error &&
      'code' in error &&
      ['ERR_RPMA_USAGE', 'ERR_RPMA_NOT_PERSISTENT'].includes(String(error.code));
    assert.throws(post(none.remote, 'visibility'), withCode('USAGE'));
    assert.throws(post(none.remote, 'persistent'), refused);
    assert.throws(post(visibility.remote, 'persistent'), refused);
    assert.throws(post(persistent.remote, 'visibility'), withCode('USAGE'));
    assert.equal(pair.initiator.canFlush(none.remote, 'visibility'), false);
    assert.equal(pair.initiator.canFlush(visibility.remote, 'persistent'), false);
    post(visibility.remote, 'visibility')();
    post(persistent.remote, 'persistent')();
    const done = await takeAll(pair.initiator.completionQueue, 2);
    assert.ok(done.every((each) => each.ok));
  });

  it('of an unknown type is refused (librpma takes it)', async (world) => {
    const pair = await world.pair();
    const { remote } = await world.lend(pair);
    assert.throws(
      () => pair.initiator.postFlush({ remote, length: 8, type: 'eternal' as FlushType }),
      argumentError('TypeError', 'INVALID_ARG_VALUE'),
    );
  });

  it('stays within the region', async (world) => {
    const pair = await world.pair();
    const { remote } = await world.lend(pair, 100);
    const post = (remoteOffset: number, length: number) => () =>
      pair.initiator.postFlush({ remote, remoteOffset, length, type: 'visibility' });
    const refused = argumentError('RangeError', 'OUT_OF_RANGE');
    assert.throws(post(0, 101), refused);
    assert.throws(post(93, 8), refused);
    assert.throws(post(101, 0), refused);
    post(99, 1)();
    await takeOk(pair.initiator.completionQueue);
  });

  it('on-error gives no completion on success', async (world) => {
    const pair = await world.pair();
    const { remote } = await world.lend(pair);
    const flush = { remote, length: 8, type: 'visibility' as const };
    pair.initiator.postFlush({ ...flush, completion: 'on-error', id: 1 });
    pair.initiator.postFlush({ ...flush, id: 2 });
    assert.equal((await takeOk(pair.initiator.completionQueue)).id, 2);
    assert.equal(pair.initiator.completionQueue.tryTake(), null);
  });

  it('write, flush and atomic write go out together and take effect in that order', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair);
    const file = await world.file(8192);
    const { region, remote } = await world.lendFile(pair, file);
    const used = new BigInt64Array(region.bytes.buffer, region.bytes.byteOffset, 1);
    for (let round = 1; round <= 20; round++) {
      local.bytes.fill(round, 0, 100);
      const remoteOffset = 8 + round * 100;
      const range = { remote, remoteOffset, length: 100 };
      pair.initiator.postWrite({ local, ...range, completion: 'on-error' });
      pair.initiator.postFlush({ ...range, type: 'persistent', completion: 'on-error' });
      pair.initiator.postAtomicWrite({ remote, value: BigInt(round), completion: 'on-error' });
      pair.initiator.postFlush({ remote, length: 8, type: 'persistent', id: round });
      // Whenever the counter shows a round, its record is there: it was durable before.
      let done: Completion | null = null;
      while (done === null) {
        const seen = Number(Atomics.load(used, 0));
        if (seen > 0) assert.equal(region.bytes[8 + seen * 100 + 99], seen);
        await turn();
        done = pair.initiator.completionQueue.tryTake();
      }
      assert.deepEqual([done.id, done.durability], [round, 'persisted']);
    }
    const found = await readFile(file.path);
    assert.equal(found.readBigUInt64LE(0), 20n);
  });
});
