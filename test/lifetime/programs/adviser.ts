// SPDX-License-Identifier: BSD-3-Clause
//
// A worker that has memory of its own advised, and ends meanwhile.

import { parentPort } from 'node:worker_threads';
import { MemoryUsage, Peer } from 'rpma';

const peer = await Peer.open({ localAddress: '127.0.0.1' });
const region = await peer.register(new Uint8Array(new ArrayBuffer(1 << 20)), {
  usage: MemoryUsage.ReadSource,
});
void region.advise({ kind: 'prefetch-write', flush: true });
parentPort?.on('message', () => undefined);
