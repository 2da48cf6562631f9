// SPDX-License-Identifier: BSD-3-Clause
//
// Peers, endpoints, requests and connections from their making to their end (librpma:
// utils_get_ibv_context, peer_new, ep_*, conn_req_*, conn_disconnect, conn_delete): arguments, what
// a call consumes, what it leaves, and that every end may be asked for twice.

import assert from 'node:assert/strict';
import { isRpmaError, MemoryUsage, Peer } from 'rpma';
import { argumentError, conform, withCode } from '../support/conform.js';
import { withDeadline } from '../support/deadline.js';
import { takeOk } from '../support/world.js';

const type = argumentError('TypeError', 'INVALID_ARG_TYPE');
const value = argumentError('TypeError', 'INVALID_ARG_VALUE');
const range = argumentError('RangeError', 'OUT_OF_RANGE');
const spent = (error: unknown): boolean => isRpmaError(error) && error.code === 'ERR_RPMA_STATE';
/** What a NULL in place of an address may be. */
const noAddress = [null, undefined, 5, {}] as never[];

conform("librpma's peers", ({ provider, it }) => {
  it('a device is found by a local address or by the way to a remote one, not by both', async () => {
    for (const options of [{ localAddress: '127.0.0.1' }, { remoteAddress: '127.0.0.1' }]) {
      const peer = await Peer.open({ provider, ...options });
      assert.equal(peer.provider, provider);
      await peer.close();
    }
    const both = { provider, localAddress: '127.0.0.1', remoteAddress: '127.0.0.1' };
    await assert.rejects(Peer.open(both), value);
  });

  it('127.0.0.1, a name and no address at all will do (librpma needs an RDMA device)', async () => {
    for (const options of [{}, { localAddress: 'localhost' }, { remoteAddress: 'localhost' }]) {
      const peer = await Peer.open({ provider, ...options });
      await peer.close();
    }
  });

  it('an address that is NULL or no text, and options that are NULL, are refused', async () => {
    for (const address of noAddress.filter((each) => each !== undefined)) {
      await assert.rejects(Peer.open({ provider, localAddress: address }), type);
      await assert.rejects(Peer.open({ provider, remoteAddress: address }), type);
    }
    await assert.rejects(Peer.open({ provider, localAddress: '' }), value);
    await assert.rejects(Peer.open(null as never), type);
  });

  it('a device that is of no known kind is refused', async () => {
    await assert.rejects(Peer.open({ provider: 'infiniband' as never }), value);
    await assert.rejects(Peer.open({ provider: 0 as never }), type);
  });

  it('an address that does not resolve, or is not of this machine, is a provider error', async () => {
    const name = { provider, localAddress: 'no-such-host.invalid' };
    await assert.rejects(Peer.open(name), (error) => isRpmaError(error));
    const foreign = { provider, localAddress: '192.0.2.1' };
    await assert.rejects(Peer.open(foreign), withCode('PROVIDER', { scope: 'peer' }));
  });

  it('looking up does not block the thread: it goes on elsewhere', async (world) => {
    const peer = await world.peer();
    let settled = false;
    const attempt = peer
      .createConnectionRequest('no-such-host.invalid', 7)
      .catch(() => null)
      .finally(() => {
        settled = true;
      });
    // What was looked up on this thread would be known before the loop turns.
    for (let n = 0; n < 100; n++) await Promise.resolve();
    assert.equal(settled, false);
    await withDeadline(attempt, 'the look-up ends');
  });

  it('objects of another peer are refused, whatever they are', async (world) => {
    const pair = await world.pair();
    const stranger = await world.peer();
    const local = await stranger.allocate(64, { usage: MemoryUsage.WriteSource });
    const { remote } = await world.lend(pair);
    const foreign = withCode('FOREIGN');
    assert.throws(() => pair.initiator.postWrite({ local, remote, length: 8 }), foreign);
    const queue = await stranger.createCompletionQueue();
    const connection = { completionQueue: queue };
    await assert.rejects(pair.targetPeer.listen('127.0.0.1', 0, { connection }), value);
    await assert.rejects(
      stranger.register(new ArrayBuffer(8), { usage: 1, connection: pair.target }),
      (error) => isRpmaError(error),
    );
  });

  it('a peer may be closed while everything made from it is open: it closes that first', async (world) => {
    const pair = await world.pair();
    const region = await pair.initiatorPeer.allocate(64, { usage: MemoryUsage.Send });
    const endpoint = await pair.initiatorPeer.listen('127.0.0.1', 0);
    const request = await pair.initiatorPeer.createConnectionRequest('127.0.0.1', 9);
    await withDeadline(pair.initiatorPeer.close(), 'the peer closes');
    assert.equal(pair.initiator.state, 'closed');
    assert.equal(endpoint.closed, true);
    assert.equal(region.bytes.length, 0);
    assert.throws(() => request.connect(), /ERR_RPMA|spent|closed/);
  });
});

conform("librpma's endpoints", ({ it }) => {
  it('an address or port that is NULL, or none, is refused', async (world) => {
    const peer = await world.peer();
    for (const address of noAddress) {
      await assert.rejects(peer.listen(address, 0), type);
      await assert.rejects(peer.createConnectionRequest(address, 1), type);
      await assert.rejects(peer.connect(address, 1), type);
    }
    for (const port of [null, undefined, '7204'] as never[]) {
      await assert.rejects(peer.listen('127.0.0.1', port), type);
      await assert.rejects(peer.createConnectionRequest('127.0.0.1', port), type);
    }
    await assert.rejects(peer.listen('127.0.0.1', 65_536), range);
    await assert.rejects(peer.listen(null as never, null as never), type);
  });

  it('an address of another machine cannot be listened at', async (world) => {
    const peer = await world.peer();
    const attempt = peer.listen('192.0.2.1', 0);
    await assert.rejects(attempt, withCode('PROVIDER', { syscall: 'bind' }));
  });

  it('the next request comes with the default configuration, or with the one given', async (world) => {
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    for (const connection of [undefined, { sendQueueSize: 77 }]) {
      const dialling = peer.connect('127.0.0.1', endpoint.port);
      const request = await endpoint.take({ connection, timeoutMs: 10_000 });
      assert.equal(request?.config.sendQueueSize, connection?.sendQueueSize ?? 10);
      request?.accept();
      await withDeadline(dialling, 'established');
    }
  });

  it('NULL in place of its options is refused', async (world) => {
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    await assert.rejects(endpoint.take(null as never), type);
    await assert.rejects(endpoint.take({ connection: null as never }), type);
    assert.throws(() => endpoint.tryTake(null as never), type);
    await assert.rejects(peer.listen('127.0.0.1', 0, null as never), type);
  });
});

conform("librpma's connection requests", ({ it }) => {
  it('a request is spent by connecting, and by nothing else', async (world) => {
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    const outgoing = await peer.createConnectionRequest('127.0.0.1', endpoint.port);
    // librpma consumes the request even when the call is refused.
    for (const options of [null, 5, { privateData: null }, { privateData: 'text' }] as never[]) {
      assert.throws(() => outgoing.connect(options), type);
    }
    const initiator = outgoing.connect();
    assert.throws(() => outgoing.connect(), spent);
    const incoming = await withDeadline(endpoint.take(), 'a request');
    assert.ok(incoming !== null);
    for (const options of [null, { privateData: [1] }] as never[]) {
      assert.throws(() => incoming.accept(options), type);
      assert.throws(() => incoming.reject(options), type);
    }
    incoming.accept();
    assert.throws(() => incoming.accept(), spent);
    await withDeadline(initiator.whenEstablished(), 'established');
  });

  it('private data of no bytes is the same as none (librpma refuses it)', async (world) => {
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    for (const privateData of [undefined, new Uint8Array(0)]) {
      const dialling = peer.connect('127.0.0.1', endpoint.port, { privateData });
      const incoming = await withDeadline(endpoint.take(), 'a request');
      assert.equal(incoming?.privateData.length, 0);
      incoming?.accept({ privateData });
      assert.equal((await withDeadline(dialling, 'established')).privateData.length, 0);
    }
  });

  it('only an incoming request has private data to show, and it stays', async (world) => {
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    const outgoing = await peer.createConnectionRequest('127.0.0.1', endpoint.port);
    assert.equal('privateData' in outgoing, false);
    const initiator = outgoing.connect({ privateData: Uint8Array.of(1, 2, 3) });
    const incoming = await withDeadline(endpoint.take(), 'a request');
    const seen = incoming?.privateData;
    const target = incoming?.accept();
    await withDeadline(initiator.whenEstablished(), 'established');
    assert.deepEqual([...(seen ?? [])], [1, 2, 3]);
    assert.deepEqual([...(target?.privateData ?? [])], [1, 2, 3]);
    await target?.close();
    assert.deepEqual([...(target?.privateData ?? [])], [1, 2, 3]);
    assert.deepEqual([...(incoming?.privateData ?? [])], [1, 2, 3]);
  });

  it('connecting returns before the connection is up, and so does accepting', async (world) => {
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    const initiator = (await peer.createConnectionRequest('127.0.0.1', endpoint.port)).connect();
    assert.equal(initiator.state, 'connecting');
    assert.throws(() => initiator.postWrite({ length: 0 }), withCode('STATE'));
    const target = (await withDeadline(endpoint.take(), 'a request'))?.accept();
    assert.ok(target !== undefined);
    await withDeadline(initiator.whenEstablished(), 'established');
    await withDeadline(target.whenEstablished(), 'established');
  });

  it('letting go of an incoming request rejects it, of an outgoing one tells nobody', async (world) => {
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    const unused = await peer.createConnectionRequest('127.0.0.1', endpoint.port);
    unused.destroy();
    const refused = assert.rejects(
      peer.connect('127.0.0.1', endpoint.port),
      withCode('REJECTED', { privateData: new Uint8Array(0) }),
    );
    const incoming = await withDeadline(endpoint.take(), 'a request');
    incoming?.destroy();
    await withDeadline(refused, 'the rejection');
    assert.equal(endpoint.tryTake(), null);
  });

  it('a receive posted before connecting is there when the first message comes', async (world) => {
    const pair = await world.pair({
      beforeAccept: (request) => request.postReceive({ length: 0, id: 31 }),
    });
    pair.initiator.postSend({ length: 0 });
    assert.equal((await takeOk(pair.target.completionQueue)).id, 31);
  });
});

conform("librpma's connections", ({ it }) => {
  it('the queue-pair number is the same before and after disconnecting', async (world) => {
    const { initiator } = await world.pair();
    const number = initiator.queuePairNumber;
    assert.ok(Number.isSafeInteger(number) && number > 0);
    initiator.disconnect();
    assert.equal(initiator.queuePairNumber, number);
    await withDeadline(initiator.whenClosed(), 'the end');
    assert.equal(initiator.queuePairNumber, number);
    await initiator.close();
    assert.equal(initiator.queuePairNumber, number);
  });

  it('disconnect() may be called by either side, by both, and again', async (world) => {
    const { initiator, target } = await world.pair();
    initiator.disconnect();
    initiator.disconnect();
    await withDeadline(target.whenClosed(), 'the other side sees it');
    target.disconnect();
    await withDeadline(initiator.whenClosed(), 'the end');
    initiator.disconnect();
    assert.equal(initiator.state, 'closed');
  });

  it('an end may be asked for twice: everything that closes closes once', async (world) => {
    const pair = await world.pair();
    const file = await world.file(4096);
    const region = await pair.targetPeer.register(file, { usage: MemoryUsage.ReadSource });
    const request = await pair.initiatorPeer.createConnectionRequest('127.0.0.1', 9);
    request.destroy();
    request.destroy();
    const closing = [pair.initiator, region, pair.endpoint, pair.initiatorPeer, pair.targetPeer];
    for (const each of closing) {
      const first = each.close();
      assert.equal(each.close(), first, each.constructor.name);
      await withDeadline(first, `${each.constructor.name} closes`);
      await withDeadline(each.close(), 'and is closed');
    }
    pair.initiator.destroy();
    pair.initiatorPeer.destroy();
    await file.unmap();
    await file.unmap();
  });
});
