// SPDX-License-Identifier: BSD-3-Clause
//
// Connections that are handed over, in every state and with everything that can be on its way:
// nothing is lost, nothing comes twice, and the old object says where it went.

import assert from 'node:assert/strict';
import { Connection, MemoryUsage, type MemoryRegion, type Peer, RemoteRegion } from 'rpma';
import { toHex } from '../support/child.js';
import { conform, withCode } from '../support/conform.js';
import { until, withDeadline } from '../support/deadline.js';
import { HandOverWorker } from '../support/hand-over.js';
import { takeAll, type Pair, type World } from '../support/world.js';

/** A worker that has the peer, and ends with the test. */
async function workerWith(world: World, peer: Peer): Promise<HandOverWorker> {
  const worker = new HandOverWorker();
  world.after(() => worker.end());
  await worker.ask('adoptPeer', peer.share());
  return worker;
}

/** Adopts again what this thread gave. */
function moved(connection: Connection): Connection {
  return Connection.adopt(connection.handOver());
}

/** Posts writes with the ids from 1 on. */
async function writes(pair: Pair, world: World, count: number): Promise<MemoryRegion> {
  const local = await world.local(pair);
  const { remote } = await world.lend(pair);
  for (let id = 1; id <= count; id++) pair.initiator.postWrite({ local, remote, length: 64, id });
  return local;
}

conform('a connection that is handed over', ({ it }) => {
  it('goes on in a worker, and comes back', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair);
    const { region, remote } = await world.lend(pair);
    const worker = await workerWith(world, pair.initiatorPeer);
    await worker.ask('adoptRegion', local.share());
    await worker.ask('adoptConnection', pair.initiator.handOver());
    await worker.ask('store', 6);
    await worker.ask('write', { descriptor: toHex(region.toDescriptor()), until: 'delivered' });
    assert.equal(region.bytes[100], 6);
    const back = Connection.adopt(await worker.ask('handOver', 5000));
    assert.equal(back.queuePairNumber, pair.initiator.queuePairNumber);
    local.bytes.fill(8);
    await back.write({ local, remote, length: 4096, until: 'delivered' });
    assert.equal(region.bytes[100], 8);
    await back.close();
    assert.equal((await pair.target.whenClosed({ timeoutMs: 10_000 })).type, 'closed');
  });

  it('brings its completions in order, also those fetched ahead', async (world) => {
    const pair = await world.pair({ initiator: { sendQueueSize: 64 } });
    await writes(pair, world, 60);
    const { completionQueue } = pair.initiator;
    const taken = await takeAll(completionQueue, 3); // 16 are fetched by that, if they are there
    const worker = await workerWith(world, pair.initiatorPeer);
    await worker.ask('adoptConnection', pair.initiator.handOver());
    const rest = await worker.ask('complete', 57);
    assert.deepEqual(
      [...taken.map(({ id }) => id), ...rest],
      Array.from({ length: 60 }, (_, index) => index + 1),
    );
  });

  it('takes along what was fetched ahead and nothing twice', async (world) => {
    const pair = await world.pair({ initiator: { sendQueueSize: 32 } });
    await writes(pair, world, 20);
    const { initiator } = pair;
    // All have completed once the flush behind them has.
    await until(() => initiator.sendQueueFree < 32, 'posted');
    const first = await initiator.completionQueue.take();
    const there = moved(initiator);
    assert.equal(there.completionQueue.claimedBy, 'verbs-tier');
    const rest = await takeAll(there.completionQueue, 19);
    assert.deepEqual(
      [first, ...rest].map((each) => each?.id),
      Array.from({ length: 20 }, (_, index) => index + 1),
    );
    assert.equal(there.completionQueue.tryTake(), null);
    assert.equal(there.sendQueueFree, 32);
  });

  it('sends on-error operations that waited for company', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair);
    const { region, remote } = await world.lend(pair);
    local.bytes[0] = 5;
    pair.initiator.postWrite({ local, remote, length: 1, completion: 'on-error' });
    pair.initiator.handOver();
    await until(() => region.bytes[0] === 5, 'the write arrives');
  });

  it('brings its events', async (world) => {
    const pair = await world.pair();
    const there = moved(pair.initiator);
    assert.equal(there.events.tryTake()?.type, 'established');
    assert.equal(there.events.tryTake(), null);
    const again = moved(there);
    assert.equal(again.events.tryTake(), null);
    await again.whenEstablished();
    const ticket = again.handOver();
    pair.target.destroy();
    await pair.target.whenClosed();
    const last = Connection.adopt(ticket);
    const end = await last.whenClosed({ timeoutMs: 10_000 });
    assert.equal(last.events.tryTake()?.type, end.type);
    assert.equal(last.state, 'closed');
  });

  it('may have ended, and brings what is unread', async (world) => {
    const pair = await world.pair();
    await writes(pair, world, 5);
    pair.target.destroy();
    const end = await pair.initiator.whenClosed({ timeoutMs: 10_000 });
    assert.equal(pair.initiator.state, 'closed');
    const there = moved(pair.initiator);
    assert.equal(there.state, 'closed');
    const told = await there.whenClosed();
    assert.equal(told.type, end.type);
    assert.equal(told.error?.message, end.error?.message);
    const rest = there.completionQueue.poll(16);
    assert.deepEqual(
      rest.map(({ id }) => id),
      [1, 2, 3, 4, 5],
    );
    assert.equal(there.completionQueue.closed, true);
    assert.equal(there.remoteAddress, '127.0.0.1');
    const empty = moved(there);
    assert.equal(empty.completionQueue.closed, true);
    assert.deepEqual(empty.completionQueue.poll(), []);
    await empty.close();
  });

  it('may have ended, and its completions outlive the adopter’s peer', async (world) => {
    const pair = await world.pair({ initiator: { receiveCompletionQueueSize: 8 } });
    pair.initiator.postReceive({ length: 0, id: 9 });
    await writes(pair, world, 5);
    pair.target.destroy();
    await pair.initiator.whenClosed({ timeoutMs: 10_000 });
    const there = moved(pair.initiator);
    await pair.initiatorPeer.close();
    const { completionQueue, receiveCompletionQueue } = there;
    assert.deepEqual(
      completionQueue.poll().map(({ id }) => id),
      [1, 2, 3, 4, 5],
    );
    assert.deepEqual(
      receiveCompletionQueue?.poll().map(({ id }) => id),
      [9],
    );
    assert.equal(completionQueue.closed, true);
  });

  it('may be connecting', async (world) => {
    const target = await world.peer();
    const endpoint = await target.listen('127.0.0.1', 0);
    const peer = await world.peer();
    const outgoing = await peer.createConnectionRequest('127.0.0.1', endpoint.port);
    const there = moved(outgoing.connect());
    const request = await withDeadline(endpoint.take(), 'a request');
    request?.accept({ privateData: Uint8Array.of(9) });
    await there.whenEstablished({ timeoutMs: 10_000 });
    assert.deepEqual(there.privateData, Uint8Array.of(9));
    assert.equal(there.capabilities.nativeFlush, true);
  });

  it('may be closing', async (world) => {
    const pair = await world.pair();
    await writes(pair, world, 4);
    pair.initiator.disconnect();
    const there = moved(pair.initiator);
    assert.equal((await there.whenClosed({ timeoutMs: 10_000 })).type, 'closed');
    assert.equal(there.completionQueue.poll().length, 4);
  });

  it('is closed here', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    const { initiator } = pair;
    const { events, completionQueue } = initiator;
    const there = moved(initiator);
    const range = { local, remote, length: 8 };
    const uses: (() => unknown)[] = [
      () => initiator.postWrite(range),
      () => initiator.postReceive({ length: 0 }),
      () => initiator.handOver(),
      () => initiator.disconnect(),
      () => events.tryTake(),
      () => events.takeSync(0),
      () => completionQueue.poll(),
      () => completionQueue.tryTake(),
      () => completionQueue.waitSync(0),
      () => initiator.write(range),
      () => initiator.receive({ length: 0 }),
      () => initiator.whenEstablished(),
      () => initiator.whenClosed(),
      () => events.take(),
      () => completionQueue.take(),
    ];
    for (const use of uses) {
      await assert.rejects(async () => use(), withCode('CLOSED'), use.toString());
      await assert.rejects(async () => use(), /handed over.*Connection\.adopt/, use.toString());
    }
    assert.equal(initiator.state, 'closed');
    assert.equal(initiator.sendQueueFree, 0);
    initiator.destroy();
    await initiator.close();
    await there.write({ ...range, until: 'delivered' });
  });

  it('is refused while something of it is awaited', async (world) => {
    const pair = await world.pair();
    const { initiator } = pair;
    const busy = (cure: RegExp): void => {
      assert.throws(() => initiator.handOver(), withCode('BUSY'));
      assert.throws(() => initiator.handOver(), cure);
    };
    const abort = new AbortController();
    const closed = initiator.whenClosed({ signal: abort.signal });
    busy(/whenClosed\(\)/);
    abort.abort();
    await assert.rejects(closed, withCode('ABORTED'));
    initiator.events.tryTake();
    const event = initiator.events.take({ timeoutMs: 10 });
    busy(/events/);
    assert.equal(await event, null);
    const received = initiator.receive({ length: 0 });
    busy(/awaited/);
    await pair.target.send({ length: 0 });
    await received;
    const waiting = pair.target.receive({ length: 0 });
    await initiator.send({ length: 0 });
    await waiting;
    const there = moved(initiator);
    const closing = there.close();
    assert.throws(() => there.handOver(), withCode('BUSY'));
    await closing;
  });

  it('is refused with a queue of several connections', async (world) => {
    const initiatorPeer = await world.peer();
    const completionQueue = await initiatorPeer.createCompletionQueue();
    const pair = await world.pair({ initiatorPeer, initiator: { completionQueue } });
    assert.throws(() => pair.initiator.handOver(), withCode('BUSY'));
    assert.throws(() => pair.initiator.handOver(), /createCompletionQueue/);
  });

  it('is anybody’s when nothing is outstanding', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    const range = { local, remote, length: 8 };
    await pair.initiator.write({ ...range, until: 'delivered' });
    const verbs = moved(pair.initiator);
    assert.equal(verbs.completionQueue.claimedBy, 'nobody');
    verbs.postWrite({ ...range, id: 1 });
    await takeAll(verbs.completionQueue, 1);
    const promises = moved(verbs);
    await promises.write({ ...range, until: 'delivered' });
    assert.equal(promises.completionQueue.claimedBy, 'promise-tier');
  });

  it('stays the verbs tier’s while something posted is unread', async (world) => {
    const pair = await world.pair();
    const local = await writes(pair, world, 1);
    const { remote } = await world.lend(pair);
    const there = moved(pair.initiator);
    const write = { local, remote, length: 8 };
    await assert.rejects(there.write(write), withCode('QUEUE_CLAIMED'));
    await takeAll(there.completionQueue, 1);
    await moved(there).write(write);
  });

  it('keeps its tier, and what nobody awaits any more does not answer for later', async (world) => {
    const pair = await world.pair({ initiator: { sendQueueSize: 8 } });
    const { initiator, target } = pair;
    // No receive is posted there: these wait, and their deadline ends the waiting only.
    const waits = [1, 2].map(() => initiator.send({ length: 0, timeoutMs: 1 }));
    await Promise.allSettled(waits);
    const reads = await world.local(pair);
    const { region, remote } = await world.lend(pair);
    region.bytes.fill(3);
    const read = initiator.read({ local: reads, remote, length: 8, timeoutMs: 1 });
    await Promise.allSettled([read]);
    const there = moved(initiator);
    assert.equal(there.completionQueue.claimedBy, 'promise-tier');
    assert.throws(() => there.postSend({ length: 0 }), withCode('QUEUE_CLAIMED'));
    const local = await world.local(pair);
    local.bytes.fill(2);
    let isDone = false;
    const write = there.write({ local, remote, length: 8, until: 'delivered' }).then(() => {
      isDone = true;
      return region.bytes[0];
    });
    await until(() => there.completionQueue.capacity > 0, 'a turn');
    assert.equal(isDone, false, 'it waits behind the messages that nobody receives');
    await Promise.all([target.receive({ length: 0 }), target.receive({ length: 0 })]);
    assert.equal(await withDeadline(write, 'the write'), 2);
    assert.equal(there.sendQueueFree, 8);
  });

  it('is destroyed when nobody adopts it', async (world) => {
    const pair = await world.pair();
    const ticket = pair.initiator.handOver({ timeoutMs: 1 });
    await withDeadline(pair.target.whenClosed(), 'the other side learns of it');
    assert.throws(() => Connection.adopt(ticket), withCode('HAND_OVER'));
  });

  it('ends with its peer', async (world) => {
    const pair = await world.pair();
    const ticket = pair.initiator.handOver({ timeoutMs: 60_000 });
    await pair.initiatorPeer.close();
    await withDeadline(pair.target.whenClosed(), 'the other side learns of it');
    assert.throws(() => Connection.adopt(ticket), withCode('HAND_OVER'));
    assert.throws(() => Connection.adopt(ticket), /its peer was closed.*keep it open/);
  });

  it('keeps its configuration and what was vouched for', async (world) => {
    const initiator = { sendQueueSize: 5, receiveQueueSize: 6, receiveCompletionQueueSize: 6 };
    const pair = await world.pair({ initiator });
    const there = moved(pair.initiator);
    assert.deepEqual(there.config, pair.initiator.config);
    assert.equal(there.peer, pair.initiatorPeer);
    assert.equal(there.sendQueueFree, 5);
    const { receiveCompletionQueue } = there;
    assert.ok(receiveCompletionQueue !== null);
    there.postReceive({ length: 0, id: 3 });
    const again = moved(there);
    await pair.target.send({ length: 0 });
    assert.ok(again.receiveCompletionQueue !== null);
    assert.deepEqual(
      (await takeAll(again.receiveCompletionQueue, 1)).map(({ id }) => id),
      [3],
    );
  });

  it('leaves a region that is bound to it', async (world) => {
    const pair = await world.pair();
    const usage = MemoryUsage.WriteDestination | MemoryUsage.FlushVisibility;
    const bytes = new Uint8Array(new SharedArrayBuffer(64));
    const region = await pair.targetPeer.register(bytes, { usage, connection: pair.target });
    const remote = RemoteRegion.fromDescriptor(region.toDescriptor());
    const there = moved(pair.target);
    const local = await world.local(pair);
    local.bytes[0] = 1;
    await pair.initiator.write({ local, remote, length: 1, until: 'delivered' });
    assert.equal(bytes[0], 1);
    assert.equal(there.state, 'established');
  });
});
