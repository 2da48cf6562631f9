// SPDX-License-Identifier: BSD-3-Clause
//
// Endings (librpma: conn_disconnect, conn_delete), and the promise that holds through each: every
// accepted operation has exactly one outcome.

import assert from 'node:assert/strict';
import type { Connection } from 'rpma';
import { conform, withCode } from '../support/conform.js';
import { turn, withDeadline } from '../support/deadline.js';
import { Ledger } from '../support/ledger.js';
import type { SeededRandom } from '../support/random.js';
import { takeAll, takeRest, type World } from '../support/world.js';

const over = (error: unknown): boolean =>
  error instanceof Error &&
  'code' in error &&
  ['ERR_RPMA_CLOSED', 'ERR_RPMA_STATE'].includes(String(error.code));

type Ending = (pair: { initiator: Connection; target: Connection }) => void;

const endings: Readonly<Record<string, Ending>> = {
  'the initiator destroys': ({ initiator }) => initiator.destroy(),
  'the target destroys': ({ target }) => target.destroy(),
  'the initiator disconnects': ({ initiator }) => initiator.disconnect(),
  'the target disconnects': ({ target }) => target.disconnect(),
  'the initiator closes': ({ initiator }) => void initiator.close({ timeoutMs: 50 }),
  'both destroy': ({ initiator, target }) => {
    initiator.destroy();
    target.destroy();
  },
};

async function endAmidTraffic(world: World, random: SeededRandom, end: Ending): Promise<void> {
  const options = { sendQueueSize: 32, receiveQueueSize: 8, closeTimeoutMs: 50 };
  const pair = await world.pair({ initiator: options, target: options });
  const connection = pair.initiator;
  const local = await world.local(pair, 100_000);
  const { remote } = await world.lend(pair, 100_000);
  for (let n = random.below(8); n > 0; n--) pair.target.postReceive({ length: 0 });
  const ledger = new Ledger();
  const load = { connection, local, remote, random, lengths: [0, 8, 1000, 100_000], sends: true };
  for (let rounds = random.below(4); rounds >= 0; rounds--) {
    // Nothing in the mix ends a connection by itself.
    if (!ledger.fill(load)) throw (await connection.whenClosed()).error ?? new Error('ended');
    ledger.add(...connection.completionQueue.poll(random.between(1, 16)));
    for (let turns = random.below(3); turns > 0; turns--) await turn();
  }
  end(pair);
  ledger.add(...(await takeRest(connection.completionQueue)));
  ledger.audit();
  assert.equal(connection.state, 'closed');
  await withDeadline(pair.target.whenClosed(), 'the other side ends');
  assert.equal(local.inFlight, 0);
}

conform('close and destroy', ({ it }) => {
  for (const [name, end] of Object.entries(endings)) {
    it(
      `exactly one outcome for every operation when ${name}`,
      async (world) => {
        const random = world.random(71);
        for (let round = 0; round < 12; round++) await endAmidTraffic(world, random, end);
      },
      { timeoutMs: 60_000 },
    );
  }

  it('close() finishes accepted operations first', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair, 1 << 20);
    const { region, remote } = await world.lend(pair, 1 << 20);
    local.bytes.fill(6);
    for (let id = 0; id < 4; id++) pair.initiator.postWrite({ local, remote, length: 1 << 20, id });
    pair.initiator.postFlush({ remote, length: 1 << 20, type: 'visibility', id: 4 });
    await withDeadline(pair.initiator.close(), 'close()');
    const done = await takeRest(pair.initiator.completionQueue);
    assert.deepEqual(
      done.map((each) => [each.id, each.ok]),
      [
        [0, true],
        [1, true],
        [2, true],
        [3, true],
        [4, true],
      ],
    );
    assert.ok(region.bytes.every((byte) => byte === 6));
  });

  it('close() is one promise, and of no harm after destroy()', async (world) => {
    const pair = await world.pair();
    const closing = pair.initiator.close();
    assert.equal(pair.initiator.close(), closing);
    pair.initiator.destroy();
    pair.initiator.disconnect();
    await withDeadline(closing, 'close()');
    assert.equal(pair.initiator.close(), closing);
    pair.target.destroy();
    await withDeadline(pair.target.close(), 'close() after destroy()');
  });

  it('nothing can be posted once closing has begun', async (world) => {
    const pair = await world.pair();
    pair.initiator.disconnect();
    assert.throws(() => pair.initiator.postWrite({ length: 0 }), over);
    assert.throws(() => pair.initiator.postSend({ length: 0 }), over);
    await withDeadline(pair.initiator.whenClosed(), 'the end');
    assert.throws(() => pair.initiator.postWrite({ length: 0 }), over);
    assert.throws(() => pair.initiator.postReceive({ length: 0 }), over);
  });

  it('send-queue operations before established are refused with STATE', async (world) => {
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    const connection = (await peer.createConnectionRequest('127.0.0.1', endpoint.port)).connect();
    assert.throws(() => connection.postWrite({ length: 0 }), withCode('STATE'));
    connection.postReceive({ length: 0, id: 1 });
    connection.destroy();
    const [flushed] = await takeAll(connection.completionQueue, 1);
    assert.deepEqual([flushed?.id, flushed?.status], [1, 'flushed']);
  });

  it('close() while connecting gives up the attempt', async (world) => {
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    const connection = (await peer.createConnectionRequest('127.0.0.1', endpoint.port)).connect();
    const established = assert.rejects(connection.whenEstablished());
    await withDeadline(connection.close({ timeoutMs: 500 }), 'close()');
    await withDeadline(established, 'whenEstablished() rejects');
    assert.equal(connection.state, 'closed');
  });

  it('the side that did nothing ends by itself', async (world) => {
    const pair = await world.pair();
    pair.target.postReceive({ length: 0, id: 1 });
    await withDeadline(pair.initiator.close(), 'close()');
    const end = await withDeadline(pair.target.whenClosed(), 'the end of the other side');
    assert.equal(end.type, 'closed');
    const [flushed] = await takeRest(pair.target.completionQueue);
    assert.equal(flushed?.status, 'flushed');
    await withDeadline(pair.target.close(), 'its own close()');
  });

  it('both sides may close at once', async (world) => {
    const pair = await world.pair();
    await withDeadline(Promise.all([pair.initiator.close(), pair.target.close()]), 'both close');
    assert.equal((await pair.initiator.whenClosed()).type, 'closed');
    assert.equal((await pair.target.whenClosed()).type, 'closed');
  });

  it('the end is published after the last completion', async (world) => {
    const pair = await world.pair();
    for (let id = 0; id < 10; id++) pair.initiator.postReceive({ length: 0, id });
    pair.target.destroy();
    await withDeadline(pair.initiator.whenClosed(), 'the end');
    const all = pair.initiator.completionQueue.poll(64);
    assert.equal(all.length, 10);
  });

  it('outcomes stay readable after the peer of the connection was closed', async (world) => {
    for (const ending of ['close', 'destroy'] as const) {
      const pair = await world.pair();
      const ledger = new Ledger();
      for (let n = 0; n < 10; n++) {
        ledger.post('always', (id) => pair.initiator.postWrite({ length: 0, id }));
        ledger.post('always', (id) => pair.initiator.postReceive({ length: 0, id }));
      }
      if (ending === 'destroy') pair.initiatorPeer.destroy();
      await withDeadline(pair.initiatorPeer.close(), 'the peer closes');
      ledger.add(...(await takeRest(pair.initiator.completionQueue)));
      ledger.audit();
      assert.ok(pair.initiator.completionQueue.closed);
    }
  });

  it('a connection is disposed of by await using', async (world) => {
    const pair = await world.pair();
    {
      await using connection = pair.initiator;
      connection.postWrite({ length: 0 });
    }
    assert.equal(pair.initiator.state, 'closed');
    assert.equal((await takeRest(pair.initiator.completionQueue)).length, 1);
  });

  it('connecting and closing many times leaves the peers as they were', async (world) => {
    const pair = await world.pair();
    for (let round = 0; round < 100; round++) {
      const { initiator, target } = await world.again(pair);
      initiator.postWrite({ length: 0 });
      if (round % 2 === 0) await withDeadline(initiator.close(), 'close()');
      else initiator.destroy();
      await withDeadline(target.whenClosed(), 'the other side ends');
    }
    assert.equal(pair.initiator.state, 'established');
  });

  it('close() is graceful as soon as it is up, also before the loop told so', async (world) => {
    const endpoint = await (await world.peer()).listen('127.0.0.1', 0);
    const dialling = await world.peer();
    const initiator = (
      await dialling.createConnectionRequest('127.0.0.1', endpoint.port)
    ).connect();
    const request = await endpoint.take({ timeoutMs: 5000 });
    assert.ok(request !== null);
    const target = request.accept();
    // Both come up by their own threads, while this one does not let the loop turn.
    const deadline = performance.now() + 5000;
    while (target.state !== 'established' || initiator.state !== 'established') {
      assert.ok(performance.now() < deadline, `${target.state} and ${initiator.state}`);
    }
    const closing = target.close();
    const { type, error } = await withDeadline(initiator.whenClosed(), 'the other side ends');
    assert.equal(type, 'closed', String(error));
    await withDeadline(closing, 'close()');
    assert.equal((await target.whenClosed()).error, undefined);
  });
});
