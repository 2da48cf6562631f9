// SPDX-License-Identifier: BSD-3-Clause
//
// Bad arguments are told at once: a TypeError or RangeError with the code that the argument
// deserves and its name in the message, and nothing is posted. librpma checks little and posts the
// rest as it is.

import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { type Connection, type MemoryRegion, PeerConfig, Peer, RemoteRegion } from 'rpma';
import { conform, withCode } from '../support/conform.js';
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

/** The codes of arguments, and the class that goes with each. */
const classes = {
  INVALID_ARG_TYPE: TypeError,
  INVALID_ARG_VALUE: TypeError,
  OUT_OF_RANGE: RangeError,
} as const;
type ArgumentCode = keyof typeof classes;

/** An error of this code and its class, whose message names the argument as a word of its own. */
function refusal(code: ArgumentCode, argument: string): (error: unknown) => true {
  return (error: unknown) => {
    assert.ok(error instanceof classes[code], `${String(error)} is no ${classes[code].name}`);
    withCode(code)(error);
    const words = new RegExp(`(?<![\\w.])${argument.replaceAll('.', '\\.')}(?!\\w)`);
    assert.match(error.message, words);
    return true;
  };
}

const type = 'INVALID_ARG_TYPE';
const value = 'INVALID_ARG_VALUE';
const range = 'OUT_OF_RANGE';

type Row = readonly [post: string, options: Anything, code: ArgumentCode, argument: string];

function badPosts(local: MemoryRegion, remote: RemoteRegion): Row[] {
  const both = { local, remote };
  const full = { ...both, length: 8 };
  return [
    ['postWrite', { local, length: 8 }, value, 'remote'],
    ['postWrite', { remote, length: 8 }, value, 'local'],
    ['postWrite', { length: 8 }, value, 'length'],
    ['postWrite', { localOffset: 8, length: 0 }, value, 'localOffset'],
    ['postWrite', { remoteOffset: 8, length: 0 }, value, 'remoteOffset'],
    ['postWrite', { ...both }, type, 'length'],
    ['postWrite', { ...both, length: '8' }, type, 'length'],
    ['postWrite', { ...both, length: 8n }, type, 'length'],
    ['postWrite', { ...both, length: -1 }, range, 'length'],
    ['postWrite', { ...both, length: 1.5 }, range, 'length'],
    ['postWrite', { ...both, length: Number.NaN }, range, 'length'],
    ['postWrite', { ...both, length: Infinity }, range, 'length'],
    ['postWrite', { ...full, localOffset: -1 }, range, 'localOffset'],
    ['postWrite', { ...full, remoteOffset: 2 ** 53 }, range, 'remoteOffset'],
    ['postWrite', { ...full, remoteOffset: '0' }, type, 'remoteOffset'],
    ['postWrite', { ...full, id: -1 }, range, 'id'],
    ['postWrite', { ...full, id: 2 ** 53 }, range, 'id'],
    ['postWrite', { ...full, id: 1n }, type, 'id'],
    ['postWrite', { ...full, completion: 'never' }, value, 'completion'],
    ['postWrite', { ...full, completion: 1 }, type, 'completion'],
    ['postWrite', { local: remote, remote: local, length: 8 }, type, 'local'],
    ['postWrite', { local: new Uint8Array(8), remote, length: 8 }, type, 'local'],
    ['postWrite', { local, remote: remote.toDescriptor(), length: 8 }, type, 'remote'],
    ['postWrite', { local: null, remote, length: 8 }, type, 'local'],
    ['postRead', { local, length: 8 }, value, 'remote'],
    ['postRead', { remote, length: 8 }, value, 'local'],
    ['postRead', { local: remote, remote: local, length: 8 }, type, 'local'],
    ['postRead', { ...both, length: -8 }, range, 'length'],
    ['postSend', { length: 1 }, value, 'length'],
    ['postSend', { local: remote, length: 1 }, type, 'local'],
    ['postSend', { local, length: 1, localOffset: Number.NaN }, range, 'localOffset'],
    ['postReceive', { length: 1 }, value, 'length'],
    ['postReceive', { local: {}, length: 1 }, type, 'local'],
    ['postReceive', { local, length: -1 }, range, 'length'],
    ['postReceive', { local, length: 1, id: 0.5 }, range, 'id'],
    ['postFlush', { length: 8, type: 'visibility' }, type, 'remote'],
    ['postFlush', { remote, type: 'visibility' }, type, 'length'],
    ['postFlush', { remote, length: 8 }, type, 'type'],
    ['postFlush', { remote, length: 8, type: 0 }, type, 'type'],
    ['postFlush', { remote, length: 8, type: 'durable' }, value, 'type'],
    ['postFlush', { remote: local, length: 8, type: 'visibility' }, type, 'remote'],
    ['postAtomicWrite', { value: 1n }, type, 'remote'],
    ['postAtomicWrite', { remote }, type, 'value'],
    ['postAtomicWrite', { remote, value: 1 }, type, 'value'],
    ['postAtomicWrite', { remote, value: -1n }, range, 'value'],
    ['postAtomicWrite', { remote, value: new Uint8Array(7) }, range, 'value.length'],
    ['postAtomicWrite', { remote, value: 1n, remoteOffset: 1n }, type, 'remoteOffset'],
  ];
}

function shown(options: Anything): string {
  const values = Object.entries(options).map(([key, value]) => {
    return `${key}: ${typeof value === 'object' ? 'an object' : inspect(value)}`;
  });
  return `{ ${values.join(', ')} }`;
}

/** assert.throws(), with the row that failed in the message. */
function refused(post: () => void, expected: (error: unknown) => true, what: string): void {
  try {
    assert.throws(post, expected);
  } catch (error) {
    throw new Error(what, { cause: error });
  }
}

function assertNothingPosted(connection: Connection, what: string): void {
  assert.equal(connection.sendQueueFree, 10, `after ${what}`);
  assert.equal(connection.receiveQueueFree, 10, `after ${what}`);
}

conform('bad arguments', ({ provider, it }) => {
  it('of a post are refused at once, and the connection is as before', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    const by = posts(pair.initiator);
    for (const [name, options, code, argument] of badPosts(local, remote)) {
      const what = `${name} ${shown(options)}`;
      refused(() => by[name]?.(options), refusal(code, argument), what);
      assertNothingPosted(pair.initiator, what);
    }
    for (const name of Object.keys(by)) {
      for (const options of [undefined, null, 5, 'text']) {
        const what = `${name}(${String(options)})`;
        refused(() => by[name]?.(options as never), refusal(type, 'operation'), what);
        assertNothingPosted(pair.initiator, what);
      }
    }
    pair.initiator.postWrite({ local, remote, length: 8, id: 1 });
    assert.equal((await takeOk(pair.initiator.completionQueue)).id, 1);
    assert.equal(pair.initiator.completionQueue.tryTake(), null);
  });

  it('of peers, endpoints and requests', async (world) => {
    const peer = await world.peer();
    for (const port of [-1, 65_536, 1.5, Number.NaN]) {
      const wrong = refusal(range, 'port');
      await assert.rejects(peer.listen('127.0.0.1', port), wrong, `port ${port}`);
      await assert.rejects(peer.connect('127.0.0.1', port), wrong, `port ${port}`);
    }
    const text = '7204' as unknown as number;
    await assert.rejects(peer.listen('127.0.0.1', text), refusal(type, 'port'));
    await assert.rejects(peer.connect('127.0.0.1', text), refusal(type, 'port'));
    await assert.rejects(peer.connect('127.0.0.1', 0), refusal(range, 'port'));
    await assert.rejects(peer.listen(5 as unknown as string, 0), refusal(type, 'address'));
    await assert.rejects(peer.createConnectionRequest('', 1), refusal(value, 'address'));
    await assert.rejects(peer.createCompletionQueue({ size: -1 }), refusal(range, 'size'));
    await assert.rejects(
      Peer.open({ provider: 'carrier-pigeon' as 'iwarp' }),
      refusal(value, 'provider'),
    );
    await assert.rejects(
      Peer.open({ provider, localAddress: '127.0.0.1', busyPollMicroseconds: -1 }),
      refusal(range, 'busyPollMicroseconds'),
    );
    const bytes = 'text' as unknown as Uint8Array;
    await assert.rejects(
      peer.connect('127.0.0.1', 1, { privateData: bytes }),
      refusal(type, 'privateData'),
    );
  });

  it('of memory', async (world) => {
    const peer = await world.peer();
    const usage = 1;
    for (const size of [-1, 0, 1.5, Number.NaN]) {
      await assert.rejects(peer.allocate(size, { usage }), refusal(range, 'sizeBytes'), `${size}`);
    }
    const text = '64' as unknown as number;
    await assert.rejects(peer.allocate(text, { usage }), refusal(type, 'sizeBytes'));
    await assert.rejects(peer.allocate(64, { usage: 0 }), refusal(value, 'usage'));
    await assert.rejects(peer.allocate(64, { usage: text }), refusal(type, 'usage'));
    const hugePages = 1 as unknown as boolean;
    await assert.rejects(peer.allocate(64, { usage, hugePages }), refusal(type, 'hugePages'));
    for (const memory of ['text', [1, 2], null] as unknown as ArrayBuffer[]) {
      await assert.rejects(peer.register(memory, { usage }), refusal(type, 'memory'));
    }
    const memory = new ArrayBuffer(64);
    await assert.rejects(peer.register(memory, { usage, offset: -1 }), refusal(range, 'offset'));
    await assert.rejects(
      peer.register(memory, { usage, offset: 60, length: 8 }),
      refusal(range, 'length'),
    );
  });

  it('of descriptors and queues', async (world) => {
    const pair = await world.pair();
    const text = 'text' as unknown as Uint8Array;
    assert.throws(() => RemoteRegion.fromDescriptor(text), refusal(type, 'bytes'));
    assert.throws(() => PeerConfig.fromDescriptor(text), refusal(type, 'bytes'));
    assert.throws(
      () => pair.initiator.applyRemotePeerConfig({} as unknown as PeerConfig),
      refusal(type, 'config'),
    );
    const queue = pair.initiator.completionQueue;
    for (const max of [0, -1, 1.5]) {
      assert.throws(() => queue.poll(max), refusal(range, 'max'), `${max}`);
    }
    await assert.rejects(queue.take({ timeoutMs: -1 }), refusal(range, 'timeoutMs'));
    await assert.rejects(queue.take({ signal: {} as AbortSignal }), refusal(type, 'signal'));
  });
});
