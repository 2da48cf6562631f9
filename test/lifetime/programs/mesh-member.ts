// SPDX-License-Identifier: BSD-3-Clause
//
// A worker among workers: listens, connects to those it is told of, and reads and writes their
// memory without a pause until it is ended. What the others do not live to answer is no failure.
// Messages: member. To it: members.

import { parentPort } from 'node:worker_threads';
import { type Endpoint, MemoryUsage, type MemoryRegion, Peer, RemoteRegion } from 'rpma';
import { fromHex, toHex } from '../../support/child.js';

export interface Member {
  readonly kind: 'member';
  readonly port: number;
  readonly descriptor: string;
}

const sizeBytes = 65_536;
const usage =
  MemoryUsage.ReadSource |
  MemoryUsage.ReadDestination |
  MemoryUsage.WriteSource |
  MemoryUsage.WriteDestination |
  MemoryUsage.FlushVisibility;

async function acceptAll(endpoint: Endpoint): Promise<void> {
  for await (const request of endpoint) request.accept();
}

/** Ends when the other has ended. */
async function visit(peer: Peer, local: MemoryRegion, member: Member): Promise<void> {
  try {
    const connection = await peer.connect('127.0.0.1', member.port);
    const remote = RemoteRegion.fromDescriptor(fromHex(member.descriptor));
    const range = { local, remote, length: sizeBytes };
    for (;;) {
      const write = connection.write({ ...range, until: 'delivered' });
      await Promise.all([write, connection.read(range)]);
    }
  } catch {
    // It is gone, or refused, or lost.
  }
}

async function main(): Promise<void> {
  const peer = await Peer.open({ localAddress: '127.0.0.1' });
  const own = await peer.register(new ArrayBuffer(sizeBytes), { usage });
  const local = await peer.allocate(sizeBytes, { usage });
  const endpoint = await peer.listen('127.0.0.1', 0);
  const descriptor = toHex(own.toDescriptor());
  const member: Member = { kind: 'member', port: endpoint.port, descriptor };
  parentPort?.on('message', (members: readonly Member[]) => {
    for (const other of members) void visit(peer, local, other);
  });
  parentPort?.postMessage(member);
  await acceptAll(endpoint);
}

await main();
