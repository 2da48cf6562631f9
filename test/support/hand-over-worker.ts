// SPDX-License-Identifier: BSD-3-Clause
//
// A worker that adopts what it is sent and does with it what it is told; see hand-over.ts.

import { parentPort } from 'node:worker_threads';
import { Connection, IncomingRequest, isRpmaError, MemoryRegion, Peer } from 'rpma';
import { RemoteRegion } from 'rpma/descriptors';
import { fromHex, toHex } from './child.js';
import type { Job, JobName, Jobs } from './hand-over.js';
import { until } from './deadline.js';

const regions: MemoryRegion[] = [];
let peer: Peer | null = null;
let connection: Connection | null = null;

function ours<T>(value: T | null | undefined): T {
  if (value === null || value === undefined) throw new Error('the worker has no such thing');
  return value;
}

const jobs: { [Name in JobName]: (argument: Jobs[Name][0]) => Promise<Jobs[Name][1]> } = {
  adoptPeer: async (ticket) => {
    peer = Peer.adopt(ticket);
    return peer.provider;
  },
  adoptRegion: async (ticket) => {
    const region = MemoryRegion.adopt(ticket);
    regions.push(region);
    return { descriptor: toHex(region.toDescriptor()), sizeBytes: region.sizeBytes };
  },
  store: async (byte) => {
    ours(regions.at(-1)).bytes.fill(byte);
  },
  load: async () => {
    return ours(regions.at(-1)).bytes[0] ?? -1;
  },
  closeRegion: async () => {
    await ours(regions.pop()).close();
  },
  accept: async (ticket) => {
    connection = IncomingRequest.adopt(ticket).accept();
    await connection.whenEstablished({ timeoutMs: 10_000 });
    return connection.queuePairNumber;
  },
  adoptConnection: async (ticket) => {
    connection = Connection.adopt(ticket);
    return connection.state;
  },
  handOver: async (timeoutMs) => {
    return ours(connection).handOver({ timeoutMs });
  },
  shareRegion: async () => ours(regions.at(-1)).share(),
  complete: async (count) => {
    const { completionQueue } = ours(connection);
    const ids: number[] = [];
    await until(() => {
      for (const { id, ok } of completionQueue.poll(count)) ids.push(ok ? id : -id);
      return ids.length >= count;
    }, `${count} completions`);
    return ids;
  },
  write: async ({ descriptor, until: guarantee }) => {
    const remote = RemoteRegion.fromDescriptor(fromHex(descriptor));
    const local = ours(regions.at(-1));
    const length = Math.min(remote.sizeBytes, local.sizeBytes);
    await ours(connection).write({ local, remote, length, until: guarantee, timeoutMs: 10_000 });
  },
  events: async () => {
    const words: string[] = [];
    const { events } = ours(connection);
    for (let event = events.tryTake(); event !== null; event = events.tryTake()) {
      words.push(event.type);
    }
    return words;
  },
  whenClosed: async () => (await ours(connection).whenClosed({ timeoutMs: 10_000 })).type,
  closePeer: async () => {
    await ours(peer).close();
    peer = null;
  },
  exit: async () => {
    process.exit(0);
  },
};

function said(error: unknown): { code: string; message: string } {
  if (isRpmaError(error)) return { code: error.code, message: error.message };
  return { code: 'none', message: error instanceof Error ? (error.stack ?? '') : String(error) };
}

/** Jobs run one after the other, in the order of the messages. */
let last: Promise<void> = Promise.resolve();
parentPort?.on('message', ({ id, name, argument }: Job) => {
  const run = jobs[name] as (argument: unknown) => Promise<unknown>;
  last = last.then(() =>
    run(argument).then(
      (value) => parentPort?.postMessage({ id, value }),
      (error: unknown) => parentPort?.postMessage({ id, error: said(error) }),
    ),
  );
});
