// SPDX-License-Identifier: BSD-3-Clause
//
// The measuring side of one trial, in a process of its own. Message to the driver: measured, in
// microseconds. What is timed is the whole operation as a program sees it, from the call on.

import {
  CompletionBatch,
  type Connection,
  MemoryUsage,
  type MemoryRegion,
  Peer,
  RemoteRegion,
} from 'rpma';
import { fromHex, report } from '../support/child.js';
import { quantile } from './statistics.js';
import type { ClientOptions, Measured, Shape } from './latency.js';

const options = JSON.parse(process.argv[2] ?? '{}') as ClientOptions;

interface Parts {
  readonly connection: Connection;
  readonly local: MemoryRegion;
  readonly remote: RemoteRegion;
  readonly length: number;
}

/** One operation, awaited. */
function awaited(shape: Shape, parts: Parts): () => Promise<unknown> {
  const { connection, local, remote, length } = parts;
  if (shape === 'read') {
    const read = { local, remote, length };
    return () => connection.read(read);
  }
  if (shape === 'echo') {
    const message = { local, length };
    const answer = { local, localOffset: length, length };
    return () => {
      const answered = connection.receive(answer);
      void connection.send(message);
      return answered;
    };
  }
  const write = { local, remote, length, until: 'delivered' as const };
  return () => connection.write(write);
}

async function measureAwaited(parts: Parts, laps: Float64Array): Promise<number> {
  const operate = awaited(options.shape, parts);
  const end = performance.now() + options.seconds * 1000;
  let count = 0;
  for (let left = options.warmUp; left > 0; left--) await operate();
  while (count < laps.length) {
    const start = performance.now();
    await operate();
    const now = performance.now();
    laps[count++] = (now - start) * 1000;
    if (now > end) break;
  }
  return count;
}

function polled(parts: Parts): () => void {
  const { connection, local, remote, length } = parts;
  const done = new CompletionBatch(4);
  const write = { local, remote, length, completion: 'on-error' as const };
  const flush = { remote, length, type: 'visibility' as const };
  const queue = connection.completionQueue;
  return () => {
    connection.postWrite(write);
    connection.postFlush(flush);
    while (queue.pollInto(done) === 0);
    if (!done.ok(0)) throw new Error(`the flush completed as ${done.status(0)}`);
  };
}

function measurePolled(parts: Parts, laps: Float64Array): number {
  const operate = polled(parts);
  const end = performance.now() + options.seconds * 1000;
  let count = 0;
  for (let left = options.warmUp; left > 0; left--) operate();
  while (count < laps.length) {
    const start = performance.now();
    operate();
    const now = performance.now();
    laps[count++] = (now - start) * 1000;
    if (now > end) break;
  }
  return count;
}

const peer = await Peer.open({ remoteAddress: '127.0.0.1' });
const usage =
  MemoryUsage.ReadDestination | MemoryUsage.WriteSource | MemoryUsage.Send | MemoryUsage.Receive;
const local = await peer.allocate(4096, { usage });
const connection = await peer.connect('127.0.0.1', options.port);
const remote = RemoteRegion.fromDescriptor(fromHex(options.descriptor));
const parts: Parts = { connection, local, remote, length: options.sizeBytes };
const laps = new Float64Array(2_000_000);
const count =
  options.shape === 'polled' ? measurePolled(parts, laps) : await measureAwaited(parts, laps);
const sorted = laps.subarray(0, count).sort();
const measured: Measured = {
  kind: 'measured',
  count,
  median: quantile(sorted, 0.5),
  p99: quantile(sorted, 0.99),
};
report(measured);
connection.destroy();
await peer.close();
