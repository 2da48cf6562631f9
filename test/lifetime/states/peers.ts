// SPDX-License-Identifier: BSD-3-Clause
//
// States of peers, endpoints, requests and queues.

import type { State } from './states.js';
import { everyOperation, unanswered } from './unanswered.js';

const longMs = 600_000;

const peerStates: Readonly<Record<string, State>> = {
  'nothing opened': { partner: 'none', reach: () => Promise.resolve() },
  'peer: open': { partner: 'none', reach: async (scene) => void (await scene.peer()) },
  'peer: closing': {
    partner: 'deaf',
    reach: async (scene) => {
      const connection = await unanswered(scene, everyOperation);
      scene.begin(connection.peer.close());
    },
  },
  'peer: closed': {
    partner: 'none',
    reach: async (scene) => {
      const peer = await scene.peer();
      await scene.listen(peer);
      await peer.close();
    },
  },
};

const endpointStates: Readonly<Record<string, State>> = {
  'endpoint: listening': {
    partner: 'none',
    reach: async (scene) => void (await scene.listen(await scene.peer())),
  },
  'endpoint: iterated over': {
    partner: 'none',
    reach: async (scene) => {
      const endpoint = await scene.listen(await scene.peer());
      scene.begin(endpoint[Symbol.asyncIterator]().next());
    },
  },
  'endpoint: with unfetched requests': {
    partner: 'knocking',
    reach: async (scene) => {
      const endpoint = await scene.listen(await scene.peer());
      scene.keep(await endpoint.take());
    },
  },
  'endpoint: closing with unfetched requests': {
    partner: 'knocking',
    reach: async (scene) => {
      const endpoint = await scene.listen(await scene.peer());
      scene.keep(await endpoint.take());
      scene.begin(endpoint.close());
    },
  },
  'endpoint: in takeSync()': {
    partner: 'none',
    reach: async (scene) => {
      const endpoint = await scene.listen(await scene.peer());
      return () => void endpoint.takeSync(longMs);
    },
  },
};

const requestStates: Readonly<Record<string, State>> = {
  'request: outgoing, unspent': {
    partner: 'none',
    reach: async (scene) => {
      const peer = await scene.peer();
      const request = scene.keep(await peer.createConnectionRequest('127.0.0.1', 1));
      request.postReceive({ local: await scene.allocate(peer), length: 4096 });
    },
  },
  'request: outgoing, destroyed': {
    partner: 'none',
    reach: async (scene) => {
      const peer = await scene.peer();
      scene.keep(await peer.createConnectionRequest('127.0.0.1', 1)).destroy();
    },
  },
  'request: incoming, unspent': {
    partner: 'hesitating',
    reach: async (scene) => {
      const peer = await scene.peer();
      const endpoint = await scene.listen(peer);
      const request = scene.keep(await endpoint.take());
      request?.postReceive({ local: await scene.allocate(peer), length: 4096 });
    },
  },
  'request: incoming, accepted, without a first frame': {
    partner: 'hesitating',
    reach: async (scene) => {
      const endpoint = await scene.listen(await scene.peer());
      const connection = (await endpoint.take())?.accept();
      if (connection !== undefined) scene.hold(connection);
    },
  },
  'request: incoming, rejected': {
    partner: 'hesitating',
    reach: async (scene) => {
      const endpoint = await scene.listen(await scene.peer());
      scene.keep(await endpoint.take())?.reject();
    },
  },
};

const queueStates: Readonly<Record<string, State>> = {
  'queue: a pending take()': {
    partner: 'serving',
    reach: async (scene) => {
      const { completionQueue } = await scene.connect(await scene.peer());
      for (let i = 0; i < 3; i++) scene.begin(completionQueue.take());
    },
  },
  'queue: iterated over': {
    partner: 'serving',
    reach: async (scene) => {
      const { completionQueue } = await scene.connect(await scene.peer());
      scene.begin(completionQueue[Symbol.asyncIterator]().next());
    },
  },
  'queue: a pending wait()': {
    partner: 'serving',
    reach: async (scene) => {
      const { completionQueue } = await scene.connect(await scene.peer());
      scene.begin(completionQueue.wait());
    },
  },
  'queue: shared, of two connections, with a pending take()': {
    partner: 'serving',
    staysAlive: 'a pending take() of a queue that no connection owns',
    reach: async (scene) => {
      const peer = await scene.peer();
      const completionQueue = scene.keep(await peer.createCompletionQueue({ size: 256 }));
      await scene.connect(peer, { completionQueue });
      await scene.connect(peer, { completionQueue });
      scene.begin(completionQueue.take());
    },
  },
  'queue: in takeSync()': {
    partner: 'serving',
    reach: async (scene) => {
      const { completionQueue } = await scene.connect(await scene.peer());
      return () => void completionQueue.takeSync(longMs);
    },
  },
  'queue: in waitSync(), operations in flight': {
    partner: 'deaf',
    reach: async (scene) => {
      const connection = await unanswered(scene, ['reads']);
      return () => void connection.completionQueue.waitSync(longMs);
    },
  },
  'queue: polled without end': {
    partner: 'serving',
    reach: async (scene) => {
      const { completionQueue } = await scene.connect(await scene.peer());
      return () => {
        for (;;) completionQueue.poll();
      };
    },
  },
};

export const peersStates: Readonly<Record<string, State>> = {
  ...peerStates,
  ...endpointStates,
  ...requestStates,
  ...queueStates,
};
