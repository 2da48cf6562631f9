// SPDX-License-Identifier: BSD-3-Clause
//
// What fetching a completion answers (librpma: cq_get_wc, cq_wait, conn_get_cq, conn_get_rcq), and
// what a completion says of each operation.

import assert from 'node:assert/strict';
import { CompletionBatch, type CompletionQueue, type Operation } from 'rpma';
import { argumentError, conform, withCode } from '../support/conform.js';
import { withDeadline } from '../support/deadline.js';
import { plainResponder } from '../support/plain-peer.js';
import { takeAll, takeOk, takeRest } from '../support/world.js';

const range = argumentError('RangeError', 'OUT_OF_RANGE');
const type = argumentError('TypeError', 'INVALID_ARG_TYPE');

/** Waits until `count` completions lie in the queue; they are fetched elsewhere. */
async function some(queue: CompletionQueue): Promise<void> {
  assert.equal(await queue.wait({ timeoutMs: 10_000 }), true);
}

conform("librpma's rpma_cq_get_wc", ({ it }) => {
  it('num_entries that is not positive is refused', async (world) => {
    const { completionQueue: queue } = (await world.pair()).initiator;
    for (const max of [0, -1, -16, 0.5, Number.NaN, 2 ** 32]) {
      assert.throws(() => queue.poll(max), range, `${max}`);
      assert.throws(() => new CompletionBatch(max), range, `${max}`);
    }
    for (const max of [null, '1', 1n]) assert.throws(() => queue.poll(max as never), type);
  });

  it('a batch that is NULL, or none, is refused', async (world) => {
    const { completionQueue: queue } = (await world.pair()).initiator;
    for (const batch of [null, undefined, {}, [], 1, new Uint8Array(64)]) {
      assert.throws(() => queue.pollInto(batch as never), type);
    }
  });

  it('an empty queue gives nothing, and no error: [], 0 and null', async (world) => {
    const { completionQueue: queue } = (await world.pair()).initiator;
    const batch = new CompletionBatch(2);
    for (let round = 0; round < 3; round++) {
      assert.deepEqual(queue.poll(), []);
      assert.deepEqual(queue.poll(1), []);
      assert.equal(queue.pollInto(batch), 0);
      assert.equal(batch.length, 0);
      assert.equal(queue.tryTake(), null);
    }
  });

  it('gives what is there, never more than was asked for', async (world) => {
    const { initiator } = await world.pair();
    const queue = initiator.completionQueue;
    for (let id = 0; id < 9; id++) initiator.postWrite({ length: 0, id });
    const seen: number[] = [];
    const batch = new CompletionBatch(3);
    while (seen.length < 9) {
      await some(queue);
      const one = queue.tryTake();
      if (one !== null) seen.push(one.id);
      const two = queue.poll(2);
      assert.ok(two.length <= 2);
      seen.push(...two.map((each) => each.id));
      const count = queue.pollInto(batch);
      assert.ok(count <= 3 && count === batch.length);
      seen.push(...[...batch].map((each) => each.id));
    }
    assert.deepEqual(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('what was fetched is one value where the count may be left out', async (world) => {
    const { initiator } = await world.pair();
    initiator.postWrite({ length: 0, id: 5 });
    await some(initiator.completionQueue);
    assert.equal(initiator.completionQueue.tryTake()?.id, 5);
    assert.equal(initiator.completionQueue.tryTake(), null);
  });

  it('each operation is named as it was posted', async (world) => {
    const pair = await world.pair();
    const { initiator, target } = pair;
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    const posts: readonly (readonly [Operation, () => void])[] = [
      ['read', () => initiator.postRead({ local, remote, length: 8 })],
      ['write', () => initiator.postWrite({ local, remote, length: 8 })],
      ['atomic-write', () => initiator.postAtomicWrite({ remote, value: 1n })],
      ['flush', () => initiator.postFlush({ remote, length: 8, type: 'visibility' })],
      ['send', () => initiator.postSend({ local, length: 8 })],
    ];
    for (const [operation, post] of posts) {
      if (operation === 'send') target.postReceive({ local: await inbox(), length: 8, id: 3 });
      post();
      const done = await takeOk(initiator.completionQueue);
      assert.equal(done.operation, operation);
      assert.equal(done.status, 'success');
      assert.equal(done.queuePairNumber, initiator.queuePairNumber);
    }
    const received = await takeOk(target.completionQueue);
    assert.deepEqual([received.operation, received.length], ['receive', 8]);
    assert.equal(received.queuePairNumber, target.queuePairNumber);

    async function inbox() {
      return pair.targetPeer.allocate(64, { usage: 0x80 });
    }
  });

  it('all operations at once come in the order of their posts', async (world) => {
    const pair = await world.pair();
    const { initiator, target } = pair;
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    target.postReceive({ length: 0 });
    initiator.postRead({ local, remote, length: 8, id: 1 });
    initiator.postWrite({ local, remote, length: 8, id: 2 });
    initiator.postAtomicWrite({ remote, value: 1n, id: 3 });
    initiator.postFlush({ remote, length: 8, type: 'visibility', id: 4 });
    initiator.postSend({ length: 0, id: 5 });
    const done = await takeAll(initiator.completionQueue, 5);
    assert.deepEqual(
      done.map((each) => [each.id, each.operation]),
      [
        [1, 'read'],
        [2, 'write'],
        [3, 'atomic-write'],
        [4, 'flush'],
        [5, 'send'],
      ],
    );
  });

  it('a failed completion keeps id, operation and queue pair; nothing was received', async (world) => {
    const pair = await world.pair();
    pair.target.postReceive({ length: 0, id: 8 });
    const number = pair.target.queuePairNumber;
    pair.target.destroy();
    const [flushed] = await takeRest(pair.target.completionQueue);
    assert.ok(flushed !== undefined);
    const { id, operation, queuePairNumber, status, ok, length } = flushed;
    assert.deepEqual([id, operation, queuePairNumber], [8, 'receive', number]);
    assert.deepEqual([status, ok, length], ['flushed', false, 0]);
  });

  it('an operation has one completion: what follows it in the queue is nothing', async (world) => {
    const { initiator } = await world.pair();
    for (let id = 0; id < 200; id++) {
      initiator.postWrite({ length: 0, id });
      assert.equal((await takeOk(initiator.completionQueue)).id, id);
      assert.equal(initiator.completionQueue.tryTake(), null);
    }
  });

  it('a failed operation completes with its error whatever it asked for, and flushes the rest', async (world) => {
    const pair = await world.pair();
    const { initiator, target } = pair;
    const local = await world.local(pair);
    const { region, remote } = await world.lend(pair);
    const { remote: open } = await world.lend(pair);
    await region.close();
    // Behind a message without a receive all is posted before anything is refused.
    initiator.postSend({ length: 0, completion: 'on-error' });
    initiator.postRead({ local, remote, length: 8, id: 2, completion: 'on-error' });
    initiator.postRead({ local, remote: open, length: 8, id: 3 });
    initiator.postWrite({ local, remote: open, length: 8, id: 4, completion: 'on-error' });
    initiator.postFlush({ remote: open, length: 8, type: 'visibility', id: 5 });
    target.postReceive({ length: 0 });
    const rest = await takeRest(initiator.completionQueue);
    assert.deepEqual(
      rest.filter((each) => each.id !== 4).map((each) => [each.id, each.status]),
      [
        [2, 'remote-access'],
        [3, 'flushed'],
        [5, 'flushed'],
      ],
    );
  });

  it('everything posted and every receive complete as flushed once the connection ends', async (world) => {
    const pair = await world.pair();
    const { initiator } = pair;
    const { remote } = await world.lend(pair);
    for (let id = 0; id < 3; id++) initiator.postReceive({ length: 0, id });
    // There is no receive for it, so what follows waits. It may have gone out itself.
    initiator.postSend({ length: 0, id: 99, completion: 'on-error' });
    for (let id = 10; id < 13; id++) {
      initiator.postFlush({ remote, length: 8, type: 'visibility', id });
    }
    initiator.destroy();
    const rest = await takeRest(initiator.completionQueue);
    const ids = rest.map((each) => each.id).filter((id) => id !== 99);
    assert.deepEqual(
      ids.sort((a, b) => a - b),
      [0, 1, 2, 10, 11, 12],
    );
    for (const each of rest) assert.equal(each.status, 'flushed', `${each.operation} ${each.id}`);
  });
});

conform("librpma's opcodes", ({ provider, it }) => {
  if (provider !== 'iwarp') return;

  it('an emulated flush is a flush and an emulated atomic write is one', async (world) => {
    const { connection, script } = await plainResponder(world);
    const { remote } = await world.lend(await world.pair());
    assert.equal(connection.capabilities.nativeFlush, false);
    assert.equal(connection.capabilities.nativeAtomicWrite, false);
    connection.postFlush({ remote, length: 8, type: 'visibility', id: 1 });
    script.answerRead(await script.readRequest(), new Uint8Array(8));
    assert.equal((await takeOk(connection.completionQueue)).operation, 'flush');
    connection.postAtomicWrite({ remote, value: 7n, id: 2 });
    assert.equal((await script.frame()).payload.length, 8);
    assert.equal((await takeOk(connection.completionQueue)).operation, 'atomic-write');
  });
});

conform("librpma's rpma_cq_wait", ({ it }) => {
  it('the first completion wakes a wait that began before anything was posted', async (world) => {
    const { initiator } = await world.pair();
    const queue = initiator.completionQueue;
    const waiting = queue.wait({ timeoutMs: 10_000 });
    initiator.postWrite({ length: 0, id: 1 });
    assert.equal(await withDeadline(waiting, 'wait()'), true);
    assert.equal(queue.tryTake()?.id, 1);
  });

  it('wait, drain, wait: no completion is missed', async (world) => {
    const pair = await world.pair();
    const { initiator } = pair;
    const queue = initiator.completionQueue;
    const { remote } = await world.lend(pair);
    let seen = 0;
    for (let round = 0; round < 300; round++) {
      const count = 1 + (round % 7);
      for (let n = 0; n < count; n++) {
        initiator.postFlush({ remote, length: 8, type: 'visibility' });
      }
      for (let fetched = 0; fetched < count;) {
        assert.equal(await queue.wait({ timeoutMs: 10_000 }), true);
        for (let each = queue.tryTake(); each !== null; each = queue.tryTake()) fetched++;
        if (fetched === count) seen += count;
      }
    }
    assert.ok(seen > 1000);
    assert.equal(await queue.wait({ timeoutMs: 2 }), false);
  });

  it('nothing within the bound is false and null, not an error', async (world) => {
    const { completionQueue: queue } = (await world.pair()).initiator;
    assert.equal(queue.waitSync(1), false);
    assert.equal(queue.takeSync(1), null);
    assert.equal(await queue.wait({ timeoutMs: 1 }), false);
    assert.equal(await queue.take({ timeoutMs: 1 }), null);
  });

  it('is told of the end: a wait on a queue whose connection is gone is false', async (world) => {
    const { initiator, target } = await world.pair();
    const waiting = initiator.completionQueue.wait();
    target.disconnect();
    assert.equal(await withDeadline(waiting, 'wait() ends'), false);
    assert.equal(initiator.completionQueue.waitSync(1), false);
  });
});

conform("librpma's rpma_conn_get_cq and rpma_conn_get_rcq", ({ it }) => {
  it('the same queue each time, and no receive queue without rcq_size', async (world) => {
    const { initiator } = await world.pair();
    assert.equal(initiator.completionQueue, initiator.completionQueue);
    assert.equal(initiator.receiveCompletionQueue, null);
  });

  it('two queues with rcq_size', async (world) => {
    const { initiator } = await world.pair({ initiator: { receiveCompletionQueueSize: 5 } });
    const receives = initiator.receiveCompletionQueue;
    assert.ok(receives !== null);
    assert.equal(initiator.receiveCompletionQueue, receives);
    assert.notEqual(receives, initiator.completionQueue);
    assert.ok(receives.capacity >= 10, 'it holds every receive that can be posted');
  });

  it('a queue may be read after its connection was closed (librpma frees it)', async (world) => {
    const { initiator } = await world.pair();
    initiator.postWrite({ length: 0, id: 2 });
    await withDeadline(initiator.close(), 'close()');
    assert.equal((await takeOk(initiator.completionQueue)).id, 2);
    assert.throws(() => initiator.postWrite({ length: 0 }), withCode('CLOSED'));
  });
});
