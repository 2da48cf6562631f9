// SPDX-License-Identifier: BSD-3-Clause
//
// Receives one message with immediate data and compares the value with the one that the client
// announced in its private data. See README.md.

import '../common/failure.js';
import { MemoryUsage, Peer } from 'rpma';
import { readArguments } from '../common/arguments.js';
import { announce, nextCompletion, nextRequest, waitAndDisconnect } from '../common/connection.js';
import { readText } from '../common/hello.js';

const messageBytes = 1024;

const { address, port } = readArguments('server <address> <port>');
await using peer = await Peer.open({ localAddress: address });
await using memory = await peer.allocate(messageBytes, { usage: MemoryUsage.Receive });

await using endpoint = await peer.listen(address, port);
announce(endpoint);

const request = await nextRequest(endpoint);
const expected = announcedValue(request.privateData);
request.postReceive({ local: memory, length: messageBytes }); // before accepting
await using connection = await request.accept().whenEstablished();

const { operation, immediate, length } = await nextCompletion(connection);
if (operation !== 'receive') throw new Error(`completed ${operation}, not receive`);
if (immediate !== expected) {
  throw new Error(`received immediate data ${immediate ?? 'none'}, not ${expected}`);
}
const text = readText(memory.view(0, length));
console.log(`Received value '${text}' with immediate data '${immediate}'`);
await waitAndDisconnect(connection);

/** The first four bytes, in host order. */
function announcedValue(data: Uint8Array): number {
  if (data.length < 4) throw new Error(`the client sent ${data.length} bytes of private data`);
  return new DataView(data.buffer, data.byteOffset).getUint32(0, true);
}
