// SPDX-License-Identifier: BSD-3-Clause
//
// Room in the send queue: what sendQueueFree and receiveQueueFree say at each step, who frees a
// place, and whenSendQueueFree(), which waits for it (librpma: a full queue is an error of the
// post, and on-error operations alone fill it for good).

import assert from 'node:assert/strict';
import { CompletionBatch, type Connection, OperationBatch } from 'rpma';
import { argumentError, conform, withCode } from '../support/conform.js';
import { lastFor, turn, until, withDeadline } from '../support/deadline.js';
import { type Pair, takeAll, takeOk, type World } from '../support/world.js';

/** A pair whose reads and flushes wait: a message without a receive stands before them. */
async function blocked(world: World, sendQueueSize: number): Promise<Pair> {
  const pair = await world.pair({ initiator: { sendQueueSize } });
  pair.initiator.postSend({ length: 0, id: 0 });
  assert.equal((await takeOk(pair.initiator.completionQueue)).operation, 'send');
  return pair;
}

/** What a promise has come to, once the loop has turned. */
async function stateOf(promise: Promise<unknown>): Promise<'pending' | 'resolved' | 'rejected'> {
  let state: 'pending' | 'resolved' | 'rejected' = 'pending';
  promise.then(
    () => (state = 'resolved'),
    () => (state = 'rejected'),
  );
  for (let turns = 0; turns < 5; turns++) await turn();
  return state;
}

function isFree(connection: Connection, slots?: number): Promise<void> {
  return withDeadline(connection.whenSendQueueFree(slots), `${slots ?? 1} places`);
}

conform('room in the send queue', ({ it }) => {
  it('both counts are exact at each step', async (world) => {
    const pair = await blocked(world, 6);
    const { initiator, target } = pair;
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    for (let id = 0; id < 6; id++) {
      assert.equal(initiator.sendQueueFree, 6 - id);
      initiator.postRead({ local, remote, length: 8, id });
    }
    assert.equal(initiator.sendQueueFree, 0);
    assert.equal(target.receiveQueueFree, 10);
    target.postReceive({ length: 0, id: 1 }); // lets them through
    target.postReceive({ length: 0, id: 2 });
    assert.equal((await takeOk(target.completionQueue)).id, 1);
    assert.equal(target.receiveQueueFree, 9);
    const batch = new CompletionBatch(1);
    for (let free = 1; free <= 6; free++) {
      // Completed is not consumed: the place is free when the program has read the completion.
      await until(() => initiator.completionQueue.pollInto(batch) === 1, 'a completion');
      assert.equal(batch.id(0), free - 1);
      assert.equal(initiator.sendQueueFree, free);
    }
    assert.equal(initiator.receiveQueueFree, 10);
  });

  it('resolves at once where there is room', async (world) => {
    const { initiator } = await world.pair();
    for (const slots of [undefined, 1, 10]) await initiator.whenSendQueueFree(slots);
    initiator.postWrite({ length: 0 });
    await initiator.whenSendQueueFree(9);
  });

  it("in the verbs tier the program's reading frees places, one way or another", async (world) => {
    const pair = await blocked(world, 4);
    const { initiator, target } = pair;
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    for (let id = 0; id < 4; id++) initiator.postRead({ local, remote, length: 8, id });
    const one = initiator.whenSendQueueFree();
    const three = initiator.whenSendQueueFree(3);
    const two = initiator.whenSendQueueFree(2);
    const all = initiator.whenSendQueueFree(4);
    target.postReceive({ length: 0 });
    const batch = new CompletionBatch(1);
    const poll = (): boolean => initiator.completionQueue.pollInto(batch) === 1;
    const waits = [one, two, three, all];
    for (const [n, wait] of waits.entries()) {
      assert.equal(await stateOf(Promise.race(waits.slice(n))), 'pending', `before poll ${n}`);
      await until(poll, `completion ${n}`);
      await withDeadline(wait, `${n + 1} places`);
    }
    assert.equal(initiator.sendQueueFree, 4);
  });

  it('poll(), take(), a loop and batches() tell of the places that they free', async (world) => {
    const pair = await world.pair({ initiator: { sendQueueSize: 2 } });
    const { initiator } = pair;
    const queue = initiator.completionQueue;
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    const ways: readonly (() => Promise<unknown>)[] = [
      () => until(() => queue.poll(1).length === 1, 'poll()'),
      () => until(() => queue.tryTake() !== null, 'tryTake()'),
      () => queue.take(),
      () => Promise.resolve(queue.takeSync(5000)),
      async () => {
        for await (const { ok } of queue) return ok;
        return false;
      },
      async () => {
        for await (const batch of queue.batches({ capacity: 1 })) return batch.length;
        return 0;
      },
    ];
    let next = 0;
    for (const way of [...ways, ...ways]) {
      while (initiator.sendQueueFree > 0) {
        initiator.postRead({ local, remote, length: 8, id: next++ });
      }
      const free = initiator.whenSendQueueFree();
      // Whatever takes one at a time fetches ahead: a fetched completion frees its place.
      while (initiator.sendQueueFree === 0) await withDeadline(way(), 'a completion');
      await withDeadline(free, 'a place');
    }
  });

  it('in the promise tier nothing more is needed', async (world) => {
    const pair = await world.pair({ initiator: { sendQueueSize: 4 } });
    const { initiator } = pair;
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    const reads: Promise<void>[] = [];
    for (let n = 0; n < 500; n++) {
      await isFree(initiator, 1 + (n % 4));
      assert.ok(initiator.sendQueueFree >= 1 + (n % 4));
      reads.push(initiator.read({ local, remote, length: 8 }));
    }
    await withDeadline(Promise.all(reads), 'all reads');
    await isFree(initiator, 4);
  });

  it('operations that wait for room go first', async (world) => {
    const pair = await blockedPromises(world);
    const { initiator } = pair;
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    const done: number[] = [];
    const reads = Array.from({ length: 7 }, (_, n) =>
      initiator.read({ local, remote, length: 8 }).then(() => done.push(n)),
    );
    const free = initiator.whenSendQueueFree().then(() => done.length);
    assert.equal(await stateOf(free), 'pending');
    void pair.target.receive({ length: 0 });
    // Two are in the queue: when a place is left over, five of seven have completed.
    assert.ok((await withDeadline(free, 'a place')) >= 5);
    await withDeadline(Promise.all(reads), 'the reads');
  });

  it('an operation that gives up its turn makes room known', async (world) => {
    const pair = await blockedPromises(world);
    const { initiator } = pair;
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    const controller = new AbortController();
    const first = initiator.read({ local, remote, length: 8 });
    const flags = { local, remote, length: 8, until: 'delivered' as const };
    const second = initiator.write({ ...flags, signal: controller.signal }); // two places, one free
    const free = initiator.whenSendQueueFree();
    assert.equal(initiator.sendQueueFree, 1);
    assert.equal(await stateOf(free), 'pending');
    controller.abort();
    await assert.rejects(second, withCode('ABORTED'));
    await withDeadline(free, 'the place that nobody waits for now');
    void pair.target.receive({ length: 0 });
    await withDeadline(first, 'the read');
  });

  it('thousands of on-error operations and nothing else never wedge the queue', async (world) => {
    const pair = await world.pair({ initiator: { sendQueueSize: 5 } });
    const { initiator } = pair;
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    for (let n = 0; n < 6000; n++) {
      if (initiator.sendQueueFree === 0) await isFree(initiator);
      const common = { remote, length: 8, completion: 'on-error' as const };
      if (n % 5 === 3) initiator.postFlush({ ...common, type: 'visibility' });
      else if (n % 5 === 4) initiator.postRead({ local, ...common });
      else initiator.postWrite({ local, ...common });
    }
    await isFree(initiator, 5);
    assert.equal(initiator.sendQueueFree, 5);
    assert.equal(initiator.completionQueue.tryTake(), null);
  });

  it('nor when this thread drives the connection by polling', async (world) => {
    const pair = await world.pair({ initiator: { sendQueueSize: 5 } });
    const { initiator } = pair;
    const queue = initiator.completionQueue;
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    const batch = new OperationBatch(5);
    for (let n = 0; n < 4; n++) batch.write({ local, remote, length: 8, completion: 'on-error' });
    batch.flush({ remote, length: 8, type: 'visibility', completion: 'on-error' });
    const view = new CompletionBatch(4);
    const end = performance.now() + 20_000;
    for (let posted = 0; posted < 10_000;) {
      posted += initiator.post(batch, posted % 5);
      assert.equal(queue.pollInto(view), 0); // no turn of the loop: only this thread can drive
      assert.ok(performance.now() < end, `${posted} posted`);
    }
    await until(() => queue.pollInto(view) === 0 && initiator.sendQueueFree === 5, 'all free');
  });

  it('a few thousand waits, each for the place that the last operation takes', async (world) => {
    const pair = await world.pair({ initiator: { sendQueueSize: 1 } });
    const { initiator } = pair;
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    const consume = (async () => {
      for await (const { id } of initiator.completionQueue) if (id === 2999) return id;
      return -1;
    })();
    for (let id = 0; id < 3000; id++) {
      await isFree(initiator);
      initiator.postRead({ local, remote, length: 8, id });
    }
    assert.equal(await withDeadline(consume, 'the last'), 2999);
  });

  it('rejects at the end of the connection, whichever', async (world) => {
    const endings: readonly ((pair: Pair) => void)[] = [
      ({ initiator }) => void initiator.close(),
      ({ initiator }) => initiator.disconnect(),
      ({ initiator }) => initiator.destroy(new Error('enough')),
      ({ target }) => target.destroy(),
      ({ target }) => target.disconnect(),
      ({ initiatorPeer }) => initiatorPeer.destroy(),
    ];
    for (const end of endings) {
      const pair = await blocked(world, 2);
      const { remote } = await world.lend(pair);
      for (let n = 0; n < 2; n++) {
        pair.initiator.postFlush({ remote, length: 8, type: 'visibility' });
      }
      const waits = [pair.initiator.whenSendQueueFree(), pair.initiator.whenSendQueueFree(2)];
      const told = waits.map((wait) => assert.rejects(wait, withCode('CLOSED')));
      end(pair);
      await withDeadline(Promise.all(told), `an end by ${String(end)}`);
      await assert.rejects(pair.initiator.whenSendQueueFree(), withCode('CLOSED'));
    }
  });

  it('a graceful end tells at once: nothing more can be posted while it lasts', async (world) => {
    for (const end of ['close', 'disconnect'] as const) {
      const pair = await blocked(world, 1);
      const { remote } = await world.lend(pair);
      pair.initiator.postFlush({ remote, length: 8, type: 'visibility' });
      const told = assert.rejects(pair.initiator.whenSendQueueFree(), withCode('CLOSED'));
      void pair.initiator[end]();
      await withDeadline(told, `told by ${end}()`);
      assert.equal(pair.initiator.state, 'closing');
      pair.target.postReceive({ length: 0 });
      await withDeadline(pair.initiator.whenClosed(), 'the end');
    }
  });

  it('before the connection is established it rejects, as a post throws', async (world) => {
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    const connection = (await peer.createConnectionRequest('127.0.0.1', endpoint.port)).connect();
    await assert.rejects(connection.whenSendQueueFree(), withCode('STATE'));
    (await endpoint.take())?.accept();
    await withDeadline(connection.whenEstablished(), 'established');
    await isFree(connection);
  });

  it('a signal and a deadline end the wait, and nothing else', async (world) => {
    const pair = await blocked(world, 1);
    const { initiator, target } = pair;
    const { remote } = await world.lend(pair);
    initiator.postFlush({ remote, length: 8, type: 'visibility', id: 6 });
    const controller = new AbortController();
    const { signal } = controller;
    const reason = new Error('no longer wanted');
    const aborted = initiator.whenSendQueueFree(1, { signal });
    const late = initiator.whenSendQueueFree(1, { timeoutMs: 10 });
    const patient = initiator.whenSendQueueFree(1, { timeoutMs: 30_000 });
    controller.abort(reason);
    await assert.rejects(aborted, withCode('ABORTED', { name: 'AbortError', cause: reason }));
    await assert.rejects(late, withCode('TIMEOUT', { name: 'TimeoutError' }));
    await assert.rejects(initiator.whenSendQueueFree(1, { signal }), withCode('ABORTED'));
    await assert.rejects(initiator.whenSendQueueFree(1, { timeoutMs: 0 }), withCode('TIMEOUT'));
    assert.equal(initiator.state, 'established');
    target.postReceive({ length: 0 });
    assert.equal((await takeOk(initiator.completionQueue)).id, 6);
    await withDeadline(patient, 'the one that nothing ended');
  });

  it('what would never come true is a RangeError at once', async (world) => {
    const { initiator } = await world.pair({ initiator: { sendQueueSize: 3 } });
    const range = argumentError('RangeError', 'OUT_OF_RANGE');
    for (const slots of [4, 0, -1, 1.5, Number.NaN, Infinity]) {
      await assert.rejects(initiator.whenSendQueueFree(slots), range);
    }
    const type = argumentError('TypeError', 'INVALID_ARG_TYPE');
    await assert.rejects(initiator.whenSendQueueFree('1' as never), type);
    await assert.rejects(initiator.whenSendQueueFree(1, 5 as never), type);
    await assert.rejects(initiator.whenSendQueueFree(1, { signal: {} as never }), type);
    await initiator.whenSendQueueFree(3);
  });

  it('at most 1024 wait', async (world) => {
    const pair = await blocked(world, 1);
    const { remote } = await world.lend(pair);
    pair.initiator.postFlush({ remote, length: 8, type: 'visibility' });
    const waits = Array.from({ length: 1024 }, () => pair.initiator.whenSendQueueFree());
    await assert.rejects(pair.initiator.whenSendQueueFree(), withCode('AGAIN'));
    pair.target.postReceive({ length: 0 });
    await takeOk(pair.initiator.completionQueue);
    await withDeadline(Promise.all(waits), 'all of them');
  });

  it('a connection is not handed over while somebody waits for room', async (world) => {
    const pair = await blocked(world, 1);
    const { remote } = await world.lend(pair);
    pair.initiator.postFlush({ remote, length: 8, type: 'visibility' });
    const wait = pair.initiator.whenSendQueueFree();
    const told = assert.rejects(wait, withCode('CLOSED'));
    assert.throws(() => pair.initiator.handOver(), withCode('BUSY'));
    pair.initiator.destroy();
    await told;
  });

  it('connections that share a queue are told each of its own places', async (world) => {
    const peer = await world.peer();
    const queue = await peer.createCompletionQueue({ size: 4 });
    const options = {
      initiatorPeer: peer,
      initiator: { completionQueue: queue, sendQueueSize: 1 },
    };
    const first = await world.pair(options);
    const second = await world.again(first, options);
    first.initiator.postSend({ length: 0, id: 1 });
    second.initiator.postSend({ length: 0, id: 2 });
    const waits = [first, second].map((each) => isFree(each.initiator));
    assert.equal(await stateOf(Promise.race(waits)), 'pending');
    await takeAll(queue, 2);
    await Promise.all(waits);
  });

  it('nothing polls while it waits', async (world) => {
    const pair = await blocked(world, 1);
    const { remote } = await world.lend(pair);
    pair.initiator.postFlush({ remote, length: 8, type: 'visibility' });
    const wait = pair.initiator.whenSendQueueFree();
    const before = process.cpuUsage();
    await lastFor(300);
    const { user, system } = process.cpuUsage(before);
    assert.ok(user + system < 150_000, `${user + system} us of 300,000`);
    pair.target.postReceive({ length: 0 });
    await takeOk(pair.initiator.completionQueue);
    await withDeadline(wait, 'the place');
  });
});

/** As blocked(), by awaited operations, in a queue of two. */
async function blockedPromises(world: World): Promise<Pair> {
  const pair = await world.pair({ initiator: { sendQueueSize: 2 } });
  await pair.initiator.send({ length: 0 });
  return pair;
}
