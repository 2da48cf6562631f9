// SPDX-License-Identifier: BSD-3-Clause
//
// Answers each number with the next one, until the client sends the end. Receives complete in a
// queue of their own, and a channel that both queues share tells which has something. See
// README.md.

import '../common/failure.js';
import { MemoryUsage, Peer } from 'rpma';
import { readArguments } from '../common/arguments.js';
import { sharedChannel } from '../common/completions.js';
import { announce, disconnectAndWait, nextRequest } from '../common/connection.js';

const messageBytes = 8;
const endOfMessages = 0xffff_ffff_ffff_ffffn;

const { address, port } = readArguments('server <address> <port>');
const completions = sharedChannel(10);
await using peer = await Peer.open({ localAddress: address });
await using inbox = await peer.allocate(messageBytes, { usage: MemoryUsage.Receive });
await using outbox = await peer.allocate(messageBytes, { usage: MemoryUsage.Send });
const numberIn = new DataView(inbox.bytes.buffer, inbox.bytes.byteOffset, messageBytes);
const numberOut = new DataView(outbox.bytes.buffer, outbox.bytes.byteOffset, messageBytes);

await using endpoint = await peer.listen(address, port, { connection: completions.options });
announce(endpoint);

const request = await nextRequest(endpoint);
request.postReceive({ local: inbox, length: messageBytes }); // so that the first message finds it
await using connection = await request.accept().whenEstablished();
for (;;) {
  const { length } = await completions.received(connection);
  if (length !== messageBytes) throw new Error(`received ${length} bytes, not ${messageBytes}`);
  const value = numberIn.getBigUint64(0, true);
  if (value === endOfMessages) break;
  console.log(`SERVER: Value received: ${value}`);
  const next = BigInt.asUintN(64, value + 1n);
  numberOut.setBigUint64(0, next, true);
  connection.postReceive({ local: inbox, length: messageBytes }); // before the answer
  console.log(`SERVER: Value sent: ${next}`);
  connection.postSend({ local: outbox, length: messageBytes });
  await completions.sent(connection);
}
await disconnectAndWait(connection);
