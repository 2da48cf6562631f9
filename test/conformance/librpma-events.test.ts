// SPDX-License-Identifier: BSD-3-Clause
//
// Events of a connection (librpma: conn_next_event, utils_conn_event_2str): which word each thing
// that happens has, how often it comes, and what it carries.

import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { type Connection, type ConnectionEvent, isRpmaError, type Peer } from 'rpma';
import { argumentError, conform, withCode } from '../support/conform.js';
import { withDeadline } from '../support/deadline.js';
import { ScriptedListener } from '../support/scripted-peer.js';
import type { Pair, World } from '../support/world.js';

const data = Uint8Array.of(3, 1, 4);
const none = new Uint8Array(0);

/** Every event until the source ends; all of them are of one connection that ends. */
async function allEvents(connection: Connection): Promise<ConnectionEvent[]> {
  const events: ConnectionEvent[] = [];
  const iterate = async (): Promise<void> => {
    for await (const event of connection.events) events.push(event);
  };
  await withDeadline(iterate(), 'the events end');
  return events;
}

function words(events: readonly ConnectionEvent[]): string[] {
  return events.map((each) => each.type);
}

/** A connection that is on its way to a port. */
async function dialled(peer: Peer, port: number, connectTimeoutMs?: number): Promise<Connection> {
  const connection = { connectTimeoutMs };
  const request = await peer.createConnectionRequest('127.0.0.1', port, { connection });
  return request.connect();
}

async function established(
  world: World,
  requestData: Uint8Array | undefined,
  replyData: Uint8Array | undefined,
): Promise<[Pair, ConnectionEvent | null, ConnectionEvent | null]> {
  const pair = await world.pair({
    ...(requestData === undefined ? {} : { requestData }),
    ...(replyData === undefined ? {} : { replyData }),
  });
  const own = await pair.initiator.events.take({ timeoutMs: 5000 });
  return [pair, own, await pair.target.events.take({ timeoutMs: 5000 })];
}

conform("librpma's connection events", ({ provider, it }) => {
  it('ESTABLISHED without any private data', async (world) => {
    const [pair, own, other] = await established(world, undefined, undefined);
    for (const event of [own, other]) {
      assert.equal(event?.type, 'established');
      assert.equal(event?.error, undefined);
      assert.deepEqual(event?.privateData ?? none, none);
    }
    assert.deepEqual(pair.initiator.privateData, none);
    assert.deepEqual(pair.target.privateData, none);
  });

  it('ESTABLISHED with data of the accepting side', async (world) => {
    const [pair, own] = await established(world, undefined, data);
    assert.equal(own?.type, 'established');
    assert.deepEqual(own?.privateData, data);
    assert.deepEqual(pair.initiator.privateData, data);
    assert.deepEqual(pair.target.privateData, none);
  });

  it('ESTABLISHED with data of the connecting side, which the accepting side had before', async (world) => {
    const [pair, own, other] = await established(world, data, undefined);
    assert.deepEqual([own?.type, other?.type], ['established', 'established']);
    assert.deepEqual(pair.target.privateData, data);
    assert.deepEqual(pair.initiator.privateData, none);
  });

  it('ESTABLISHED with data of both sides: each keeps what the other said', async (world) => {
    const reply = Uint8Array.of(9, 9);
    const [pair, own, other] = await established(world, data, reply);
    assert.deepEqual([own?.type, other?.type], ['established', 'established']);
    assert.deepEqual(pair.initiator.privateData, reply);
    assert.deepEqual(pair.target.privateData, data);
  });

  it('private data is bytes, empty when there is none: never NULL', async (world) => {
    const { initiator, target } = await world.pair();
    for (const connection of [initiator, target]) {
      assert.ok(connection.privateData instanceof Uint8Array);
      assert.equal(connection.privateData.length, 0);
    }
    await initiator.close();
    assert.equal(initiator.privateData.length, 0);
  });

  it('no event yet is null, not an error', async (world) => {
    const { initiator } = await world.pair();
    assert.equal(initiator.events.tryTake()?.type, 'established');
    assert.equal(initiator.events.tryTake(), null);
    assert.equal(initiator.events.takeSync(0), null);
    assert.equal(await initiator.events.take({ timeoutMs: 2 }), null);
    assert.equal(initiator.state, 'established');
  });

  it('DISCONNECTED is CLOSED, on both sides', async (world) => {
    for (const who of ['initiator', 'target'] as const) {
      const pair = await world.pair();
      pair[who].disconnect();
      for (const connection of [pair.initiator, pair.target]) {
        const events = await allEvents(connection);
        assert.deepEqual(words(events), ['established', 'closed']);
        assert.equal(events[1]?.error, undefined);
      }
    }
  });

  it('TIMEWAIT_EXIT brings no second CLOSED: after the last event there is none', async (world) => {
    const pair = await world.pair();
    pair.initiator.disconnect();
    await withDeadline(pair.target.whenClosed(), 'the other side sees it');
    pair.target.disconnect();
    await withDeadline(pair.initiator.whenClosed(), 'the end');
    for (const connection of [pair.initiator, pair.target]) {
      assert.deepEqual(words(await allEvents(connection)), ['established', 'closed']);
      assert.equal(connection.events.tryTake(), null);
      assert.equal(connection.events.takeSync(0), null);
      assert.equal(await connection.events.take(), null);
    }
  });

  it('REJECTED when the other side says no', async (world) => {
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    const connection = await dialled(peer, endpoint.port);
    (await withDeadline(endpoint.take(), 'a request'))?.destroy();
    const events = await allEvents(connection);
    assert.deepEqual(words(events), ['rejected']);
    assert.equal(events[0]?.error?.code, 'ERR_RPMA_REJECTED');
  });

  it('REJECTED when nobody listens', async (world) => {
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    await endpoint.close();
    assert.deepEqual(words(await allEvents(await dialled(peer, endpoint.port))), ['rejected']);
  });

  it(
    'UNREACHABLE when nobody answers',
    async (world) => {
      const silent = createServer(() => undefined);
      await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
      world.after(() => void silent.close());
      const address = silent.address();
      assert.ok(typeof address === 'object' && address !== null);
      const peer = await world.peer();
      const events = await allEvents(await dialled(peer, address.port, 100));
      assert.deepEqual(words(events), ['unreachable']);
      assert.equal(events[0]?.error?.code, 'ERR_RPMA_UNREACHABLE');
    },
    { skip: provider === 'iwarp' ? false : 'a silent TCP listener is an iwarp address' },
  );

  it(
    'CONNECT_ERROR is LOST: the other side speaks nonsense before it is up',
    async (world) => {
      const listener = await ScriptedListener.open(world.test);
      const peer = await world.peer();
      const connection = await dialled(peer, listener.port);
      const script = await listener.accept(world.test);
      await script.setup();
      script.write(new Uint8Array(40).fill(0x41));
      const events = await allEvents(connection);
      assert.deepEqual(words(events), ['lost']);
      assert.equal(events[0]?.error?.code, 'ERR_RPMA_CONNECTION_LOST');
      await assert.rejects(connection.whenEstablished(), withCode('CONNECTION_LOST'));
    },
    { skip: provider === 'iwarp' ? false : 'needs a scripted peer' },
  );

  it('LOST when an established connection breaks, with the cause', async (world) => {
    const pair = await world.pair();
    // A read that waits behind a message without a receive is under way when the other side goes.
    const { remote } = await world.lend(pair);
    pair.initiator.postSend({ length: 0, completion: 'on-error' });
    pair.initiator.postFlush({ remote, length: 8, type: 'visibility' });
    pair.target.destroy();
    const events = await allEvents(pair.initiator);
    assert.deepEqual(words(events), ['established', 'lost']);
    assert.equal(events[1]?.error?.code, 'ERR_RPMA_CONNECTION_LOST');
  });

  it('ADDR_ERROR comes before there is a connection: the look-up rejects', async (world) => {
    const peer = await world.peer();
    const attempt = peer.createConnectionRequest('no-such-host.invalid', 7);
    await assert.rejects(attempt, (error) => isRpmaError(error) && !(error instanceof TypeError));
  });

  it('are waited for with options of the right kind only', async (world) => {
    const { initiator } = await world.pair();
    initiator.events.tryTake();
    const type = argumentError('TypeError', 'INVALID_ARG_TYPE');
    const range = argumentError('RangeError', 'OUT_OF_RANGE');
    await assert.rejects(initiator.events.take(5 as never), type);
    await assert.rejects(initiator.events.take({ timeoutMs: -1 }), range);
    assert.throws(() => initiator.events.takeSync(-1), range);
    assert.throws(() => initiator.events.takeSync(undefined as never), type);
  });
});
