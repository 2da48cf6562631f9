// SPDX-License-Identifier: BSD-3-Clause
//
// Writes a number into the server's memory and sends the same number along as immediate data. See
// README.md.

import '../common/failure.js';
import { MemoryUsage, Peer } from 'rpma';
import { readClientArguments, readCount } from '../common/arguments.js';
import { unpackCommonData } from '../common/common-data.js';
import { disconnectAndWait, nextCompletion } from '../common/connection.js';

const writtenBytes = 1024;

const {
  address,
  port,
  rest: [immediateText],
} = readClientArguments('client <address> <port> <imm>', 1);
const immediate = readCount('<imm>', immediateText, 2 ** 32 - 1);

await using peer = await Peer.open({ remoteAddress: address });
await using source = await peer.allocate(writtenBytes, { usage: MemoryUsage.WriteSource });
new DataView(source.bytes.buffer, source.bytes.byteOffset).setUint32(0, immediate, true);

await using connection = await peer.connect(address, port);
const { dataOffset, region: remote } = unpackCommonData(connection.privateData);
console.log(`Writing value '${immediate}' with immediate data '${immediate}'`);
connection.postWrite({
  local: source,
  remote,
  remoteOffset: dataOffset,
  length: writtenBytes,
  immediate,
});
await nextCompletion(connection);
await disconnectAndWait(connection);
