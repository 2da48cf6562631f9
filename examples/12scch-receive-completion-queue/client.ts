// SPDX-License-Identifier: BSD-3-Clause
//
// Sends a number, takes the answer as the next number, and so on; then sends the end. Receives
// complete in a queue of their own, and a
// channel that both queues share tells which has something. See README.md.

import '../common/failure.js';
import { setTimeout as delay } from 'node:timers/promises';
import { MemoryUsage, Peer } from 'rpma';
import { readClientArguments, readCount, readWord } from '../common/arguments.js';
import { sharedChannel } from '../common/completions.js';
import { disconnectAndWait } from '../common/connection.js';

const messageBytes = 8;
const endOfMessages = 0xffff_ffff_ffff_ffffn;

const {
  address,
  port,
  rest: [start, rounds, sleepText = '0'],
} = readClientArguments('client <address> <port> <start> <rounds> [<sleep-us>]', 2);
let value = readWord('<start>', start);
const exchanges = readCount('<rounds>', rounds, Number.MAX_SAFE_INTEGER) - 1; // as the C program
const sleepMs = readCount('<sleep-us>', sleepText, 3_600_000_000) / 1_000;

const completions = sharedChannel(10);
await using peer = await Peer.open({ remoteAddress: address });
await using inbox = await peer.allocate(messageBytes, { usage: MemoryUsage.Receive });
await using outbox = await peer.allocate(messageBytes, { usage: MemoryUsage.Send });
const numberIn = new DataView(inbox.bytes.buffer, inbox.bytes.byteOffset, messageBytes);
const numberOut = new DataView(outbox.bytes.buffer, outbox.bytes.byteOffset, messageBytes);

await using connection = await peer.connect(address, port, { connection: completions.options });
for (let exchange = 0; exchange < exchanges; exchange++) {
  // The receive is posted before the send that provokes the answer.
  connection.postReceive({ local: inbox, length: messageBytes });
  console.log(`CLIENT: Value sent: ${value}`);
  numberOut.setBigUint64(0, value, true);
  connection.postSend({ local: outbox, length: messageBytes });
  await completions.sent(connection);
  const { length } = await completions.received(connection);
  if (length !== messageBytes) throw new Error(`received ${length} bytes, not ${messageBytes}`);
  value = numberIn.getBigUint64(0, true);
  console.log(`CLIENT: Value received: ${value}`);
  if (sleepMs > 0) await delay(sleepMs);
}
numberOut.setBigUint64(0, endOfMessages, true);
connection.postSend({ local: outbox, length: messageBytes, completion: 'on-error' });
await disconnectAndWait(connection);
