// SPDX-License-Identifier: BSD-3-Clause
//
// The work of the endurance tests, for one process with both sides and for two. Run as a program it
// is the target: it accepts whatever comes, and says what it holds when it is asked. Messages:
// listening, held.

import {
  type Connection,
  type Endpoint,
  type IncomingRequest,
  type MemoryRegion,
  Peer,
  RemoteRegion,
} from 'rpma';
import { commands, report, toHex } from '../../support/child.js';
import { turn } from '../../support/deadline.js';
import { type Footprint, settledFootprint } from '../../support/footprint.js';
import type { SeededRandom } from '../../support/random.js';
import { localUsage, posted, remoteUsage } from '../../support/world.js';

export const memoryBytes = 65_536;
const sendQueueSize = 256;

export interface Listening {
  readonly kind: 'listening';
  readonly port: number;
  readonly descriptor: string;
}

export interface Held {
  readonly kind: 'held';
  readonly footprint: Footprint;
  readonly served: number;
}

/** Accepts for as long as the endpoint is open, and keeps nothing. */
export class Server {
  readonly #endpoint: Endpoint;
  readonly #open = new Set<Connection>();
  served = 0;

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
    void this.#acceptAll();
  }

  async #acceptAll(): Promise<void> {
    for await (const request of this.#endpoint) void this.#serve(request);
  }

  async #serve(request: IncomingRequest): Promise<void> {
    request.postReceive({ length: 0 });
    const connection = request.accept();
    this.#open.add(connection);
    // Receives are posted anew as messages come; the last ones are flushed by the end.
    for await (const { operation, ok } of connection.completionQueue) {
      if (operation === 'receive' && ok) posted(() => connection.postReceive({ length: 0 }));
    }
    await connection.whenClosed();
    this.#open.delete(connection);
    this.served++;
  }

  async untilQuiet(): Promise<void> {
    while (this.#open.size > 0) await turn();
  }
}

/** One side that connects, with the memory that it uses. */
export interface Client {
  readonly peer: Peer;
  readonly local: MemoryRegion;
  readonly remote: RemoteRegion;
  readonly port: number;
}

export async function openClient(port: number, descriptor: Uint8Array): Promise<Client> {
  const peer = await Peer.open({ remoteAddress: '127.0.0.1' });
  const local = await peer.allocate(memoryBytes, { usage: localUsage });
  return { peer, local, remote: RemoteRegion.fromDescriptor(descriptor), port };
}

/** Connections that are opened, used a little and ended in one of three ways, a few at a time. */
export async function cycle(client: Client, count: number, random: SeededRandom): Promise<void> {
  let left = count;
  const work = async (): Promise<void> => {
    while (left-- > 0) await once(client, random.below(3));
  };
  await Promise.all(Array.from({ length: 4 }, work));
}

async function once({ peer, local, remote, port }: Client, way: number): Promise<void> {
  const connection = await peer.connect('127.0.0.1', port);
  await connection.write({ local, remote, length: 512, until: 'delivered' });
  if (way === 0) {
    await connection.close();
  } else {
    // With operations under way, which are flushed or go out before the end.
    const rest = [connection.read({ local, remote, length: 4096 }), connection.send({ length: 0 })];
    if (way === 1) connection.destroy();
    else void connection.close();
    await Promise.allSettled(rest);
  }
  await connection.whenClosed();
}

/** Posted operations of every kind on one connection, as many at a time as its queue takes. */
export async function operate(client: Client, count: number, random: SeededRandom): Promise<void> {
  const { peer, local, remote, port } = client;
  const connection = await peer.connect('127.0.0.1', port, { connection: { sendQueueSize } });
  const { completionQueue } = connection;
  const finish = { remote, length: 64, type: 'visibility' as const };
  for (let left = count; left > 0;) {
    const silent = Math.min(left - 1, sendQueueSize - 1);
    for (let n = 0; n < silent; n++) postOne(connection, local, remote, random.below(16));
    connection.postFlush({ ...finish, id: 1 });
    left -= silent + 1;
    const done = await completionQueue.take({ timeoutMs: 30_000 });
    if (done?.id !== 1 || !done.ok) throw new Error(`an operation ended as ${done?.status}`);
  }
  await connection.close();
}

function postOne(
  connection: Connection,
  local: MemoryRegion,
  remote: RemoteRegion,
  kind: number,
): void {
  const completion = 'on-error' as const;
  if (kind < 10) connection.postWrite({ local, remote, length: 8 << (kind & 3), completion });
  else if (kind < 12) connection.postRead({ local, remote, length: 64, completion });
  else if (kind < 14) connection.postAtomicWrite({ remote, value: 7n, completion });
  else connection.postFlush({ remote, length: 8, type: 'visibility', completion });
}

/** The same through promises. */
export async function awaitMany(client: Client, count: number): Promise<void> {
  const { peer, local, remote, port } = client;
  const connection = await peer.connect('127.0.0.1', port, { connection: { sendQueueSize } });
  for (let left = count; left > 0; left -= 100) {
    const several = Array.from({ length: 100 }, (_, n) =>
      n % 10 === 0
        ? connection.send({ length: 0 })
        : connection.write({ local, remote, length: 64, until: 'delivered' }),
    );
    await Promise.all(several);
  }
  await connection.close();
}

async function main(): Promise<void> {
  const peer = await Peer.open({ localAddress: '127.0.0.1' });
  const region = await peer.allocate(memoryBytes, { usage: remoteUsage });
  const endpoint = await peer.listen('127.0.0.1', 0);
  const server = new Server(endpoint);
  const descriptor = toHex(region.toDescriptor());
  report<Listening>({ kind: 'listening', port: endpoint.port, descriptor });
  for (const asked = commands(); (await asked.next()).done !== true;) {
    await server.untilQuiet();
    const held = await settledFootprint();
    report<Held>({ kind: 'held', footprint: held, served: server.served });
  }
  await peer.close();
}

if (process.argv[2] === 'target') await main();
