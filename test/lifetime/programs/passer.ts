// SPDX-License-Identifier: BSD-3-Clause
//
// A process whose main thread only forwards messages, or that leaves a ticket behind: what it is
// told by its first argument. Messages: passed, left.

import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { report } from '../../support/child.js';

/** Both ends of a connection in this worker, and one of them given to another. */
async function give(): Promise<void> {
  const { MemoryUsage, Peer } = await import('rpma');
  const peer = await Peer.open({ localAddress: '127.0.0.1' });
  const endpoint = await peer.listen('127.0.0.1', 0);
  const connecting = peer.connect('127.0.0.1', endpoint.port);
  const request = await endpoint.take();
  const target = await request?.accept().whenEstablished();
  const connection = await connecting;
  await endpoint.close();
  if (target === undefined) throw new Error('there is no other end');
  const usage = MemoryUsage.WriteSource | MemoryUsage.WriteDestination;
  const region = await peer.allocate(4096, { usage });
  parentPort?.postMessage({
    tickets: [peer.share(), region.share(), connection.handOver(), target.handOver()],
  });
}

async function take(): Promise<void> {
  const { Connection, MemoryRegion, Peer, RemoteRegion } = await import('rpma');
  const [peer, region, connection, target] = workerData as Parameters<typeof Peer.adopt>[0][];
  if (!peer || !region || !connection || !target) throw new Error('a ticket is missing');
  Peer.adopt(peer);
  const local = MemoryRegion.adopt(region);
  const remote = RemoteRegion.fromDescriptor(local.toDescriptor());
  local.bytes[0] = 7;
  await using there = Connection.adopt(target);
  await using here = Connection.adopt(connection);
  await here.write({ local, remote, remoteOffset: 8, length: 1 });
  while (local.bytes[8] !== 7) await new Promise((resolve) => setImmediate(resolve));
  report({ kind: 'passed', state: there.state } as { kind: string });
}

/** The first worker, the only thread with the addon, has ended before the second one begins. */
function pass(): void {
  const self = new URL(import.meta.url);
  const giver = new Worker(self, { argv: ['give'] });
  let tickets: unknown;
  giver.on('message', (message: { readonly tickets: unknown }) => {
    tickets = message.tickets;
    void giver.terminate();
  });
  giver.on('exit', () => new Worker(self, { argv: ['take'], workerData: tickets }));
}

async function leave(): Promise<void> {
  const { MemoryUsage, Peer } = await import('rpma');
  const peer = await Peer.open({ localAddress: '127.0.0.1' });
  const region = await peer.allocate(4096, { usage: MemoryUsage.WriteSource });
  peer.share({ timeoutMs: 600_000 });
  region.share({ timeoutMs: 600_000 });
  report({ kind: 'left' });
}

const role = process.argv[2];
if (isMainThread && role === 'pass') pass();
else if (role === 'give') await give();
else if (role === 'take') await take();
else await leave();
