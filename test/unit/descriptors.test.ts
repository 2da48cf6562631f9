// SPDX-License-Identifier: BSD-3-Clause
//
// Descriptors of regions and peers: librpma's bytes, both ways.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { MemoryUsage, PeerConfig, RemoteRegion } from 'rpma/descriptors';

/** An address, a size and a usage that a descriptor may have. */
const places = fc
  .record({
    address: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    size: fc.bigInt({ min: 1n, max: 2n ** 53n - 1n }),
    key: fc.nat(2 ** 32 - 1),
    usage: fc.integer({ min: 1, max: 255 }),
  })
  .filter(({ address, size }) => address + size <= 2n ** 64n);

interface Place {
  readonly address: bigint;
  readonly size: bigint;
  readonly key: number;
  readonly usage: number;
}

function encode({ address, size, key, usage }: Place): Uint8Array {
  const bytes = new Uint8Array(21);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, address, true);
  view.setBigUint64(8, size, true);
  view.setUint32(16, key, true);
  view.setUint8(20, usage);
  return bytes;
}

const malformed = { name: 'RangeError', code: 'ERR_RPMA_DESCRIPTOR' };

describe('a region descriptor', () => {
  test("librpma's example reads as it was written", () => {
    const bytes = Buffer.from('00705634127f0000' + '0004000000000000' + '2c1b0a00' + '18', 'hex');
    const region = RemoteRegion.fromDescriptor(bytes);
    assert.equal(region.address, 0x00007f1234567000n);
    assert.equal(region.sizeBytes, 1024);
    assert.equal(region.usage, MemoryUsage.WriteDestination | MemoryUsage.FlushVisibility);
    assert.deepEqual(region.flushTypes, ['visibility']);
    assert.deepEqual(Buffer.from(region.toDescriptor()), bytes);
  });

  test('survives the way there and back, whatever follows it', () => {
    fc.assert(
      fc.property(places, fc.uint8Array({ maxLength: 8 }), (place, tail) => {
        const bytes = encode(place);
        const region = RemoteRegion.fromDescriptor(Uint8Array.of(...bytes, ...tail));
        assert.equal(region.address, place.address);
        assert.equal(BigInt(region.sizeBytes), place.size);
        assert.equal(region.usage, place.usage);
        assert.deepEqual(region.toDescriptor(), bytes);
        assert.equal(region.flushTypes.includes('visibility'), (place.usage & 0x10) !== 0);
        assert.equal(region.flushTypes.includes('persistent'), (place.usage & 0x20) !== 0);
      }),
    );
  });

  test('is read at its offset in a larger buffer, and copied', () => {
    const bytes = encode({ address: 4096n, size: 64n, key: 7, usage: 1 });
    const block = new Uint8Array(40);
    block.set(bytes, 5);
    const region = RemoteRegion.fromDescriptor(block.subarray(5));
    block.fill(0);
    const first = region.toDescriptor();
    first.fill(0);
    assert.deepEqual(region.toDescriptor(), bytes);
  });

  test('of fewer than 21 bytes is refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 20 }), (bytes) => {
        assert.throws(() => RemoteRegion.fromDescriptor(bytes), malformed);
      }),
    );
  });

  test('with usage 0, size 0, a size beyond 2^53 - 1 or a wrapping end is refused', () => {
    const good: Place = { address: 4096n, size: 64n, key: 7, usage: 1 };
    for (const wrong of [
      { usage: 0 },
      { size: 0n },
      { size: 2n ** 53n },
      { address: 2n ** 64n - 63n },
    ]) {
      const bytes = encode({ ...good, ...wrong });
      assert.throws(() => RemoteRegion.fromDescriptor(bytes), malformed, Object.keys(wrong)[0]);
    }
    const last = encode({ ...good, address: 2n ** 64n - 64n });
    assert.equal(RemoteRegion.fromDescriptor(last).sizeBytes, 64);
  });

  test('must be bytes', () => {
    for (const value of [undefined, null, 'text', [0], new ArrayBuffer(21)]) {
      assert.throws(() => RemoteRegion.fromDescriptor(value as never), {
        name: 'TypeError',
        code: 'ERR_RPMA_INVALID_ARG_TYPE',
      });
    }
  });

  test('never makes anything but a region or ERR_RPMA_DESCRIPTOR of random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          assert.deepEqual(RemoteRegion.fromDescriptor(bytes).toDescriptor(), bytes.slice(0, 21));
        } catch (error) {
          assert.equal((error as { code?: unknown }).code, 'ERR_RPMA_DESCRIPTOR');
        }
      }),
    );
  });
});

describe('a peer descriptor', () => {
  test('is one byte, 0 or 1', () => {
    assert.deepEqual([...new PeerConfig().toDescriptor()], [0]);
    assert.deepEqual([...new PeerConfig({ directWriteToPmem: true }).toDescriptor()], [1]);
  });

  test('any first byte but 0 is true, the tail is ignored', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 8 }), (bytes) => {
        const config = PeerConfig.fromDescriptor(bytes);
        assert.equal(config.directWriteToPmem, bytes[0] !== 0);
        assert.equal(config.toDescriptor().length, 1);
      }),
    );
  });

  test('of no bytes is refused, and options are checked', () => {
    assert.throws(() => PeerConfig.fromDescriptor(new Uint8Array(0)), malformed);
    const wrong = { name: 'TypeError', code: 'ERR_RPMA_INVALID_ARG_TYPE' };
    assert.throws(() => PeerConfig.fromDescriptor(1 as never), wrong);
    assert.throws(() => new PeerConfig({ directWriteToPmem: 1 as never }), wrong);
    assert.throws(() => new PeerConfig(null as never), wrong);
  });
});

describe('memory usage', () => {
  test("is librpma's byte", () => {
    assert.deepEqual(Object.values(MemoryUsage), [1, 2, 4, 8, 16, 32, 64, 128]);
    assert.ok(Object.isFrozen(MemoryUsage));
  });
});
