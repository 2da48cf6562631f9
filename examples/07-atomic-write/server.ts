// SPDX-License-Identifier: BSD-3-Clause
//
// Lends a log to one client, which appends to it, and prints it when the client has left. The
// server's JavaScript takes no part in the appending. See README.md.

import '../common/failure.js';
import { MemoryUsage, Peer } from 'rpma';
import { readArguments } from '../common/arguments.js';
import { packCommonData } from '../common/common-data.js';
import { acceptOne, announce, waitAndDisconnect } from '../common/connection.js';
import { openExampleFile } from '../common/example-file.js';
import { initialiseLog, logBytes, logSignature, usedOffset, wordsOf } from './log.js';

const {
  address,
  port,
  rest: [path],
} = readArguments('server <address> <port> [<pmem-path>]');
if (path === undefined) console.error('No <pmem-path> provided. Using DRAM instead.');

// The C client takes for granted that what it wrote lasts once a later read is answered. Here the
// peer sees to that.
await using peer = await Peer.open({
  localAddress: address,
  directWriteToPmem: path !== undefined,
});
const dataBytes = logBytes - usedOffset;
await using file =
  path === undefined
    ? null
    : await openExampleFile(path, {
        signature: logSignature,
        dataBytes,
        initialise: initialiseLog,
      });
const usage = MemoryUsage.WriteDestination | MemoryUsage.ReadSource;
await using region =
  file === null
    ? await peer.allocate(logBytes, { usage: usage | MemoryUsage.FlushVisibility })
    : await peer.register(file, { usage: usage | MemoryUsage.FlushPersistent });
if (file === null) initialiseLog(region.view(usedOffset, dataBytes));

await using endpoint = await peer.listen(address, port);
announce(endpoint);

await using connection = await acceptOne(
  endpoint,
  packCommonData(usedOffset, region.toDescriptor()),
);
await waitAndDisconnect(connection);
for (const word of wordsOf(region.bytes)) console.log(word);
