// SPDX-License-Identifier: BSD-3-Clause
//
// States of shared receive queues.

import type { Connection, SharedReceiveQueue, SharedReceiveQueueOptions } from 'rpma';
import { allUsage, type Scene, sizeBytes } from './scene.js';
import type { State } from './states.js';

const longMs = 600_000;

interface Sharing {
  readonly queue: SharedReceiveQueue;
  readonly connect: () => Promise<Connection>;
}

async function sharing(scene: Scene, options?: SharedReceiveQueueOptions): Promise<Sharing> {
  const peer = await scene.peer();
  const queue = scene.hold(await peer.createSharedReceiveQueue(options));
  const connect = (): Promise<Connection> => scene.connect(peer, { sharedReceiveQueue: queue });
  return { queue, connect };
}

/** All that fit, over memory of the program's own. */
async function fill(scene: Scene, queue: SharedReceiveQueue): Promise<void> {
  const memory = scene.keep(new ArrayBuffer(sizeBytes));
  const local = scene.keep(await queue.peer.register(memory, { usage: allUsage }));
  while (queue.receiveQueueFree > 0) queue.postReceive({ local, length: 4096 });
}

export const sharedReceiveStates: Readonly<Record<string, State>> = {
  'shared receive queue: receives posted that nobody takes': {
    partner: 'none',
    reach: async (scene) => fill(scene, (await sharing(scene)).queue),
  },
  'shared receive queue: receives posted for two connections': {
    partner: 'serving',
    reach: async (scene) => {
      const { queue, connect } = await sharing(scene);
      await fill(scene, queue);
      await Promise.all([connect(), connect()]);
    },
  },
  'shared receive queue: receives posted that complete in two connections': {
    partner: 'serving',
    reach: async (scene) => {
      const { queue, connect } = await sharing(scene, { receiveCompletionQueueSize: 0 });
      await fill(scene, queue);
      await Promise.all([connect(), connect()]);
    },
  },
  'shared receive queue: receives awaited, and a request that nobody spent': {
    partner: 'serving',
    reach: async (scene) => {
      const { queue, connect } = await sharing(scene, { receiveQueueSize: 2 });
      const connection = { sharedReceiveQueue: queue };
      scene.keep(await queue.peer.createConnectionRequest('127.0.0.1', 1, { connection }));
      await connect();
      const local = await scene.allocate(queue.peer);
      for (let i = 0; i < 4; i++) scene.begin(queue.receive({ local, length: 64 }));
    },
  },
  'shared receive queue: empty, with messages that wait': {
    partner: 'leaving-mail',
    reach: async (scene) => {
      const { queue } = await sharing(scene);
      const connection = { sharedReceiveQueue: queue, closeTimeoutMs: longMs };
      scene.keep(await scene.connect(queue.peer, connection));
      // The second one takes a message: by then the first has all of its own.
      const second = await scene.connect(queue.peer, { closeTimeoutMs: longMs });
      second.postReceive({ local: await scene.allocate(queue.peer), length: 4096 });
      if ((await second.completionQueue.take()) === null) throw new Error('no message');
    },
  },
  'shared receive queue: closed, with unread completions': {
    partner: 'none',
    reach: async (scene) => {
      const { queue } = await sharing(scene);
      await fill(scene, queue);
      await queue.close();
    },
  },
};
