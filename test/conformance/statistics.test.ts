// SPDX-License-Identifier: BSD-3-Clause
//
// connection.statistics() and peer.statistics(): what was done and met, in numbers that an operator
// reads (librpma has none). docs/reference/statistics.md says what each is.

import assert from 'node:assert/strict';
import { Connection, OperationBatch } from 'rpma';
import { conform, withCode } from '../support/conform.js';
import { until, withDeadline } from '../support/deadline.js';
import { durableUsage, takeAll, takeOk, takeRest } from '../support/world.js';

type Statistics = Readonly<Record<string, number>>;

/** Asserts that these are exactly the numbers by these names. */
function expectOf(statistics: Statistics, expected: Statistics): void {
  const found = Object.fromEntries(Object.keys(expected).map((name) => [name, statistics[name]]));
  assert.deepEqual(found, expected);
}

function differences(before: Statistics, after: Statistics, names: readonly string[]): number[] {
  return names.map((name) => (after[name] ?? Number.NaN) - (before[name] ?? Number.NaN));
}

conform('statistics', ({ provider, it }) => {
  it('a fresh connection has done nothing of its own yet', async (world) => {
    const { initiator } = await world.pair();
    const statistics = initiator.statistics();
    assert.ok(Object.isFrozen(statistics));
    assert.ok(Object.keys(statistics).length > 30);
    assert.ok(Object.values(statistics).every((value) => Number.isSafeInteger(value)));
    const kinds = ['reads', 'writes', 'atomicWrites', 'flushes', 'sends', 'receives'];
    for (const kind of kinds) {
      const names = [`${kind}Posted`, `${kind}Completed`, `${kind}Failed`];
      expectOf(statistics, Object.fromEntries(names.map((name) => [name, 0])));
    }
  });

  it('operations are counted by kind, on both sides, silent ones too', async (world) => {
    const pair = await world.pair({ initiator: { sendQueueSize: 16 } });
    const { initiator, target } = pair;
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    for (let id = 0; id < 3; id++) target.postReceive({ length: 0, id });
    for (let id = 0; id < 2; id++) initiator.postRead({ local, remote, length: 8 });
    for (let id = 0; id < 3; id++) {
      initiator.postWrite({ local, remote, length: 8, completion: 'on-error' });
    }
    for (let id = 0; id < 2; id++) initiator.postSend({ length: 0 });
    initiator.postAtomicWrite({ remote, value: 1n });
    for (let id = 0; id < 2; id++) {
      initiator.postFlush({ remote, length: 8, type: 'visibility' });
    }
    expectOf(initiator.statistics(), { readsPosted: 2, writesPosted: 3, sendsPosted: 2 });
    await takeAll(initiator.completionQueue, 7);
    expectOf(initiator.statistics(), {
      ...{ readsPosted: 2, readsCompleted: 2, readsFailed: 0 },
      ...{ writesPosted: 3, writesCompleted: 3, writesFailed: 0 },
      ...{ atomicWritesPosted: 1, atomicWritesCompleted: 1, atomicWritesFailed: 0 },
      ...{ flushesPosted: 2, flushesCompleted: 2, flushesFailed: 0 },
      ...{ sendsPosted: 2, sendsCompleted: 2, sendsFailed: 0 },
      ...{ flushesNative: 2, flushesEmulated: 0 },
      ...{ readsServed: 0, writesServed: 0, persists: 0, checksumErrors: 0 },
    });
    await until(() => target.statistics()['flushesServed'] === 2, 'the second flush is answered');
    expectOf(target.statistics(), {
      ...{ receivesPosted: 3, receivesCompleted: 2, receivesFailed: 0 },
      ...{ writesServed: 3, readsServed: 2, atomicWritesServed: 1, flushesServed: 2 },
      ...{ sendsPosted: 0, writesPosted: 0, persists: 0 },
    });
  });

  it('what one side has sent the other has received', async (world) => {
    const pair = await world.pair({ initiator: { sendQueueSize: 64 } });
    const { initiator, target } = pair;
    const local = await world.local(pair, 1 << 20);
    const { remote } = await world.lend(pair, 1 << 20);
    const wire = ['bytesSent', 'framesSent', 'bytesReceived', 'framesReceived'];
    const before = [initiator.statistics(), target.statistics()] as const;
    for (let n = 0; n < 20; n++) {
      initiator.postWrite({ local, remote, length: 1 << 20, completion: 'on-error' });
      initiator.postRead({ local, remote, length: 1000 });
      await takeOk(initiator.completionQueue);
    }
    const same = (): boolean => {
      const [ours, theirs] = [initiator.statistics(), target.statistics()];
      return (
        ours['bytesSent'] === theirs['bytesReceived'] &&
        ours['framesSent'] === theirs['framesReceived'] &&
        theirs['bytesSent'] === ours['bytesReceived'] &&
        theirs['framesSent'] === ours['framesReceived']
      );
    };
    await until(same, 'both tell the same');
    const [bytesOut = 0, framesOut = 0, bytesIn = 0, framesIn = 0] = differences(
      before[0],
      initiator.statistics(),
      wire,
    );
    assert.ok(bytesOut > 20 << 20 && bytesOut < 21 << 20, `${bytesOut} bytes out`);
    assert.ok(bytesIn > 20_000 && bytesIn < 22_000, `${bytesIn} bytes in`);
    assert.ok(framesOut >= 340 && framesOut < 2000, `${framesOut} frames out`);
    assert.ok(framesIn >= 20, `${framesIn} frames in`);
  });

  it('failures, and what an end flushes, are counted as failed', async (world) => {
    const pair = await world.pair();
    const { initiator, target, initiatorPeer, targetPeer } = pair;
    const local = await world.local(pair);
    const { region, remote } = await world.lend(pair);
    await region.close();
    initiator.postReceive({ length: 0 });
    // Both are accepted before the first can fail.
    const batch = new OperationBatch(2).flush({ remote, length: 8, type: 'visibility' });
    assert.equal(initiator.post(batch.read({ local, remote, length: 8 })), 2);
    await takeRest(initiator.completionQueue);
    await withDeadline(Promise.all([initiator.whenClosed(), target.whenClosed()]), 'the end');
    expectOf(initiator.statistics(), {
      ...{ flushesPosted: 1, flushesCompleted: 0, flushesFailed: 1 },
      ...{ readsPosted: 1, readsCompleted: 0, readsFailed: 1 },
      ...{ receivesPosted: 1, receivesCompleted: 0, receivesFailed: 1 },
    });
    expectOf(initiatorPeer.statistics(), { connectionsLost: 1, flushesFailed: 1 });
    expectOf(targetPeer.statistics(), { connectionsLost: 1, protectionErrors: 1 });
  });

  it('posts that found a queue full are counted', async (world) => {
    const { initiator } = await world.pair({
      initiator: { sendQueueSize: 2, receiveQueueSize: 1 },
    });
    initiator.postReceive({ length: 0 });
    for (let n = 0; n < 3; n++) {
      assert.throws(() => initiator.postReceive({ length: 0 }), withCode('AGAIN'));
    }
    for (let n = 0; n < 2; n++) initiator.postWrite({ length: 0 });
    assert.throws(() => initiator.postWrite({ length: 0 }), withCode('AGAIN'));
    expectOf(initiator.statistics(), { sendQueueFull: 1, receiveQueueFull: 3, writesPosted: 2 });
  });

  it('messages without a receive, and the stall when their space is full', async (world) => {
    const { initiator, target } = await world.pair({ initiator: { sendQueueSize: 32 } });
    for (let n = 0; n < 20; n++) initiator.postSend({ length: 0 });
    await until(() => target.statistics()['receiveStalls'] === 1, 'the space is full');
    expectOf(target.statistics(), { messagesParked: 16, receivesCompleted: 0 });
    for (let n = 0; n < 20; n++) {
      target.postReceive({ length: 0 });
      await takeOk(target.completionQueue);
    }
    assert.ok((target.statistics()['messagesParked'] ?? 0) >= 16);
    expectOf(target.statistics(), { receivesCompleted: 20 });
  });

  it('persistent flushes show as persists of the target', async (world) => {
    const pair = await world.pair();
    const { initiator, target } = pair;
    const local = await world.local(pair);
    const file = await world.file(4096);
    const { remote } = await world.lendFile(pair, file, durableUsage);
    for (let n = 0; n < 3; n++) await initiator.writeDurable({ local, remote, length: 8 });
    expectOf(initiator.statistics(), { flushesNative: 3, writesCompleted: 3, persists: 0 });
    await until(() => target.statistics()['flushesServed'] === 3, 'the last answer has left');
    expectOf(target.statistics(), { persists: 3, persistFailures: 0 });
  });

  it('turns and take-overs tell who drives', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    const before = pair.initiator.statistics();
    for (let n = 0; n < 20; n++) await pair.initiator.read({ local, remote, length: 8 });
    const after = pair.initiator.statistics();
    const [turns = 0, takeOvers = 0] = differences(before, after, ['turns', 'takeOvers']);
    assert.ok(turns >= 20, `${turns} turns`);
    if (provider === 'iwarp') assert.ok(takeOvers >= 1, `${takeOvers} take-overs`);
    const taken = (): boolean => (pair.initiator.statistics()['takeBacks'] ?? 0) >= takeOvers;
    await until(taken, 'the progress thread has it back');
  });

  it("stay readable after the connection's end, and do not change any more", async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    await pair.initiator.write({ local, remote, length: 8, until: 'delivered' });
    void pair.initiator.receive({ length: 0 });
    await withDeadline(pair.initiator.close(), 'close()');
    const last = pair.initiator.statistics();
    expectOf(last, { writesCompleted: 1, flushesCompleted: 1, receivesFailed: 1 });
    await withDeadline(pair.initiatorPeer.close(), "the peer's close()");
    assert.deepEqual(pair.initiator.statistics(), last);
    const ofPeer = pair.initiatorPeer.statistics();
    assert.ok(Object.isFrozen(ofPeer));
    expectOf(ofPeer, { connectionsMade: 1, connectionsOpen: 0, connectionsClosed: 1 });
    expectOf(ofPeer, { writesCompleted: 1, flushesCompleted: 1, receivesFailed: 1 });
    assert.equal(ofPeer['bytesSent'], last['bytesSent']);
  });

  it('those of a peer are sums over its connections, living and gone', async (world) => {
    const first = await world.pair();
    const { initiatorPeer, targetPeer } = first;
    for (let n = 0; n < 8; n++) {
      const each = await world.again(first);
      await each.initiator.write({ length: 0 });
      await withDeadline(each.initiator.close(), 'close()');
      await withDeadline(each.target.whenClosed(), 'the end');
    }
    await first.initiator.write({ length: 0 });
    const made = { connectionsMade: 9, connectionsEstablished: 9, connectionsOpen: 1 };
    expectOf(initiatorPeer.statistics(), { ...made, connectionsClosed: 8, writesCompleted: 9 });
    await until(() => targetPeer.statistics()['writesServed'] === 9, 'the last write has come');
    expectOf(targetPeer.statistics(), { ...made, connectionsClosed: 8, writesPosted: 0 });
  });

  it('only grow while there is traffic', async (world) => {
    const pair = await world.pair({ initiator: { sendQueueSize: 32 } });
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    let before = pair.targetPeer.statistics();
    for (let n = 0; n < 300; n++) {
      const reads = [1, 2, 3].map(() => pair.initiator.read({ local, remote, length: 64 }));
      const after = pair.targetPeer.statistics();
      for (const [name, value] of Object.entries(after)) {
        if (name !== 'connectionsOpen') assert.ok(value >= (before[name] ?? 0), name);
      }
      before = after;
      await Promise.all(reads);
    }
  });

  it('go with a connection that is handed over, whether it lives or has ended', async (world) => {
    for (const hasEnded of [false, true]) {
      const pair = await world.pair();
      pair.initiator.postWrite({ length: 0 });
      await takeOk(pair.initiator.completionQueue);
      if (hasEnded) {
        pair.target.destroy();
        await withDeadline(pair.initiator.whenClosed(), 'the end');
      }
      const before = pair.initiator.statistics();
      const adopted = Connection.adopt(pair.initiator.handOver());
      assert.throws(() => pair.initiator.statistics(), withCode('CLOSED'));
      expectOf(adopted.statistics(), { writesPosted: 1, writesCompleted: 1 });
      if (hasEnded) assert.deepEqual(adopted.statistics(), before);
    }
  });
});
