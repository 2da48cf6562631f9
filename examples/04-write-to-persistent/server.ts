// SPDX-License-Identifier: BSD-3-Clause
//
// Lends memory to one client, which writes into it and reads from it. The server's JavaScript takes
// no part in that: it prints the value before and after. See README.md.

import '../common/failure.js';
import { MemoryUsage, Peer } from 'rpma';
import { readArguments } from '../common/arguments.js';
import { packCommonData } from '../common/common-data.js';
import { acceptOne, announce, waitAndDisconnect } from '../common/connection.js';
import { openExampleFile, signatureBytes } from '../common/example-file.js';
import { helloTextBytes, readText } from '../common/hello.js';

const {
  address,
  port,
  rest: [path],
} = readArguments('server <address> <port> [<pmem-path>]');
if (path === undefined) console.error('No <pmem-path> provided. Using DRAM instead.');

await using peer = await Peer.open({ localAddress: address });
await using file =
  path === undefined ? null : await openExampleFile(path, { dataBytes: helloTextBytes });
const dataOffset = file === null ? 0 : signatureBytes;
const usage = MemoryUsage.WriteDestination | MemoryUsage.ReadSource;
await using region =
  file === null
    ? await peer.allocate(helloTextBytes, { usage })
    : await peer.register(file, { usage });

await using endpoint = await peer.listen(address, port);
announce(endpoint);

const text = region.view(dataOffset, helloTextBytes);
if (text[0] !== 0) console.log(`Old value: ${readText(text)}`);
await using connection = await acceptOne(
  endpoint,
  packCommonData(dataOffset, region.toDescriptor()),
);
await waitAndDisconnect(connection);
console.log(`New value: ${readText(text)}`);
