// SPDX-License-Identifier: BSD-3-Clause
//
// States of waiting by descriptor: descriptors that somebody asked for, Epolls, and completion
// channels.

import { type Connection, Epoll } from 'rpma';
import type { Scene } from './scene.js';
import type { State } from './states.js';
import { unanswered } from './unanswered.js';

const longMs = 600_000;

/** Every source of a connection, watched. */
function watch(scene: Scene, connection: Connection): Epoll<string> {
  const epoll = scene.hold(new Epoll<string>());
  return epoll.add(connection.events, 'events').add(connection.completionQueue, 'queue');
}

export const waitingStates: Readonly<Record<string, State>> = {
  'descriptors: of every source': {
    partner: 'serving',
    reach: async (scene) => {
      const peer = await scene.peer();
      const endpoint = scene.hold(await peer.listen('127.0.0.1', 0));
      const connection = await scene.connect(peer);
      const shared = await peer.createCompletionQueue();
      scene.keep([endpoint.fd, connection.events.fd, connection.completionQueue.fd, shared.fd]);
    },
  },
  'descriptors: of an ended connection, with all of it unread': {
    partner: 'serving',
    reach: async (scene) => {
      const connection = await scene.connect(await scene.peer());
      connection.postReceive({ length: 0 });
      scene.keep([connection.events.fd, connection.completionQueue.fd]);
      connection.disconnect();
      await connection.whenClosed();
    },
  },
  'Epoll: empty': {
    partner: 'none',
    reach: (scene) => {
      scene.hold(new Epoll());
      return Promise.resolve();
    },
  },
  'Epoll: with a pending take() and a promise on the same queue': {
    partner: 'serving',
    reach: async (scene) => {
      const connection = await scene.connect(await scene.peer());
      const epoll = watch(scene, connection);
      while (connection.events.tryTake() !== null);
      scene.begin(epoll.take());
      scene.begin(connection.completionQueue.take());
    },
  },
  'Epoll: iterated over, operations in flight': {
    partner: 'deaf',
    reach: async (scene) => {
      const connection = await unanswered(scene, ['reads']);
      const epoll = watch(scene, connection);
      while (connection.events.tryTake() !== null);
      scene.begin(epoll[Symbol.asyncIterator]().next());
    },
  },
  'Epoll: in waitSync()': {
    partner: 'serving',
    reach: async (scene) => {
      const connection = await scene.connect(await scene.peer());
      const epoll = watch(scene, connection);
      while (connection.events.tryTake() !== null);
      return () => {
        // An end of the connection is told again and again: it is not this state's.
        for (;;) epoll.waitSync(longMs);
      };
    },
  },
  'Epoll: in takeSync(), nothing in it': {
    partner: 'none',
    reach: (scene) => {
      const epoll = scene.hold(new Epoll());
      return Promise.resolve(() => void epoll.takeSync(longMs));
    },
  },
  'channel: a pending take() beside its descriptor': {
    partner: 'serving',
    reach: async (scene) => {
      const options = { sharedCompletionChannel: true, receiveCompletionQueueSize: 16 };
      const { completionChannel } = await scene.connect(await scene.peer(), options);
      if (completionChannel === null) throw new Error('no channel');
      scene.keep(completionChannel.fd);
      scene.begin(completionChannel.take());
    },
  },
  'channel: in takeSync()': {
    partner: 'serving',
    reach: async (scene) => {
      const options = { sharedCompletionChannel: true };
      const { completionChannel } = await scene.connect(await scene.peer(), options);
      return () => void completionChannel?.takeSync(longMs);
    },
  },
};
