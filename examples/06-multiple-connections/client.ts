// SPDX-License-Identifier: BSD-3-Clause
//
// Lends its name to the server, which reads it and disconnects. See README.md.

import '../common/failure.js';
import { MemoryUsage, Peer } from 'rpma';
import { readClientArguments, readWord } from '../common/arguments.js';
import { packCommonData } from '../common/common-data.js';
import { waitAndDisconnect } from '../common/connection.js';
import { nameBytes, nameOf, writeName } from '../common/names.js';

const {
  address,
  port,
  rest: [seed],
} = readClientArguments('client <address> <port> <seed>', 1);
const name = nameOf(readWord('<seed>', seed));

await using peer = await Peer.open({ remoteAddress: address });
await using region = await peer.allocate(nameBytes, { usage: MemoryUsage.ReadSource });
writeName(region.bytes, name);
console.log(`My name is: ${name}`);

const privateData = packCommonData(0, region.toDescriptor());
await using connection = await peer.connect(address, port, { privateData });
await waitAndDisconnect(connection);
