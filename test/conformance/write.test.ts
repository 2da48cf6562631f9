// SPDX-License-Identifier: BSD-3-Clause
//
// Remote writes (librpma: rpma_write). A write completes as reusable: the source may be changed,
// and nothing is known of the other side; a flush says that it is visible there.

import assert from 'node:assert/strict';
import { type Connection, MemoryUsage, type RemoteRegion } from 'rpma';
import { argumentError, conform, withCode } from '../support/conform.js';
import { takeAll, takeOk, takeRest } from '../support/world.js';

/** Waits until everything written so far is visible; `length` bytes are flushed. */
async function visible(connection: Connection, remote: RemoteRegion): Promise<void> {
  connection.postFlush({ remote, length: remote.sizeBytes, type: 'visibility', id: 0xf1 });
  const done = await takeOk(connection.completionQueue);
  assert.equal(done.id, 0xf1);
}

conform('write', ({ provider, it }) => {
  it('puts exactly the bytes given, from offset to offset', async (world) => {
    const pair = await world.pair();
    const random = world.random(21);
    const local = await world.local(pair, 200_000);
    const { region, remote } = await world.lend(pair, 200_000);
    random.fill(local.bytes);
    for (const length of [1, 2, 3, 7, 8, 9, 63, 4095, 4096, 4097, 65_520, 65_521, 150_001]) {
      region.bytes.fill(0xaa);
      const remoteOffset = random.below(200_000 - length - 1) + 1;
      const localOffset = random.below(200_000 - length);
      pair.initiator.postWrite({ local, localOffset, remote, remoteOffset, length, id: length });
      const done = await takeOk(pair.initiator.completionQueue);
      assert.deepEqual([done.operation, done.id], ['write', length]);
      await visible(pair.initiator, remote);
      const got = Buffer.from(region.bytes.subarray(remoteOffset, remoteOffset + length));
      assert.ok(got.equals(local.bytes.subarray(localOffset, localOffset + length)));
      assert.equal(region.bytes[remoteOffset - 1], 0xaa);
      const end = remoteOffset + length;
      if (end < 200_000) assert.equal(region.bytes[end], 0xaa);
    }
  });

  it('completes as reusable: changing the source afterwards changes nothing', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair, 300_000);
    const { region, remote } = await world.lend(pair, 300_000);
    for (let round = 1; round < 8; round++) {
      local.bytes.fill(round);
      pair.initiator.postWrite({ local, remote, length: 300_000 });
      await takeOk(pair.initiator.completionQueue);
      local.bytes.fill(0xee);
      await visible(pair.initiator, remote);
      assert.ok(
        region.bytes.every((byte) => byte === round),
        `round ${round}`,
      );
    }
  });

  it('writes to one place land in the order of the posts', async (world) => {
    const pair = await world.pair({ initiator: { sendQueueSize: 64 } });
    const local = await world.local(pair, 64);
    const { region, remote } = await world.lend(pair, 8);
    for (let n = 0; n < 64; n++) local.bytes[n] = n;
    for (let n = 0; n < 63; n++) {
      const completion = 'on-error' as const;
      pair.initiator.postWrite({ local, localOffset: n, remote, length: 1, completion });
    }
    await visible(pair.initiator, remote);
    assert.equal(region.bytes[0], 62);
  });

  it('on-error: no completion on success; a later success says that it succeeded', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair);
    const { region, remote } = await world.lend(pair);
    local.bytes.fill(3, 0, 9);
    for (let n = 0; n < 9; n++) {
      const offset = { localOffset: n, remoteOffset: n };
      const length = 1;
      pair.initiator.postWrite({ local, remote, ...offset, length, completion: 'on-error', id: n });
    }
    await visible(pair.initiator, remote);
    assert.equal(pair.initiator.completionQueue.tryTake(), null);
    assert.ok(region.bytes.subarray(0, 9).every((byte) => byte === 3));
  });

  it('has a zero-byte form without memory, and with', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    pair.initiator.postWrite({ length: 0, id: 1 });
    pair.initiator.postWrite({ local, remote, length: 0, id: 2 });
    pair.initiator.postWrite({ local, remote, remoteOffset: 4096, length: 0, id: 3 });
    const done = await takeAll(pair.initiator.completionQueue, 3);
    assert.deepEqual(
      done.map((each) => [each.id, each.ok]),
      [
        [1, true],
        [2, true],
        [3, true],
      ],
    );
    await visible(pair.initiator, remote);
  });

  it('needs WriteSource here and WriteDestination there', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    const sink = await pair.initiatorPeer.allocate(64, { usage: MemoryUsage.ReadDestination });
    const source = await world.lend(pair, 64, MemoryUsage.ReadSource);
    assert.throws(
      () => pair.initiator.postWrite({ local: sink, remote, length: 8 }),
      withCode('USAGE'),
    );
    assert.throws(
      () => pair.initiator.postWrite({ local, remote: source.remote, length: 8 }),
      withCode('USAGE'),
    );
    assert.equal(pair.initiator.sendQueueFree, 10);
  });

  it('is bounded on both sides at the post (librpma posts it)', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair, 100);
    const { remote } = await world.lend(pair, 200);
    const post = (localOffset: number, remoteOffset: number, length: number) => () =>
      pair.initiator.postWrite({ local, localOffset, remote, remoteOffset, length });
    const refused = argumentError('RangeError', 'OUT_OF_RANGE');
    assert.throws(post(0, 0, 101), refused);
    assert.throws(post(93, 0, 8), refused);
    assert.throws(post(0, 193, 8), refused);
    assert.throws(post(101, 0, 0), refused);
    assert.throws(post(-1, 0, 8), refused);
    assert.throws(post(0, 0.5, 8), refused);
    post(92, 192, 8)();
    await takeOk(pair.initiator.completionQueue);
  });

  it('reads its options during the call only', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair);
    const { region, remote } = await world.lend(pair);
    local.bytes.set([10, 11, 12, 13]);
    const options = { local, localOffset: 0, remote, remoteOffset: 0, length: 1, id: 0 };
    for (let n = 0; n < 4; n++) {
      options.localOffset = options.remoteOffset = options.id = n;
      pair.initiator.postWrite(options);
    }
    const done = await takeAll(pair.initiator.completionQueue, 4);
    assert.deepEqual(
      done.map((each) => each.id),
      [0, 1, 2, 3],
    );
    await visible(pair.initiator, remote);
    assert.deepEqual([...region.bytes.subarray(0, 5)], [10, 11, 12, 13, 0]);
  });

  it('that the target refuses ends the connection with the cause', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair);
    const { region, remote } = await world.lend(pair);
    await region.close();
    pair.initiator.postSend({ length: 0, id: 0 }); // without a receive: holds up what follows
    pair.initiator.postWrite({ local, remote, length: 8, completion: 'on-error', id: 1 });
    pair.initiator.postFlush({ remote, length: 8, type: 'visibility', id: 2 });
    pair.initiator.postWrite({ local, remote, length: 8, id: 3 });
    pair.target.postReceive({ length: 0 });
    const rest = await takeRest(pair.initiator.completionQueue);
    // One of them carries the cause: which one differs by provider.
    assert.ok(rest.some((each) => each.status === 'remote-access'));
    assert.ok(rest.filter((each) => each.id === 2 && !each.ok).length === 1);
    assert.equal(rest.filter((each) => each.id === 3).length, 1);
    assert.ok(rest.filter((each) => each.id === 1).length <= 1);
    assert.throws(() => pair.initiator.postWrite({ length: 0 }), /ERR_RPMA|closed/);
  });

  for (const crc of [true, false]) {
    it(
      `16 MiB goes through whole, CRC ${crc ? 'on' : 'off'}`,
      async (world) => {
        const options = { crc, sendQueueSize: 32 };
        const pair = await world.pair({ initiator: options, target: options });
        const size = 16 << 20;
        const local = await world.local(pair, size);
        const { region, remote } = await world.lend(pair, size);
        world.random(22).fill(local.bytes.subarray(0, 1 << 16));
        for (let at = 1 << 16; at < size; at += 1 << 16) {
          local.bytes.copyWithin(at, at - (1 << 16), at);
          local.bytes[at] = at >> 16;
        }
        pair.initiator.postWrite({ local, remote, length: size, completion: 'on-error' });
        await visible(pair.initiator, remote);
        assert.ok(Buffer.from(region.bytes).equals(local.bytes));
        local.bytes.fill(0);
        pair.initiator.postRead({ local, remote, length: size });
        await takeOk(pair.initiator.completionQueue);
        assert.ok(Buffer.from(local.bytes).equals(region.bytes));
      },
      { timeoutMs: 60_000 },
    );
  }

  for (const maxFrameBytes of ['mss', 512, 1448] as const) {
    it(
      `frames of ${maxFrameBytes} carry the same bytes`,
      async (world) => {
        const pair = await world.pair({
          initiator: { maxFrameBytes },
          target: { maxFrameBytes },
        });
        const local = await world.local(pair, 100_003);
        const { region, remote } = await world.lend(pair, 100_003);
        world.random(23).fill(local.bytes);
        pair.initiator.postWrite({ local, remote, length: 100_003, completion: 'on-error' });
        await visible(pair.initiator, remote);
        assert.ok(Buffer.from(region.bytes).equals(local.bytes));
        region.bytes.fill(7, 50, 99_000);
        pair.initiator.postRead({ local, remote, length: 100_003 });
        await takeOk(pair.initiator.completionQueue);
        assert.ok(Buffer.from(local.bytes).equals(region.bytes));
      },
      { skip: provider === 'iwarp' ? false : 'frames are of iwarp' },
    );
  }
});
