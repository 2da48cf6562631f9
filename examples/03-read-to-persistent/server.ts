// SPDX-License-Identifier: BSD-3-Clause
//
// Reads a greeting out of the memory of the client that connects, and persists it where it keeps
// greetings in a file. The server speaks first on this connection. See README.md.

import '../common/failure.js';
import { MemoryUsage, Peer } from 'rpma';
import { readArguments } from '../common/arguments.js';
import { unpackCommonData } from '../common/common-data.js';
import { acceptOne, announce, disconnectAndWait, nextCompletion } from '../common/connection.js';
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
const localOffset = file === null ? 0 : signatureBytes;
const usage = MemoryUsage.ReadDestination;
await using local =
  file === null
    ? await peer.allocate(helloTextBytes, { usage })
    : await peer.register(file, { usage });

await using endpoint = await peer.listen(address, port);
announce(endpoint);

const text = local.view(localOffset, helloTextBytes);
if (text[0] !== 0) console.log(`Old value: ${readText(text)}`);
await using connection = await acceptOne(endpoint);
const { dataOffset: remoteOffset, region: remote } = unpackCommonData(connection.privateData);
connection.postRead({ local, localOffset, remote, remoteOffset, length: helloTextBytes });

const completion = await nextCompletion(connection);
console.log(`Completion: ${completion.operation}`);

// A read is delivered when it completes; to last is the business of the side that reads.
if (file !== null) await file.persist(localOffset, helloTextBytes);
console.log(`New value: ${readText(text)}`);
await disconnectAndWait(connection);
