// SPDX-License-Identifier: BSD-3-Clause
//
// Floods a target until it is killed. Arguments: port, descriptor, kind. Messages: flooding, once
// the flood is under way.

import { once } from 'node:events';
import { connect } from 'node:net';
import { type Connection, type MemoryRegion, MemoryUsage, Peer, RemoteRegion } from 'rpma';
import { fromHex, report } from '../../support/child.js';
import { turn } from '../../support/deadline.js';
import { encodeSetup, opcodes, plainSetup, taggedFrame } from '../../support/iwarp.js';

const [port, descriptor = '', kind] = process.argv.slice(2);
const bigBytes = 1 << 19;

function post(to: Connection, part: { local: MemoryRegion; remote: RemoteRegion }): void {
  // The quiet connection has the other half of the region.
  const at = { ...part, remoteOffset: bigBytes };
  if (kind === 'big writes') to.postWrite({ ...at, length: bigBytes });
  else if (kind === 'tiny writes') to.postWrite({ ...at, length: 1 });
  else if (kind === 'parked sends') to.postSend({ local: part.local, length: 8 });
  else if (kind === 'tiny reads') to.postRead({ ...at, length: 8 });
  else to.postFlush({ remote: at.remote, remoteOffset: bigBytes, length: 8, type: 'visibility' });
}

/** As fast as this library posts. */
async function floodByPosts(): Promise<void> {
  const usage = MemoryUsage.ReadDestination | MemoryUsage.WriteSource | MemoryUsage.Send;
  const peer = await Peer.open({ remoteAddress: '127.0.0.1' });
  const local = await peer.allocate(bigBytes, { usage });
  const remote = RemoteRegion.fromDescriptor(fromHex(descriptor));
  const connection = await peer.connect('127.0.0.1', Number(port), {
    connection: { sendQueueSize: 1024 },
  });
  let done = 0;
  for (let told = false; ;) {
    while (connection.sendQueueFree > 0) post(connection, { local, remote });
    done += connection.completionQueue.poll().length;
    if (!told && done > 8) {
      report({ kind: 'flooding' });
      told = true;
    }
    await turn();
  }
}

/** Faster than any target takes them: frames without payload, made in advance. */
async function floodByFrames(): Promise<void> {
  const frame = taggedFrame(opcodes.write, 1, 0n, new Uint8Array(0));
  const frames = Buffer.concat(Array<Uint8Array>(100_000).fill(frame));
  const socket = connect({ host: '127.0.0.1', port: Number(port) });
  await once(socket, 'connect');
  socket.write(encodeSetup(plainSetup('request')));
  await once(socket, 'data');
  for (let n = 0; ; n++) {
    if (!socket.write(frames)) await once(socket, 'drain');
    if (n === 2) report({ kind: 'flooding' });
  }
}

await (kind === 'bare frames' ? floodByFrames() : floodByPosts());
