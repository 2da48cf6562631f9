// SPDX-License-Identifier: BSD-3-Clause
//
// A worker that lends its memory to whoever connects, for as long as it is let live: an ArrayBuffer
// of its own and the SharedArrayBuffer that it was given, of which the test sees what happens after
// the worker's end. Messages: lent.

import { parentPort, workerData } from 'node:worker_threads';
import { MemoryUsage, Peer } from 'rpma';
import { toHex } from '../../support/child.js';

export interface Lent {
  readonly kind: 'lent';
  readonly port: number;
  /** In hexadecimal digits: first the shared memory's, then the worker's own. */
  readonly descriptors: readonly string[];
}

const shared = workerData as SharedArrayBuffer;
const usage = MemoryUsage.WriteDestination | MemoryUsage.FlushVisibility;
const kept: unknown[] = [];

async function main(): Promise<void> {
  const peer = await Peer.open({ localAddress: '127.0.0.1' });
  const regions = await Promise.all([
    peer.register(shared, { usage }),
    peer.register(new ArrayBuffer(shared.byteLength), { usage }),
  ]);
  const endpoint = await peer.listen('127.0.0.1', 0, { connection: { crc: false } });
  const descriptors = regions.map((region) => toHex(region.toDescriptor()));
  const message: Lent = { kind: 'lent', port: endpoint.port, descriptors };
  parentPort?.postMessage(message);
  kept.push(regions);
  for await (const request of endpoint) kept.push(request.accept());
}

await main();
