// SPDX-License-Identifier: BSD-3-Clause
//
// Signals and deadlines: they end the waiting, not the operation. A wait that ends with nothing
// gives null or false; an operation rejects, and says that it may have taken effect.

import assert from 'node:assert/strict';
import { Peer } from 'rpma';
import { conform, withCode } from '../support/conform.js';
import { timed, until, withDeadline } from '../support/deadline.js';
import { type Pair, takeOk, type World } from '../support/world.js';

/** A pair whose requests wait: a message without a receive stands before them. */
async function blocked(world: World): Promise<Pair> {
  const pair = await world.pair();
  await pair.initiator.send({ length: 0 });
  return pair;
}

conform('signals and deadlines', ({ provider, it }) => {
  it('an aborted operation rejects with AbortError and the reason as cause', async (world) => {
    const pair = await blocked(world);
    const { remote } = await world.lend(pair);
    const controller = new AbortController();
    const flush = { remote, length: 8, type: 'visibility' as const };
    const pending = pair.initiator.flush({ ...flush, signal: controller.signal });
    const reason = new Error('no longer wanted');
    controller.abort(reason);
    await assert.rejects(
      pending,
      withCode('ABORTED', { name: 'AbortError', mayHaveTakenEffect: true, cause: reason }),
    );
    assert.equal(pair.initiator.state, 'established');
  });

  it('a deadline rejects with TimeoutError', async (world) => {
    const pair = await blocked(world);
    const { remote } = await world.lend(pair);
    const pending = pair.initiator.flush({ remote, length: 8, type: 'visibility', timeoutMs: 20 });
    const rejected = assert.rejects(
      pending,
      withCode('TIMEOUT', { name: 'TimeoutError', mayHaveTakenEffect: true }),
    );
    const { elapsedMs } = await timed(rejected);
    assert.ok(elapsedMs >= 15 && elapsedMs < 1000, `${elapsedMs} ms`);
  });

  it('the operation goes on, keeps its slot and its memory until it completes', async (world) => {
    const pair = await blocked(world);
    const local = await world.local(pair);
    const { region, remote } = await world.lend(pair);
    region.bytes[0] = 17;
    const pending = pair.initiator.read({ local, remote, length: 8, timeoutMs: 10 });
    await assert.rejects(pending, withCode('TIMEOUT'));
    assert.equal(local.inFlight, 1);
    assert.equal(pair.initiator.sendQueueFree, 9);
    await pair.target.receive({ length: 0 }); // lets it through
    await until(() => local.inFlight === 0, 'the read completes');
    assert.equal(local.bytes[0], 17);
    await until(() => pair.initiator.sendQueueFree === 10, 'its slot is free');
  });

  it('a signal that is aborted already posts nothing', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair);
    const { region, remote } = await world.lend(pair);
    local.bytes.fill(1);
    await assert.rejects(
      pair.initiator.write({ local, remote, length: 8, signal: AbortSignal.abort() }),
      withCode('ABORTED', { name: 'AbortError', mayHaveTakenEffect: false }),
    );
    await pair.initiator.flush({ remote, length: 8, type: 'visibility' });
    assert.equal(region.bytes[0], 0);
  });

  it('an operation that was only waiting for a slot is taken back', async (world) => {
    const pair = await blocked(world);
    const local = await world.local(pair);
    const { region, remote } = await world.lend(pair);
    local.bytes.fill(1);
    const flush = { remote, length: 8, type: 'visibility' as const };
    const flushes = Array.from({ length: 10 }, () => pair.initiator.flush(flush));
    const controller = new AbortController();
    const options = { local, remote, length: 8, signal: controller.signal };
    const waiting = pair.initiator.write(options);
    controller.abort();
    await assert.rejects(waiting, withCode('ABORTED', { mayHaveTakenEffect: false }));
    await pair.target.receive({ length: 0 });
    await withDeadline(Promise.all(flushes), 'the others complete');
    await pair.initiator.flush(flush);
    assert.equal(region.bytes[0], 0);
  });

  it('waits end with null or false', async (world) => {
    const pair = await world.pair();
    pair.initiator.events.tryTake();
    assert.equal(await pair.initiator.completionQueue.take({ timeoutMs: 5 }), null);
    assert.equal(await pair.initiator.completionQueue.wait({ timeoutMs: 5 }), false);
    assert.equal(await pair.initiator.events.take({ timeoutMs: 5 }), null);
    assert.equal(await pair.endpoint.take({ timeoutMs: 5 }), null);
    const { value, elapsedMs } = await timed(
      Promise.resolve(pair.initiator.completionQueue.takeSync(30)),
    );
    assert.equal(value, null);
    assert.ok(elapsedMs < 1000);
  });

  it('an aborted take() leaves the queue usable and loses nothing', async (world) => {
    const pair = await world.pair();
    const queue = pair.initiator.completionQueue;
    for (let id = 0; id < 50; id++) {
      const controller = new AbortController();
      const waiting = queue.take({ signal: controller.signal });
      controller.abort();
      await assert.rejects(waiting, withCode('ABORTED'));
      pair.initiator.postWrite({ length: 0, id });
      assert.equal((await takeOk(queue)).id, id);
    }
  });

  it('whenEstablished() and whenClosed() take both', async (world) => {
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    const connection = (await peer.createConnectionRequest('127.0.0.1', endpoint.port)).connect();
    await assert.rejects(connection.whenEstablished({ timeoutMs: 10 }), withCode('TIMEOUT'));
    const controller = new AbortController();
    const waiting = connection.whenEstablished({ signal: controller.signal });
    controller.abort();
    await assert.rejects(waiting, withCode('ABORTED'));
    assert.equal(connection.state, 'connecting');
    (await endpoint.take())?.accept();
    await withDeadline(connection.whenEstablished(), 'established all the same');
    await assert.rejects(connection.whenClosed({ timeoutMs: 10 }), withCode('TIMEOUT'));
  });

  it('connect() gives up the attempt at its deadline', async (world) => {
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    const attempt = peer.connect('127.0.0.1', endpoint.port, { timeoutMs: 30 });
    await assert.rejects(attempt, withCode('TIMEOUT'));
    const controller = new AbortController();
    const other = peer.connect('127.0.0.1', endpoint.port, { signal: controller.signal });
    await until(() => endpoint.tryTake() !== null, 'the request arrives');
    controller.abort();
    await assert.rejects(other, withCode('ABORTED'));
  });

  it('Peer.open() takes a signal', async () => {
    await assert.rejects(
      Peer.open({ provider, localAddress: '127.0.0.1', signal: AbortSignal.abort() }),
      withCode('ABORTED'),
    );
  });

  it('takeSync() needs a bound outside workers', async (world) => {
    const pair = await world.pair();
    assert.throws(() => pair.initiator.completionQueue.takeSync(Infinity), RangeError);
    assert.throws(() => pair.initiator.completionQueue.takeSync(-1), RangeError);
    assert.throws(() => pair.initiator.events.takeSync(Number.NaN), RangeError);
  });
});
