// SPDX-License-Identifier: BSD-3-Clause
//
// Completion queues of peer.createCompletionQueue(), which serve several connections (librpma has
// none): room, order, ends, and both tiers.

import assert from 'node:assert/strict';
import type { Completion, CompletionQueue, Connection, ConnectionOptions } from 'rpma';
import { conform, withCode } from '../support/conform.js';
import { withDeadline } from '../support/deadline.js';
import { pairOf } from '../support/shared-receives.js';
import { type Pair, takeAll, takeOk, takeRest, type World } from '../support/world.js';

interface Served {
  readonly queue: CompletionQueue;
  readonly pairs: readonly Pair[];
  /** One connection more. */
  readonly another: () => Promise<Pair>;
}

/** The initiators' completions come out of one queue. */
async function served(
  world: World,
  count: number,
  options: ConnectionOptions = {},
): Promise<Served> {
  const peer = await world.peer();
  const queue = await peer.createCompletionQueue({ size: 1 });
  const initiator = { ...options, completionQueue: queue };
  const pairs = [await world.pair({ initiatorPeer: peer, initiator })];
  const another = (): Promise<Pair> => world.again(pairOf(pairs, 0), { initiator });
  while (pairs.length < count) pairs.push(await another());
  return { queue, pairs, another };
}

function of(connection: Connection, all: readonly Completion[]): number[] {
  const its = all.filter((each) => each.queuePairNumber === connection.queuePairNumber);
  return its.map((each) => each.id);
}

const count = (length: number): number[] => Array.from({ length }, (_, id) => id);

conform('a completion queue of several connections', ({ it }) => {
  it('has room for all that they can have outstanding', async (world) => {
    const { queue, pairs, another } = await served(world, 2, {
      sendQueueSize: 8,
      receiveQueueSize: 4,
    });
    assert.equal(queue.capacity, 24);
    await another();
    assert.equal(queue.capacity, 36);
    // Nothing is read until all of it has completed.
    for (const { initiator, target } of pairs) {
      for (let id = 0; id < 8; id++) initiator.postWrite({ length: 0, id });
      for (let id = 0; id < 4; id++) initiator.postReceive({ length: 0, id: 100 + id });
      for (let sent = 0; sent < 4; sent++) await target.send({ length: 0 });
    }
    const all = await takeAll(queue, 24);
    assert.ok(all.every((each) => each.ok));
    for (const { initiator } of pairs) {
      const ids = of(initiator, all);
      assert.deepEqual(
        ids.filter((id) => id < 100),
        count(8),
      );
      assert.deepEqual(
        ids.filter((id) => id >= 100),
        [100, 101, 102, 103],
      );
    }
  });

  it('keeps the order of each of them, whoever posts in between', async (world) => {
    const { queue, pairs } = await served(world, 3, { sendQueueSize: 16 });
    const random = world.random(17);
    const next = pairs.map(() => 0);
    const seen: Completion[] = [];
    for (let posted = 0; posted < 600; posted++) {
      const index = random.below(pairs.length);
      const { initiator } = pairOf(pairs, index);
      const id = next[index] ?? 0;
      if (initiator.sendQueueFree === 0) seen.push(...(await takeAll(queue, 1)));
      if (initiator.sendQueueFree === 0) continue;
      if (random.below(2) === 0) initiator.postWrite({ length: 0, id });
      else initiator.postRead({ length: 0, id });
      next[index] = id + 1;
      if (random.below(3) === 0) seen.push(...queue.poll());
    }
    const total = next.reduce((sum, each) => sum + each, 0);
    seen.push(...(await takeAll(queue, total - seen.length)));
    for (const [index, { initiator }] of pairs.entries()) {
      assert.deepEqual(of(initiator, seen), count(next[index] ?? 0));
    }
  });

  it('goes on for the others when one is closed, and tells what that one left', async (world) => {
    const { queue, pairs } = await served(world, 2);
    const [first, second] = [pairOf(pairs, 0), pairOf(pairs, 1)];
    for (let id = 0; id < 3; id++) first.initiator.postReceive({ length: 0, id });
    second.initiator.postReceive({ length: 0, id: 7 });
    const closing = first.initiator.close();
    second.initiator.postWrite({ length: 0, id: 8 });
    await withDeadline(closing, 'one closes');
    const all = await takeAll(queue, 4);
    assert.deepEqual(of(first.initiator, all), [0, 1, 2]);
    for (const each of all) assert.equal(each.status, each.id === 8 ? 'success' : 'flushed');
    assert.equal(queue.closed, false);
    await second.target.send({ length: 0 });
    assert.equal((await takeOk(queue)).id, 7);
  });

  it('one that is lost takes nothing from the others', async (world) => {
    const { queue, pairs } = await served(world, 2);
    const [lost, kept] = [pairOf(pairs, 0), pairOf(pairs, 1)];
    lost.initiator.postReceive({ length: 0, id: 1 });
    lost.target.destroy();
    await withDeadline(lost.initiator.whenClosed(), 'one is lost');
    kept.initiator.postWrite({ length: 0, id: 2 });
    const all = await takeAll(queue, 2);
    assert.deepEqual(of(lost.initiator, all), [1]);
    assert.deepEqual(of(kept.initiator, all), [2]);
  });

  it('ends with the last of them, and serves one that comes later', async (world) => {
    const { queue, pairs, another } = await served(world, 2);
    for (const { initiator } of pairs) initiator.postReceive({ length: 0, id: 5 });
    const reading = takeRest(queue);
    for (const { initiator } of pairs) await withDeadline(initiator.close(), 'it closes');
    assert.equal((await reading).length, 2);
    assert.equal(queue.closed, true);
    const late = await another();
    assert.equal(queue.closed, false);
    late.initiator.postWrite({ length: 0, id: 6 });
    assert.deepEqual(of(late.initiator, await takeAll(queue, 1)), [6]);
  });

  it('serves more of them than one thread would look at by itself', async (world) => {
    const { queue, pairs } = await served(world, 7);
    for (let round = 0; round < 20; round++) {
      for (const { initiator } of pairs) initiator.postWrite({ length: 0, id: round });
      const all = await takeAll(queue, pairs.length);
      for (const { initiator } of pairs) assert.deepEqual(of(initiator, all), [round]);
    }
  });

  it('gives promises of several connections, and a failure to its own alone', async (world) => {
    const { queue, pairs } = await served(world, 2);
    const [first, second] = [pairOf(pairs, 0), pairOf(pairs, 1)];
    await Promise.all(pairs.map(({ initiator }) => initiator.write({ length: 0 })));
    assert.equal(queue.claimedBy, 'promise-tier');
    const failing = assert.rejects(first.initiator.receive({ length: 0 }), withCode('WC_FLUSHED'));
    const receiving = second.initiator.receive({ length: 0 });
    await withDeadline(first.initiator.close(), 'one closes');
    await withDeadline(failing, 'its own receive fails');
    await second.target.send({ length: 0 });
    const { queuePairNumber } = await withDeadline(receiving, 'the other one receives');
    assert.equal(queuePairNumber, second.initiator.queuePairNumber);
  });

  it('may be the main queue beside receive queues of their own', async (world) => {
    const { queue, pairs } = await served(world, 2, { receiveCompletionQueueSize: 2 });
    for (const [index, { initiator, target }] of pairs.entries()) {
      initiator.postReceive({ length: 0, id: index });
      initiator.postWrite({ length: 0, id: 10 + index });
      await target.send({ length: 0 });
      const receives = initiator.receiveCompletionQueue;
      assert.ok(receives !== null);
      assert.equal((await takeOk(receives)).id, index);
      assert.equal((await takeOk(queue)).id, 10 + index);
    }
  });

  it('is of one peer', async (world) => {
    const { queue } = await served(world, 1);
    const connection = { completionQueue: queue };
    const other = await world.peer();
    await assert.rejects(
      other.listen('127.0.0.1', 0, { connection }),
      withCode('INVALID_ARG_VALUE'),
    );
  });
});
