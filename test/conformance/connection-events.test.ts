// SPDX-License-Identifier: BSD-3-Clause
//
// Connection events and states (librpma: conn_next_event, conn_get_private_data, conn_get_qp_num).

import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import type { Connection, ConnectionEvent } from 'rpma';
import { conform, withCode } from '../support/conform.js';
import { withDeadline } from '../support/deadline.js';
import { takeAll } from '../support/world.js';

/** Every event until the source ends. */
async function allEvents(connection: Connection): Promise<ConnectionEvent[]> {
  const events: ConnectionEvent[] = [];
  const iterate = async (): Promise<void> => {
    for await (const event of connection.events) events.push(event);
  };
  await withDeadline(iterate(), 'the events end');
  return events;
}

conform('connection events', ({ provider, it }) => {
  it('ESTABLISHED comes first and once on both sides', async (world) => {
    const pair = await world.pair();
    for (const connection of [pair.initiator, pair.target]) {
      assert.equal(connection.state, 'established');
      const event = await connection.events.take({ timeoutMs: 5000 });
      assert.equal(event?.type, 'established');
      assert.equal(event?.error, undefined);
      assert.equal(connection.events.tryTake(), null);
    }
  });

  it('ESTABLISHED carries the private data of the answer', async (world) => {
    const replyData = Uint8Array.of(9, 8, 7);
    const pair = await world.pair({ replyData });
    const event = pair.initiator.events.tryTake();
    assert.equal(event?.type, 'established');
    assert.deepEqual(event?.privateData ?? replyData, replyData);
    assert.deepEqual(pair.initiator.privateData, replyData);
  });

  it('whenEstablished() and whenClosed() consume no event', async (world) => {
    const pair = await world.pair();
    await pair.initiator.whenEstablished();
    assert.equal(await pair.initiator.whenEstablished(), pair.initiator);
    pair.target.disconnect();
    const end = await withDeadline(pair.initiator.whenClosed(), 'the end');
    assert.equal(end.type, 'closed');
    const events = await allEvents(pair.initiator);
    assert.deepEqual(
      events.map((each) => each.type),
      ['established', 'closed'],
    );
  });

  it('CLOSED comes once on either side (librpma may give a second)', async (world) => {
    const pair = await world.pair();
    pair.initiator.disconnect();
    await withDeadline(pair.initiator.whenClosed(), 'the end of the initiator');
    await withDeadline(pair.target.whenClosed(), 'the end of the target');
    pair.target.disconnect(); // as librpma's other side does; of no further effect
    for (const connection of [pair.initiator, pair.target]) {
      assert.equal(connection.state, 'closed');
      const types = (await allEvents(connection)).map((each) => each.type);
      assert.deepEqual(types, ['established', 'closed']);
      assert.equal(connection.events.tryTake(), null);
      assert.equal(await connection.events.take(), null);
    }
  });

  it('a connection that was ended by force ends once, as closed or lost', async (world) => {
    const pair = await world.pair();
    pair.target.destroy();
    const end = await withDeadline(pair.initiator.whenClosed(), 'the end');
    assert.ok(end.type === 'closed' || end.type === 'lost', end.type);
    const types = (await allEvents(pair.initiator)).map((each) => each.type);
    assert.deepEqual(types, ['established', end.type]);
  });

  it('REJECTED carries what the other side said (librpma drops it)', async (world) => {
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    const connection = (await peer.createConnectionRequest('127.0.0.1', endpoint.port)).connect();
    const privateData = Uint8Array.of(4, 5, 6);
    (await withDeadline(endpoint.take(), 'a request'))?.reject({ privateData });
    await assert.rejects(
      withDeadline(connection.whenEstablished(), 'the outcome'),
      withCode('REJECTED', { scope: 'connection', privateData }),
    );
    const end = await withDeadline(connection.whenClosed(), 'the end');
    assert.equal(end.type, 'rejected');
    assert.deepEqual(end.privateData, privateData);
    assert.equal(connection.state, 'closed');
    const events = await allEvents(connection);
    assert.deepEqual(
      events.map((each) => [each.type, each.privateData]),
      [['rejected', privateData]],
    );
  });

  it('nobody listening is REJECTED, with errno and no private data', async (world) => {
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    await endpoint.close();
    const connection = (await peer.createConnectionRequest('127.0.0.1', endpoint.port)).connect();
    const end = await withDeadline(connection.whenClosed(), 'the end');
    assert.equal(end.type, 'rejected');
    assert.equal(end.privateData?.length ?? 0, 0);
    assert.equal(end.error?.code, 'ERR_RPMA_REJECTED');
    if (provider === 'iwarp') assert.equal(Math.abs(end.error?.errno ?? 0), 111); // ECONNREFUSED
  });

  it(
    'no answer in time is UNREACHABLE',
    async (world) => {
      const silent = createServer(() => undefined);
      await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
      world.after(() => void silent.close());
      const address = silent.address();
      assert.ok(address !== null && typeof address === 'object');
      const peer = await world.peer();
      const request = await peer.createConnectionRequest('127.0.0.1', address.port, {
        connection: { connectTimeoutMs: 200 },
      });
      const connection = request.connect();
      const end = await withDeadline(connection.whenClosed(), 'the end', 2000);
      assert.equal(end.type, 'unreachable');
      assert.equal(end.error?.code, 'ERR_RPMA_UNREACHABLE');
      await assert.rejects(connection.whenEstablished(), withCode('UNREACHABLE'));
    },
    { skip: provider === 'iwarp' ? false : 'a silent TCP listener is an iwarp address' },
  );

  it('events wait until they are read', async (world) => {
    const pair = await world.pair();
    pair.target.disconnect();
    await withDeadline(pair.initiator.whenClosed(), 'the end');
    await withDeadline(pair.initiator.close(), 'close()');
    const types = (await allEvents(pair.initiator)).map((each) => each.type);
    assert.deepEqual(types, ['established', 'closed']);
  });

  it('take() on events waits, takeSync() blocks, both end with null', async (world) => {
    const pair = await world.pair();
    assert.equal(pair.initiator.events.takeSync(1000)?.type, 'established');
    assert.equal(pair.initiator.events.takeSync(0), null);
    assert.equal(await pair.initiator.events.take({ timeoutMs: 5 }), null);
    const waiting = pair.initiator.events.take();
    pair.target.disconnect();
    assert.equal((await withDeadline(waiting, 'an event'))?.type, 'closed');
    assert.equal(await pair.initiator.events.take(), null);
    assert.equal(pair.target.events.takeSync(1000)?.type, 'established');
    assert.equal(pair.target.events.takeSync(5000)?.type, 'closed');
  });

  it('a state goes from connecting to established to closing to closed', async (world) => {
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    const request = await peer.createConnectionRequest('127.0.0.1', endpoint.port);
    const connection = request.connect();
    assert.equal(connection.state, 'connecting');
    const target = (await withDeadline(endpoint.take(), 'a request'))?.accept();
    await withDeadline(connection.whenEstablished(), 'established');
    assert.equal(connection.state, 'established');
    const closing = connection.close();
    assert.ok(connection.state === 'closing' || connection.state === 'closed');
    await withDeadline(closing, 'close()');
    assert.equal(connection.state, 'closed');
    assert.ok(target !== undefined);
    await withDeadline(target.whenClosed(), 'the other side ends');
  });

  it('what is posted the very moment a connection is up goes through', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair, 1 << 20);
    const { remote } = await world.lend(pair, 1 << 20);
    for (let round = 0; round < 200; round++) {
      const { address, port } = pair.endpoint;
      const connection = (
        await pair.initiatorPeer.createConnectionRequest(address, port)
      ).connect();
      const target = (await withDeadline(pair.endpoint.take(), 'a request'))?.accept();
      const end = performance.now() + 5000;
      while (connection.state === 'connecting') assert.ok(performance.now() < end, 'up in time');
      for (let id = 1; id <= 4; id++) connection.postWrite({ local, remote, length: 1 << 20, id });
      connection.postFlush({ remote, length: 8, type: 'visibility', id: 5 });
      const done = await takeAll(connection.completionQueue, 5, 5000);
      assert.ok(done.every((each) => each.ok));
      connection.destroy();
      target?.destroy();
    }
  });

  it('queue-pair numbers tell connections apart and outlive them', async (world) => {
    const first = await world.pair();
    const second = await world.again(first);
    const number = first.initiator.queuePairNumber;
    assert.notEqual(number, second.initiator.queuePairNumber);
    await first.initiator.close();
    assert.equal(first.initiator.queuePairNumber, number);
  });

  it('tells what both sides agreed on', async (world) => {
    const pair = await world.pair({
      initiator: { requireNative: ['flush', 'atomicWrite', 'immediate'] },
    });
    assert.equal(pair.initiator.capabilities.nativeFlush, true);
    assert.equal(pair.initiator.capabilities.nativeAtomicWrite, true);
    assert.equal(pair.target.capabilities.nativeFlush, true);
  });
});
