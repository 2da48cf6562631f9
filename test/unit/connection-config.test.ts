// SPDX-License-Identifier: BSD-3-Clause
//
// The configuration of connections: defaults, checks, and what the addon gets.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ConnectionConfig, type ConnectionOptions } from 'rpma';
import { connectionConfigOf, nativeConnectionOptions } from '../../lib/connection-config.js';

describe('a connection configuration', () => {
  test("has librpma's defaults, and ours", () => {
    assert.deepEqual(
      { ...new ConnectionConfig() },
      {
        resolveTimeoutMs: 1000,
        connectTimeoutMs: 10_000,
        completionQueueSize: 10,
        sendQueueSize: 10,
        receiveQueueSize: 10,
        receiveCompletionQueueSize: 0,
        closeTimeoutMs: 5000,
        deadPeerTimeoutMs: 10_000,
        receiverNotReadyTimeoutMs: Infinity,
        completionQueue: undefined,
        sharedCompletionChannel: false,
        sharedReceiveQueue: undefined,
        requireNative: [],
        crc: true,
        maxFrameBytes: 'auto',
        inboundReads: 32,
        outboundReads: 32,
      },
    );
  });

  test('is not changed afterwards, and is taken as it is', () => {
    const options = { requireNative: ['flush'] as ('flush' | 'atomicWrite')[] };
    const config = new ConnectionConfig(options);
    options.requireNative.push('atomicWrite');
    assert.deepEqual(config.requireNative, ['flush']);
    assert.ok(Object.isFrozen(config));
    assert.equal(connectionConfigOf(config), config);
    assert.notEqual(connectionConfigOf({ ...config }), config);
  });

  test('becomes numbers for the addon', () => {
    const native = nativeConnectionOptions(
      new ConnectionConfig({
        crc: 'required',
        maxFrameBytes: 'mss',
        requireNative: ['flush', 'atomicWrite', 'immediate'],
        receiverNotReadyTimeoutMs: 250,
      }),
    );
    assert.equal(native.crc, 2);
    assert.equal(native.maxFrameBytes, 1);
    assert.equal(native.requireNative, 7);
    assert.equal(native.receiverNotReadyTimeoutMs, 250);
    const plain = nativeConnectionOptions(new ConnectionConfig({ crc: false }));
    assert.equal(plain.crc, 0);
    assert.equal(plain.maxFrameBytes, 0);
    assert.equal(plain.receiverNotReadyTimeoutMs, -1);
    assert.equal(plain.completionQueue, 0);
  });

  test('refuses numbers out of bounds', () => {
    const wrong: ConnectionOptions[] = [
      { sendQueueSize: 0 },
      { receiveQueueSize: 65_537 },
      { completionQueueSize: 1.5 },
      { receiveCompletionQueueSize: -1 },
      { resolveTimeoutMs: -1 },
      { connectTimeoutMs: 2 ** 31 },
      { inboundReads: 3 },
      { outboundReads: 256 },
      { maxFrameBytes: 1 },
    ];
    for (const options of wrong) {
      assert.throws(
        () => new ConnectionConfig(options),
        { name: 'RangeError', code: 'ERR_RPMA_OUT_OF_RANGE' },
        Object.keys(options)[0],
      );
    }
  });

  test('refuses wrong types and unknown words', () => {
    const type = { name: 'TypeError', code: 'ERR_RPMA_INVALID_ARG_TYPE' };
    const value = { name: 'TypeError', code: 'ERR_RPMA_INVALID_ARG_VALUE' };
    const make = (options: object) => () => new ConnectionConfig(options);
    assert.throws(make({ sendQueueSize: '10' }), type);
    assert.throws(make({ crc: 'yes' }), type);
    assert.throws(make({ completionQueue: {} }), type);
    assert.throws(make({ requireNative: 'flush' }), type);
    assert.throws(make({ requireNative: ['read'] }), value);
    assert.throws(make({ maxFrameBytes: 'big' }), value);
    assert.throws(() => new ConnectionConfig(null as never), type);
  });
});
