// SPDX-License-Identifier: BSD-3-Clause
//
// The layouts that the examples share with librpma's C programs, byte by byte.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PeerConfig, RemoteRegion } from 'rpma/descriptors';
import {
  dataOffsetMax,
  packCommonData,
  unpackCommonData,
} from '../../examples/common/common-data.js';
import {
  helloBytes,
  helloText,
  initialiseHello,
  translateHello,
} from '../../examples/common/hello.js';

/** Address 0x7f1234567000, 1024 bytes, key 0x000a1b2c, written and flushed to visibility. */
const regionHex = '0070563412' + '7f0000' + '0004000000000000' + '2c1b0a00' + '18';

function bytesOf(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'));
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

describe("librpma's 28 bytes of private data", () => {
  const region = RemoteRegion.fromDescriptor(bytesOf(regionHex));
  const config = new PeerConfig({ directWriteToPmem: true });

  test('without a peer descriptor, as in example 04', () => {
    const block = packCommonData(17, region.toDescriptor());
    assert.equal(hexOf(block), `1100${'15'}${'00'}${regionHex}${'000000'}`);
    assert.equal(unpackCommonData(block).config, null);
  });

  test('with a peer descriptor, as in example 05', () => {
    const block = packCommonData(0x0102, region.toDescriptor(), config.toDescriptor());
    assert.equal(hexOf(block), `0201${'15'}${'01'}${regionHex}${'01'}${'0000'}`);
    const data = unpackCommonData(block);
    assert.equal(data.dataOffset, 0x0102);
    assert.equal(data.config?.directWriteToPmem, true);
    assert.equal(hexOf(data.region.toDescriptor()), regionHex);
  });

  test('with the largest offset, as a client of example 03 can send it', () => {
    const block = packCommonData(dataOffsetMax, region.toDescriptor());
    assert.equal(hexOf(block.subarray(0, 4)), `ffff${'15'}${'00'}`);
    assert.equal(unpackCommonData(block).dataOffset, 0xffff);
  });

  test('padded, as it arrives over InfiniBand', () => {
    const padded = new Uint8Array(56);
    padded.set(packCommonData(0, region.toDescriptor()));
    assert.equal(unpackCommonData(padded).region.sizeBytes, 1024);
  });

  test('cut, or with sizes that do not fit, is refused', () => {
    const block = packCommonData(0, region.toDescriptor());
    assert.throws(() => unpackCommonData(block.subarray(0, 27)), /27 bytes/);
    block[3] = 4;
    assert.throws(() => unpackCommonData(block), /do not fit/);
  });
});

test("librpma's hello_t: an i32 with the language, then 1024 bytes of text", () => {
  const hello = new Uint8Array(helloBytes);
  initialiseHello(hello);
  assert.equal(hello.length, 1028);
  assert.equal(hexOf(hello.subarray(0, 17)), '00000000' + '48656c6c6f20776f726c6421' + '00');
  translateHello(hello);
  assert.equal(hexOf(hello.subarray(0, 8)), '01000000' + 'c2a1486f');
  assert.equal(helloText(hello), '¡Hola Mundo!');
  translateHello(hello);
  assert.equal(helloText(hello), 'Hello world!');
});
