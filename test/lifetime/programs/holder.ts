// SPDX-License-Identifier: BSD-3-Clause
//
// Opens objects up to a stage and then ends as it is told, closing none of them. Runs as a worker
// (told by workerData) or as a process (told by its first argument). Messages: ready.

import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { join } from 'node:path';
import {
  type CompletionQueue,
  type Connection,
  type Endpoint,
  MemoryUsage,
  type MemoryRegion,
  Peer,
  PmemFile,
  RemoteRegion,
} from 'rpma';
import { report } from '../../support/child.js';
import { lastFor } from '../../support/deadline.js';

/** Each includes those before it. */
export const stages = ['loaded', 'peer', 'memory', 'file', 'endpoint', 'connection'] as const;
export type Stage = (typeof stages)[number] | 'operations' | 'closing';
export const everyStage: readonly Stage[] = [...stages, 'operations', 'closing'];

export interface HolderOptions {
  readonly stage: Stage;
  /** Where it may make a file. */
  readonly folder: string;
  /**
   * What it does next: 'block' waits in a synchronous call for ever (workers only); 'serve' accepts
   * one connection and stays (stage 'endpoint').
   */
  readonly end: 'stay' | 'exit' | 'throw' | 'unref' | 'block' | 'serve';
}

export interface Ready {
  readonly kind: 'ready';
  readonly port: number;
  /** Of memory that the program allocated itself, in hexadecimal digits. */
  readonly descriptor: string;
}

const sizeBytes = 1 << 20;
const usage =
  MemoryUsage.ReadSource |
  MemoryUsage.ReadDestination |
  MemoryUsage.WriteSource |
  MemoryUsage.WriteDestination |
  MemoryUsage.FlushVisibility |
  MemoryUsage.Receive;

// Of this module, so that nothing is collected before the end.
const kept: unknown[] = [];

interface Pair {
  readonly connection: Connection;
  readonly target: Connection;
}

async function accept(endpoint: Endpoint): Promise<Connection> {
  const request = await endpoint.take();
  if (request === null) throw new Error('the endpoint was closed');
  return request.accept();
}

async function connect(peer: Peer, endpoint: Endpoint): Promise<Pair> {
  const options = { connection: { sendQueueSize: 64, receiveQueueSize: 8 } };
  const [connection, target] = await Promise.all([
    peer.connect('127.0.0.1', endpoint.port, options),
    accept(endpoint),
  ]);
  return { connection, target };
}

/** Writes, flushes and a receive under way, and awaits that will never come true. */
function operate({ connection, target }: Pair, local: MemoryRegion, remote: RemoteRegion): void {
  target.postReceive({ local, length: 64 });
  for (let i = 0; i < 16; i++) {
    connection.postWrite({ local, remote, length: 1 << 18 });
    connection.postFlush({ remote, length: 1 << 18, type: 'persistent' });
  }
  void connection.completionQueue.wait().catch(() => undefined);
}

async function open(options: HolderOptions): Promise<Ready & { queue?: CompletionQueue }> {
  const ready: Ready = { kind: 'ready', port: 0, descriptor: '' };
  const reached = (stage: Stage): boolean =>
    everyStage.indexOf(options.stage) >= everyStage.indexOf(stage);
  if (!reached('peer')) return ready;
  const peer = await Peer.open({ localAddress: '127.0.0.1' });
  kept.push(peer);
  if (!reached('memory')) return ready;
  const own = await peer.register(new ArrayBuffer(sizeBytes), { usage });
  const local = await peer.allocate(sizeBytes, { usage });
  kept.push(own, local, local.bytes);
  const descriptor = Buffer.from(own.toDescriptor()).toString('hex');
  if (!reached('file')) return { ...ready, descriptor };
  const path = join(options.folder, `${process.pid}-${options.stage}-${options.end}`);
  const file = await PmemFile.map(path, { create: true, sizeBytes });
  const durable = await peer.register(file, { usage: usage | MemoryUsage.FlushPersistent });
  kept.push(file, file.bytes, durable, file.persist());
  if (!reached('endpoint')) return { ...ready, descriptor };
  const endpoint = await peer.listen('127.0.0.1', 0);
  const { port } = endpoint;
  kept.push(endpoint);
  if (options.end === 'unref') endpoint.unref();
  if (options.end === 'serve') kept.push(accept(endpoint));
  if (!reached('connection')) return { ...ready, port, descriptor };
  const pair = await connect(peer, endpoint);
  kept.push(pair);
  if (options.end === 'unref') [pair.connection, pair.target].forEach((one) => one.unref());
  if (reached('operations')) {
    operate(pair, local, RemoteRegion.fromDescriptor(durable.toDescriptor()));
  }
  if (reached('closing')) {
    void local.close().catch(() => undefined);
    void pair.target.close().catch(() => undefined);
    void peer.close().catch(() => undefined);
  }
  return { ...ready, port, descriptor, queue: pair.target.completionQueue };
}

async function main(): Promise<void> {
  const options = (
    isMainThread ? JSON.parse(process.argv[2] ?? '{}') : workerData
  ) as HolderOptions;
  const { queue, ...ready } = await open(options);
  if (isMainThread) report(ready);
  else parentPort?.postMessage(ready);
  if (options.end === 'exit') process.exit(7);
  if (options.end === 'throw') throw new Error('thrown to end this');
  // What nothing else keeps alive stays, too, until it is ended from outside.
  if (options.end === 'stay' || options.end === 'serve') await lastFor(600_000);
  if (options.end === 'block') queue?.waitSync(Infinity);
}

await main();
