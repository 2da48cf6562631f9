// SPDX-License-Identifier: BSD-3-Clause
//
// Lends memory to one client and is told by immediate data when it was written. The value of the
// immediate data must be the one that was written. See README.md.

import '../common/failure.js';
import { MemoryUsage, Peer } from 'rpma';
import { readArguments } from '../common/arguments.js';
import { packCommonData } from '../common/common-data.js';
import { announce, nextCompletion, nextRequest, waitAndDisconnect } from '../common/connection.js';

const writtenBytes = 1024;

const { address, port } = readArguments('server <address> <port>');
await using peer = await Peer.open({ localAddress: address });
await using region = await peer.allocate(writtenBytes, { usage: MemoryUsage.WriteDestination });
await using inbox = await peer.allocate(1, { usage: MemoryUsage.Receive });

await using endpoint = await peer.listen(address, port);
announce(endpoint);

const request = await nextRequest(endpoint);
// The write takes this receive and puts nothing into its memory, so one byte is plenty.
request.postReceive({ local: inbox, length: 1 });
const privateData = packCommonData(0, region.toDescriptor());
await using connection = await request.accept({ privateData }).whenEstablished();

const { operation, immediate } = await nextCompletion(connection);
if (operation !== 'receive-write') throw new Error(`completed ${operation}, not receive-write`);
const written = new DataView(region.bytes.buffer, region.bytes.byteOffset).getUint32(0, true);
if (immediate !== written) {
  throw new Error(`received immediate data ${immediate ?? 'none'}, but ${written} was written`);
}
console.log(`The value '${written}' was written together with immediate data '${immediate}'`);
await waitAndDisconnect(connection);
