// SPDX-License-Identifier: BSD-3-Clause
//
// Bad arguments are told at once: a TypeError or RangeError with a code, and nothing is posted.
// librpma checks little and posts the rest as it is.

import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { type Connection, type MemoryRegion, PeerConfig, Peer, RemoteRegion } from 'rpma';
import { conform } from '../support/conform.js';
import { takeOk } from '../support/world.js';

/** Whatever a caller without types might pass. */
type Anything = Readonly<Record<string, unknown>>;
type Post = (options: Anything) => void;

function posts(connection: Connection): Readonly<Record<string, Post>> {
  return {
    postRead: (options) => connection.postRead(options as never),
    postWrite: (options) => connection.postWrite(options as never),
    postSend: (options) => connection.postSend(options as never),
    postReceive: (options) => connection.postReceive(options as never),
    postFlush: (options) => connection.postFlush(options as never),
    postAtomicWrite: (options) => connection.postAtomicWrite(options as never),
  };
}

const argumentErrors = (error: unknown): boolean =>
  (error instanceof TypeError || error instanceof RangeError) &&
  'code' in error &&
  String(error.code).startsWith('ERR_RPMA_');

function badPosts(local: MemoryRegion, remote: RemoteRegion): [string, Anything][] {
  const both = { local, remote };
  return [
    ['postWrite', { local, length: 8 }],
    ['postWrite', { remote, length: 8 }],
    ['postWrite', { length: 8 }],
    ['postWrite', { localOffset: 8, length: 0 }],
    ['postWrite', { ...both }],
    ['postWrite', { ...both, length: '8' }],
    ['postWrite', { ...both, length: 8n }],
    ['postWrite', { ...both, length: -1 }],
    ['postWrite', { ...both, length: 1.5 }],
    ['postWrite', { ...both, length: Number.NaN }],
    ['postWrite', { ...both, length: Infinity }],
    ['postWrite', { ...both, length: 8, localOffset: -1 }],
    ['postWrite', { ...both, length: 8, remoteOffset: 2 ** 53 }],
    ['postWrite', { ...both, length: 8, remoteOffset: '0' }],
    ['postWrite', { ...both, length: 8, id: -1 }],
    ['postWrite', { ...both, length: 8, id: 2 ** 53 }],
    ['postWrite', { ...both, length: 8, id: 1n }],
    ['postWrite', { ...both, length: 8, completion: 'never' }],
    ['postWrite', { ...both, length: 8, completion: 1 }],
    ['postWrite', { local: remote, remote: local, length: 8 }],
    ['postWrite', { local: new Uint8Array(8), remote, length: 8 }],
    ['postWrite', { local, remote: remote.toDescriptor(), length: 8 }],
    ['postWrite', { local: null, remote, length: 8 }],
    ['postRead', { local, length: 8 }],
    ['postRead', { remote, length: 8 }],
    ['postRead', { local: remote, remote: local, length: 8 }],
    ['postRead', { ...both, length: -8 }],
    ['postSend', { length: 1 }],
    ['postSend', { local: remote, length: 1 }],
    ['postSend', { local, length: 1, localOffset: Number.NaN }],
    ['postReceive', { length: 1 }],
    ['postReceive', { local: {}, length: 1 }],
    ['postReceive', { local, length: -1 }],
    ['postReceive', { local, length: 1, id: 0.5 }],
    ['postFlush', { length: 8, type: 'visibility' }],
    ['postFlush', { remote, type: 'visibility' }],
    ['postFlush', { remote, length: 8 }],
    ['postFlush', { remote, length: 8, type: 0 }],
    ['postFlush', { remote: local, length: 8, type: 'visibility' }],
    ['postAtomicWrite', { value: 1n }],
    ['postAtomicWrite', { remote }],
    ['postAtomicWrite', { remote, value: 1 }],
    ['postAtomicWrite', { remote, value: 1n, remoteOffset: 1n }],
  ];
}

function shown(options: Anything): string {
  const values = Object.entries(options).map(([key, value]) => {
    return `${key}: ${typeof value === 'object' ? 'an object' : inspect(value)}`;
  });
  return `{ ${values.join(', ')} }`;
}

conform('bad arguments', ({ provider, it }) => {
  it('of a post are refused at once, and the connection is as before', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    const by = posts(pair.initiator);
    for (const [name, options] of badPosts(local, remote)) {
      assert.throws(() => by[name]?.(options), argumentErrors, `${name} ${shown(options)}`);
    }
    for (const name of Object.keys(by)) {
      for (const options of [undefined, null, 5, 'text']) {
        assert.throws(() => by[name]?.(options as never), TypeError, `${name}(${String(options)})`);
      }
    }
    assert.equal(pair.initiator.sendQueueFree, 10);
    assert.equal(pair.initiator.receiveQueueFree, 10);
    pair.initiator.postWrite({ local, remote, length: 8, id: 1 });
    assert.equal((await takeOk(pair.initiator.completionQueue)).id, 1);
  });

  it('of peers, endpoints and requests', async (world) => {
    const peer = await world.peer();
    for (const port of [-1, 65_536, 1.5, Number.NaN, '7204' as unknown as number]) {
      await assert.rejects(peer.listen('127.0.0.1', port), argumentErrors, `port ${port}`);
      await assert.rejects(peer.connect('127.0.0.1', port), argumentErrors, `port ${port}`);
    }
    await assert.rejects(peer.listen(5 as unknown as string, 0), argumentErrors);
    await assert.rejects(peer.createConnectionRequest('', 1), argumentErrors);
    await assert.rejects(peer.createCompletionQueue({ size: -1 }), argumentErrors);
    await assert.rejects(Peer.open({ provider: 'carrier-pigeon' as 'iwarp' }), argumentErrors);
    await assert.rejects(
      Peer.open({ provider, localAddress: '127.0.0.1', busyPollMicroseconds: -1 }),
      argumentErrors,
    );
    const bytes = 'text' as unknown as Uint8Array;
    await assert.rejects(peer.connect('127.0.0.1', 1, { privateData: bytes }), argumentErrors);
  });

  it('of memory', async (world) => {
    const peer = await world.peer();
    const usage = 1;
    for (const size of [-1, 1.5, Number.NaN, '64' as unknown as number]) {
      await assert.rejects(peer.allocate(size, { usage }), argumentErrors, `size ${size}`);
    }
    await assert.rejects(
      peer.register('text' as unknown as ArrayBuffer, { usage }),
      argumentErrors,
    );
    await assert.rejects(
      peer.register([1, 2] as unknown as ArrayBuffer, { usage }),
      argumentErrors,
    );
    const memory = new ArrayBuffer(64);
    await assert.rejects(peer.register(memory, { usage, offset: -1 }), argumentErrors);
    await assert.rejects(peer.register(memory, { usage, offset: 60, length: 8 }), argumentErrors);
  });

  it('of descriptors and queues', async (world) => {
    const pair = await world.pair();
    const text = 'text' as unknown as Uint8Array;
    assert.throws(() => RemoteRegion.fromDescriptor(text), argumentErrors);
    assert.throws(() => PeerConfig.fromDescriptor(text), argumentErrors);
    assert.throws(
      () => pair.initiator.applyRemotePeerConfig({} as unknown as PeerConfig),
      argumentErrors,
    );
    const queue = pair.initiator.completionQueue;
    for (const max of [0, -1, 1.5]) assert.throws(() => queue.poll(max), argumentErrors);
    await assert.rejects(queue.take({ timeoutMs: -1 }), argumentErrors);
    await assert.rejects(queue.take({ signal: {} as AbortSignal }), argumentErrors);
  });
});
