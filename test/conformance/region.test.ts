// SPDX-License-Identifier: BSD-3-Clause
//
// Memory regions (librpma: mr_reg, mr_dereg, mr_get_ptr, mr_get_size, mr_get_descriptor).

import assert from 'node:assert/strict';
import { type MemoryRegion, MemoryUsage, PmemFile, RemoteRegion } from 'rpma';
import { argumentError, conform, withCode } from '../support/conform.js';
import { withDeadline } from '../support/deadline.js';
import {
  durableUsage,
  type Pair,
  remoteUsage,
  takeAll,
  takeOk,
  takeRest,
  type World,
} from '../support/world.js';

function descriptorView(region: MemoryRegion): DataView {
  const bytes = region.toDescriptor();
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Writes `text` to the region from the other side and waits until it is visible. */
async function writeInto(world: World, pair: Pair, region: MemoryRegion, text: string) {
  const local = await world.local(pair);
  const bytes = new TextEncoder().encode(text);
  local.bytes.set(bytes);
  const remote = RemoteRegion.fromDescriptor(region.toDescriptor());
  const { initiator } = pair;
  initiator.postWrite({ local, remote, length: bytes.length, completion: 'on-error' });
  initiator.postFlush({ remote, length: bytes.length, type: 'visibility' });
  await takeOk(initiator.completionQueue);
}

/** A page of WebAssembly memory: empty module, one exported memory. */
function wasmMemory(): ArrayBuffer {
  const { Memory } = Reflect.get(globalThis, 'WebAssembly') as {
    Memory: new (limits: { initial: number }) => { readonly buffer: ArrayBuffer };
  };
  return new Memory({ initial: 1 }).buffer;
}

conform('region', ({ it }) => {
  it('tells its size and its usage', async (world) => {
    const peer = await world.peer();
    const region = await peer.allocate(1000, { usage: remoteUsage });
    assert.equal(region.peer, peer);
    assert.equal(region.sizeBytes, 1000);
    assert.equal(region.usage, remoteUsage);
    assert.equal(region.bytes.length, 1000);
    assert.equal(region.inFlight, 0);
  });

  it('allocate() gives zeroed memory on a page boundary', async (world) => {
    const peer = await world.peer();
    const region = await peer.allocate(10_000, { usage: remoteUsage });
    assert.ok(region.bytes.every((byte) => byte === 0));
    assert.equal(descriptorView(region).getBigUint64(0, true) % 4096n, 0n);
  });

  it('view() gives windows of the same memory', async (world) => {
    const peer = await world.peer();
    const region = await peer.allocate(8192, { usage: remoteUsage });
    const window = region.view(4096, 16);
    window[3] = 77;
    assert.equal(window.length, 16);
    assert.equal(region.bytes[4099], 77);
    assert.throws(() => region.view(8190, 3), argumentError('RangeError', 'OUT_OF_RANGE'));
  });

  it('registers memory in place, never a copy', async (world) => {
    const pair = await world.pair();
    const plain = new ArrayBuffer(64);
    const shared = new SharedArrayBuffer(64);
    for (const memory of [plain, shared, new Uint8Array(64), new Float64Array(8)]) {
      const region = await pair.targetPeer.register(memory, { usage: remoteUsage });
      await writeInto(world, pair, region, 'in place');
      const seen = ArrayBuffer.isView(memory)
        ? new Uint8Array(memory.buffer, memory.byteOffset, memory.byteLength)
        : new Uint8Array(memory);
      assert.equal(Buffer.from(seen.slice(0, 8)).toString(), 'in place');
    }
  });

  it('registers a view, an offset and a length of it', async (world) => {
    const pair = await world.pair();
    const memory = new Uint8Array(new ArrayBuffer(256), 32, 128);
    const options = { usage: remoteUsage, offset: 16, length: 8 };
    const region = await pair.targetPeer.register(memory, options);
    assert.equal(region.sizeBytes, 8);
    await writeInto(world, pair, region, 'inmiddle');
    assert.equal(Buffer.from(memory.subarray(16, 24)).toString(), 'inmiddle');
    assert.equal(memory[15], 0);
    assert.equal(memory[24], 0);
    await assert.rejects(
      pair.targetPeer.register(memory, { usage: remoteUsage, offset: 120, length: 9 }),
      argumentError('RangeError', 'OUT_OF_RANGE'),
    );
  });

  it('holds a registered ArrayBuffer: it can no longer be transferred', async (world) => {
    const peer = await world.peer();
    const memory = new ArrayBuffer(32);
    await peer.register(memory, { usage: remoteUsage });
    const { port1, port2 } = new MessageChannel();
    world.after(() => {
      port1.close();
      port2.close();
    });
    // Node 20 copies what is marked, later versions throw: either way it stays.
    for (const move of [
      () => structuredClone(memory, { transfer: [memory] }),
      () => port1.postMessage(memory, [memory]),
    ]) {
      try {
        move();
      } catch (error) {
        assert.equal((error as Error).name, 'DataCloneError');
      }
      assert.equal(memory.byteLength, 32);
    }
  });

  it('refuses memory that can move or is not whole', async (world) => {
    const peer = await world.peer();
    const refused = { usage: remoteUsage };
    const pooled = Buffer.from('a short text shares its slab');
    const detached = new ArrayBuffer(8);
    structuredClone(detached, { transfer: [detached] });
    const resizable = Reflect.construct(ArrayBuffer, [8, { maxByteLength: 16 }]) as ArrayBuffer;
    for (const memory of [wasmMemory(), pooled, detached, resizable]) {
      await assert.rejects(
        peer.register(memory, refused),
        argumentError('TypeError', 'INVALID_ARG_VALUE', 'INVALID_ARG_TYPE'),
      );
    }
  });

  it('refuses size 0, usage 0 and unknown usage bits', async (world) => {
    const peer = await world.peer();
    for (const usage of [0, 0x100, -1, 1.5]) {
      await assert.rejects(peer.allocate(64, { usage }), /ERR_RPMA|usage/);
      await assert.rejects(peer.register(new ArrayBuffer(64), { usage }), /ERR_RPMA|usage/);
    }
    await assert.rejects(peer.allocate(0, { usage: remoteUsage }));
    await assert.rejects(peer.register(new ArrayBuffer(0), { usage: remoteUsage }));
  });

  it('refuses a persistent flush grant on memory that is no PmemFile', async (world) => {
    const peer = await world.peer();
    await assert.rejects(peer.allocate(64, { usage: durableUsage }), withCode('NOT_PERSISTENT'));
    await assert.rejects(
      peer.register(new SharedArrayBuffer(64), { usage: durableUsage }),
      withCode('NOT_PERSISTENT'),
    );
  });

  it('describes itself in 21 bytes: base, length, key (little-endian) and usage', async (world) => {
    const peer = await world.peer();
    const region = await peer.allocate(0x1234, { usage: MemoryUsage.WriteDestination | 0x10 });
    const view = descriptorView(region);
    assert.equal(view.byteLength, 21);
    assert.equal(view.getBigUint64(8, true), 0x1234n);
    assert.notEqual(view.getUint32(16, true), 0);
    assert.equal(view.getUint8(20), 0x18);
    assert.notEqual(region.toDescriptor(), region.toDescriptor());
    assert.deepEqual(region.toDescriptor(), region.toDescriptor());
  });

  it('names memory by a random base, not its address (librpma gives the address)', async (world) => {
    const peer = await world.peer();
    const memory = new ArrayBuffer(4096);
    const first = descriptorView(await peer.register(memory, { usage: remoteUsage }));
    const second = descriptorView(await peer.register(memory, { usage: remoteUsage }));
    const [base, other] = [first.getBigUint64(0, true), second.getBigUint64(0, true)];
    assert.notEqual(base, other);
    assert.equal(base % 4096n, other % 4096n);
    assert.notEqual(first.getUint32(16, true), second.getUint32(16, true));
  });

  it('one registration of memory may end while another goes on', async (world) => {
    const pair = await world.pair();
    const memory = new Uint8Array(64);
    const first = await pair.targetPeer.register(memory, { usage: remoteUsage });
    const second = await pair.targetPeer.register(memory, { usage: remoteUsage });
    await withDeadline(first.close(), 'a region closes');
    await writeInto(world, pair, second, 'still here');
    assert.equal(Buffer.from(memory.subarray(0, 10)).toString(), 'still here');
  });

  it('revokes remote access from the call of close() on', async (world) => {
    const pair = await world.pair();
    const { region, remote } = await world.lend(pair);
    const local = await world.local(pair);
    pair.initiator.postRead({ local, remote, length: 8 });
    await takeOk(pair.initiator.completionQueue);
    await withDeadline(region.close(), 'a region closes');
    assert.equal(region.bytes.length, 0);
    pair.initiator.postRead({ local, remote, length: 8, id: 5 });
    const [refused] = await takeAll(pair.initiator.completionQueue, 1);
    assert.equal(refused?.status, 'remote-access');
    assert.equal(refused?.id, 5);
    await withDeadline(pair.initiator.whenClosed(), 'the connection ends');
  });

  it('a write to a revoked region ends the connection', async (world) => {
    const pair = await world.pair();
    const { region, remote } = await world.lend(pair);
    const local = await world.local(pair);
    await withDeadline(region.close(), 'a region closes');
    pair.initiator.postSend({ length: 0, id: 0 }); // without a receive: holds up what follows
    pair.initiator.postWrite({ local, remote, length: 8, id: 1 });
    pair.initiator.postFlush({ remote, length: 8, type: 'visibility', id: 2 });
    pair.target.postReceive({ length: 0 });
    const rest = await takeRest(pair.initiator.completionQueue);
    assert.deepEqual(
      rest.map((each) => each.id),
      [0, 1, 2],
    );
    // The write or the flush carries the cause: which of them differs by provider.
    assert.ok(rest.some((each) => each.status === 'remote-access'));
    assert.equal(rest[2]?.ok, false);
  });

  it('close() waits for operations in flight and is idempotent', async (world) => {
    const pair = await world.pair();
    const { remote } = await world.lend(pair, 1 << 20);
    const local = await world.local(pair, 1 << 20);
    for (let id = 0; id < 8; id++) pair.initiator.postRead({ local, remote, length: 1 << 20, id });
    assert.ok(local.inFlight > 0);
    const closing = local.close();
    assert.equal(local.close(), closing);
    await withDeadline(closing, 'a region closes');
    assert.equal(local.inFlight, 0);
    const done = await takeAll(pair.initiator.completionQueue, 8);
    assert.ok(done.every((each) => each.ok));
    assert.throws(() => pair.initiator.postRead({ local, remote, length: 8 }), withCode('CLOSED'));
    assert.throws(() => local.toDescriptor(), withCode('CLOSED'));
  });

  it('bound to one connection, is of no use to another', async (world) => {
    const pair = await world.pair();
    const other = await world.again(pair);
    const bound = await pair.targetPeer.register(new ArrayBuffer(64), {
      usage: remoteUsage,
      connection: pair.target,
    });
    const remote = RemoteRegion.fromDescriptor(bound.toDescriptor());
    const local = await world.local(pair);
    pair.initiator.postRead({ local, remote, length: 8 });
    await takeOk(pair.initiator.completionQueue);
    other.initiator.postRead({ local, remote, length: 8 });
    const [refused] = await takeAll(other.initiator.completionQueue, 1);
    assert.equal(refused?.status, 'remote-access');
  });

  it('of a file, keeps the file mapped: unmap() is BUSY until it closes', async (world) => {
    const peer = await world.peer();
    const file = await world.file(8192);
    const region = await peer.register(file, { usage: durableUsage });
    assert.equal(region.sizeBytes, 8192);
    await assert.rejects(file.unmap(), withCode('BUSY'));
    await region.close();
    await file.unmap();
    assert.equal(file.bytes.length, 0);
  });

  it('of a read-only file, may be a write source (librpma asks for write access)', async (world) => {
    const pair = await world.pair();
    const writable = await world.file(4096);
    writable.bytes.set([9, 8, 7]);
    const file = world.keep(await PmemFile.map(writable.path, { readOnly: true }));
    const local = await pair.initiatorPeer.register(file, { usage: MemoryUsage.WriteSource });
    const { region, remote } = await world.lend(pair);
    pair.initiator.postWrite({ local, remote, length: 3, completion: 'on-error' });
    pair.initiator.postFlush({ remote, length: 3, type: 'visibility' });
    await takeOk(pair.initiator.completionQueue);
    assert.deepEqual([...region.bytes.subarray(0, 3)], [9, 8, 7]);
    await assert.rejects(
      pair.initiatorPeer.register(file, { usage: MemoryUsage.WriteDestination }),
    );
  });
});
