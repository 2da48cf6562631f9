// SPDX-License-Identifier: BSD-3-Clause
//
// Writes a greeting into the server's memory and flushes it: to persistence where the server's
// region allows that, else to visibility. Only the flush asks for a completion. See README.md.

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

const flushId = 0xf01d;

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
const hello = source.view(helloOffset, helloBytes);
if (file === null) initialiseHello(hello);
console.log(`Next value: ${helloText(hello)}`);

await using connection = await peer.connect(address, port);
const { dataOffset, region: remote, config } = unpackCommonData(connection.privateData);
if (remote.sizeBytes - dataOffset < helloTextBytes) {
  throw new Error(`the server's region is too small: ${remote.sizeBytes - dataOffset} bytes`);
}
if (config !== null) connection.applyRemotePeerConfig(config);
const type = connection.canFlush(remote, 'persistent') ? 'persistent' : 'visibility';
console.log(`Flush: ${type}`);

const range = { remote, remoteOffset: dataOffset, length: helloTextBytes };
connection.postWrite({
  ...range,
  local: source,
  localOffset: helloOffset + helloTextOffset,
  completion: 'on-error',
});
connection.postFlush({ ...range, type, id: flushId });

const completion = await nextCompletion(connection);
if (completion.id !== flushId) throw new Error(`unexpected id 0x${completion.id.toString(16)}`);
console.log(`Completion: ${completion.operation}, durability ${completion.durability ?? 'none'}`);

translateHello(hello);
if (file !== null) await file.persist(helloOffset, helloBytes);
console.log(`Translation: ${helloText(hello)}`);
await disconnectAndWait(connection);
