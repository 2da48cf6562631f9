// SPDX-License-Identifier: BSD-3-Clause
//
// Lends a greeting to one client, which reads it. The server's JavaScript takes no part in that: it
// waits until the client has left. See README.md.

import '../common/failure.js';
import { MemoryUsage, Peer } from 'rpma';
import { readArguments } from '../common/arguments.js';
import { packCommonData } from '../common/common-data.js';
import { acceptOne, announce, waitAndDisconnect } from '../common/connection.js';

const { address, port } = readArguments('server <address> <port>');
await using peer = await Peer.open({ localAddress: address });
const message = new TextEncoder().encode('Hello client!\0');
await using region = await peer.allocate(message.length, { usage: MemoryUsage.ReadSource });
region.bytes.set(message);

await using endpoint = await peer.listen(address, port);
announce(endpoint);

await using connection = await acceptOne(endpoint, packCommonData(0, region.toDescriptor()));
await waitAndDisconnect(connection);
