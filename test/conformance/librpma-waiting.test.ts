// SPDX-License-Identifier: BSD-3-Clause
//
// Descriptors and the shared completion channel (librpma: ep_get_fd, conn_get_event_fd, cq_get_fd,
// conn_get_compl_fd, conn_wait, conn_cfg_set_compl_channel).

import assert from 'node:assert/strict';
import { type CompletionQueue, ConnectionConfig, Epoll, type Source } from 'rpma';
import { argumentError, conform, withCode } from '../support/conform.js';
import { withDeadline } from '../support/deadline.js';
import { takeOk, type World } from '../support/world.js';

const type = argumentError('TypeError', 'INVALID_ARG_TYPE');

/** Whether a descriptor is readable now, as poll(2) sees it. */
function isReadable(source: { readonly fd: number }): boolean {
  using epoll = new Epoll<null>();
  epoll.add(source, null);
  return epoll.waitSync(0).some((each) => each.readable);
}

/** Waits until it is; the loop goes on meanwhile, which connecting needs. */
async function becomesReadable(source: { readonly fd: number }): Promise<boolean> {
  using epoll = new Epoll<null>();
  epoll.add(source, null);
  return (await epoll.take({ timeoutMs: 10_000 }))?.readable ?? false;
}

async function channelPair(world: World, receiveCompletionQueueSize: number = 0) {
  const options = { sharedCompletionChannel: true, receiveCompletionQueueSize };
  const pair = await world.pair({ target: options });
  const channel: Source<CompletionQueue> | null = pair.target.completionChannel;
  assert.ok(channel !== null);
  return { ...pair, channel };
}

conform("librpma's descriptors", ({ it }) => {
  it('rpma_ep_get_fd: readable while there is a request to fetch, and not before or after', async (world) => {
    const [client, server] = [await world.peer(), await world.peer()];
    const endpoint = await server.listen('127.0.0.1', 0);
    assert.ok(Number.isSafeInteger(endpoint.fd) && endpoint.fd >= 0);
    assert.equal(endpoint.fd, endpoint.fd);
    assert.equal(isReadable(endpoint), false);
    const dialling = client.connect('127.0.0.1', endpoint.port);
    assert.equal(await becomesReadable(endpoint), true);
    endpoint.tryTake()?.accept();
    assert.equal(endpoint.tryTake(), null);
    assert.equal(isReadable(endpoint), false);
    await withDeadline(dialling, 'established');
  });

  it('rpma_conn_get_event_fd: readable while there is an event to read', async (world) => {
    const { initiator, target } = await world.pair();
    const { events } = initiator;
    assert.equal(await becomesReadable(events), true);
    assert.equal(events.tryTake()?.type, 'established');
    assert.equal(events.tryTake(), null);
    assert.equal(isReadable(events), false);
    target.disconnect();
    assert.equal(await becomesReadable(events), true);
    assert.equal(events.tryTake()?.type, 'closed');
  });

  it('rpma_cq_get_fd: readable from the first completion on until the queue was found empty', async (world) => {
    const { initiator } = await world.pair();
    const queue = initiator.completionQueue;
    assert.equal(isReadable(queue), false);
    for (let round = 0; round < 20; round++) {
      initiator.postWrite({ length: 0, id: round });
      assert.equal(await becomesReadable(queue), true);
      assert.equal(queue.tryTake()?.id, round);
      assert.equal(queue.tryTake(), null);
      assert.equal(isReadable(queue), false);
    }
  });

  it('B1: a descriptor that says nothing goes with null, not with an error', async (world) => {
    const { initiator, endpoint } = await world.pair();
    initiator.events.tryTake();
    for (const source of [initiator.events, endpoint, initiator.completionQueue]) {
      assert.equal(source.tryTake(), null);
      assert.equal(isReadable(source), false);
      assert.equal(source.tryTake(), null);
    }
  });
});

conform("librpma's shared completion channel", ({ it }) => {
  it('compl_channel is false by default, and kept as given', () => {
    assert.equal(new ConnectionConfig().sharedCompletionChannel, false);
    for (const shared of [true, false]) {
      const config = new ConnectionConfig({ sharedCompletionChannel: shared });
      assert.equal(config.sharedCompletionChannel, shared);
    }
    for (const shared of [null, 1, 'true'] as never[]) {
      assert.throws(() => new ConnectionConfig({ sharedCompletionChannel: shared }), type);
    }
  });

  it('rpma_conn_get_compl_fd: RPMA_E_NOT_SHARED_CHNL is null: there is no channel', async (world) => {
    const { initiator } = await world.pair();
    assert.equal(initiator.completionChannel, null);
  });

  it('rpma_conn_wait: gives the queue that has something, the main one or that of receives', async (world) => {
    const { initiator, target, channel } = await channelPair(world, 8);
    const receives = target.receiveCompletionQueue;
    assert.ok(receives !== null);
    target.postReceive({ length: 0, id: 1 });
    initiator.postSend({ length: 0 });
    assert.equal(await channel.take({ timeoutMs: 10_000 }), receives);
    assert.equal(receives.tryTake()?.id, 1);
    target.postWrite({ length: 0, id: 2 });
    assert.equal(await channel.take({ timeoutMs: 10_000 }), target.completionQueue);
    assert.equal(target.completionQueue.tryTake()?.id, 2);
  });

  it('rpma_conn_wait without a receive queue: always the main queue', async (world) => {
    const { initiator, target, channel } = await channelPair(world);
    for (let id = 0; id < 10; id++) {
      target.postReceive({ length: 0, id });
      initiator.postSend({ length: 0 });
      assert.equal(await channel.take({ timeoutMs: 10_000 }), target.completionQueue);
      assert.equal((await takeOk(initiator.completionQueue)).operation, 'send');
      assert.equal(target.completionQueue.tryTake()?.id, id);
    }
  });

  it('rpma_conn_wait with nothing there is null, not an error', async (world) => {
    const { channel } = await channelPair(world);
    assert.equal(channel.tryTake(), null);
    assert.equal(channel.takeSync(0), null);
    assert.equal(await channel.take({ timeoutMs: 1 }), null);
  });

  it('RPMA_E_SHARED_CHANNEL: waiting on a queue whose channel is shared is refused', async (world) => {
    const { target } = await channelPair(world);
    const queue = target.completionQueue;
    const refused = withCode('SHARED_CHANNEL');
    await assert.rejects(queue.wait(), refused);
    await assert.rejects(queue.take(), refused);
    assert.throws(() => queue.waitSync(0), refused);
    assert.throws(() => queue.takeSync(0), refused);
    assert.equal(queue.tryTake(), null);
    assert.deepEqual(queue.poll(), []);
  });

  it('the descriptor of the channel is readable while a queue of it has something', async (world) => {
    const { target, channel } = await channelPair(world, 8);
    assert.equal(isReadable(channel), false);
    target.postWrite({ length: 0, id: 3 });
    assert.equal(await becomesReadable(channel), true);
    const queue = channel.tryTake();
    assert.equal(queue, target.completionQueue);
    assert.equal(queue?.tryTake()?.id, 3);
    assert.equal(channel.tryTake(), null);
    assert.equal(isReadable(channel), false);
  });

  it('B4: a connection with a channel ends whatever its queues hold', async (world) => {
    const { initiator, target, channel } = await channelPair(world, 8);
    target.postReceive({ length: 0 });
    initiator.postSend({ length: 0 });
    assert.ok((await channel.take({ timeoutMs: 10_000 })) !== null);
    await withDeadline(target.close(), 'close()');
    assert.equal(target.state, 'closed');
  });
});
