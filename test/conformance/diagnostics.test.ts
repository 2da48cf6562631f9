// SPDX-License-Identifier: BSD-3-Clause
//
// The channels of node:diagnostics_channel: what is published when, in which order, that nothing is
// published per operation, and that a subscriber that throws breaks nothing. `rpma:log` is in
// log.test.ts, `rpma:error` in test/fault/bounds-listener.test.ts.

import assert from 'node:assert/strict';
import { subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel';
import type { Connection } from 'rpma';
import { MemoryRegion, MemoryUsage, Peer } from 'rpma';
import { channels, type ConnectionEventMessage, type ConnectMessage } from 'rpma/diagnostics';
import type { EndpointMessage, PeerMessage, QueueFullMessage } from 'rpma/diagnostics';
import type { RegionMessage, RequestMessage } from 'rpma/diagnostics';
import { conform, withCode } from '../support/conform.js';
import { spinFor, turn, until, withDeadline } from '../support/deadline.js';
import { type Pair, takeAll, type World } from '../support/world.js';

/** What is published on a channel while the test lasts. */
function heard<T>(world: World, channel: string): T[] {
  const messages: T[] = [];
  const take = (message: unknown): void => void messages.push(message as T);
  subscribe(channel, take);
  world.after(() => void unsubscribe(channel, take));
  return messages;
}

type Step = readonly [step: string, message: ConnectMessage];

function traced(world: World): Step[] {
  const steps: Step[] = [];
  const note = (step: string) => (message: unknown) => {
    steps.push([step, { ...(message as ConnectMessage) }]);
  };
  const subscribers = {
    start: note('start'),
    end: note('end'),
    asyncStart: note('asyncStart'),
    asyncEnd: note('asyncEnd'),
    error: note('error'),
  };
  const channel = tracingChannel(channels.connect);
  channel.subscribe(subscribers);
  world.after(() => void channel.unsubscribe(subscribers));
  return steps;
}

conform('diagnostics channels', ({ provider, it }) => {
  it('tell of a peer that is opened and closed', async (world) => {
    const opened = heard<PeerMessage>(world, channels.peerOpen);
    const closed = heard<PeerMessage>(world, channels.peerClose);
    const peer = await Peer.open({ provider });
    assert.deepEqual(
      opened.map((message) => message.peer === peer),
      [true],
    );
    assert.equal(closed.length, 0);
    await peer.close();
    assert.equal(closed[0]?.peer, peer);
    assert.equal(closed.length, 1);
  });

  it('tell of an endpoint, of a request when it is fetched, and of events', async (world) => {
    const listening = heard<EndpointMessage>(world, channels.endpointListen);
    const requests = heard<RequestMessage>(world, channels.requestIncoming);
    const events = heard<ConnectionEventMessage>(world, channels.connectionEvent);
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    assert.equal(listening[0]?.endpoint, endpoint);
    const outgoing = peer.connect('127.0.0.1', endpoint.port);
    const request = await endpoint.take({ timeoutMs: 10_000 });
    assert.ok(request !== null);
    assert.equal(requests.length, 1);
    assert.equal(requests[0]?.endpoint, endpoint);
    assert.equal(requests[0].request, request);
    const target = request.accept();
    const initiator = await outgoing;
    await target.whenEstablished();
    await initiator.close();
    await target.whenClosed();
    const of = (connection: Connection): string[] =>
      events.filter((each) => each.connection === connection).map((each) => each.event.type);
    assert.deepEqual(of(initiator), ['established', 'closed']);
    assert.deepEqual(of(target), ['established', 'closed']);
    const told = await target.events.take({ timeoutMs: 10_000 });
    assert.equal(told, events.find((each) => each.connection === target)?.event);
  });

  it('let a subscriber wait, which keeps nothing from anybody else', async (world) => {
    const first = await world.pair();
    const ending = [first];
    const living: Pair[] = [];
    for (let n = 0; n < 6; n++) ending.push(await world.again(first));
    for (let n = 0; n < 6; n++) living.push(await world.again(first));
    const idle = await world.again(first);
    const waits = living.map(({ initiator }) => initiator.completionQueue.take());
    let blocked = 0;
    const wait = (): void => {
      if (blocked++ > 0) return;
      // Its own drain has more to tell than the one that called it has left.
      for (const { initiator } of living) initiator.postWrite({ length: 0 });
      assert.equal(idle.initiator.completionQueue.takeSync(20), null);
    };
    subscribe(channels.connectionEvent, wait);
    world.after(() => void unsubscribe(channels.connectionEvent, wait));
    const ends = ending.map(({ target }) => target.whenClosed());
    for (const { initiator } of ending) initiator.disconnect();
    spinFor(100); // the ends come in meanwhile, and are told in one go
    await withDeadline(Promise.all(ends), 'all ends are told');
    for (const completion of await withDeadline(Promise.all(waits), 'all writes complete')) {
      assert.ok(completion?.ok);
    }
    assert.ok(blocked >= ending.length);
  });

  it('tell of regions, however they are made and closed', async (world) => {
    const registered = heard<RegionMessage>(world, channels.regionRegister);
    const closed = heard<RegionMessage>(world, channels.regionClose);
    const peer = await Peer.open({ provider });
    const usage = MemoryUsage.ReadSource;
    const regions = [
      await peer.allocate(4096, { usage }),
      await peer.register(new Uint8Array(64), { usage }),
    ];
    assert.deepEqual(
      registered.map(({ region }) => region),
      regions,
    );
    await regions[0]?.close();
    assert.equal(closed[0]?.region, regions[0]);
    await peer.close();
    assert.equal(closed.length, 2);
    assert.ok(closed[1]?.region instanceof MemoryRegion);
    assert.equal(closed[1].region, regions[1]);
  });

  it('trace a connect that succeeds', async (world) => {
    const steps = traced(world);
    const pair = await world.pair();
    assert.deepEqual(
      steps.map(([step]) => step),
      ['start', 'end', 'asyncStart', 'asyncEnd'],
    );
    const { address, port, peer, result } = steps.at(-1)?.[1] ?? {};
    assert.deepEqual([address, port], ['127.0.0.1', pair.endpoint.port]);
    assert.equal(peer, pair.initiatorPeer);
    assert.equal(result, pair.initiator);
    assert.equal(steps[0]?.[1].result, undefined);
  });

  it('trace a connect that fails, and give the error on', async (world) => {
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    const steps = traced(world);
    const rejected = withCode('REJECTED');
    const outgoing = assert.rejects(peer.connect('127.0.0.1', endpoint.port), rejected);
    (await endpoint.take({ timeoutMs: 10_000 }))?.reject();
    await outgoing;
    assert.deepEqual(
      steps.map(([step]) => step),
      ['start', 'end', 'error', 'asyncStart', 'asyncEnd'],
    );
    for (const [, message] of steps.slice(2)) rejected(message.error);
    await assert.rejects(peer.connect('127.0.0.1', 0), withCode('OUT_OF_RANGE'));
    assert.equal(steps.length, 10);
  });

  it('tell of a full queue, but not of each post that finds it full', async (world) => {
    const full = heard<QueueFullMessage>(world, channels.queueFull);
    const sizes = { sendQueueSize: 4, receiveQueueSize: 2 };
    const { initiator } = await world.pair({ initiator: sizes });
    const again = withCode('AGAIN');
    for (let i = 0; i < 4; i++) initiator.postWrite({ length: 0, id: i });
    assert.equal(full.length, 0);
    for (let i = 0; i < 50; i++) assert.throws(() => initiator.postWrite({ length: 0 }), again);
    for (let i = 0; i < 2; i++) initiator.postReceive({ length: 0 });
    assert.throws(() => initiator.postReceive({ length: 0 }), again);
    const told = full.map(({ queue, capacity }) => `${queue} ${capacity}`);
    assert.ok(told.length < 10, `${told.length} messages`);
    assert.equal(told[0], 'send 4');
    assert.equal(told.at(-1), 'receive 2');
    assert.equal(full[0]?.connection, initiator);
    spinFor(220);
    assert.throws(() => initiator.postWrite({ length: 0 }), again);
    const sum = full.reduce((all, { queue, count }) => all + (queue === 'send' ? count : 0), 0);
    assert.equal(sum, 51);
    await takeAll(initiator.completionQueue, 4);
  });

  it('say nothing of operations', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    const messages = Object.values(channels)
      .filter((name) => name !== channels.connect)
      .map((name) => heard<unknown>(world, name));
    for (let id = 0; id < 20; id++) {
      pair.initiator.postWrite({ local, remote, length: 8, id });
      await takeAll(pair.initiator.completionQueue, 1);
    }
    await turn();
    assert.deepEqual(messages.flat(), []);
  });

  it('a subscriber that throws is an uncaught exception, and breaks nothing', async (world) => {
    const uncaught: unknown[] = [];
    const runners = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    const note = (error: unknown): void => void uncaught.push(error);
    process.on('uncaughtException', note);
    const reason = new Error('from a subscriber');
    const fail = (): void => {
      throw reason;
    };
    const names = Object.values(channels).map((name) =>
      name === channels.connect ? `tracing:${name}:start` : name,
    );
    for (const name of names) subscribe(name, fail);
    try {
      const pair = await world.pair();
      const local = await world.local(pair);
      const { remote } = await world.lend(pair);
      pair.initiator.postWrite({ local, remote, length: 8, id: 7 });
      assert.equal((await takeAll(pair.initiator.completionQueue, 1))[0]?.id, 7);
      await local.close();
      await pair.initiator.close();
      await pair.target.whenClosed();
      await pair.initiatorPeer.close();
      await until(() => uncaught.length >= 10, 'they are reported');
      assert.ok(uncaught.every((error) => error === reason));
    } finally {
      for (const name of names) unsubscribe(name, fail);
      await turn(); // what was thrown until now is reported in a tick
      process.off('uncaughtException', note);
      for (const runner of runners) process.on('uncaughtException', runner);
    }
  });
});
