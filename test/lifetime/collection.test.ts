// SPDX-License-Identifier: BSD-3-Clause
// flavour: test
//
// The garbage collector and open objects. What is open and in use is never collected, however few
// references the program kept; what nobody can use any more is let go of, and reported once.

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import {
  type Connection,
  type Endpoint,
  Epoll,
  MemoryUsage,
  Peer,
  PmemFile,
  RemoteRegion,
} from 'rpma';
import { turn, until, withDeadline } from '../support/deadline.js';
import { diskFolder, removeFolder } from '../support/folders.js';
import { nativeTest } from '../support/native.js';
import { durableUsage, localUsage, remoteUsage, takeOk } from '../support/world.js';

const sizeBytes = 65_536;
const leaks: string[] = [];

function onWarning(warning: Error): void {
  if ('code' in warning && warning.code === 'RPMA_LEAK') leaks.push(warning.message);
}

function collectOnce(): void {
  assert.ok(globalThis.gc, 'the tests run with --expose-gc');
  globalThis.gc();
}

/** Enough collections, turns and garbage that whatever may be collected is. */
async function collect(): Promise<void> {
  for (let round = 0; round < 20; round++) {
    collectOnce();
    await turn();
    // Memory that was freed by mistake is given to somebody else, who writes to it.
    new Uint8Array(sizeBytes).fill(0xee);
  }
}

/** What lives natively; a peer's thread comes later than the peer. */
function liveObjects(): string {
  return JSON.stringify({ ...nativeTest().counters(), threads: 0 });
}

function openPeer(): Promise<Peer> {
  return Peer.open({ localAddress: '127.0.0.1' });
}

/** Closes a peer that nobody else referred to, and with it everything of it. */
async function closeKept(peer: WeakRef<Peer>): Promise<void> {
  const kept = peer.deref();
  assert.ok(kept !== undefined, 'a peer with open children was collected');
  await withDeadline(kept.close(), 'it closes');
}

interface Served {
  readonly peer: WeakRef<Peer>;
  readonly port: number;
  readonly memory: Uint8Array;
  readonly file: Uint8Array;
}

/** Answers every message with one, for as long as there are connections. */
async function echo(connection: Connection): Promise<void> {
  for await (const completion of connection.completionQueue) {
    if (completion.operation !== 'receive' || !completion.ok) continue;
    connection.postReceive({ length: 0 });
    connection.postSend({ length: 0, completion: 'on-error' });
  }
}

async function acceptAll(endpoint: Endpoint): Promise<void> {
  for await (const request of endpoint) {
    request.postReceive({ length: 0 });
    void echo(request.accept());
  }
}

/** Opens a target and keeps no reference to anything of it, only descriptors. */
async function serve(folder: string): Promise<Served> {
  const peer = await openPeer();
  const bytes = new Uint8Array(sizeBytes).fill(7);
  const memory = await peer.register(bytes, { usage: remoteUsage });
  const mapped = await PmemFile.map(join(folder, 'kept'), { create: true, sizeBytes });
  const file = await peer.register(mapped, { usage: durableUsage });
  const endpoint = await peer.listen('127.0.0.1', 0);
  void acceptAll(endpoint);
  return {
    peer: new WeakRef(peer),
    port: endpoint.port,
    memory: memory.toDescriptor(),
    file: file.toDescriptor(),
  };
}

interface Outcome {
  received: number;
}

/** A connection with a shared queue and a pending wait, of which a callback alone is left. */
async function waitForMessage(port: number, outcome: Outcome): Promise<WeakRef<Peer>> {
  const peer = await openPeer();
  const completionQueue = await peer.createCompletionQueue({ size: 16 });
  const connection = await peer.connect('127.0.0.1', port, { connection: { completionQueue } });
  connection.postReceive({ length: 0, id: 1 });
  void completionQueue.take().then((first) => {
    outcome.received += first?.operation === 'receive' ? 1 : 0;
  });
  connection.postSend({ length: 0, completion: 'on-error' });
  return new WeakRef(peer);
}

/**
 * A connection of whose own queue a wait alone is left: take(), an iterator or an awaited receive.
 */
async function waitOnOwnQueue(
  port: number,
  wait: (connection: Connection, resolve: () => void) => void,
): Promise<{ readonly peer: WeakRef<Peer>; readonly done: Promise<void> }> {
  const peer = await openPeer();
  const connection = await peer.connect('127.0.0.1', port);
  const done = new Promise<void>((resolve) => wait(connection, resolve));
  return { peer: new WeakRef(peer), done };
}

const waitsOnOwnQueue = {
  'a pending take()': (connection: Connection, resolve: () => void): void => {
    connection.postReceive({ length: 0 });
    void connection.completionQueue.take().then((first) => {
      if (first?.operation === 'receive') resolve();
    });
  },
  'a pending wait()': (connection: Connection, resolve: () => void): void => {
    connection.postReceive({ length: 0 });
    void connection.completionQueue.wait().then((some) => {
      if (some) resolve();
    });
  },
  'an iterator': (connection: Connection, resolve: () => void): void => {
    connection.postReceive({ length: 0 });
    const iterator = connection.completionQueue[Symbol.asyncIterator]();
    void iterator.next().then((result) => {
      if (result.done !== true && result.value.operation === 'receive') resolve();
    });
  },
  'an awaited receive()': (connection: Connection, resolve: () => void): void => {
    void connection.receive({ length: 0 }).then(resolve);
  },
} as const;

async function useAll(peer: Peer, served: Served): Promise<void> {
  const connection = await peer.connect('127.0.0.1', served.port);
  const local = await peer.allocate(sizeBytes, { usage: localUsage });
  const queue = connection.completionQueue;
  const memory = RemoteRegion.fromDescriptor(served.memory);
  connection.postRead({ local, remote: memory, length: sizeBytes });
  await takeOk(queue);
  assert.ok(
    local.bytes.every((byte) => byte === 7),
    'memory that is registered stays',
  );
  const file = RemoteRegion.fromDescriptor(served.file);
  for (const [fill, remote, type] of [
    [7, memory, 'visibility'],
    [9, file, 'persistent'],
  ] as const) {
    local.bytes.fill(fill);
    connection.postWrite({ local, remote, length: sizeBytes, completion: 'on-error' });
    connection.postFlush({ remote, length: sizeBytes, type });
    await takeOk(queue);
    local.bytes.fill(0);
    connection.postRead({ local, remote, length: sizeBytes });
    await takeOk(queue);
    assert.ok(local.bytes.every((byte) => byte === fill));
  }
  connection.postReceive({ length: 0 });
  connection.postSend({ length: 0, completion: 'on-error' });
  assert.equal((await takeOk(queue)).operation, 'receive');
  await local.close();
  await connection.close();
}

/** Makes something and keeps nothing of it, not even as the value of a promise that is awaited. */
async function makeAndDrop(make: () => Promise<unknown>): Promise<void> {
  await turn();
  await new Promise<void>((resolve, reject) => {
    make().then(() => resolve(), reject);
  });
  await turn();
}

/** Collects until there is a report, then some more: there must be one only. */
async function reported(expected: string, released: string): Promise<void> {
  for (let round = 0; round < 20 && leaks.length === 0; round++) await collect();
  await collect();
  assert.deepEqual(leaks, [`${expected} was collected without having been closed`]);
  await until(() => liveObjects() === released, `${liveObjects()} become ${released}`);
}

describe('the garbage collector', () => {
  let folder = '';
  before(async () => {
    folder = await diskFolder();
    process.on('warning', onWarning);
    await (await openPeer()).close(); // the environment's own descriptors stay from here on
  });
  beforeEach(() => leaks.splice(0));
  after(() => removeFolder(folder));

  it('takes nothing that is open: endpoint, connections, queues, regions, file', async (test) => {
    const released = liveObjects();
    const kept: { served?: Served; waiting?: WeakRef<Peer> } = {};
    await makeAndDrop(async () => {
      kept.served = await serve(folder);
    });
    test.after(async () => {
      // What a failure leaves open would keep this process.
      await kept.waiting?.deref()?.close();
      await kept.served?.peer.deref()?.close();
    });
    const { served } = kept;
    assert.ok(served !== undefined);
    await collect();
    const peer = await openPeer();
    test.after(() => peer.close());
    for (let round = 0; round < 3; round++) {
      await useAll(peer, served); // over a new connection each time: the endpoint still serves
      await collect();
    }
    await peer.close();
    const outcome: Outcome = { received: 0 };
    await makeAndDrop(async () => {
      kept.waiting = await waitForMessage(served.port, outcome);
    });
    await collect();
    await until(() => outcome.received === 1, 'the wait of a connection without references');
    await collect();
    assert.deepEqual(leaks, []);
    assert.ok(kept.waiting !== undefined);
    await closeKept(kept.waiting);
    await closeKept(served.peer);
    // Its region held the file; nothing does now.
    await reported('a PmemFile', released);
  });

  for (const [name, wait] of Object.entries(waitsOnOwnQueue)) {
    it(`takes no queue of an open connection of which ${name} is left`, async (test) => {
      const targetPeer = await openPeer();
      test.after(() => targetPeer.close());
      const endpoint = await targetPeer.listen('127.0.0.1', 0);
      const accepted = endpoint.take().then((request) => request?.accept().whenEstablished());
      const kept: { waiting?: Awaited<ReturnType<typeof waitOnOwnQueue>> } = {};
      await makeAndDrop(async () => {
        kept.waiting = await waitOnOwnQueue(endpoint.port, wait);
      });
      test.after(() => kept.waiting?.peer.deref()?.close());
      const target = await accepted;
      assert.ok(kept.waiting !== undefined && target !== undefined);
      await collect();
      target.postSend({ length: 0 });
      await withDeadline(kept.waiting.done, 'the message reaches the wait');
    });
  }

  it('takes no queue of which an iterator has completions to give', async (test) => {
    const [peer, targetPeer] = [await openPeer(), await openPeer()];
    test.after(() => Promise.all([peer.close(), targetPeer.close()]));
    const endpoint = await targetPeer.listen('127.0.0.1', 0);
    const accepted = endpoint.take().then((request) => request?.accept().whenEstablished());
    const posted = 200; // more than are fetched ahead
    const kept: { iterator?: AsyncIterableIterator<unknown>; ended?: Promise<unknown> } = {};
    await makeAndDrop(async () => {
      const connection = await peer.connect('127.0.0.1', endpoint.port, {
        connection: { receiveQueueSize: posted, completionQueueSize: posted + 64 },
      });
      for (let i = 0; i < posted; i++) connection.postReceive({ length: 0 });
      kept.iterator = connection.completionQueue[Symbol.asyncIterator]();
      kept.ended = connection.whenClosed();
    });
    (await accepted)?.destroy();
    await kept.ended;
    delete kept.ended;
    let given = 0;
    for (; (await kept.iterator?.next())?.done === false; given++) if (given < 2) await collect();
    assert.equal(given, posted);
  });

  it('takes the queue of an ended connection with what nobody read, and says nothing', async (test) => {
    const [peer, targetPeer] = [await openPeer(), await openPeer()];
    test.after(() => Promise.all([peer.close(), targetPeer.close()]));
    const endpoint = await targetPeer.listen('127.0.0.1', 0);
    const released = liveObjects();
    await makeAndDrop(async () => {
      const accepted = endpoint.take().then((request) => request?.accept().whenEstablished());
      const connection = await peer.connect('127.0.0.1', endpoint.port);
      connection.postReceive({ length: 0 });
      connection.destroy();
      await (await accepted)?.whenClosed();
    });
    await until(() => liveObjects() !== released, 'the unread queue stays at first');
    for (let round = 0; round < 20 && liveObjects() !== released; round++) await collect();
    assert.equal(liveObjects(), released);
    assert.deepEqual(leaks, []);
  });

  it('takes no file of which a view is left, and reports the file once that has gone', async () => {
    const path = join(folder, 'viewed');
    const released = liveObjects();
    const kept: { view: Uint8Array | null } = { view: null };
    await makeAndDrop(async () => {
      const file = await PmemFile.map(path, { create: true, sizeBytes });
      kept.view = file.view(4096, 4096);
    });
    await collect();
    assert.deepEqual(leaks, []);
    await makeAndDrop(async () => {
      kept.view?.fill(5);
      const again = await PmemFile.map(path);
      assert.ok(
        again.view(4096, 4096).every((byte) => byte === 5),
        'the view is the file',
      );
      await again.unmap();
    });
    kept.view = null;
    await reported('a PmemFile', released);
  });

  it('takes a peer without children, and reports it once', async () => {
    const released = liveObjects();
    await makeAndDrop(async () => {
      const peer = await openPeer();
      const region = await peer.allocate(64, { usage: localUsage });
      await region.close(); // it had a child, and has none now
    });
    await reported('a Peer', released);
  });

  it('takes a file without region or view, and reports it once', async () => {
    const released = liveObjects();
    const path = join(folder, 'dropped');
    await makeAndDrop(() => PmemFile.map(path, { create: true, sizeBytes }));
    await reported('a PmemFile', released);
  });

  it('takes an unspent outgoing request, and reports it once', async (test) => {
    const peer = await openPeer();
    test.after(() => peer.close());
    const released = liveObjects();
    await makeAndDrop(() => peer.createConnectionRequest('127.0.0.1', 1));
    await reported('a connection request', released);
  });

  it('takes an unspent incoming request, which rejects it, and reports it once', async (test) => {
    const [peer, targetPeer] = [await openPeer(), await openPeer()];
    test.after(() => Promise.all([peer.close(), targetPeer.close()]));
    const endpoint = await targetPeer.listen('127.0.0.1', 0);
    const released = liveObjects();
    const refused = assert.rejects(peer.connect('127.0.0.1', endpoint.port), {
      code: 'ERR_RPMA_REJECTED',
    });
    await makeAndDrop(async () => {
      assert.ok((await endpoint.take({ timeoutMs: 5000 })) !== null);
    });
    await reported('a connection request', released);
    await withDeadline(refused, 'the rejection');
  });

  it('takes an Epoll with what it watches still open, and reports it once', async (test) => {
    const peer = await openPeer();
    test.after(() => peer.close());
    const endpoint = await peer.listen('127.0.0.1', 0);
    assert.ok(endpoint.fd > 2);
    const released = liveObjects();
    await makeAndDrop(() => {
      new Epoll().add(endpoint, 'nobody waits for it');
      return Promise.resolve();
    });
    await reported('an Epoll', released);
  });

  it('takes no Epoll that somebody waits on', async (test) => {
    const peer = await openPeer();
    test.after(() => peer.close());
    const endpoint = await peer.listen('127.0.0.1', 0);
    const kept: { woken?: Promise<unknown> } = {};
    await makeAndDrop(() => {
      kept.woken = new Epoll().add(endpoint, 'endpoint').take();
      return Promise.resolve();
    });
    await collect();
    assert.deepEqual(leaks, []);
    const request = await peer.createConnectionRequest('127.0.0.1', endpoint.port);
    request.connect();
    assert.ok((await withDeadline(kept.woken ?? assert.fail(), 'the wait ends')) !== null);
    delete kept.woken;
    endpoint.tryTake()?.reject();
    await until(() => leaks.length > 0 || (collectOnce(), false), 'now it is taken');
    assert.match(leaks.splice(0).join(), /an Epoll was collected/);
  });

  it('takes the descriptors of an ended connection that nobody read, and says nothing', async (test) => {
    const [peer, targetPeer] = [await openPeer(), await openPeer()];
    test.after(() => Promise.all([peer.close(), targetPeer.close()]));
    const endpoint = await targetPeer.listen('127.0.0.1', 0);
    const released = liveObjects();
    await makeAndDrop(async () => {
      const accepted = endpoint.take().then((request) => request?.accept().whenEstablished());
      const connection = await peer.connect('127.0.0.1', endpoint.port);
      connection.postReceive({ length: 0 });
      assert.ok(connection.events.fd > 2 && connection.completionQueue.fd > 2);
      (await accepted)?.destroy();
      await connection.whenClosed();
    });
    await until(() => liveObjects() !== released, 'the descriptors stay at first');
    for (let round = 0; round < 20 && liveObjects() !== released; round++) await collect();
    assert.equal(liveObjects(), released);
    assert.deepEqual(leaks, []);
  });

  it('says nothing of requests that their peer ended, and takes all that was behind them', async () => {
    const released = liveObjects();
    await makeAndDrop(async () => {
      const [peer, targetPeer] = [await openPeer(), await openPeer()];
      const endpoint = await targetPeer.listen('127.0.0.1', 0);
      await peer.createConnectionRequest('127.0.0.1', endpoint.port);
      const refused = assert.rejects(peer.connect('127.0.0.1', endpoint.port));
      assert.ok((await endpoint.take({ timeoutMs: 5000 })) !== null);
      await peer.createConnectionRequest('127.0.0.1', endpoint.port, {
        connection: { receiveQueueSize: 7, receiveCompletionQueueSize: 9 },
      });
      await Promise.all([targetPeer.close(), peer.close(), refused]);
    });
    // Before anything is collected: an end lets go of all of it.
    assert.equal(liveObjects(), released);
    await collect();
    assert.deepEqual(leaks, []);
  });

  it('says nothing of what was closed, destroyed or spent', async () => {
    await makeAndDrop(async () => {
      new Epoll().close();
      const peer = await openPeer();
      (await peer.createConnectionRequest('127.0.0.1', 1)).destroy();
      const file = await PmemFile.map(join(folder, 'closed'), { create: true, sizeBytes });
      const usage = durableUsage | MemoryUsage.WriteSource;
      const region = await peer.register(file, { usage });
      await region.close();
      await file.unmap();
      await peer.close();
    });
    await collect();
    assert.deepEqual(leaks, []);
  });
});
