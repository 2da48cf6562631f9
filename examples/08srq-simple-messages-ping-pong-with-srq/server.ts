// SPDX-License-Identifier: BSD-3-Clause
//
// Answers each number with the next one, until the client sends the end. Receives are posted to a
// shared receive queue, and complete in the queue that the third argument chooses. See README.md.

import '../common/failure.js';
import { type CompletionQueue, MemoryUsage, Peer } from 'rpma';
import { readArguments, refuseArguments } from '../common/arguments.js';
import {
  announce,
  disconnectAndWait,
  endSignal,
  nextCompletionIn,
  nextRequest,
} from '../common/connection.js';
import { endOfMessages, messageBytes } from '../common/numbers-client.js';

const usage = 'server <address> <port> [m|r]';
const {
  address,
  port,
  rest: [place],
} = readArguments(usage);
if (place !== undefined && place !== 'm' && place !== 'r') refuseArguments(usage);

await using peer = await Peer.open({ localAddress: address });
await using memory = await peer.allocate(2 * messageBytes, {
  usage: MemoryUsage.Receive | MemoryUsage.Send,
});
const words = new BigUint64Array(memory.bytes.buffer, memory.bytes.byteOffset, 2); // in, out
const receive = { local: memory, localOffset: 0, length: messageBytes };

// A completion queue of its own; or none, and receives complete in one of the connection's.
await using sharedReceiveQueue = await peer.createSharedReceiveQueue(
  place === undefined ? {} : { receiveCompletionQueueSize: 0 },
);
const receiveCompletionQueueSize = place === 'r' ? 10 : 0;
await using endpoint = await peer.listen(address, port, {
  connection: { sharedReceiveQueue, receiveCompletionQueueSize },
});
announce(endpoint);

const request = await nextRequest(endpoint);
sharedReceiveQueue.postReceive(receive); // before accepting, so that the first message finds it
await using connection = await request.accept().whenEstablished();
const end = endSignal(connection);
const sends = connection.completionQueue;
const receives = sharedReceiveQueue.completionQueue ?? connection.receiveCompletionQueue ?? sends;

await completions(receives); // the first receive
for (let value = words[0] ?? 0n; value !== endOfMessages; value = words[0] ?? 0n) {
  console.log(`Value received: ${value}`);
  words[1] = value + 1n;
  sharedReceiveQueue.postReceive(receive); // before the answer that provokes the next message
  console.log(`Value sent: ${value + 1n}`);
  connection.postSend({ local: memory, localOffset: messageBytes, length: messageBytes });
  await completions(sends, receives); // send and next receive; in one queue in either order
}
await disconnectAndWait(connection);

/** Takes one completion of each queue. */
async function completions(...queues: readonly CompletionQueue[]): Promise<void> {
  for (const queue of queues) {
    const { operation, length } = await nextCompletionIn(queue, connection, end);
    if (operation === 'receive' && length !== messageBytes) {
      throw new Error(`received ${length} bytes, not ${messageBytes}`);
    }
  }
}
