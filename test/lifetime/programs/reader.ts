// SPDX-License-Identifier: BSD-3-Clause
//
// An initiator that asks for much: connects to the port given and reads a whole region again and
// again. Its descriptor comes with the connection. Messages: reading.

import { Peer, RemoteRegion } from 'rpma';
import { report } from '../../support/child.js';
import { localUsage } from '../../support/world.js';

const port = Number(process.argv[2]);
const peer = await Peer.open({ remoteAddress: '127.0.0.1' });
const connection = await peer.connect('127.0.0.1', port);
const remote = RemoteRegion.fromDescriptor(connection.privateData);
const length = remote.sizeBytes;
const local = await peer.allocate(length, { usage: localUsage });
const { completionQueue } = connection;
for (let id = 0; ; id++) {
  while (connection.sendQueueFree > 0) connection.postRead({ local, remote, length, id });
  const completion = await completionQueue.take();
  if (completion === null || !completion.ok) break;
  if (id === 0) report({ kind: 'reading' });
}
await peer.close();
