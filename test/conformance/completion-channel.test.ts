// SPDX-License-Identifier: BSD-3-Clause
//
// The completion channel that both queues of a connection share (librpma:
// conn_cfg_set_compl_channel, conn_wait, conn_get_compl_fd, and cq_wait's E_SHARED_CHANNEL).

import assert from 'node:assert/strict';
import {
  CompletionBatch,
  type CompletionQueue,
  type Connection,
  ConnectionConfig,
  type Source,
} from 'rpma';
import { argumentError, conform, withCode } from '../support/conform.js';
import { isReadable } from '../support/descriptors.js';
import { withDeadline } from '../support/deadline.js';
import type { Pair, World } from '../support/world.js';

const shared = { sharedCompletionChannel: true, receiveCompletionQueueSize: 10 };

interface Channelled extends Pair {
  readonly channel: Source<CompletionQueue>;
  readonly main: CompletionQueue;
  readonly receives: CompletionQueue;
}

async function channelled(world: World): Promise<Channelled> {
  const pair = await world.pair({ initiator: shared });
  const { completionChannel, completionQueue, receiveCompletionQueue } = pair.initiator;
  assert.ok(completionChannel !== null && receiveCompletionQueue !== null);
  return {
    ...pair,
    channel: completionChannel,
    main: completionQueue,
    receives: receiveCompletionQueue,
  };
}

function sendTo(connection: Connection, from: Connection, id: number = 0): void {
  connection.postReceive({ length: 0, id });
  from.postSend({ length: 0 });
}

conform('completion channel', ({ it }) => {
  it('is not shared unless asked for', async (world) => {
    const { initiator } = await world.pair();
    assert.equal(initiator.config.sharedCompletionChannel, false);
    assert.equal(initiator.completionChannel, null);
    assert.equal(new ConnectionConfig({}).sharedCompletionChannel, false);
    assert.equal(new ConnectionConfig(shared).sharedCompletionChannel, true);
  });

  it('refuses what is no boolean, and a queue of several connections', async (world) => {
    const peer = await world.peer();
    const completionQueue = await peer.createCompletionQueue();
    const wrong = { sharedCompletionChannel: 1 } as unknown as { sharedCompletionChannel: true };
    assert.throws(
      () => new ConnectionConfig(wrong),
      argumentError('TypeError', 'INVALID_ARG_TYPE'),
    );
    assert.throws(
      () => new ConnectionConfig({ sharedCompletionChannel: true, completionQueue }),
      argumentError('TypeError', 'INVALID_ARG_VALUE'),
    );
  });

  it('tells which queue has something, in four ways', async (world) => {
    const { channel, main, receives, initiator, target } = await channelled(world);
    assert.equal(channel.tryTake(), null);
    assert.equal(channel.takeSync(0), null);
    assert.equal(await channel.take({ timeoutMs: 3 }), null);
    initiator.postWrite({ length: 0, id: 1 });
    assert.equal(channel.takeSync(15_000), main);
    assert.deepEqual(
      main.poll().map(({ id }) => id),
      [1],
    );
    const taking = channel.take();
    sendTo(initiator, target, 2);
    assert.equal(await withDeadline(taking, 'the receive'), receives);
    assert.equal(receives.tryTake()?.id, 2);
    initiator.postWrite({ length: 0, id: 3 });
    for await (const queue of channel) {
      assert.equal(queue, main);
      break;
    }
    assert.equal(channel.tryTake(), main, 'nobody polled it: it has something still');
    const batch = new CompletionBatch(4);
    assert.equal(main.pollInto(batch), 1);
    assert.equal(batch.id(0), 3);
    assert.equal(channel.tryTake(), null);
  });

  it('offers two busy queues in turn', async (world) => {
    const { channel, main, receives, initiator, target } = await channelled(world);
    sendTo(initiator, target);
    initiator.postWrite({ length: 0 });
    const first = await withDeadline(channel.take(), 'one queue');
    const both = new Set([first]);
    // Neither is polled: the other one must not be forgotten.
    for (let i = 0; both.size < 2 && i < 10_000; i++) both.add(channel.takeSync(15_000));
    assert.deepEqual(both, new Set([main, receives]));
    const turns = Array.from({ length: 6 }, () => channel.tryTake());
    assert.equal(turns.filter((queue) => queue === main).length, 3);
    assert.equal(turns.filter((queue) => queue === receives).length, 3);
  });

  it('serves one queue where receives have none of their own', async (world) => {
    const { initiator, target } = await world.pair({
      initiator: { sharedCompletionChannel: true },
    });
    const channel = initiator.completionChannel;
    assert.equal(initiator.receiveCompletionQueue, null);
    sendTo(initiator, target);
    assert.equal(channel?.takeSync(15_000), initiator.completionQueue);
  });

  it('its descriptor tells of both queues', async (world) => {
    const { channel, main, receives, initiator, target } = await channelled(world);
    const { fd } = channel;
    for (let round = 0; round < 3; round++) {
      assert.equal(isReadable(fd), false, `round ${round}`);
      if (round === 1) sendTo(initiator, target);
      else initiator.postWrite({ length: 0 });
      assert.equal(isReadable(fd, 15_000), true, `round ${round}`);
      const queue = channel.tryTake();
      assert.equal(queue, round === 1 ? receives : main);
      queue?.poll();
      assert.equal(isReadable(fd), true, 'the channel was not found empty yet');
      assert.equal(channel.tryTake(), null);
    }
  });

  it('a queue of it is polled, and not waited for', async (world) => {
    const { main, receives } = await channelled(world);
    for (const queue of [main, receives]) {
      assert.deepEqual(queue.poll(), []);
      assert.equal(queue.pollInto(new CompletionBatch(1)), 0);
      assert.equal(queue.tryTake(), null);
      await assert.rejects(queue.wait(), withCode('SHARED_CHANNEL'));
      await assert.rejects(queue.take(), withCode('SHARED_CHANNEL'));
      assert.throws(() => queue.waitSync(0), withCode('SHARED_CHANNEL'));
      assert.throws(() => queue.takeSync(0), withCode('SHARED_CHANNEL'));
      assert.throws(() => queue.fd, withCode('SHARED_CHANNEL', { scope: 'operation' }));
      assert.throws(() => queue[Symbol.asyncIterator](), withCode('SHARED_CHANNEL'));
    }
  });

  it('ends when both queues have ended and are empty', async (world) => {
    const { channel, main, receives, initiator, target } = await channelled(world);
    const { fd } = channel;
    initiator.postReceive({ length: 0, id: 7 });
    target.destroy();
    await withDeadline(initiator.whenClosed(), 'the end');
    assert.equal(isReadable(fd), true);
    const seen: CompletionQueue[] = [];
    for await (const queue of channel) {
      seen.push(queue);
      assert.deepEqual(
        queue.poll().map(({ id, status }) => [id, status]),
        [[7, 'flushed']],
      );
    }
    assert.deepEqual(seen, [receives]);
    assert.equal(await channel.take(), null);
    assert.equal(main.closed, true);
    assert.throws(() => channel.fd, withCode('CLOSED'));
  });

  it('is a consumer of both queues, and one at a time', async (world) => {
    const { channel, initiator } = await channelled(world);
    const iterator = channel[Symbol.asyncIterator]();
    const pending = iterator.next();
    await assert.rejects(channel.take(), withCode('BUSY'));
    await assert.rejects(initiator.write({ length: 0 }), withCode('QUEUE_CLAIMED'));
    await iterator.return?.();
    assert.equal((await pending).done, true);
    const { initiator: other } = await world.pair({ initiator: shared });
    await other.write({ length: 0 });
    await assert.rejects(
      other.completionChannel?.take() ?? assert.fail(),
      withCode('QUEUE_CLAIMED'),
    );
    assert.throws(() => other.completionChannel?.fd, withCode('QUEUE_CLAIMED'));
  });

  it('is not handed over while it is awaited; the adopter has one of its own', async (world) => {
    const { channel, initiator } = await channelled(world);
    const iterator = channel[Symbol.asyncIterator]();
    const pending = iterator.next();
    assert.throws(() => initiator.handOver(), withCode('BUSY'));
    await iterator.return?.();
    await pending;
    const fd = channel.fd;
    assert.ok(fd > 2);
    initiator.handOver();
    assert.throws(() => channel.tryTake(), withCode('CLOSED'));
    await assert.rejects(channel.take(), withCode('CLOSED'));
    assert.throws(() => channel.fd, withCode('CLOSED'));
  });
});
