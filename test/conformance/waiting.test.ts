// SPDX-License-Identifier: BSD-3-Clause
//
// The descriptors of sources (librpma: ep_get_fd, conn_get_event_fd, cq_get_fd,
// conn_get_compl_fd), and how waiting by descriptor, by promise and by blocking go together.

import assert from 'node:assert/strict';
import type { Connection, ConnectionOptions, IncomingRequest, Source } from 'rpma';
import { conform, withCode } from '../support/conform.js';
import { isReadable, openDescriptors } from '../support/descriptors.js';
import { until, withDeadline } from '../support/deadline.js';
import { ForeignPoller } from '../support/foreign-poller.js';
import { type Pair, takeAll, takeRest, type World } from '../support/world.js';

/** A source at rest, and what makes something come to it without this thread's loop. */
interface Subject {
  readonly source: Source<unknown>;
  /** Starts it: what comes, comes by itself. At least two in a row. */
  readonly give: () => void;
  /** Lets go of what was taken. */
  readonly done?: (value: unknown) => void;
  /** The end, and whether the other side can bring it about by itself. */
  readonly end: () => void;
}

interface Case {
  readonly name: string;
  readonly open: (world: World) => Promise<Subject>;
}

async function quiet(world: World, initiator: ConnectionOptions = {}): Promise<Pair> {
  const pair = await world.pair({ initiator });
  while (pair.initiator.events.tryTake() !== null);
  return pair;
}

const cases: readonly Case[] = [
  {
    name: 'an endpoint',
    open: async (world) => {
      const peer = await world.peer();
      const other = await world.peer();
      const endpoint = await peer.listen('127.0.0.1', 0);
      const make = () => other.createConnectionRequest('127.0.0.1', endpoint.port);
      const requests = await Promise.all([make(), make()]);
      world.after(() => {
        for (const request of requests) request.destroy();
      });
      return {
        source: endpoint,
        give: () => void requests.pop()?.connect(),
        done: (value) => (value as IncomingRequest).destroy(),
        end: () => void endpoint.close(),
      };
    },
  },
  {
    name: 'the events of a connection',
    open: async (world) => {
      const peer = await world.peer();
      const endpoint = await (await world.peer()).listen('127.0.0.1', 0);
      const request = await peer.createConnectionRequest('127.0.0.1', endpoint.port);
      const connection = request.connect();
      const incoming = await withDeadline(endpoint.take(), 'a request');
      let other: Connection | undefined;
      return {
        source: connection.events,
        // Established, then the end; there are no more.
        give: () => {
          if (other === undefined) other = incoming?.accept();
          else other.destroy();
        },
        end: () => undefined,
      };
    },
  },
  {
    name: 'a completion queue',
    open: async (world) => {
      const { initiator, target } = await quiet(world);
      return {
        source: initiator.completionQueue,
        give: () => initiator.postWrite({ length: 0 }),
        end: () => target.destroy(),
      };
    },
  },
  {
    name: 'a receive completion queue',
    open: async (world) => {
      const { initiator, target } = await quiet(world, { receiveCompletionQueueSize: 10 });
      const queue = initiator.receiveCompletionQueue;
      assert.ok(queue !== null);
      return {
        source: queue,
        give: () => {
          initiator.postReceive({ length: 0 });
          target.postSend({ length: 0 });
        },
        end: () => target.destroy(),
      };
    },
  },
  {
    name: 'a completion queue of several connections',
    open: async (world) => {
      const peer = await world.peer();
      const completionQueue = await peer.createCompletionQueue({ size: 64 });
      const pair = await world.pair({ initiatorPeer: peer, initiator: { completionQueue } });
      const { initiator } = await world.again(pair, { initiator: { completionQueue } });
      return {
        source: completionQueue,
        give: () => initiator.postWrite({ length: 0 }),
        end: () => void peer.close(),
      };
    },
  },
  {
    name: 'the queue of a shared receive queue',
    open: async (world) => {
      const peer = await world.peer();
      const sharedReceiveQueue = await peer.createSharedReceiveQueue();
      const pair = await world.pair({ initiatorPeer: peer, initiator: { sharedReceiveQueue } });
      const queue = sharedReceiveQueue.completionQueue;
      assert.ok(queue !== null);
      return {
        source: queue,
        give: () => {
          sharedReceiveQueue.postReceive({ length: 0 });
          pair.target.postSend({ length: 0 });
        },
        end: () => void peer.close(),
      };
    },
  },
  {
    name: 'a completion channel',
    open: async (world) => {
      const options = { sharedCompletionChannel: true, receiveCompletionQueueSize: 10 };
      const { initiator, target } = await quiet(world, options);
      const channel = initiator.completionChannel;
      assert.ok(channel !== null);
      return {
        source: channel,
        give: () => initiator.postWrite({ length: 0 }),
        // Yielded until it is empty.
        done: () => void initiator.completionQueue.poll(),
        end: () => target.destroy(),
      };
    },
  },
];

conform('descriptors', ({ it }) => {
  for (const { name, open } of cases) {
    it(`${name}: level-triggered for somebody else's epoll(7) and poll(2)`, async (world) => {
      const subject = await open(world);
      const { source } = subject;
      const before = openDescriptors();
      const { fd } = source;
      assert.equal(source.fd, fd, 'made once');
      assert.equal(openDescriptors().events, before.events + 1);
      const foreign = await ForeignPoller.of(world.test, fd);
      for (let round = 0; round < 2; round++) {
        assert.equal(await foreign.readable(), false, `round ${round}: at rest`);
        subject.give();
        assert.equal(await foreign.readable(15_000), true, `round ${round}: something came`);
        const value = source.tryTake();
        assert.notEqual(value, null);
        assert.equal(await foreign.readable(), true, `round ${round}: nobody found it empty`);
        subject.done?.(value);
        assert.equal(source.tryTake(), null);
      }
    });

    it(`${name}: wakes another process while this thread is blocked`, async (world) => {
      const subject = await open(world);
      const foreign = await ForeignPoller.of(world.test, subject.source.fd);
      const folder = await world.folder();
      for (let round = 0; round < 2; round++) {
        assert.equal(await foreign.wakesWhileBlocked(folder, subject.give), true);
        const value = subject.source.tryTake();
        assert.notEqual(value, null);
        subject.done?.(value);
        assert.equal(subject.source.tryTake(), null);
      }
    });

    it(`${name}: who waits by promise, by blocking and by descriptor is served`, async (world) => {
      const subject = await open(world);
      const { source } = subject;
      const { fd } = source;
      const taking = source.take();
      subject.give();
      const first = await withDeadline(taking, 'the promise');
      assert.notEqual(first, null);
      assert.equal(isReadable(fd), true, 'the descriptor was told, too');
      subject.done?.(first);
      assert.equal(source.tryTake(), null);
      subject.give();
      const second = source.takeSync(15_000);
      assert.notEqual(second, null);
      assert.equal(isReadable(fd, 15_000), true);
      subject.done?.(second);
    });

    it(`${name}: no descriptor for who does not ask, none left after the end`, async (world) => {
      const before = openDescriptors().events;
      const asking = await open(world);
      const silent = await open(world);
      const { fd } = asking.source;
      // A peer's thread and this thread have eventfds of their own: those of the worlds.
      const withOne = openDescriptors().events;
      assert.ok(fd > 2);
      for (const { end, give } of [asking, silent]) {
        give();
        end();
      }
      await world.end();
      const { source, done } = asking;
      await until(() => {
        const value = source.tryTake();
        if (value !== null) done?.(value);
        return value === null;
      }, 'all was taken');
      assert.throws(() => source.fd, withCode('CLOSED'));
      await until(() => openDescriptors().events <= before, 'the descriptors are gone');
      assert.ok(withOne > before);
    });
  }

  it('what came before a descriptor was asked for makes it readable', async (world) => {
    const { initiator, endpoint, initiatorPeer } = await world.pair();
    assert.equal(isReadable(initiator.events.fd), true, 'established was not read');
    initiator.postWrite({ length: 0 });
    // It has fetched the completion ahead.
    assert.equal(initiator.completionQueue.waitSync(15_000), true);
    assert.equal(isReadable(initiator.completionQueue.fd), true);
    const request = await initiatorPeer.createConnectionRequest('127.0.0.1', endpoint.port);
    request.connect();
    assert.equal(isReadable(endpoint.fd, 15_000), true);
    endpoint.tryTake()?.destroy();
  });

  it('the end by the other side is told, and stays until it was seen', async (world) => {
    const { initiator, target } = await quiet(world);
    const { events, completionQueue: queue } = initiator;
    const watched = [events.fd, queue.fd];
    assert.deepEqual(
      watched.map((fd) => isReadable(fd)),
      [false, false],
    );
    const foreign = await ForeignPoller.of(world.test, queue.fd);
    initiator.postReceive({ length: 0, id: 5 });
    target.destroy();
    for (const fd of watched) assert.equal(isReadable(fd, 15_000), true);
    await withDeadline(initiator.whenClosed(), 'the end');
    assert.deepEqual(
      watched.map((fd) => isReadable(fd)),
      [true, true],
    );
    // What was queued stays readable, and so does the descriptor.
    assert.deepEqual(
      queue.poll().map(({ id, ok }) => [id, ok]),
      [[5, false]],
    );
    assert.equal(isReadable(queue.fd), true);
    assert.equal(queue.tryTake(), null);
    assert.throws(() => queue.fd, withCode('CLOSED'));
    assert.notEqual(events.tryTake(), null);
    assert.equal(isReadable(events.fd), true);
    assert.equal(events.tryTake(), null);
    assert.throws(() => events.fd, withCode('CLOSED'));
    // Who sleeps on a duplicate learns of the end as well.
    assert.equal(await foreign.readable(), true);
  });

  it('an end that came before the descriptor is readable as long as something is unread', async (world) => {
    const { initiator, target } = await world.pair();
    initiator.postReceive({ length: 0 });
    target.destroy();
    await withDeadline(initiator.whenClosed(), 'the end');
    assert.equal(isReadable(initiator.events.fd), true);
    assert.equal(isReadable(initiator.completionQueue.fd), true);
    await takeRest(initiator.completionQueue);
    while (initiator.events.tryTake() !== null);
    assert.throws(() => initiator.events.fd, withCode('CLOSED'));
    assert.throws(() => initiator.completionQueue.fd, withCode('CLOSED'));
  });

  it('close() and destroy() by the program take the descriptors with them', async (world) => {
    const pair = await quiet(world);
    const other = (await world.again(pair)).initiator;
    const before = openDescriptors().events;
    for (const connection of [pair.initiator, other]) {
      assert.ok(connection.events.fd !== connection.completionQueue.fd);
    }
    assert.equal(openDescriptors().events, before + 4);
    await pair.initiator.close();
    other.destroy();
    await withDeadline(other.whenClosed(), 'the end');
    await until(() => openDescriptors().events === before, 'no descriptor is left');
  });

  it('events are found without a turn of the loop', async (world) => {
    const { initiator, target } = await quiet(world);
    assert.ok(initiator.events.fd > 2);
    target.destroy();
    let event = null;
    for (const end = performance.now() + 15_000; event === null && performance.now() < end;) {
      event = initiator.events.tryTake();
    }
    assert.ok(event?.type === 'closed' || event?.type === 'lost');
    assert.equal(initiator.state, 'closed');
  });

  it('a queue that awaited operations consume has no descriptor', async (world) => {
    const { initiator } = await world.pair();
    await initiator.write({ length: 0 });
    assert.throws(() => initiator.completionQueue.fd, withCode('QUEUE_CLAIMED'));
  });

  it('and who has the descriptor is the only consumer', async (world) => {
    const { initiator } = await world.pair();
    assert.ok(initiator.completionQueue.fd > 2);
    assert.equal(initiator.completionQueue.claimedBy, 'verbs-tier');
    await assert.rejects(initiator.write({ length: 0 }), withCode('QUEUE_CLAIMED'));
  });

  it('a queue of several connections is told that they ended, once', async (world) => {
    const peer = await world.peer();
    const completionQueue = await peer.createCompletionQueue({ size: 64 });
    const pair = await world.pair({ initiatorPeer: peer, initiator: { completionQueue } });
    const { fd } = completionQueue;
    pair.target.destroy();
    assert.equal(isReadable(fd, 15_000), true);
    assert.deepEqual(completionQueue.poll(), []);
    assert.equal(isReadable(fd), false);
    const { initiator } = await world.again(pair, { initiator: { completionQueue } });
    initiator.postWrite({ length: 0 });
    assert.equal(isReadable(fd, 15_000), true);
    await takeAll(completionQueue, 1);
  });

  it('a connection that is handed over takes its descriptors back', async (world) => {
    const { initiator } = await quiet(world);
    const { events, completionQueue } = initiator;
    const foreign = await ForeignPoller.of(world.test, completionQueue.fd);
    assert.ok(events.fd > 2);
    const before = openDescriptors().events;
    initiator.handOver();
    assert.equal(openDescriptors().events, before - 2);
    assert.equal(await foreign.readable(), true, 'who slept on it wakes up');
    assert.throws(() => events.fd, withCode('CLOSED'));
    assert.throws(() => completionQueue.fd, withCode('CLOSED'));
  });
});
