// SPDX-License-Identifier: BSD-3-Clause
//
// States of connections.

import { sizeBytes } from './scene.js';
import type { State } from './states.js';
import { deafRange, everyOperation, unanswered } from './unanswered.js';

const longMs = 600_000;

const inFlight: Record<string, State> = {};
for (const name of [...everyOperation, 'all operations']) {
  const names = name === 'all operations' ? everyOperation : [name];
  inFlight[`connection: ${name} in flight`] = {
    partner: 'deaf',
    reach: async (scene) => void (await unanswered(scene, names)),
  };
}

export const connectionStates: Readonly<Record<string, State>> = {
  'connection: connecting, neither accepted nor rejected': {
    partner: 'undecided',
    reach: async (scene) => void (await scene.connecting(await scene.peer())),
  },
  'connection: connecting, no reply': {
    partner: 'mute',
    reach: async (scene) => void (await scene.connecting(await scene.peer())),
  },
  'connection: established': {
    partner: 'serving',
    reach: async (scene) => void (await scene.connect(await scene.peer())),
  },
  ...inFlight,
  'connection: awaited operations in flight': {
    partner: 'deaf',
    reach: async (scene) => {
      const { connection, range } = await deafRange(scene);
      const { local, remote } = range;
      scene.begin(connection.read({ ...range, length: sizeBytes }));
      scene.begin(connection.write({ ...range, length: sizeBytes }));
      scene.begin(connection.writeDurable({ ...range, length: sizeBytes }));
      scene.begin(connection.flush({ remote, length: 64, type: 'visibility' }));
      scene.begin(connection.send({ local, length: 64 }));
      scene.begin(connection.receive({ local, length: 64 }));
    },
  },
  'connection: closing': {
    partner: 'deaf',
    reach: async (scene) => scene.begin((await unanswered(scene, everyOperation)).close()),
  },
  'connection: disconnecting': {
    partner: 'deaf',
    reach: async (scene) => (await unanswered(scene, ['reads'])).disconnect(),
  },
  'connection: destroyed': {
    partner: 'serving',
    reach: async (scene) => (await scene.connect(await scene.peer())).destroy(),
  },
  'connection: half-closed by the other side, with unread messages': {
    partner: 'leaving-mail',
    reach: async (scene) => {
      const peer = await scene.peer();
      const connection = await scene.connect(peer, { closeTimeoutMs: longMs });
      // The second one takes a message: by then the first has all of its own.
      const second = await scene.connect(peer, { closeTimeoutMs: longMs });
      second.postReceive({ local: await scene.allocate(peer), length: 4096 });
      if ((await second.completionQueue.take()) === null) throw new Error('no message');
      scene.keep(connection);
    },
  },
  'connection: closed by the other side, with unread completions': {
    partner: 'leaving',
    reach: async (scene) => {
      const connection = await scene.connecting(await scene.peer(), 8);
      await connection.whenClosed();
    },
  },
  'connection: lost, with unread completions': {
    partner: 'resetting',
    reach: async (scene) => {
      const peer = await scene.peer();
      const connection = await scene.connect(peer);
      const local = await scene.allocate(peer);
      while (connection.receiveQueueFree > 0) connection.postReceive({ local, length: 4096 });
      connection.postWrite({ local, remote: scene.remote, length: sizeBytes });
      const { type } = await connection.whenClosed();
      if (type !== 'lost') throw new Error(`the connection is ${type}, not lost`);
    },
  },
};
