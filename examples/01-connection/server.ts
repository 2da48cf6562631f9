// SPDX-License-Identifier: BSD-3-Clause
//
// Accepts one connection, exchanges a greeting in the private data, and disconnects. See README.md.

import '../common/failure.js';
import { Peer } from 'rpma';
import { readArguments } from '../common/arguments.js';
import { acceptOne, announce, disconnectAndWait } from '../common/connection.js';
import { readText } from '../common/hello.js';

const { address, port } = readArguments('server <address> <port>');
await using peer = await Peer.open({ localAddress: address });
await using endpoint = await peer.listen(address, port);
announce(endpoint);

await using connection = await acceptOne(endpoint, new TextEncoder().encode('Hello client!\0'));
console.log(`Received a message: ${readText(connection.privateData)}`);
await disconnectAndWait(connection);
