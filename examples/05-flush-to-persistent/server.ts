// SPDX-License-Identifier: BSD-3-Clause
//
// Lends memory to one client, which writes into it and flushes. The server's JavaScript takes no
// part in that: it prints the value before and after. See README.md.

import '../common/failure.js';
import { MemoryUsage, Peer, PeerConfig } from 'rpma';
import { readArguments, refuseArguments } from '../common/arguments.js';
import { packCommonData } from '../common/common-data.js';
import { acceptOne, announce, waitAndDisconnect } from '../common/connection.js';
import { openExampleFile, signatureBytes } from '../common/example-file.js';
import { helloTextBytes, readText } from '../common/hello.js';

const usageLine = 'server <address> <port> [<pmem-path> [on]]';
const {
  address,
  port,
  rest: [path, directWrite],
} = readArguments(usageLine);
if (directWrite !== undefined && directWrite !== 'on') refuseArguments(usageLine);
if (path === undefined) console.error('No <pmem-path> provided. Using DRAM instead.');

// With 'on' the peer persists what a client writes before it answers a later read. That is what
// makes the C library's flush durable here, so the claim that goes out in the peer's descriptor is
// true.
const config = new PeerConfig({ directWriteToPmem: path !== undefined && directWrite === 'on' });
await using peer = await Peer.open({
  localAddress: address,
  directWriteToPmem: config.directWriteToPmem,
});
await using file =
  path === undefined ? null : await openExampleFile(path, { dataBytes: helloTextBytes });
const dataOffset = file === null ? 0 : signatureBytes;
const usage = MemoryUsage.WriteDestination | MemoryUsage.FlushVisibility;
await using region =
  file === null
    ? await peer.allocate(helloTextBytes, { usage })
    : await peer.register(file, { usage: usage | MemoryUsage.FlushPersistent });

await using endpoint = await peer.listen(address, port);
announce(endpoint);

const text = region.view(dataOffset, helloTextBytes);
if (text[0] !== 0) console.log(`Old value: ${readText(text)}`);
const privateData = packCommonData(dataOffset, region.toDescriptor(), config.toDescriptor());
await using connection = await acceptOne(endpoint, privateData);
await waitAndDisconnect(connection);
console.log(`New value: ${readText(text)}`);
