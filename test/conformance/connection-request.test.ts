// SPDX-License-Identifier: BSD-3-Clause
//
// Connection requests, outgoing and incoming (librpma: conn_req_new, conn_req_recv,
// conn_req_connect, conn_req_delete, conn_req_get_private_data).

import assert from 'node:assert/strict';
import { isRpmaError } from 'rpma';
import { conform, withCode } from '../support/conform.js';
import { timed, withDeadline } from '../support/deadline.js';
import { localUsage, takeOk } from '../support/world.js';

const spent = (error: unknown): boolean =>
  isRpmaError(error) && ['ERR_RPMA_STATE', 'ERR_RPMA_CLOSED'].includes(error.code);

conform('connection request', ({ it }) => {
  it('outgoing: nothing reaches the other side before connect()', async (world) => {
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    const idle = await peer.createConnectionRequest('127.0.0.1', endpoint.port);
    const used = await peer.createConnectionRequest('127.0.0.1', endpoint.port);
    const connection = used.connect({ privateData: Uint8Array.of(7) });
    assert.equal(connection.state, 'connecting');
    const request = await withDeadline(endpoint.take(), 'a request');
    assert.deepEqual([...(request?.privateData ?? [])], [7]);
    request?.accept();
    await withDeadline(connection.whenEstablished(), 'established');
    assert.equal(endpoint.tryTake(), null);
    idle.destroy();
  });

  it('outgoing: connect() spends it', async (world) => {
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    const request = await peer.createConnectionRequest('127.0.0.1', endpoint.port);
    const connection = request.connect();
    assert.throws(() => request.connect(), spent);
    assert.throws(() => request.postReceive({ length: 0 }), spent);
    request.destroy(); // of no effect once spent
    (await withDeadline(endpoint.take(), 'a request'))?.accept();
    await withDeadline(connection.whenEstablished(), 'established');
  });

  it('outgoing: destroy() ends it unused, twice is once', async (world) => {
    const peer = await world.peer();
    const request = await peer.createConnectionRequest('127.0.0.1', 9);
    request.destroy();
    request.destroy();
    assert.throws(() => request.connect(), spent);
    {
      using disposed = await peer.createConnectionRequest('127.0.0.1', 9);
      assert.equal(disposed.peer, peer);
    }
  });

  it('outgoing: a name that does not resolve is an error within the resolve time', async (world) => {
    const peer = await world.peer();
    const attempt = peer.createConnectionRequest('no-such-host.invalid', 7204, {
      connection: { resolveTimeoutMs: 500 },
    });
    const { value, elapsedMs } = await timed(
      attempt.then(
        () => null,
        (error: unknown) => error,
      ),
    );
    assert.ok(isRpmaError(value), String(value));
    assert.ok(elapsedMs < 3000, `${elapsedMs} ms`);
  });

  it('outgoing: a name resolves', async (world) => {
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    const dialling = peer.connect('localhost', endpoint.port).catch((error: unknown) => error);
    const request = await endpoint.take({ timeoutMs: 5000 });
    // Where localhost is ::1 alone, nobody listens there: that too is an answer of the name.
    if (request === null) assert.ok(isRpmaError(await dialling));
    else {
      request.accept();
      await withDeadline(dialling, 'established');
    }
  });

  it('incoming: shows a copy of the private data and both addresses', async (world) => {
    const data = Uint8Array.of(1, 2, 3, 4);
    let seen: Uint8Array | undefined;
    const pair = await world.pair({
      requestData: data,
      beforeAccept: (request) => {
        seen = request.privateData;
        assert.match(request.localAddress, /127\.0\.0\.1/);
        assert.match(request.remoteAddress, /127\.0\.0\.1/);
      },
    });
    assert.deepEqual(seen, data);
    assert.deepEqual(pair.target.privateData, data);
  });

  it('incoming: without private data it is empty', async (world) => {
    const pair = await world.pair({
      beforeAccept: (request) => assert.equal(request.privateData.length, 0),
    });
    assert.equal(pair.initiator.privateData.length, 0);
    assert.equal(pair.target.privateData.length, 0);
  });

  it('incoming: accept() spends it', async (world) => {
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    const dialling = peer.connect('127.0.0.1', endpoint.port);
    const request = await withDeadline(endpoint.take(), 'a request');
    const connection = request?.accept();
    assert.throws(() => request?.accept(), spent);
    assert.throws(() => request?.reject(), spent);
    request?.destroy(); // of no effect once spent
    await withDeadline(dialling, 'established');
    assert.equal(await connection?.whenEstablished(), connection);
  });

  it('incoming: destroy() of an unanswered request rejects it', async (world) => {
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    const dialling = peer.connect('127.0.0.1', endpoint.port);
    const refused = assert.rejects(dialling, withCode('REJECTED'));
    const request = await withDeadline(endpoint.take(), 'a request');
    request?.destroy();
    await withDeadline(refused, 'the rejection');
    assert.throws(() => request?.accept(), spent);
  });

  it('incoming: using rejects what was not accepted', async (world) => {
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    const refused = assert.rejects(peer.connect('127.0.0.1', endpoint.port), withCode('REJECTED'));
    {
      using request = await withDeadline(endpoint.take(), 'a request');
      assert.ok(request);
    }
    await withDeadline(refused, 'the rejection');
  });

  it('postReceive() before the connection exists: the first message finds it', async (world) => {
    const [client, server] = [await world.peer(), await world.peer()];
    const endpoint = await server.listen('127.0.0.1', 0);
    const inbox = await server.allocate(64, { usage: localUsage });
    const local = await client.allocate(64, { usage: localUsage });
    const outgoing = await client.createConnectionRequest('127.0.0.1', endpoint.port);
    outgoing.postReceive({ local, localOffset: 32, length: 32, id: 11 });
    const initiator = outgoing.connect();
    const incoming = await withDeadline(endpoint.take(), 'a request');
    incoming?.postReceive({ local: inbox, length: 64, id: 22 });
    const target = incoming?.accept();
    await withDeadline(initiator.whenEstablished(), 'established');
    assert.equal(initiator.receiveQueueFree, 9);
    assert.ok(target !== undefined);
    local.bytes.set([5, 6]);
    initiator.postSend({ local, length: 2 });
    const received = await takeOk(target.completionQueue);
    assert.deepEqual([received.id, received.operation, received.length], [22, 'receive', 2]);
    assert.deepEqual([...inbox.bytes.subarray(0, 2)], [5, 6]);
    await target.whenEstablished();
    target.postSend({ local: inbox, length: 1 });
    assert.equal((await takeOk(initiator.completionQueue)).operation, 'send');
    const answer = await takeOk(initiator.completionQueue);
    assert.deepEqual([answer.id, answer.length], [11, 1]);
    assert.equal(local.bytes[32], 5);
  });

  it('postReceive() takes the zero-byte form (librpma refuses it here)', async (world) => {
    const pair = await world.pair({
      beforeAccept: (request) => request.postReceive({ length: 0, id: 3 }),
    });
    pair.initiator.postSend({ length: 0 });
    const received = await takeOk(pair.target.completionQueue);
    assert.deepEqual([received.id, received.length], [3, 0]);
  });

  it('postReceive() on a full queue throws AGAIN', async (world) => {
    const peer = await world.peer();
    const request = await peer.createConnectionRequest('127.0.0.1', 9, {
      connection: { receiveQueueSize: 2 },
    });
    request.postReceive({ length: 0 });
    request.postReceive({ length: 0 });
    assert.throws(() => request.postReceive({ length: 0 }), withCode('AGAIN', { retryable: true }));
    request.destroy();
  });

  it('receives of a request that is rejected never complete with success', async (world) => {
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    const outgoing = await peer.createConnectionRequest('127.0.0.1', endpoint.port);
    outgoing.postReceive({ length: 0, id: 1 });
    const connection = outgoing.connect();
    (await withDeadline(endpoint.take(), 'a request'))?.reject();
    await withDeadline(connection.whenClosed(), 'the end');
    const [flushed, ...more] = connection.completionQueue.poll();
    assert.equal(flushed?.status, 'flushed');
    assert.equal(flushed?.id, 1);
    assert.equal(more.length, 0);
  });

  it('one that nobody spends does not hold up the end of its peer', async (world) => {
    const peer = await world.peer();
    const memory = await peer.allocate(64, { usage: localUsage });
    const request = await peer.createConnectionRequest('127.0.0.1', 1);
    request.postReceive({ local: memory, length: 64 });
    assert.equal(memory.inFlight, 1);
    await withDeadline(peer.close(), 'the peer closes');
    assert.equal(memory.inFlight, 0);
    request.destroy();
  });
});
