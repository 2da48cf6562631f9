// SPDX-License-Identifier: BSD-3-Clause
//
// Operations towards a partner that takes and answers nothing.

import type { Connection, MemoryRegion, RemoteRegion } from 'rpma';
import { type Scene, sizeBytes } from './scene.js';

export interface Range {
  readonly local: MemoryRegion;
  readonly remote: RemoteRegion;
}

/** Those with bytes have far more of them than TCP's buffers hold. */
const operations: Readonly<Record<string, (connection: Connection, range: Range) => void>> = {
  reads: (connection, range) => connection.postRead({ ...range, length: sizeBytes }),
  writes: (connection, range) => connection.postWrite({ ...range, length: sizeBytes }),
  'atomic writes': (connection, { remote }) => connection.postAtomicWrite({ remote, value: 1n }),
  'visibility flushes': (connection, { remote }) =>
    connection.postFlush({ remote, length: 64, type: 'visibility' }),
  'persistent flushes': (connection, { remote }) =>
    connection.postFlush({ remote, length: 64, type: 'persistent' }),
  sends: (connection, { local }) => connection.postSend({ local, length: 65_536 }),
};

export async function deafRange(scene: Scene): Promise<{ connection: Connection; range: Range }> {
  const peer = await scene.peer();
  const connection = await scene.connect(peer);
  return { connection, range: { local: await scene.allocate(peer), remote: scene.remote } };
}

export async function unanswered(scene: Scene, names: readonly string[]): Promise<Connection> {
  const { connection, range } = await deafRange(scene);
  if (!connection.capabilities.nativeFlush) throw new Error('the script is no peer of our kind');
  while (connection.sendQueueFree >= names.length) {
    for (const name of names) operations[name]?.(connection, range);
  }
  while (connection.receiveQueueFree > 0) {
    connection.postReceive({ local: range.local, length: 4096 });
  }
  return connection;
}

export const everyOperation: readonly string[] = Object.keys(operations);
