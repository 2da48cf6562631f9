// SPDX-License-Identifier: BSD-3-Clause
//
// Registration (librpma: mr_reg, mr_dereg, mr_get_ptr, mr_get_size) and what each usage bit
// opens. librpma turns usage into access flags of the device; here each bit opens its own use and
// nothing else, which these tests see from both sides of a connection.

import assert from 'node:assert/strict';
import { type MemoryRegion, MemoryUsage, RemoteRegion } from 'rpma';
import { argumentError, conform, withCode } from '../support/conform.js';
import { withDeadline } from '../support/deadline.js';
import { type Pair, takeAll, takeOk, type World } from '../support/world.js';

const wrongType = argumentError('TypeError', 'INVALID_ARG_TYPE');
const wrongUsage = argumentError('TypeError', 'INVALID_ARG_VALUE');
const names = Object.keys(MemoryUsage) as (keyof typeof MemoryUsage)[];

/** The same memory as if everything were granted. */
function forged(region: MemoryRegion): RemoteRegion {
  const bytes = region.toDescriptor();
  bytes[20] = 0xff;
  return RemoteRegion.fromDescriptor(bytes);
}

/** The uses that another side can try: which usage bit opens each. */
const remoteUses = {
  ReadSource: 'read',
  WriteDestination: 'write',
  FlushVisibility: 'flush',
} as const;
type RemoteUse = (typeof remoteUses)[keyof typeof remoteUses];

/**
 * Posts behind a message that has no receive yet, so that nothing is refused before all is posted;
 * gives the status of the last, a read of nothing, which tells what became of a write before it.
 */
async function statusBehind(pair: Pair, post: () => void): Promise<string> {
  const { initiator, target } = pair;
  initiator.postSend({ length: 0, completion: 'on-error' });
  post();
  initiator.postRead({ length: 0 });
  target.postReceive({ length: 0 });
  const [done] = await takeAll(initiator.completionQueue, 1);
  return done?.status ?? 'nothing';
}

/** Tries one use with a descriptor; 'success', or how it was refused. */
function tryUse(
  pair: Pair,
  local: MemoryRegion,
  remote: RemoteRegion,
  use: RemoteUse,
): Promise<string> {
  const completion = 'on-error' as const;
  return statusBehind(pair, () => {
    const { initiator } = pair;
    if (use === 'read') initiator.postRead({ local, remote, length: 64, completion });
    if (use === 'write') initiator.postWrite({ local, remote, length: 8, completion });
    if (use === 'flush') {
      initiator.postFlush({ remote, length: 8, type: 'visibility', completion });
    }
  });
}

async function regionOf(world: World, pair: Pair, usage: number): Promise<MemoryRegion> {
  const file = await world.file(4096);
  return pair.targetPeer.register(file, { usage });
}

conform('registration, as librpma has it', ({ it }) => {
  it('refuses NULL memory, and options that are NULL', async (world) => {
    const peer = await world.peer();
    for (const memory of [null, undefined, 0, '', {}, []]) {
      await assert.rejects(peer.register(memory as never, { usage: 1 }), wrongType);
    }
    await assert.rejects(peer.register(new ArrayBuffer(64), null as never), wrongType);
    await assert.rejects(peer.allocate(64, undefined as never), wrongType);
  });

  it('refuses size 0', async (world) => {
    const peer = await world.peer();
    const empty = argumentError('RangeError', 'OUT_OF_RANGE');
    await assert.rejects(peer.allocate(0, { usage: 1 }), empty);
    await assert.rejects(peer.register(new ArrayBuffer(64), { usage: 1, length: 0 }), empty);
    await assert.rejects(peer.register(new ArrayBuffer(0), { usage: 1 }), /ERR_RPMA|byte|size/);
  });

  it('refuses usage 0', async (world) => {
    const peer = await world.peer();
    await assert.rejects(peer.allocate(64, { usage: 0 }), wrongUsage);
    await assert.rejects(peer.register(new ArrayBuffer(64), { usage: 0 }), wrongUsage);
  });

  it('refuses unknown usage bits', async (world) => {
    const peer = await world.peer();
    const refused = (error: unknown): boolean =>
      error instanceof TypeError || error instanceof RangeError;
    for (const usage of [0x100, 0x101, -1, 1.5, 2 ** 31, Number.NaN]) {
      await assert.rejects(peer.allocate(64, { usage }), refused, `${usage}`);
      await assert.rejects(peer.register(new ArrayBuffer(64), { usage }), refused, `${usage}`);
    }
  });

  it('and its end: the region tells its memory and size, and the memory outlives it', async (world) => {
    const peer = await world.peer();
    const memory = new Uint8Array(new ArrayBuffer(96), 16, 64).fill(5);
    const region = await peer.register(memory, { usage: MemoryUsage.ReadSource });
    assert.equal(region.sizeBytes, 64);
    assert.equal(region.bytes.buffer, memory.buffer);
    assert.equal(region.bytes.byteOffset, 16);
    assert.equal(region.bytes.length, 64);
    await region.close();
    assert.equal(region.bytes.length, 0);
    assert.equal(memory.length, 64);
    assert.ok(
      memory.every((byte) => byte === 5),
      'the memory itself is untouched',
    );
    memory.fill(6);
  });

  it('a region is closed once, however often it is asked', async (world) => {
    const peer = await world.peer();
    const region = await peer.allocate(64, { usage: MemoryUsage.ReadSource });
    const first = region.close();
    assert.equal(region.close(), first);
    await withDeadline(first, 'a region closes');
    await withDeadline(region.close(), 'it is closed');
  });

  it('that fails leaves nothing behind: the same memory can be registered', async (world) => {
    const peer = await world.peer();
    const memory = new ArrayBuffer(64);
    await assert.rejects(peer.register(memory, { usage: 0 }), wrongUsage);
    await assert.rejects(peer.register(memory, { usage: 0x20 }), withCode('NOT_PERSISTENT'));
    assert.equal(structuredClone(memory, { transfer: [memory] }).byteLength, 64, 'still movable');
  });
});

conform('usage', ({ it }) => {
  for (const name of names) {
    it(`${name} opens its own use to the other side, and no other`, async (world) => {
      for (const [granted, use] of Object.entries(remoteUses)) {
        const pair = await world.pair();
        const local = await world.local(pair);
        const region = await regionOf(world, pair, MemoryUsage[name]);
        const status = await tryUse(pair, local, forged(region), use);
        const wanted = name === granted ? 'success' : 'remote-access';
        assert.equal(status, wanted, `${name}: ${use}`);
      }
    });
  }

  it('WriteDestination opens atomic writes as well', async (world) => {
    for (const usage of [MemoryUsage.WriteDestination, MemoryUsage.ReadSource]) {
      const pair = await world.pair();
      const region = await regionOf(world, pair, usage);
      const status = await statusBehind(pair, () => {
        const remote = forged(region);
        pair.initiator.postAtomicWrite({ remote, value: 9n, completion: 'on-error' });
      });
      const opens = usage === MemoryUsage.WriteDestination;
      assert.equal(status, opens ? 'success' : 'remote-access');
      assert.equal(region.bytes[0], opens ? 9 : 0);
    }
  });

  it('FlushPersistent opens persistent flushes', async (world) => {
    for (const usage of [MemoryUsage.FlushPersistent, MemoryUsage.WriteDestination]) {
      const pair = await world.pair();
      const region = await regionOf(world, pair, usage);
      pair.initiator.postFlush({ remote: forged(region), length: 8, type: 'persistent' });
      const [done] = await takeAll(pair.initiator.completionQueue, 1);
      assert.equal(done?.ok, usage === MemoryUsage.FlushPersistent);
    }
  });

  it('of local memory opens one use each: without it the post is refused', async (world) => {
    const pair = await world.pair();
    const { initiator } = pair;
    const { remote } = await world.lend(pair);
    for (const name of names.filter((each) => each !== 'FlushPersistent')) {
      const local = await pair.initiatorPeer.allocate(64, { usage: MemoryUsage[name] });
      const uses: readonly [keyof typeof MemoryUsage, () => void][] = [
        ['ReadDestination', () => initiator.postRead({ local, remote, length: 8 })],
        ['WriteSource', () => initiator.postWrite({ local, remote, length: 8 })],
        ['Send', () => initiator.postSend({ local, length: 8 })],
        ['Receive', () => initiator.postReceive({ local, length: 8 })],
      ];
      for (const [needed, post] of uses) {
        if (needed !== name) assert.throws(post, withCode('USAGE'), `${name} for ${needed}`);
        else {
          if (name === 'Send') pair.target.postReceive({ local: await inbox(pair), length: 8 });
          post();
          if (name !== 'Receive') await takeOk(initiator.completionQueue);
        }
      }
    }
  });

  it('ReadDestination is enough to read into: no one else may write there', async (world) => {
    const pair = await world.pair();
    const { remote } = await world.lend(pair);
    const local = await pair.initiatorPeer.allocate(64, { usage: MemoryUsage.ReadDestination });
    pair.initiator.postRead({ local, remote, length: 64 });
    await takeOk(pair.initiator.completionQueue);
    // librpma on iWARP grants remote writes with it; the other side would use them like this.
    const source = await pair.targetPeer.allocate(64, { usage: MemoryUsage.WriteSource });
    source.bytes.fill(1);
    const back = { ...pair, initiator: pair.target, target: pair.initiator };
    assert.equal(await tryUse(back, source, forged(local), 'write'), 'remote-access');
    assert.ok(local.bytes.every((byte) => byte === 0));
  });
});

function inbox(pair: Pair): Promise<MemoryRegion> {
  return pair.targetPeer.allocate(64, { usage: MemoryUsage.Receive });
}
