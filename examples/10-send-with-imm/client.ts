// SPDX-License-Identifier: BSD-3-Clause
//
// Sends one message, a word or nothing, with immediate data, and tells the value beforehand in its
// private data. See README.md.

import '../common/failure.js';
import { MemoryUsage, Peer } from 'rpma';
import { readClientArguments, readCount } from '../common/arguments.js';
import { disconnectAndWait, nextCompletion } from '../common/connection.js';

const messageBytes = 1024;

const {
  address,
  port,
  rest: [immediateText, word],
} = readClientArguments('client <address> <port> <imm> [<word>]', 1);
const immediate = readCount('<imm>', immediateText, 2 ** 32 - 1);

await using peer = await Peer.open({ remoteAddress: address });
await using memory = await peer.allocate(messageBytes, { usage: MemoryUsage.Send });
const privateData = new Uint8Array(4);
new DataView(privateData.buffer).setUint32(0, immediate, true);
await using connection = await peer.connect(address, port, { privateData });

if (word === undefined) {
  console.log(`Sending immediate data '${immediate}'`);
  connection.postSend({ length: 0, immediate });
} else {
  console.log(`Sending value '${word}' with immediate data '${immediate}'`);
  new TextEncoder().encodeInto(word, memory.view(0, messageBytes - 1)); // a zero byte ends it
  connection.postSend({ local: memory, length: messageBytes, immediate });
}
await nextCompletion(connection);
await disconnectAndWait(connection);
