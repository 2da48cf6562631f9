// SPDX-License-Identifier: BSD-3-Clause
//
// Private data of connect, accept and reject (librpma: conn_private_data). At most 251 bytes in
// every direction; the exact length arrives (on InfiniBand it may be padded, which librpma shows
// as it is).

import assert from 'node:assert/strict';
import { type IncomingRequest, type RpmaError } from 'rpma';
import { argumentError, conform } from '../support/conform.js';
import { withDeadline } from '../support/deadline.js';
import type { World } from '../support/world.js';

const limit = 251;

async function listening(world: World) {
  const peer = await world.peer();
  const endpoint = await peer.listen('127.0.0.1', 0);
  const next = async (): Promise<IncomingRequest> => {
    const request = await endpoint.take({ timeoutMs: 5000 });
    assert.ok(request !== null);
    return request;
  };
  const dial = (privateData?: Uint8Array) =>
    peer.connect('127.0.0.1', endpoint.port, { privateData });
  return { peer, endpoint, next, dial };
}

conform('private data', ({ it }) => {
  it('of every length from 0 to 251 arrives in both directions', async (world) => {
    const { next, dial } = await listening(world);
    const random = world.random(61);
    for (let length = 0; length <= limit; length++) {
      const asked = random.bytes(length);
      const answered = random.bytes(limit - length);
      const dialling = dial(asked);
      const request = await next();
      assert.deepEqual(request.privateData, asked);
      const target = request.accept({ privateData: answered });
      const initiator = await withDeadline(dialling, 'established');
      assert.deepEqual(initiator.privateData, answered);
      assert.deepEqual(target.privateData, asked);
      await target.whenEstablished();
      initiator.destroy();
      target.destroy();
    }
  });

  it('of every length from 0 to 251 comes with a rejection', async (world) => {
    const { next, dial } = await listening(world);
    const random = world.random(62);
    for (let length = 0; length <= limit; length += length < 8 ? 1 : 27) {
      const said = random.bytes(length);
      const dialling = dial().then(
        () => null,
        (error: RpmaError) => error,
      );
      (await next()).reject({ privateData: said });
      const error = await withDeadline(dialling, 'the rejection');
      assert.equal(error?.code, 'ERR_RPMA_REJECTED');
      assert.deepEqual(error?.privateData ?? new Uint8Array(0), said);
    }
  });

  it('that looks like the wire is data all the same', async (world) => {
    const { next, dial } = await listening(world);
    const magic = Uint8Array.from(Buffer.from('52504d41', 'hex'));
    const trailer = new Uint8Array(16);
    trailer.set(magic);
    trailer.set([1, 1], 4);
    for (const data of [magic, trailer, new Uint8Array(limit), new Uint8Array(4).fill(0xff)]) {
      const dialling = dial(data);
      const request = await next();
      assert.deepEqual(request.privateData, data);
      request.accept({ privateData: data });
      const initiator = await withDeadline(dialling, 'established');
      assert.deepEqual(initiator.privateData, data);
      initiator.destroy();
    }
  });

  it('over 251 bytes is a RangeError in every direction', async (world) => {
    const { peer, endpoint, next, dial } = await listening(world);
    const refused = argumentError('RangeError', 'OUT_OF_RANGE');
    const long = new Uint8Array(limit + 1);
    await assert.rejects(dial(long), refused);
    const outgoing = await peer.createConnectionRequest('127.0.0.1', endpoint.port);
    assert.throws(() => outgoing.connect({ privateData: long }), refused);
    const connection = outgoing.connect(); // the request is not spent by a bad argument
    const request = await next();
    assert.throws(() => request.accept({ privateData: long }), refused);
    assert.throws(() => request.reject({ privateData: long }), refused);
    request.accept();
    await withDeadline(connection.whenEstablished(), 'established');
  });

  it('is copied at the call', async (world) => {
    const { next, dial } = await listening(world);
    const asked = Uint8Array.of(1, 2, 3);
    const dialling = dial(asked);
    asked.fill(0);
    const request = await next();
    assert.deepEqual([...request.privateData], [1, 2, 3]);
    const answered = Uint8Array.of(4, 5);
    request.accept({ privateData: answered });
    answered.fill(0);
    assert.deepEqual([...(await withDeadline(dialling, 'established')).privateData], [4, 5]);
  });

  it('outlives the connection', async (world) => {
    const pair = await world.pair({
      requestData: Uint8Array.of(1),
      replyData: Uint8Array.of(2),
    });
    await withDeadline(pair.initiator.close(), 'close()');
    assert.deepEqual([...pair.initiator.privateData], [2]);
    assert.deepEqual([...pair.target.privateData], [1]);
  });
});
