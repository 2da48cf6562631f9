// SPDX-License-Identifier: BSD-3-Clause
//
// The bounds of the promise tier: how much may wait, what a deadline or a signal ends and what it
// leaves, and what is refused before anything is sent, in either tier.

import assert from 'node:assert/strict';
import { type Connection, type MemoryRegion, OperationBatch, type RemoteRegion } from 'rpma';
import { argumentError, conform, withCode } from '../support/conform.js';
import { until, withDeadline } from '../support/deadline.js';
import { localUsage, type Pair, type World } from '../support/world.js';

/** A pair whose requests are not answered: a message without a receive stands before them. */
async function blocked(world: World, sendQueueSize: number = 10): Promise<Pair> {
  const pair = await world.pair({ initiator: { sendQueueSize } });
  await pair.initiator.send({ length: 0 });
  return pair;
}

type Waiting = { readonly signal?: AbortSignal; readonly timeoutMs?: number };
type Awaited = (wait: Waiting) => Promise<unknown>;

/** Every awaited operation that can be given up. */
function operations(
  connection: Connection,
  local: MemoryRegion,
  remote: RemoteRegion,
): Readonly<Record<string, Awaited>> {
  const range = { local, remote, length: 8 };
  return {
    read: (wait) => connection.read({ ...range, ...wait }),
    'write until delivered': (wait) => connection.write({ ...range, until: 'delivered', ...wait }),
    'atomicWrite until delivered': (wait) =>
      connection.atomicWrite({ remote, value: 1n, until: 'delivered', ...wait }),
    flush: (wait) => connection.flush({ remote, length: 8, type: 'visibility', ...wait }),
  };
}

conform('bounds of the promise tier', ({ it }) => {
  it('1024 operations wait behind a full queue, the next is AGAIN, and all of them end', async (world) => {
    const pair = await blocked(world);
    const { initiator, target } = pair;
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    const read = (): Promise<void> => initiator.read({ local, remote, length: 8 });
    const accepted = Array.from({ length: 10 + 1024 }, read);
    assert.equal(initiator.sendQueueFree, 0);
    const full = withCode('AGAIN', {
      retryable: true,
      mayHaveTakenEffect: false,
      scope: 'operation',
    });
    await assert.rejects(read(), full);
    await assert.rejects(initiator.send({ length: 0 }), full);
    expectPosted(initiator, 10);
    void target.receive({ length: 0 });
    await withDeadline(Promise.all(accepted), 'all that were accepted');
    await read();
    expectPosted(initiator, 10 + 1024 + 1);
  });

  it('one that gives up makes room in the line', async (world) => {
    const pair = await blocked(world);
    const { initiator, target } = pair;
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    const controller = new AbortController();
    const read = (signal?: AbortSignal): Promise<void> =>
      initiator.read({ local, remote, length: 8, signal });
    const accepted = Array.from({ length: 10 + 1023 }, () => read());
    const last = read(controller.signal);
    await assert.rejects(read(), withCode('AGAIN'));
    controller.abort();
    await assert.rejects(last, withCode('ABORTED', { mayHaveTakenEffect: false }));
    accepted.push(read());
    await assert.rejects(read(), withCode('AGAIN'));
    void target.receive({ length: 0 });
    await withDeadline(Promise.all(accepted), 'all that were accepted');
  });

  it('receives wait in a line of their own, as many', async (world) => {
    const { initiator, target } = await world.pair({ target: { receiveQueueSize: 4 } });
    const receives = Array.from({ length: 4 + 1024 }, () => target.receive({ length: 0 }));
    assert.equal(target.receiveQueueFree, 0);
    await assert.rejects(target.receive({ length: 0 }), withCode('AGAIN'));
    await target.write({ length: 0 });
    for (let n = 0; n < receives.length; n++) await initiator.send({ length: 0 });
    await withDeadline(Promise.all(receives), 'all messages');
  });

  it('a receive takes neither a signal nor a deadline', async (world) => {
    const { target } = await world.pair();
    const bad = argumentError('TypeError', 'INVALID_ARG_VALUE');
    const { signal } = new AbortController();
    await assert.rejects(target.receive({ length: 0, timeoutMs: 5 } as never), bad);
    await assert.rejects(target.receive({ length: 0, signal } as never), bad);
    assert.equal(target.receiveQueueFree, 10);
    assert.equal(target.completionQueue.claimedBy, 'nobody');
    const shared = await target.peer.createSharedReceiveQueue();
    await assert.rejects(shared.receive({ length: 0, timeoutMs: 5 } as never), bad);
    await shared.close();
  });

  it('what was posted may have taken effect, and keeps its place until it completes', async (world) => {
    for (const how of ['signal', 'deadline'] as const) {
      const pair = await blocked(world);
      const { initiator, target } = pair;
      const local = await world.local(pair);
      const { remote } = await world.lend(pair);
      const each = Object.values(operations(initiator, local, remote));
      const controller = new AbortController();
      const wait = how === 'signal' ? { signal: controller.signal } : { timeoutMs: 5 };
      const given = each.map((operation) => operation(wait));
      const free = initiator.sendQueueFree;
      assert.equal(free, 10 - 6);
      controller.abort();
      const code = how === 'signal' ? 'ABORTED' : 'TIMEOUT';
      const told = given.map((one) =>
        assert.rejects(one, withCode(code, { mayHaveTakenEffect: true })),
      );
      await withDeadline(Promise.all(told), `each is told by the ${how}`);
      assert.equal(initiator.sendQueueFree, free);
      assert.ok(local.inFlight > 0);
      assert.equal(initiator.state, 'established');
      void target.receive({ length: 0 });
      await until(() => initiator.sendQueueFree === 10 && local.inFlight === 0, 'they complete');
      await initiator.read({ local, remote, length: 8 });
    }
  });

  it('what only waited for room surely did nothing', async (world) => {
    const pair = await blocked(world, 2);
    const { initiator, target } = pair;
    const local = await world.local(pair);
    const { region, remote } = await world.lend(pair);
    local.bytes.fill(9);
    const flush = { remote, length: 8, type: 'visibility' as const };
    const before = [initiator.flush(flush), initiator.flush(flush)];
    const surely = withCode('TIMEOUT', { mayHaveTakenEffect: false });
    const each = [
      ...Object.values(operations(initiator, local, remote)),
      (wait: Waiting) => initiator.send({ local, length: 8, ...wait }),
      (wait: Waiting) => initiator.write({ local, remote, length: 8, ...wait }),
    ];
    await Promise.all(each.map((operation) => assert.rejects(operation({ timeoutMs: 5 }), surely)));
    expectPosted(initiator, 2);
    void target.receive({ length: 0 });
    await withDeadline(Promise.all(before), 'the two before them');
    await initiator.flush(flush);
    assert.equal(region.bytes[0], 0);
    expectPosted(initiator, 3);
  });

  it('an operation that never fits is refused with the cure', async (world) => {
    const pair = await world.pair({ initiator: { sendQueueSize: 1 } });
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    const range = { local, remote, length: 8 };
    await assert.rejects(
      pair.initiator.write({ ...range, until: 'delivered' }),
      (error: unknown) => withCode('NOT_SUPPORTED')(error) && /sendQueueSize/.test(String(error)),
    );
    assert.equal(pair.initiator.completionQueue.claimedBy, 'nobody');
    await pair.initiator.write(range);
  });

  it('what goes beyond a descriptor is refused before anything is sent, in either tier', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair, 128);
    const { remote } = await world.lend(pair, 64);
    const posting = (await world.again(pair)).initiator;
    const { initiator } = pair;
    const box = await pair.initiatorPeer.allocate(8, { usage: localUsage });
    await initiator.write({ length: 0 });
    const before = [initiator, posting].map((each) => each.statistics());
    const beyond = argumentError('RangeError', 'OUT_OF_RANGE');
    const batch = new OperationBatch(1);
    const ranges = [
      { remoteOffset: 0, length: 65 },
      { remoteOffset: 64, length: 1 },
      { remoteOffset: 65, length: 0 },
      { remoteOffset: Number.MAX_SAFE_INTEGER, length: 1 },
      { remoteOffset: 1, length: Number.MAX_SAFE_INTEGER },
    ];
    for (const range of ranges) {
      const transfer = { local, remote, ...range };
      const flush = { remote, ...range, type: 'visibility' as const };
      const atomic = { remote, remoteOffset: Math.max(range.remoteOffset, 57), value: 1n };
      await assert.rejects(initiator.read(transfer), beyond);
      await assert.rejects(initiator.write(transfer), beyond);
      await assert.rejects(initiator.write({ ...transfer, until: 'delivered' }), beyond);
      await assert.rejects(initiator.flush(flush), beyond);
      await assert.rejects(initiator.atomicWrite(atomic), beyond);
      assert.throws(() => posting.postRead(transfer), beyond);
      assert.throws(() => posting.postWrite(transfer), beyond);
      assert.throws(() => posting.postFlush(flush), beyond);
      assert.throws(() => posting.postAtomicWrite(atomic), beyond);
      assert.throws(() => batch.write(transfer), beyond);
      assert.throws(() => batch.flush(flush), beyond);
    }
    // The local side is bounded alike.
    const message = { local: box, localOffset: 4, length: 5 };
    await assert.rejects(initiator.send(message), beyond);
    await assert.rejects(initiator.receive(message), beyond);
    assert.throws(() => posting.postSend(message), beyond);
    assert.throws(() => posting.postReceive(message), beyond);
    for (const [n, each] of [initiator, posting].entries()) {
      const after = each.statistics();
      for (const name of ['framesSent', 'readsPosted', 'writesPosted', 'flushesPosted']) {
        assert.equal(after[name], before[n]?.[name], name);
      }
    }
    // The whole of it, to its last byte, is not beyond.
    await initiator.read({ local, remote, length: 64 });
    await initiator.flush({ remote, remoteOffset: 64, length: 0, type: 'visibility' });
  });
});

/** How many operations the send queue has taken so far, but for the message that blocks it. */
function expectPosted(connection: Connection, count: number): void {
  const statistics = connection.statistics();
  const kinds = [
    'readsPosted',
    'writesPosted',
    'atomicWritesPosted',
    'flushesPosted',
    'sendsPosted',
  ];
  const posted = kinds.reduce((sum, name) => sum + (statistics[name] ?? Number.NaN), 0);
  assert.equal(posted - 1, count);
}
