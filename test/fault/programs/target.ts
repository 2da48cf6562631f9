// SPDX-License-Identifier: BSD-3-Clause
//
// A target in a process of its own: lends memory (of a file where a path is given) to one client
// and then behaves as the first argument, a JSON object, says. Messages: listening, established,
// spinning, spun, ended.

import {
  type Connection,
  type ConnectionOptions,
  MemoryUsage,
  type MemoryRegion,
  Peer,
  PmemFile,
  RemoteRegion,
} from 'rpma';
import { fromHex, report, toHex } from '../../support/child.js';
import { spinFor } from '../../support/deadline.js';

export interface TargetOptions {
  readonly address: string;
  readonly sizeBytes: number;
  readonly path?: string;
  readonly connection?: ConnectionOptions;
  /** Receives posted before the connection is accepted. */
  readonly receives?: number;
  /** When to stop the event loop, and for how long. */
  readonly spin?: 'at-once' | 'after-await' | 'after-poll' | 'after-take';
  readonly spinMs?: number;
}

export interface Listening {
  readonly kind: 'listening';
  readonly port: number;
  readonly descriptor: string;
}

export interface Ended {
  readonly kind: 'ended';
  readonly type: string;
}

const options = JSON.parse(process.argv[2] ?? '{}') as TargetOptions;

async function lend(peer: Peer): Promise<MemoryRegion> {
  const usage = MemoryUsage.ReadSource | MemoryUsage.WriteDestination | MemoryUsage.FlushVisibility;
  if (options.path === undefined) return peer.allocate(options.sizeBytes, { usage });
  const settings = { create: true, sizeBytes: options.sizeBytes };
  const file = await PmemFile.map(options.path, settings);
  return peer.register(file, { usage: usage | MemoryUsage.FlushPersistent });
}

/** Makes this environment the one that drives the connection, then stops its event loop. */
async function spin(peer: Peer, connection: Connection): Promise<void> {
  if (options.spin === undefined) return;
  if (options.spin !== 'at-once') {
    const local = await peer.allocate(64, { usage: MemoryUsage.ReadDestination });
    const remote = RemoteRegion.fromDescriptor(connection.privateData);
    const read = { local, remote, length: 64 };
    if (options.spin === 'after-await') {
      for (let n = 0; n < 20; n++) await connection.read(read);
    } else if (options.spin === 'after-take') {
      connection.postRead(read);
      await connection.completionQueue.take();
    } else {
      connection.postRead(read);
      while (connection.completionQueue.poll().length === 0);
    }
  }
  report({ kind: 'spinning' });
  spinFor(options.spinMs ?? 3000);
  report({ kind: 'spun' });
}

const peer = await Peer.open({ localAddress: options.address });
const region = await lend(peer);
const endpoint = await peer.listen(options.address, 0, { connection: options.connection });
const listening: Listening = {
  kind: 'listening',
  port: endpoint.port,
  descriptor: toHex(region.toDescriptor()),
};
report(listening);
const request = await endpoint.take();
if (request === null) throw new Error('the endpoint gave no request');
for (let n = options.receives ?? 0; n > 0; n--) request.postReceive({ length: 0 });
const connection = request.accept({ privateData: fromHex(listening.descriptor) });
await connection.whenEstablished();
report({ kind: 'established' });
await spin(peer, connection);
const { type } = await connection.whenClosed();
const ended: Ended = { kind: 'ended', type };
report(ended);
await peer.close();
