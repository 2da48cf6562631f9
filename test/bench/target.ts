// SPDX-License-Identifier: BSD-3-Clause
//
// The target of one trial, in a process of its own: lends memory, and echoes messages where the
// row asks for it. Message to the driver: listening. Ends when its client leaves.

import { type Connection, MemoryUsage, type MemoryRegion, Peer } from 'rpma';
import { report, toHex } from '../support/child.js';
import type { Listening, TargetOptions } from './latency.js';

const options = JSON.parse(process.argv[2] ?? '{}') as TargetOptions;
const echoBytes = 8;

/** Answers every message with one of the same length. */
async function echo(connection: Connection, memory: MemoryRegion): Promise<void> {
  let incoming = connection.receive({ local: memory, length: echoBytes });
  for (;;) {
    await incoming;
    incoming = connection.receive({ local: memory, length: echoBytes });
    void incoming.catch(() => undefined);
    await connection.send({ local: memory, length: echoBytes });
  }
}

const peer = await Peer.open({
  localAddress: '127.0.0.1',
  busyPollMicroseconds: options.busyPollMicroseconds,
});
const usage = MemoryUsage.ReadSource | MemoryUsage.WriteDestination | MemoryUsage.FlushVisibility;
const region = await peer.allocate(options.sizeBytes, { usage });
const messages = await peer.allocate(64, { usage: MemoryUsage.Send | MemoryUsage.Receive });
const endpoint = await peer.listen('127.0.0.1', 0);
const listening: Listening = {
  kind: 'listening',
  port: endpoint.port,
  descriptor: toHex(region.toDescriptor()),
  provider: peer.provider,
};
report(listening);
const request = await endpoint.take();
if (request === null) throw new Error('the endpoint gave no request');
const connection = request.accept();
if (options.echo) {
  // The end of the connection ends the echo, which is how a trial is over.
  await connection.whenEstablished();
  await echo(connection, messages).catch(() => undefined);
} else {
  await connection.whenClosed();
}
await peer.close();
