// SPDX-License-Identifier: BSD-3-Clause
//
// The two descriptors, byte by byte (librpma: mr_get_descriptor, mr_remote_from_descriptor,
// peer_cfg_get_descriptor, peer_cfg_from_descriptor): 21 bytes and 1 byte, packed, little-endian,
// without version or checksum.

import assert from 'node:assert/strict';
import { MemoryUsage, PeerConfig, RemoteRegion } from 'rpma';
import { argumentError, conform, withCode } from '../support/conform.js';
import { takeOk } from '../support/world.js';

/** Address 0x7f1234567000, 1024 bytes, key 0x000a1b2c, WriteDestination and FlushVisibility. */
const known = Uint8Array.from(
  Buffer.from('00705634127f0000' + '0004000000000000' + '2c1b0a00' + '18', 'hex'),
);
const malformed = argumentError('RangeError', 'DESCRIPTOR');
const wrongType = argumentError('TypeError', 'INVALID_ARG_TYPE');
/** What a NULL in place of the bytes may be. */
const noBytes = [null, undefined, 0, '', [], {}, new ArrayBuffer(21), new DataView(known.buffer)];

/** The known descriptor with one field replaced. */
function withField(change: (view: DataView) => void): Uint8Array {
  const bytes = known.slice();
  change(new DataView(bytes.buffer));
  return bytes;
}

conform("librpma's region descriptor", ({ it }) => {
  it('has 21 bytes, whatever the region', async (world) => {
    const peer = await world.peer();
    for (const size of [1, 21, 4096, 1 << 20]) {
      const region = await peer.allocate(size, { usage: MemoryUsage.ReadSource });
      assert.equal(region.toDescriptor().length, 21);
      const bytes = Buffer.from(region.toDescriptor());
      assert.equal(bytes.readBigUInt64LE(8), BigInt(size), 'length at 8, little-endian');
      assert.equal(bytes.readUInt8(20), 0x01, 'usage at 20');
    }
  });

  it('is given as often as it is asked for, in bytes of its own', async (world) => {
    const peer = await world.peer();
    const region = await peer.allocate(64, { usage: MemoryUsage.ReadSource });
    const first = region.toDescriptor();
    const kept = first.slice();
    first.fill(0xff);
    assert.deepEqual(region.toDescriptor(), kept);
  });

  it('carries every usage bit, alone and together', async (world) => {
    const peer = await world.peer();
    const file = await world.file(4096);
    const bits = Object.values(MemoryUsage);
    assert.deepEqual(bits, [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80]);
    for (const usage of [...bits, 0xff]) {
      const region = await peer.register(file, { usage });
      assert.equal(region.toDescriptor()[20], usage);
      assert.equal(RemoteRegion.fromDescriptor(region.toDescriptor()).usage, usage);
      await region.close();
    }
  });

  it('is read field by field: address u64, size u64, key u32, usage u8, little-endian', () => {
    const region = RemoteRegion.fromDescriptor(known);
    assert.equal(region.address, 0x7f12_3456_7000n);
    assert.equal(region.sizeBytes, 1024);
    assert.equal(region.usage, 0x18);
    assert.deepEqual(region.toDescriptor(), known);
    const key = withField((view) => view.setUint32(16, 0xfffffffe, true));
    assert.deepEqual(RemoteRegion.fromDescriptor(key).toDescriptor(), key);
  });

  it('is read at any alignment, in buffers of any kind', () => {
    for (let at = 0; at < 9; at++) {
      for (const buffer of [new ArrayBuffer(40), new SharedArrayBuffer(40)]) {
        const bytes = new Uint8Array(buffer, at, 21);
        bytes.set(known);
        assert.deepEqual(RemoteRegion.fromDescriptor(bytes).toDescriptor(), known, `${at}`);
      }
    }
    assert.deepEqual(RemoteRegion.fromDescriptor(Buffer.from(known)).toDescriptor(), known);
  });

  it('of fewer than 21 bytes is refused, of more is read without its tail', () => {
    for (let length = 0; length < 21; length++) {
      assert.throws(() => RemoteRegion.fromDescriptor(known.subarray(0, length)), malformed);
    }
    for (const tail of [1, 3, 1000]) {
      const long = new Uint8Array(21 + tail).fill(0xee);
      long.set(known);
      assert.deepEqual(RemoteRegion.fromDescriptor(long).toDescriptor(), known);
    }
  });

  it('that is NULL, or no bytes, is a TypeError', () => {
    for (const bytes of noBytes) {
      assert.throws(() => RemoteRegion.fromDescriptor(bytes as never), wrongType);
    }
  });

  it('with usage 0 is refused', () => {
    const none = withField((view) => view.setUint8(20, 0));
    assert.throws(() => RemoteRegion.fromDescriptor(none), malformed);
    for (let usage = 1; usage < 256; usage++) {
      const some = withField((view) => view.setUint8(20, usage));
      assert.equal(RemoteRegion.fromDescriptor(some).usage, usage);
    }
  });

  it('with size 0, a size no number can say, or an end beyond 2^64 is refused', () => {
    const size = (value: bigint) => withField((view) => view.setBigUint64(8, value, true));
    assert.throws(() => RemoteRegion.fromDescriptor(size(0n)), malformed);
    assert.throws(() => RemoteRegion.fromDescriptor(size(2n ** 53n)), malformed);
    assert.throws(() => RemoteRegion.fromDescriptor(size(2n ** 64n - 1n)), malformed);
    assert.equal(RemoteRegion.fromDescriptor(size(2n ** 53n - 1n)).sizeBytes, 2 ** 53 - 1);
    const wraps = withField((view) => view.setBigUint64(0, 2n ** 64n - 1023n, true));
    assert.throws(() => RemoteRegion.fromDescriptor(wraps), malformed);
    const ends = withField((view) => view.setBigUint64(0, 2n ** 64n - 1024n, true));
    assert.equal(RemoteRegion.fromDescriptor(ends).address, 2n ** 64n - 1024n);
  });

  it('tells the granted flush types', () => {
    for (const [usage, types] of [
      [0xcf, []],
      [0x10, ['visibility']],
      [0x20, ['persistent']],
      [0x30, ['visibility', 'persistent']],
    ] as const) {
      const bytes = withField((view) => view.setUint8(20, usage));
      assert.deepEqual(RemoteRegion.fromDescriptor(bytes).flushTypes, types);
    }
  });

  it('may be dropped as soon as the operation is posted', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair);
    const { region } = await world.lend(pair);
    region.bytes[0] = 17;
    const bytes = region.toDescriptor();
    // Nothing holds the value but the post itself, and its bytes are overwritten behind it.
    pair.initiator.postRead({ local, remote: RemoteRegion.fromDescriptor(bytes), length: 1 });
    bytes.fill(0);
    globalThis.gc?.();
    await takeOk(pair.initiator.completionQueue);
    assert.equal(local.bytes[0], 17);
  });

  it('of a closed region is not given any more', async (world) => {
    const peer = await world.peer();
    const region = await peer.allocate(64, { usage: MemoryUsage.ReadSource });
    await region.close();
    assert.throws(() => region.toDescriptor(), withCode('CLOSED'));
  });
});

conform("librpma's peer descriptor", ({ it }) => {
  it('has 1 byte, written as 0 or 1', () => {
    for (const directWriteToPmem of [false, true]) {
      const bytes = new PeerConfig({ directWriteToPmem }).toDescriptor();
      assert.equal(bytes.length, 1);
      assert.equal(bytes[0], directWriteToPmem ? 1 : 0);
    }
  });

  it('comes back as it was given', () => {
    for (const directWriteToPmem of [false, true]) {
      const bytes = new PeerConfig({ directWriteToPmem }).toDescriptor();
      assert.equal(PeerConfig.fromDescriptor(bytes).directWriteToPmem, directWriteToPmem);
    }
  });

  it('is true for any byte but 0, and its tail is ignored', () => {
    for (let byte = 0; byte < 256; byte++) {
      for (const tail of [[], [0], [1, 1, 1]]) {
        const config = PeerConfig.fromDescriptor(Uint8Array.of(byte, ...tail));
        assert.equal(config.directWriteToPmem, byte !== 0);
        assert.deepEqual([...config.toDescriptor()], [byte === 0 ? 0 : 1]);
      }
    }
  });

  it('of no byte is refused', () => {
    assert.throws(() => PeerConfig.fromDescriptor(new Uint8Array(0)), malformed);
  });

  it('that is NULL, or no bytes, is a TypeError', () => {
    for (const bytes of noBytes) {
      assert.throws(() => PeerConfig.fromDescriptor(bytes as never), wrongType);
    }
  });
});

conform("librpma's peer configuration", ({ it }) => {
  it('says no unless told, and keeps what it was told', () => {
    assert.equal(new PeerConfig().directWriteToPmem, false);
    assert.equal(new PeerConfig({}).directWriteToPmem, false);
    assert.equal(new PeerConfig({ directWriteToPmem: undefined }).directWriteToPmem, false);
    const config = new PeerConfig({ directWriteToPmem: true });
    assert.equal(config.directWriteToPmem, true);
    assert.throws(() => Object.assign(config, { directWriteToPmem: false }), TypeError);
    assert.equal(config.directWriteToPmem, true);
  });

  it('refuses what is no boolean, and options that are NULL', () => {
    for (const directWriteToPmem of [null, 0, 1, 'true']) {
      const options = { directWriteToPmem } as never;
      assert.throws(() => new PeerConfig(options), wrongType);
    }
    assert.throws(() => new PeerConfig(null as never), wrongType);
  });

  it('is applied to a connection; NULL, or what is no PeerConfig, is refused', async (world) => {
    const { initiator } = await world.pair();
    initiator.applyRemotePeerConfig(new PeerConfig({ directWriteToPmem: true }));
    for (const config of [null, undefined, {}, { directWriteToPmem: true }, Uint8Array.of(1)]) {
      assert.throws(() => initiator.applyRemotePeerConfig(config as never), wrongType);
    }
    assert.equal(initiator.state, 'established');
  });
});
