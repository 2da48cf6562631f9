// SPDX-License-Identifier: BSD-3-Clause
//
// Lends a greeting to the server, which reads it as soon as the connection is up. The client's
// JavaScript takes no part in that: it waits until the server has left. See README.md.

import '../common/failure.js';
import { MemoryUsage, Peer } from 'rpma';
import { readClientArguments, readCount } from '../common/arguments.js';
import { dataOffsetMax, packCommonData } from '../common/common-data.js';
import { waitAndDisconnect } from '../common/connection.js';
import { openExampleFile, signatureBytes } from '../common/example-file.js';
import {
  helloBytes,
  helloText,
  helloTextOffset,
  initialiseHello,
  translateHello,
} from '../common/hello.js';

const {
  address,
  port,
  rest: [path, offsetText = '0'],
} = readClientArguments('client <address> <port> [<pmem-path> [<pmem-offset>]]');
if (path === undefined) console.error('No <pmem-path> provided. Using DRAM instead.');
const offsetMax = dataOffsetMax - signatureBytes - helloTextOffset;
const offset = readCount('<pmem-offset>', offsetText, offsetMax);

await using peer = await Peer.open({ remoteAddress: address });
await using file =
  path === undefined
    ? null
    : await openExampleFile(path, { dataBytes: helloBytes, offset, initialise: initialiseHello });
const helloOffset = file === null ? 0 : offset + signatureBytes;
await using source =
  file === null
    ? await peer.allocate(helloBytes, { usage: MemoryUsage.ReadSource })
    : await peer.register(file, { usage: MemoryUsage.ReadSource });
const hello = source.view(helloOffset, helloBytes);
if (file === null) initialiseHello(hello);
console.log(`Next value: ${helloText(hello)}`);

const privateData = packCommonData(helloOffset + helloTextOffset, source.toDescriptor());
await using connection = await peer.connect(address, port, { privateData });
await waitAndDisconnect(connection);

translateHello(hello);
if (file !== null) await file.persist(helloOffset, helloBytes);
console.log(`Translation: ${helloText(hello)}`);
