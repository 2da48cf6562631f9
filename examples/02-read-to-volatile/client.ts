// SPDX-License-Identifier: BSD-3-Clause
//
// Reads all of the server's region into memory of its own and prints it. Awaits a promise (the
// promise tier). See README.md.

import '../common/failure.js';
import { MemoryUsage, Peer } from 'rpma';
import { readClientArguments } from '../common/arguments.js';
import { unpackCommonData } from '../common/common-data.js';
import { disconnectAndWait } from '../common/connection.js';
import { readText } from '../common/hello.js';

const messageBytesMax = 1_024;

const { address, port } = readClientArguments('client <address> <port>');
await using peer = await Peer.open({ remoteAddress: address });
await using local = await peer.allocate(messageBytesMax, { usage: MemoryUsage.ReadDestination });

await using connection = await peer.connect(address, port);
const { region: remote } = unpackCommonData(connection.privateData);
if (remote.sizeBytes > messageBytesMax) {
  throw new Error(`the server's region is too large: ${remote.sizeBytes} bytes`);
}
await connection.read({ local, remote, length: remote.sizeBytes });
console.log(`Read a message: ${readText(local.bytes)}`);
await disconnectAndWait(connection);
