// SPDX-License-Identifier: BSD-3-Clause
//
// Remote regions and their 21-byte descriptors (librpma: mr_remote_from_descriptor,
// mr_remote_get_size, mr_remote_get_flush_type).

import assert from 'node:assert/strict';
import { MemoryUsage, RemoteRegion } from 'rpma';
import * as descriptors from 'rpma/descriptors';
import { argumentError, conform } from '../support/conform.js';
import { takeOk } from '../support/world.js';

/** librpma's own example: WRITE_DST and FLUSH_VISIBILITY over 1024 bytes. */
const example = Uint8Array.from(Buffer.from('00705634127f000000040000000000002c1b0a0018', 'hex'));

function built(address: bigint, length: bigint, key: number, usage: number): Uint8Array {
  const bytes = new Uint8Array(21);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, address, true);
  view.setBigUint64(8, length, true);
  view.setUint32(16, key, true);
  view.setUint8(20, usage);
  return bytes;
}

conform('remote region', ({ it }) => {
  it("reads and gives back librpma's bytes", () => {
    const remote = RemoteRegion.fromDescriptor(example);
    assert.equal(remote.address, 0x00007f1234567000n);
    assert.equal(remote.sizeBytes, 1024);
    assert.equal(remote.usage, MemoryUsage.WriteDestination | MemoryUsage.FlushVisibility);
    assert.deepEqual(remote.toDescriptor(), example);
    assert.notEqual(remote.toDescriptor(), remote.toDescriptor());
  });

  it('ignores what follows the 21 bytes and reads at any alignment', () => {
    const long = new Uint8Array(64).fill(0xff);
    long.set(example, 3);
    assert.deepEqual(RemoteRegion.fromDescriptor(long.subarray(3)).toDescriptor(), example);
  });

  it('is a value: changing the bytes afterwards changes nothing', () => {
    const bytes = example.slice();
    const remote = RemoteRegion.fromDescriptor(bytes);
    bytes.fill(0);
    remote.toDescriptor().fill(0);
    assert.deepEqual(remote.toDescriptor(), example);
  });

  it('tells which flush types the owner granted', () => {
    const types = (usage: number) => [
      ...RemoteRegion.fromDescriptor(built(4096n, 8n, 1, usage)).flushTypes,
    ];
    assert.deepEqual(types(0x08), []);
    assert.deepEqual(types(0x18), ['visibility']);
    assert.deepEqual(types(0x28), ['persistent']);
    assert.deepEqual(types(0x38).sort(), ['persistent', 'visibility']);
  });

  it('refuses short bytes and usage 0, as librpma', () => {
    const refused = argumentError('RangeError', 'DESCRIPTOR');
    for (let length = 0; length < 21; length++) {
      assert.throws(() => RemoteRegion.fromDescriptor(example.subarray(0, length)), refused);
    }
    assert.throws(() => RemoteRegion.fromDescriptor(built(4096n, 8n, 1, 0)), refused);
  });

  it('refuses size 0 and a range that wraps (librpma takes both)', () => {
    const refused = argumentError('RangeError', 'DESCRIPTOR');
    assert.throws(() => RemoteRegion.fromDescriptor(built(4096n, 0n, 1, 8)), refused);
    assert.throws(() => RemoteRegion.fromDescriptor(built(2n ** 64n - 8n, 16n, 1, 8)), refused);
    RemoteRegion.fromDescriptor(built(2n ** 64n - 16n, 8n, 1, 8));
  });

  it('is the same class in rpma/descriptors', () => {
    assert.equal(descriptors.RemoteRegion, RemoteRegion);
    assert.equal(descriptors.MemoryUsage, MemoryUsage);
  });

  it('is read at the post only: two copies of one descriptor are alike', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair);
    const { region } = await world.lend(pair);
    region.bytes[0] = 42;
    const copy = RemoteRegion.fromDescriptor(
      RemoteRegion.fromDescriptor(region.toDescriptor()).toDescriptor(),
    );
    pair.initiator.postRead({ local, remote: copy, length: 1 });
    await takeOk(pair.initiator.completionQueue);
    assert.equal(local.bytes[0], 42);
  });
});
