// SPDX-License-Identifier: BSD-3-Clause
// flavour: test
//
// Threads that end while objects are on their way between them: whoever ends, nothing stays, and
// nothing of the others breaks. And connections that go from hand to hand under load, each
// operation with exactly one outcome, in order.

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import { before as beforeAll, describe, it, type TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';
import {
  Connection,
  type HandOverTicket,
  IncomingRequest,
  MemoryRegion,
  MemoryUsage,
  Peer,
  RemoteRegion,
} from 'rpma';
import { Child } from '../support/child.js';
import { timed, turn, until, withDeadline } from '../support/deadline.js';
import { HandOverWorker } from '../support/hand-over.js';
import { Ledger } from '../support/ledger.js';
import { nativeTest } from '../support/native.js';
import { chosenSeed, SeededRandom } from '../support/random.js';
import { localUsage, remoteUsage } from '../support/world.js';
import type { Done, MoverOptions, Turn } from './programs/mover.js';
import type { OwnerOptions } from './programs/owner.js';

const passer = new URL('./programs/passer.js', import.meta.url);
const mover = new URL('./programs/mover.js', import.meta.url);
const owner = new URL('./programs/owner.js', import.meta.url);

function liveObjects(): string {
  return JSON.stringify(nativeTest().counters());
}

interface Ends {
  readonly peer: Peer;
  readonly targetPeer: Peer;
  readonly connection: Connection;
  readonly target: Connection;
}

/** Both ends of a connection, here; closed with the test. */
async function ends(test: TestContext, options: { sendQueueSize?: number } = {}): Promise<Ends> {
  const peer = await Peer.open({ localAddress: '127.0.0.1' });
  const targetPeer = await Peer.open({ localAddress: '127.0.0.1' });
  test.after(async () => {
    for (const each of [peer, targetPeer]) {
      each.destroy();
      await each.close();
    }
  });
  const endpoint = await targetPeer.listen('127.0.0.1', 0);
  const connecting = peer.connect('127.0.0.1', endpoint.port, {
    connection: { receiveCompletionQueueSize: 10, ...options },
  });
  const request = await withDeadline(endpoint.take(), 'a request');
  assert.ok(request !== null);
  const target = await request.accept().whenEstablished();
  const connection = await withDeadline(connecting, 'a connection');
  await endpoint.close();
  return { peer, targetPeer, connection, target };
}

async function closed(...peers: Peer[]): Promise<void> {
  for (const peer of peers) peer.destroy();
  for (const peer of peers) await withDeadline(peer.close(), 'a peer closes');
}

async function sameAs(before: string): Promise<void> {
  await until(() => liveObjects() === before, `live objects are as before: ${before}`);
}

/** What this thread itself has from its first peer on is no leak. */
beforeAll(async () => {
  await (await Peer.open({ localAddress: '127.0.0.1' })).close();
});

describe('a worker that ends with what it adopted', () => {
  for (const how of ['terminate', 'exit'] as const) {
    it(`ends it, and leaves the giver's alone (${how})`, async (test) => {
      const before = liveObjects();
      const { peer, targetPeer, connection, target } = await ends(test);
      const region = await peer.allocate(4096, { usage: localUsage });
      const lent = await targetPeer.allocate(4096, { usage: remoteUsage });
      const worker = new HandOverWorker();
      await worker.ask('adoptPeer', peer.share());
      await worker.ask('adoptRegion', region.share());
      await worker.ask('adoptConnection', connection.handOver());
      if (how === 'exit') worker.tell('exit', undefined);
      else await worker.end();
      await withDeadline(worker.exited, 'it ends');
      await withDeadline(target.whenClosed(), 'the other side learns of it');
      // Ours go on.
      region.bytes.fill(1);
      const endpoint = await targetPeer.listen('127.0.0.1', 0);
      const connecting = peer.connect('127.0.0.1', endpoint.port);
      (await withDeadline(endpoint.take(), 'a request'))?.accept();
      const again = await withDeadline(connecting, 'another connection');
      const remote = RemoteRegion.fromDescriptor(lent.toDescriptor());
      await again.write({ local: region, remote, length: 4096, until: 'delivered' });
      assert.equal(lent.bytes[4095], 1);
      await closed(peer, targetPeer);
      await sameAs(before);
    });
  }

  it('ends what nobody else has, with tickets on their way to it', async (test) => {
    const before = liveObjects();
    const { peer, targetPeer, connection, target } = await ends(test);
    const region = await peer.allocate(4096, { usage: localUsage });
    const worker = new HandOverWorker();
    for (const ticket of [
      peer.share({ timeoutMs: 300 }),
      region.share({ timeoutMs: 300 }),
      connection.handOver({ timeoutMs: 300 }),
    ]) {
      worker.worker.postMessage({ id: -1, name: 'none', argument: ticket });
    }
    await worker.end();
    await withDeadline(target.whenClosed(), 'nobody adopted it');
    await closed(peer, targetPeer);
    await sameAs(before);
  });
});

describe('a worker that ends after it gave something', () => {
  it('leaves good tickets, also as the last that had the peer', async () => {
    const before = liveObjects();
    const { tickets, worker } = await owned('give');
    await withDeadline(worker.terminate(), 'it is terminated');
    const [peerTicket, regionTicket, connectionTicket, targetTicket] = tickets;
    assert.ok(peerTicket && regionTicket && connectionTicket && targetTicket);
    const peer = Peer.adopt(peerTicket);
    const region = MemoryRegion.adopt(regionTicket);
    const connection = Connection.adopt(connectionTicket);
    const target = Connection.adopt(targetTicket);
    const remote = RemoteRegion.fromDescriptor(region.toDescriptor());
    await connection.write({ local: region, remote, remoteOffset: 64, length: 64 });
    assert.equal(target.state, 'established');
    await closed(peer);
    await sameAs(before);
  });

  it('leaves tickets that lapse', async () => {
    const before = liveObjects();
    const { tickets, worker } = await owned('give-short');
    assert.equal(tickets.length, 4);
    await withDeadline(worker.terminate(), 'it is terminated');
    await sameAs(before);
  });

  it('gave a request, which is accepted here', async () => {
    const before = liveObjects();
    const { tickets, worker } = await owned('give-request');
    await withDeadline(worker.terminate(), 'it is terminated');
    const [peerTicket, requestTicket] = tickets;
    assert.ok(peerTicket && requestTicket);
    const peer = Peer.adopt(peerTicket);
    const connection = IncomingRequest.adopt(requestTicket).accept();
    // The other end was the worker's.
    const end = await withDeadline(connection.whenClosed(), 'it learns of the end');
    assert.notEqual(end.type, 'established');
    await closed(peer);
    await sameAs(before);
  });

  for (const what of ['read', 'receive'] as const) {
    it(`takes back its own memory, which a ${what} of what it gave uses`, async (test) => {
      const before = liveObjects();
      const targetPeer = await Peer.open({ localAddress: '127.0.0.1' });
      const endpoint = await targetPeer.listen('127.0.0.1', 0);
      const lent = await targetPeer.allocate(4096, { usage: remoteUsage });
      const asked = endpoint.take().then((request) => request?.accept());
      const { tickets, worker } = await owned(`give-${what}`, endpoint.port, lent.toDescriptor());
      await withDeadline(asked, 'it connects');
      const [peerTicket, connectionTicket] = tickets;
      assert.ok(peerTicket && connectionTicket);
      const peer = Peer.adopt(peerTicket);
      const connection = Connection.adopt(connectionTicket);
      const { elapsedMs } = await timed(
        withDeadline(worker.terminate(), 'it is terminated', 20_000),
      );
      test.diagnostic(`terminate() took ${elapsedMs.toFixed(0)} ms`);
      assert.ok(elapsedMs < 5000, `it took ${elapsedMs.toFixed(0)} ms`);
      const end = await withDeadline(connection.whenClosed(), 'the connection was aborted');
      assert.match(end.error?.message ?? '', /the thread that registered memory/);
      const statuses = connection.completionQueue.poll().map(({ id, status }) => [id, status]);
      const sent =
        what === 'read'
          ? [
              [1, 'success'],
              [2, 'flushed'],
            ]
          : [[1, 'flushed']];
      assert.deepEqual(statuses, sent);
      await closed(peer, targetPeer);
      await sameAs(before);
    });
  }

  it('is terminated at any moment', async (test) => {
    const before = liveObjects();
    const { peer, targetPeer, target } = await ends(test);
    const region = await peer.allocate(4096, { usage: localUsage });
    for (let turns = 0; turns < 16; turns++) {
      const endpoint = await targetPeer.listen('127.0.0.1', 0);
      const connecting = peer.connect('127.0.0.1', endpoint.port);
      const other = (await withDeadline(endpoint.take(), 'a request'))?.accept();
      const connection = await withDeadline(connecting, 'a connection');
      await endpoint.close();
      const worker = new HandOverWorker();
      worker.tell('adoptPeer', peer.share());
      worker.tell('adoptRegion', region.share({ timeoutMs: 200 }));
      worker.tell('adoptConnection', connection.handOver({ timeoutMs: 200 }));
      worker.tell('shareRegion', undefined);
      worker.tell('handOver', 200);
      const end = performance.now() + turns * 6;
      await until(() => performance.now() >= end, 'the moment');
      await worker.end();
      assert.ok(other !== undefined);
      await withDeadline(other.whenClosed(), 'the other side learns of it');
    }
    assert.equal(target.state, 'established');
    await closed(peer, targetPeer);
    await sameAs(before);
  });
});

/** A worker that owns everything and gives tickets of it. */
async function owned(
  role: OwnerOptions['role'],
  port: number = 0,
  descriptor: Uint8Array = new Uint8Array(0),
): Promise<{ worker: Worker; tickets: HandOverTicket[] }> {
  const options: OwnerOptions = { role, port, descriptor };
  const worker = new Worker(owner, { workerData: options });
  const tickets = await withDeadline(
    new Promise<HandOverTicket[]>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    }),
    'its tickets',
  );
  return { worker, tickets };
}

describe('a peer that was collected', () => {
  /** Nobody has the peer when this returns, but its ticket does. */
  async function forgotten(): Promise<HandOverTicket> {
    return (await Peer.open({ localAddress: '127.0.0.1' })).share();
  }

  it('is not found by its ticket, before its end was noticed nor after', async (test) => {
    const before = liveObjects();
    const ticket = await forgotten();
    const collect = globalThis.gc;
    if (collect === undefined) throw new Error('the runner gives --expose-gc');
    await turn();
    const reported = new Promise((resolve) => process.once('warning', resolve));
    collect();
    const peer = Peer.adopt(ticket);
    test.after(() => peer.close());
    await withDeadline(reported, 'it is reported');
    const region = await peer.allocate(64, { usage: localUsage });
    assert.equal(region.peer, peer);
    await peer.close();
    await sameAs(before);
  });
});

describe('a process with tickets', () => {
  it('ends although they are outstanding', async (test) => {
    const child = Child.start(test, passer, ['leave']);
    await child.expect('left');
    const { code, signal } = await withDeadline(child.ended, 'it ends by itself', 10_000);
    assert.deepEqual([code, signal], [0, null], child.stderr);
  });

  it('hands over from worker to worker, though its main thread has no part in it', async (test) => {
    const child = Child.start(test, passer, ['pass']);
    await child.expect('passed');
    const { code, signal } = await withDeadline(child.ended, 'it ends by itself', 10_000);
    assert.deepEqual([code, signal], [0, null], child.stderr);
  });
});

const lanes = 3;
const rounds = 120;

interface Journey {
  readonly awaited: number;
  readonly claims: ReadonlySet<string>;
}

/** One connection through the hands of three workers, while its other side writes, too. */
async function travel(test: TestContext, pair: Ends, random: SeededRandom): Promise<Journey> {
  const { peer, targetPeer, connection, target } = pair;
  const local = await peer.allocate(4096, { usage: localUsage | remoteUsage });
  const lent = await targetPeer.allocate(4096, { usage: remoteUsage });
  const source = await targetPeer.allocate(4096, { usage: MemoryUsage.WriteSource });
  const remote = RemoteRegion.fromDescriptor(local.toDescriptor());
  const workers = Array.from({ length: 3 }, () => {
    const descriptor = lent.toDescriptor();
    const options: MoverOptions = { peer: peer.share(), local: local.share(), descriptor };
    return new Worker(mover, { workerData: options });
  });
  test.after(() => Promise.all(workers.map((worker) => worker.terminate())));
  const ledger = new Ledger();
  const claims = new Set<string>();
  let awaited = 0;
  let ticket = connection.handOver();
  for (let round = 0; round < rounds; round++) {
    const worker = random.pick(workers);
    const answered = new Promise<Done>((resolve, reject) => {
      worker.removeAllListeners('error');
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    const turn: Turn = { ticket, firstId: ledger.page.nextId, seed: random.next() };
    worker.postMessage(turn);
    // It is answered by whoever drives at that moment.
    const writing = target.write({ local: source, remote, length: 512, until: 'delivered' });
    const done = await withDeadline(answered, `round ${round}`, 20_000);
    await withDeadline(writing, 'a write of the other side');
    ledger.append(done.page);
    ({ ticket } = done);
    awaited += done.awaited;
    claims.add(done.claim);
  }
  await takeRest(Connection.adopt(ticket), ledger);
  ledger.audit();
  await Promise.all(workers.map((worker) => worker.terminate()));
  return { awaited, claims };
}

/** What was left in flight and unread, once the connection has ended. */
async function takeRest(last: Connection, ledger: Ledger): Promise<void> {
  last.destroy();
  await last.whenClosed();
  for (const queue of [last.completionQueue, last.receiveCompletionQueue]) {
    if (queue === null || queue.claimedBy === 'promise-tier') continue;
    await until(() => {
      ledger.add(...queue.poll(64));
      return queue.closed;
    }, 'the rest of a queue');
  }
}

describe('connections that go from hand to hand', () => {
  it('have one outcome for each operation, in order', { timeout: 110_000 }, async (test) => {
    const before = liveObjects();
    const random = new SeededRandom(chosenSeed(20261120));
    test.diagnostic(`seed ${random.seed} (RPMA_TEST_SEED repeats it)`);
    const claims = new Set<string>();
    let awaited = 0;
    for (let lane = 0; lane < lanes; lane++) {
      const pair = await ends(test, { sendQueueSize: 24 });
      const journey = await travel(test, pair, random);
      for (const claim of journey.claims) claims.add(claim);
      awaited += journey.awaited;
      await closed(pair.peer, pair.targetPeer);
    }
    test.diagnostic(`${lanes * rounds} moves, ${awaited} awaited writes`);
    assert.ok(awaited > 0);
    assert.deepEqual([...claims].sort(), ['nobody', 'promise-tier', 'verbs-tier']);
    await sameAs(before);
  });
});
