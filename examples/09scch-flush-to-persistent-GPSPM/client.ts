// SPDX-License-Identifier: BSD-3-Clause
//
// Writes a greeting into the server's memory and asks the server's program, by a message, to
// persist it; its answer says that it did. See README.md.

import '../common/failure.js';
import { MemoryUsage, Peer } from 'rpma';
import { readClientArguments, readCount } from '../common/arguments.js';
import { unpackCommonData } from '../common/common-data.js';
import { sharedChannel } from '../common/completions.js';
import { disconnectAndWait } from '../common/connection.js';
import { openExampleFile, signatureBytes } from '../common/example-file.js';
import {
  helloBytes,
  helloText,
  helloTextBytes,
  helloTextOffset,
  initialiseHello,
  translateHello,
} from '../common/hello.js';
import {
  flushRequest,
  flushResponse,
  messageBufferBytes,
  messageBytesMax,
  receiveOffset,
  sendOffset,
} from '../09-flush-to-persistent-GPSPM/gpspm.js';

const flushId = 0xf01dn;

const {
  address,
  port,
  rest: [path, offsetText = '0'],
} = readClientArguments('client <address> <port> [<pmem-path> [<pmem-offset>]]');
if (path === undefined) console.error('No <pmem-path> provided. Using DRAM instead.');
const offset = readCount('<pmem-offset>', offsetText, Number.MAX_SAFE_INTEGER);

const completions = sharedChannel(1);
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
await using messages = await peer.allocate(messageBufferBytes, {
  usage: MemoryUsage.Send | MemoryUsage.Receive,
});
const hello = source.view(helloOffset, helloBytes);
if (file === null) initialiseHello(hello);
console.log(`Next value: ${helloText(hello)}`);

await using connection = await peer.connect(address, port, { connection: completions.options });
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
// The message arrives after the write is in the server's memory. Room for the answer comes first.
connection.postReceive({ local: messages, localOffset: receiveOffset, length: messageBytesMax });
const asked = {
  offset: BigInt(dataOffset),
  length: BigInt(helloTextBytes),
  opContext: flushId,
};
const requestBytes = flushRequest.pack(asked, messages.view(sendOffset, messageBytesMax));
connection.postSend({
  local: messages,
  localOffset: sendOffset,
  length: requestBytes,
  completion: 'on-error',
});

const { length } = await completions.received(connection);
const { opContext } = flushResponse.unpack(messages.view(receiveOffset, length));
if (opContext !== flushId) throw new Error(`unexpected op_context 0x${opContext.toString(16)}`);

translateHello(hello);
if (file !== null) await file.persist(helloOffset, helloBytes);
console.log(`Translation: ${helloText(hello)}`);
await disconnectAndWait(connection);
