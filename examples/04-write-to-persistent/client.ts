// SPDX-License-Identifier: BSD-3-Clause
//
// Writes a greeting into the server's memory and makes it visible there by hand: a read that
// follows a write on one connection sees it. Only the read asks for a completion. See README.md.

import '../common/failure.js';
import { MemoryUsage, Peer } from 'rpma';
import { readClientArguments, readCount } from '../common/arguments.js';
import { unpackCommonData } from '../common/common-data.js';
import { disconnectAndWait, nextCompletion } from '../common/connection.js';
import { openExampleFile, signatureBytes } from '../common/example-file.js';
import {
  helloBytes,
  helloText,
  helloTextBytes,
  helloTextOffset,
  initialiseHello,
  translateHello,
} from '../common/hello.js';

const readBackBytes = 8;

const {
  address,
  port,
  rest: [path, offsetText = '0'],
} = readClientArguments('client <address> <port> [<pmem-path> [<pmem-offset>]]');
if (path === undefined) console.error('No <pmem-path> provided. Using DRAM instead.');
const offset = readCount('<pmem-offset>', offsetText, Number.MAX_SAFE_INTEGER);

await using peer = await Peer.open({ remoteAddress: address });
await using file =
  path === undefined
    ? null
    : await openExampleFile(path, { dataBytes: helloBytes, offset, initialise: initialiseHello });
const helloOffset = file === null ? 0 : offset + signatureBytes;
await using source =
  file === null
    ? await peer.allocate(helloBytes, { usage: MemoryUsage.WriteSource })
    : await peer.register(file, { usage: MemoryUsage.WriteSource });
await using readBack = await peer.allocate(readBackBytes, { usage: MemoryUsage.ReadDestination });
const hello = source.view(helloOffset, helloBytes);
if (file === null) initialiseHello(hello);
console.log(`Next value: ${helloText(hello)}`);

await using connection = await peer.connect(address, port);
const { dataOffset, region: remote } = unpackCommonData(connection.privateData);
if (remote.sizeBytes - dataOffset < helloTextBytes) {
  throw new Error(`the server's region is too small: ${remote.sizeBytes - dataOffset} bytes`);
}
connection.postWrite({
  local: source,
  localOffset: helloOffset + helloTextOffset,
  remote,
  remoteOffset: dataOffset,
  length: helloTextBytes,
  completion: 'on-error',
});
connection.postRead({ local: readBack, remote, remoteOffset: 0, length: readBackBytes });

const completion = await nextCompletion(connection);
console.log(`Completion: ${completion.operation}`);
console.log(`Read back: "${new TextDecoder().decode(readBack.bytes)}"`);

translateHello(hello);
if (file !== null) await file.persist(helloOffset, helloBytes);
console.log(`Translation: ${helloText(hello)}`);
await disconnectAndWait(connection);
