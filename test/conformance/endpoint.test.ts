// SPDX-License-Identifier: BSD-3-Clause
//
// Endpoints, the listening side (librpma: ep_listen, ep_next_conn_req, ep_shutdown).

import assert from 'node:assert/strict';
import type { Connection, Endpoint, IncomingRequest } from 'rpma';
import { conform, withCode } from '../support/conform.js';
import { turn, until, withDeadline } from '../support/deadline.js';
import { takeOk, type World } from '../support/world.js';

interface Listening {
  readonly endpoint: Endpoint;
  /** Starts connecting; the outcome is not waited for. */
  readonly dial: (privateData?: Uint8Array) => Promise<Connection>;
}

async function listening(world: World, limits?: Readonly<Record<string, number>>) {
  const [client, server] = [await world.peer(), await world.peer()];
  const endpoint = await server.listen('127.0.0.1', 0, { limits });
  const made: Listening = {
    endpoint,
    dial: (privateData) => client.connect('127.0.0.1', endpoint.port, { privateData }),
  };
  return made;
}

async function fetched(endpoint: Endpoint): Promise<IncomingRequest> {
  const request = await endpoint.take({ timeoutMs: 5000 });
  assert.ok(request !== null, 'a request within 5 s');
  return request;
}

/** The error a connection attempt ends with. */
function failure(attempt: Promise<Connection>): Promise<unknown> {
  return withDeadline(
    attempt.then(
      () => null,
      (error: unknown) => error,
    ),
    'the end of a connection attempt',
  );
}

conform('endpoint', ({ it }) => {
  it('listens on a free port when asked for port 0', async (world) => {
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    assert.equal(endpoint.address, '127.0.0.1');
    assert.ok(endpoint.port > 0 && endpoint.port < 65_536);
    assert.equal(endpoint.closed, false);
    assert.equal(endpoint.peer, peer);
  });

  it('refuses a port in use, with errno and system call', async (world) => {
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    await assert.rejects(
      peer.listen('127.0.0.1', endpoint.port),
      withCode('PROVIDER', { syscall: 'bind' }),
    );
    await endpoint.close();
    const again = await peer.listen('127.0.0.1', endpoint.port);
    await again.close();
  });

  it('several endpoints of one peer serve at once', async (world) => {
    const peer = await world.peer();
    const first = await peer.listen('127.0.0.1', 0);
    const second = await peer.listen('127.0.0.1', 0);
    const dialling = peer.connect('127.0.0.1', second.port);
    const target = (await fetched(second)).accept();
    await withDeadline(Promise.all([dialling, target.whenEstablished()]), 'established');
    assert.equal(first.tryTake(), null);
  });

  it('tryTake() gives null while nobody asks to come in', async (world) => {
    const { endpoint } = await listening(world);
    assert.equal(endpoint.tryTake(), null);
    assert.equal(endpoint.takeSync(0), null);
  });

  it('take() gives null at its deadline and rejects when aborted', async (world) => {
    const { endpoint } = await listening(world);
    assert.equal(await endpoint.take({ timeoutMs: 5 }), null);
    const controller = new AbortController();
    const waiting = endpoint.take({ signal: controller.signal });
    controller.abort(new Error('enough'));
    await assert.rejects(waiting, withCode('ABORTED', { name: 'AbortError' }));
    await assert.rejects(
      endpoint.take({ signal: AbortSignal.abort() }),
      withCode('ABORTED', { name: 'AbortError' }),
    );
  });

  it('takeSync() blocks the thread until a request is there', async (world) => {
    const { endpoint, dial } = await listening(world);
    const dialling = dial();
    await turn();
    const request = endpoint.takeSync(5000);
    assert.ok(request !== null);
    request.accept();
    await withDeadline(dialling, 'established');
  });

  it('gives every request once, in order of arrival, to for await', async (world) => {
    const { endpoint, dial } = await listening(world);
    const seen: number[] = [];
    const serving = (async () => {
      for await (const request of endpoint) {
        seen.push(request.privateData[0] ?? -1);
        request.accept();
      }
    })();
    for (let n = 0; n < 5; n++) await withDeadline(dial(Uint8Array.of(n)), 'established');
    await endpoint.close();
    await withDeadline(serving, 'the iteration ends with close()');
    assert.deepEqual(seen, [0, 1, 2, 3, 4]);
  });

  it('break lets go of the iteration and loses nothing', async (world) => {
    const { endpoint, dial } = await listening(world);
    const attempts = [dial(), dial()];
    for await (const request of endpoint) {
      request.accept();
      break;
    }
    (await fetched(endpoint)).accept();
    await withDeadline(Promise.all(attempts), 'both established');
  });

  it('has one iterating consumer at a time', async (world) => {
    const { endpoint } = await listening(world);
    const waiting = endpoint[Symbol.asyncIterator]().next();
    await assert.rejects(endpoint.take(), withCode('BUSY'));
    await assert.rejects(endpoint[Symbol.asyncIterator]().next(), withCode('BUSY'));
    await endpoint.close();
    assert.equal((await withDeadline(waiting, 'the iteration ends')).done, true);
  });

  it('close() ends every take() with null', async (world) => {
    const { endpoint } = await listening(world);
    const waiting = Promise.all([endpoint.take(), endpoint.take()]);
    await endpoint.close();
    assert.deepEqual(await withDeadline(waiting, 'take() ends with close()'), [null, null]);
  });

  it('close() rejects what was not fetched, and connections live on', async (world) => {
    const { endpoint, dial } = await listening(world);
    const living = dial();
    const target = (await fetched(endpoint)).accept();
    const initiator = await withDeadline(living, 'established');
    const dropped = failure(dial());
    await withDeadline(endpoint.close(), 'the endpoint closes');
    assert.equal(endpoint.closed, true);
    const error = await dropped;
    assert.ok(error instanceof Error, 'the request that nobody fetched is rejected');
    withCode('REJECTED')(error);
    await target.whenEstablished();
    target.postSend({ length: 0 });
    assert.equal((await takeOk(target.completionQueue)).operation, 'send');
    assert.equal(initiator.state, 'established');
    assert.equal(endpoint.tryTake(), null);
    assert.equal(await endpoint.take(), null);
    assert.equal(endpoint.close(), endpoint.close());
  });

  it('nobody can come in after close()', async (world) => {
    const { endpoint, dial } = await listening(world);
    await endpoint.close();
    withCode('REJECTED')(await failure(dial()));
  });

  it('its connection options configure the requests, those of take() over them', async (world) => {
    const peer = await world.peer();
    const connection = { sendQueueSize: 21 };
    const endpoint = await peer.listen('127.0.0.1', 0, { connection });
    const first = peer.connect('127.0.0.1', endpoint.port);
    const request = await fetched(endpoint);
    assert.equal(request.config.sendQueueSize, 21);
    request.accept();
    await withDeadline(first, 'established');
    const second = peer.connect('127.0.0.1', endpoint.port);
    const other = await endpoint.take({ connection: { sendQueueSize: 4 }, timeoutMs: 5000 });
    assert.equal(other?.config.sendQueueSize, 4);
    other?.accept();
    await withDeadline(second, 'established');
  });

  it('accepts no more connections than its limit; the newest is closed', async (world) => {
    const { endpoint, dial } = await listening(world, { connections: 2 });
    const serving = (async () => {
      for await (const request of endpoint) request.accept();
    })();
    const kept = [await withDeadline(dial(), 'one'), await withDeadline(dial(), 'two')];
    const error = await failure(dial());
    assert.ok(error instanceof Error, 'the third is refused');
    assert.ok(kept.every((each) => each.state === 'established'));
    await kept[0]?.close();
    await until(() => kept[0]?.state === 'closed', 'one is closed');
    await endpoint.close();
    await serving;
  });

  it('stops accepting while too many requests are not fetched, and goes on after', async (world) => {
    const { endpoint, dial } = await listening(world, { unfetchedRequests: 2 });
    const attempts = Array.from({ length: 6 }, (_, n) => dial(Uint8Array.of(n)));
    const targets: Connection[] = [];
    while (targets.length < 6) targets.push((await fetched(endpoint)).accept());
    await withDeadline(Promise.all(attempts), 'all six established');
    await withDeadline(Promise.all(targets.map((each) => each.whenEstablished())), 'all targets');
  });
});
