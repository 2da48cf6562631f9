// SPDX-License-Identifier: BSD-3-Clause
//
// What the types must take. Never run: the compiler reads it.

import type { CompletionBatch } from 'rpma';
import {
  type Completion,
  Connection,
  ConnectionConfig,
  type ConnectionEvent,
  type ConnectionRequest,
  type Durability,
  type Endpoint,
  Epoll,
  type EpollEvent,
  type HandOverTicket,
  IncomingRequest,
  MemoryRegion,
  type OutgoingRequest,
  Peer,
  type PmemFile,
  type ReceiveResult,
  type RemoteRegion,
  type Source,
} from 'rpma';

declare const peer: Peer;
declare const endpoint: Endpoint;
declare const connection: Connection;
declare const local: MemoryRegion;
declare const remote: RemoteRegion;
declare const file: PmemFile;

export const sources: [Source<IncomingRequest>, Source<ConnectionEvent>, Source<Completion>] = [
  endpoint,
  connection.events,
  connection.completionQueue,
];

export function posts(maybe: number | undefined, batch: CompletionBatch): number {
  connection.postWrite({ length: 0 });
  connection.postWrite({ local, remote, length: 8, localOffset: maybe, id: maybe });
  connection.postSend({ length: 0, completion: 'on-error' });
  connection.postReceive({ local, length: 8, id: 3 });
  connection.postAtomicWrite({ remote, value: 5n });
  connection.postAtomicWrite({ remote, value: new Uint8Array(8) });
  const reused = { local, localOffset: 0, remote, length: 8, completion: 'always' as const };
  reused.localOffset = 8;
  connection.postRead(reused);
  return connection.completionQueue.pollInto(batch);
}

export async function promises(signal: AbortSignal): Promise<Durability | undefined> {
  const received: ReceiveResult = await connection.receive({ local, length: 8 });
  await connection.send({ local, length: received.length, signal });
  await connection.read({ local, remote, length: 8, timeoutMs: 5 });
  await connection.atomicWrite({ remote, value: 5n, until: 'delivered' });
  const { durability } = await connection.write({ local, remote, length: 8, until: 'durable' });
  return durability;
}

export async function lifetimes(): Promise<void> {
  const config = new ConnectionConfig({ sendQueueSize: 64 });
  await using region = await peer.register(file, { usage: 0x28, length: 4096 });
  await using other = await peer.connect('::1', 1, { connection: config });
  using request: OutgoingRequest = await peer.createConnectionRequest('localhost', 1, {
    connection: { ...config },
  });
  const either: ConnectionRequest = request;
  either.postReceive({ length: 0 });
  other.canFlush(remote, 'persistent');
  region.view(0, 8).fill(0);
}

/** What is attached keeps its type; anything with a descriptor can be watched. */
export function watched(socket: { readonly fd: number }): EpollEvent<string>[] {
  using epoll = new Epoll<string>();
  epoll.add(endpoint, 'endpoint').add(connection.events, 'events').add(0, 'input', 'both');
  epoll.add(socket, 'socket', 'write').modify(socket, 'idle');
  if (connection.completionChannel !== null) epoll.add(connection.completionChannel, 'channel');
  const outer: Source<EpollEvent<string>> = epoll;
  void outer.tryTake()?.data.length;
  return epoll.waitSync(10, 8);
}

/** Tickets are plain values that any thread adopts. */
export function adopted(tickets: readonly HandOverTicket[]): readonly unknown[] {
  return tickets.map((ticket) => {
    switch (ticket.kind) {
      case 'peer':
        return Peer.adopt(ticket).provider;
      case 'region':
        return MemoryRegion.adopt(ticket).share({ timeoutMs: 100 }).memory?.byteLength;
      case 'request':
        return IncomingRequest.adopt(ticket).handOver();
      case 'connection':
        return Connection.adopt(ticket).handOver({ timeoutMs: undefined });
    }
  });
}

/** A connection's members, however many files declare them: no more and no fewer. */
export const members: { readonly [Name in keyof Connection]: true } = {
  peer: true,
  config: true,
  localAddress: true,
  remoteAddress: true,
  state: true,
  capabilities: true,
  privateData: true,
  queuePairNumber: true,
  completionQueue: true,
  receiveCompletionQueue: true,
  completionChannel: true,
  events: true,
  sendQueueFree: true,
  receiveQueueFree: true,
  applyRemotePeerConfig: true,
  canFlush: true,
  whenEstablished: true,
  whenClosed: true,
  whenSendQueueFree: true,
  statistics: true,
  disconnect: true,
  close: true,
  destroy: true,
  ref: true,
  unref: true,
  handOver: true,
  postRead: true,
  postWrite: true,
  postAtomicWrite: true,
  postFlush: true,
  postSend: true,
  postReceive: true,
  post: true,
  read: true,
  write: true,
  writeDurable: true,
  atomicWrite: true,
  flush: true,
  send: true,
  receive: true,
  [Symbol.asyncDispose]: true,
};
