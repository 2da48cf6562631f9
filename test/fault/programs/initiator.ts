// SPDX-License-Identifier: BSD-3-Clause
//
// An initiator in a process of its own: connects to the port given, offers memory to be read, and
// keeps the connection full of operations until it is killed. Messages: established, busy.

import { MemoryUsage, Peer, RemoteRegion } from 'rpma';
import { report } from '../../support/child.js';

const [address = '127.0.0.1', port = '0'] = process.argv.slice(2);
const usage = MemoryUsage.ReadSource | MemoryUsage.ReadDestination | MemoryUsage.WriteSource;

const peer = await Peer.open({ remoteAddress: address });
const local = await peer.allocate(1 << 20, { usage });
const connection = await peer.connect(address, Number(port), {
  privateData: local.toDescriptor(),
  connection: { sendQueueSize: 64, receiveQueueSize: 64 },
});
for (let n = 0; n < 64; n++) connection.postReceive({ length: 0 });
report({ kind: 'established' });
const remote = RemoteRegion.fromDescriptor(connection.privateData);
let done = 0;
for (;;) {
  while (connection.sendQueueFree > 1) {
    const length = [8, 4096, 200_000][done % 3] ?? 8;
    connection.postWrite({ local, remote, length, completion: 'on-error' });
    connection.postFlush({ remote, length, type: 'visibility' });
  }
  const completion = await connection.completionQueue.take();
  if (completion === null || !completion.ok) break;
  if (++done === 10) report({ kind: 'busy' });
}
await peer.close();
