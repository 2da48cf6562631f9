// SPDX-License-Identifier: BSD-3-Clause
//
// A worker that makes peers, memory and connections and gives tickets of them, by its workerData;
// then it stays until it is ended. Message: the tickets.

import { parentPort, workerData } from 'node:worker_threads';
import { type Connection, type HandOverTicket, MemoryUsage, Peer, RemoteRegion } from 'rpma';
import { lastFor } from '../../support/deadline.js';

export interface OwnerOptions {
  readonly role: 'give' | 'give-short' | 'give-request' | 'give-read' | 'give-receive';
  /** Where the other side of 'give-read' and 'give-receive' listens, and its memory. */
  readonly port: number;
  readonly descriptor: Uint8Array;
}

const usage =
  MemoryUsage.WriteSource |
  MemoryUsage.WriteDestination |
  MemoryUsage.ReadDestination |
  MemoryUsage.Receive;
const kept: unknown[] = [];

interface Pair {
  readonly peer: Peer;
  readonly connection: Connection;
  readonly target: Connection;
}

async function pairOf(): Promise<Pair> {
  const peer = await Peer.open({ localAddress: '127.0.0.1' });
  const endpoint = await peer.listen('127.0.0.1', 0);
  const connecting = peer.connect('127.0.0.1', endpoint.port);
  const request = await endpoint.take();
  if (request === null) throw new Error('no request came');
  const target = await request.accept().whenEstablished();
  const connection = await connecting;
  kept.push(endpoint, connection, target);
  return { peer, connection, target };
}

async function give(timeoutMs: number): Promise<HandOverTicket[]> {
  const { peer, connection, target } = await pairOf();
  const region = await peer.allocate(4096, { usage });
  return [peer, region]
    .map((each) => each.share({ timeoutMs }))
    .concat([connection, target].map((each) => each.handOver({ timeoutMs })));
}

async function giveRequest(): Promise<HandOverTicket[]> {
  const peer = await Peer.open({ localAddress: '127.0.0.1' });
  const other = await Peer.open({ localAddress: '127.0.0.1' });
  const endpoint = await peer.listen('127.0.0.1', 0);
  kept.push(
    endpoint,
    other.connect('127.0.0.1', endpoint.port).catch(() => undefined),
  );
  const request = await endpoint.take();
  if (request === null) throw new Error('no request came');
  return [peer.share(), request.handOver()];
}

/** What the connection uses is this thread's own; the other side does not answer, or send. */
async function giveInFlight({ role, port, descriptor }: OwnerOptions): Promise<HandOverTicket[]> {
  const peer = await Peer.open({ localAddress: '127.0.0.1' });
  const connection = await peer.connect('127.0.0.1', port);
  const own = await peer.register(new ArrayBuffer(4096), { usage });
  const remote = RemoteRegion.fromDescriptor(descriptor);
  kept.push(own);
  if (role === 'give-receive') {
    connection.postReceive({ local: own, length: 64, id: 1 });
  } else {
    // A message that finds no receive holds up everything behind it, over there.
    connection.postSend({ length: 0, id: 1 });
    connection.postRead({ local: own, remote, length: own.sizeBytes, id: 2 });
  }
  return [peer.share(), connection.handOver()];
}

async function tickets(options: OwnerOptions): Promise<HandOverTicket[]> {
  const { role } = options;
  if (role === 'give-request') return giveRequest();
  if (role === 'give-read' || role === 'give-receive') return giveInFlight(options);
  return give(role === 'give-short' ? 200 : 30_000);
}

parentPort?.postMessage(await tickets(workerData as OwnerOptions));
await lastFor(600_000);
