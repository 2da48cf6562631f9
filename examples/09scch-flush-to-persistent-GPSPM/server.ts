// SPDX-License-Identifier: BSD-3-Clause
//
// Lends memory to one client, which writes into it and then asks by a message to have it persisted.
// This program does that itself and answers by a message. See README.md.

import '../common/failure.js';
import { MemoryUsage, Peer } from 'rpma';
import { readArguments } from '../common/arguments.js';
import { packCommonData } from '../common/common-data.js';
import { sharedChannel } from '../common/completions.js';
import { announce, nextRequest, waitAndDisconnect } from '../common/connection.js';
import { openExampleFile, signatureBytes } from '../common/example-file.js';
import { helloTextBytes, readText } from '../common/hello.js';
import {
  flushRequest,
  flushResponse,
  messageBufferBytes,
  messageBytesMax,
  rangeOf,
  receiveOffset,
  sendOffset,
} from '../09-flush-to-persistent-GPSPM/gpspm.js';

const {
  address,
  port,
  rest: [path],
} = readArguments('server <address> <port> [<pmem-path>]');
if (path === undefined) console.error('No <pmem-path> provided. Using DRAM instead.');

const completions = sharedChannel(1);
await using peer = await Peer.open({ localAddress: address });
await using file =
  path === undefined ? null : await openExampleFile(path, { dataBytes: helloTextBytes });
const dataOffset = file === null ? 0 : signatureBytes;
const usage = MemoryUsage.WriteDestination;
await using region =
  file === null
    ? await peer.allocate(helloTextBytes, { usage: usage | MemoryUsage.FlushVisibility })
    : await peer.register(file, { usage: usage | MemoryUsage.FlushPersistent });
await using messages = await peer.allocate(messageBufferBytes, {
  usage: MemoryUsage.Send | MemoryUsage.Receive,
});

await using endpoint = await peer.listen(address, port, { connection: completions.options });
announce(endpoint);

const text = region.view(dataOffset, helloTextBytes);
if (text[0] !== 0) console.log(`Old value: ${readText(text)}`);
const request = await nextRequest(endpoint);
request.postReceive({ local: messages, localOffset: receiveOffset, length: messageBytesMax });
const privateData = packCommonData(dataOffset, region.toDescriptor());
await using connection = await request.accept({ privateData }).whenEstablished();

const { length: requestBytes } = await completions.received(connection);
const asked = flushRequest.unpack(messages.view(receiveOffset, requestBytes));
const { offset, length, opContext } = asked;
console.log(
  `Flush request received: {offset: ${hex(offset)}, length: ${hex(length)}, ` +
    `op_context: ${hex(opContext)}}`,
);
const range = rangeOf(asked, region.sizeBytes);
if (file === null) console.log('DRAM does not last: nothing is persisted');
else await file.persist(range.offset, range.length);

const responseBytes = flushResponse.pack({ opContext }, messages.view(sendOffset, messageBytesMax));
connection.postSend({ local: messages, localOffset: sendOffset, length: responseBytes });
await completions.sent(connection);
await waitAndDisconnect(connection);
console.log(`New value: ${readText(text)}`);

function hex(value: bigint): string {
  return `0x${value.toString(16).toUpperCase()}`;
}
