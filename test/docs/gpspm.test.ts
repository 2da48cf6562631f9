// SPDX-License-Identifier: BSD-3-Clause
//
// The messages of example 09, byte by byte as librpma's C programs send them, and what the server
// makes of a client that asks for more than it may.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { MemoryUsage, Peer } from 'rpma';
import {
  flushRequest,
  flushResponse,
  messageBytesMax,
  rangeOf,
} from '../../examples/09-flush-to-persistent-GPSPM/gpspm.js';
import { withDeadline } from '../support/deadline.js';
import { portOf } from './example-runs.js';
import { compiledRoot, Program } from './support.js';

const asked = { offset: 0x11n, length: 1024n, opContext: 0xf01dn };
const requestHex = '091100000000000000' + '110004000000000000' + '191df0000000000000';
const responseHex = '091df0000000000000';

function bytesOf(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'));
}

describe('the messages of example 09', () => {
  test('a request has 27 bytes, a response 9', () => {
    const room = new Uint8Array(messageBytesMax);
    assert.equal(flushRequest.pack(asked, room), 27);
    assert.equal(Buffer.from(room.subarray(0, 27)).toString('hex'), requestHex);
    assert.equal(flushResponse.pack({ opContext: 0xf01dn }, room), 9);
    assert.equal(Buffer.from(room.subarray(0, 9)).toString('hex'), responseHex);
  });

  test('come back as they were, of zeros and of 64 bits, too', () => {
    const room = new Uint8Array(27);
    for (const value of [0n, 1n, 2n ** 53n + 1n, 2n ** 64n - 1n]) {
      const message = { offset: value, length: value, opContext: value };
      assert.equal(flushRequest.pack(message, room), 27);
      assert.deepEqual({ ...flushRequest.unpack(room) }, message);
    }
    assert.equal(flushResponse.unpack(bytesOf(responseHex)).opContext, 0xf01dn);
  });

  test('cut short, or of something else, are refused', () => {
    for (let end = 0; end < 27; end++) {
      const cut = bytesOf(requestHex).subarray(0, end);
      assert.throws(() => flushRequest.unpack(cut), /no GPSPM_flush_request/, `${end} bytes`);
    }
    assert.throws(() => flushRequest.unpack(bytesOf('ff'.repeat(27))), /no GPSPM_flush_request/);
    assert.throws(() => flushRequest.pack(asked, new Uint8Array(26)), /room for 26/);
  });

  test('a range is within the region, or refused', () => {
    const ask = (offset: bigint, length: bigint) => ({ offset, length, opContext: 0n });
    assert.deepEqual(rangeOf(ask(0n, 1024n), 1024), { offset: 0, length: 1024 });
    assert.deepEqual(rangeOf(ask(1024n, 0n), 1024), { offset: 1024, length: 0 });
    const beyond: readonly (readonly [bigint, bigint])[] = [
      [1n, 1024n],
      [1025n, 0n],
      [0n, 1025n],
      [2n ** 64n - 1n, 1n],
      [1n, 2n ** 64n - 1n],
      [2n ** 63n, 2n ** 63n],
    ];
    for (const [offset, length] of beyond) {
      assert.throws(() => rangeOf(ask(offset, length), 1024), /and the region has 1024/);
    }
  });
});

describe('the server of example 09', () => {
  const requests = {
    'that asks for bytes beyond the region': [
      { offset: 1n, length: 1024n, opContext: 0n },
      /^failed: the client asks to persist 1024 bytes at 1, and the region has 1024$/m,
    ],
    'that sends something else': [null, /^failed: 3 bytes that are no GPSPM_flush_request: /m],
  } as const;

  for (const [what, [message, expected]] of Object.entries(requests)) {
    test(`ends with one line at a client ${what}`, async () => {
      const file = join(compiledRoot, 'examples', '09-flush-to-persistent-GPSPM', 'server.js');
      const server = new Program(file, ['127.0.0.1', '0'], compiledRoot);
      try {
        const port = Number(await portOf(server));
        await using peer = await Peer.open({ remoteAddress: '127.0.0.1' });
        const connection = await peer.connect('127.0.0.1', port);
        await using memory = await peer.allocate(64, { usage: MemoryUsage.Send });
        const length = message === null ? 3 : flushRequest.pack(message, memory.bytes);
        connection.postSend({ local: memory, length });
        const { code, stderr } = await server.end();
        assert.equal(code, 1);
        assert.match(stderr, expected);
        await withDeadline(connection.whenClosed(), 'the end of the connection');
      } finally {
        server.kill();
      }
    });
  }
});
