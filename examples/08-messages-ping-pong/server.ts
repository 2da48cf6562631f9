// SPDX-License-Identifier: BSD-3-Clause
//
// Answers each number with the next one, until the client sends the end. Posts operations and reads
// the completion queue (the verbs tier); the client awaits promises instead. See README.md.

import '../common/failure.js';
import { MemoryUsage, Peer } from 'rpma';
import { readArguments } from '../common/arguments.js';
import { announce, disconnectAndWait, nextCompletion, nextRequest } from '../common/connection.js';

const messageBytes = 8;
const endOfMessages = 0xffff_ffff_ffff_ffffn;

const { address, port } = readArguments('server <address> <port>');
await using peer = await Peer.open({ localAddress: address });
await using memory = await peer.allocate(2 * messageBytes, {
  usage: MemoryUsage.Receive | MemoryUsage.Send,
});
const words = new BigUint64Array(memory.bytes.buffer, memory.bytes.byteOffset, 2); // in, out
const receive = { local: memory, localOffset: 0, length: messageBytes };

await using endpoint = await peer.listen(address, port);
announce(endpoint);

const request = await nextRequest(endpoint);
request.postReceive(receive); // before accepting, so that the first message finds it
await using connection = await request.accept().whenEstablished();

await completions(1); // the first receive
for (let value = words[0] ?? 0n; value !== endOfMessages; value = words[0] ?? 0n) {
  console.log(`Value received: ${value}`);
  words[1] = value + 1n;
  connection.postReceive(receive); // before the answer that provokes the next message
  console.log(`Value sent: ${value + 1n}`);
  connection.postSend({ local: memory, localOffset: messageBytes, length: messageBytes });
  await completions(2); // send and next receive, in either order
}
await disconnectAndWait(connection);

async function completions(count: number): Promise<void> {
  for (let done = 0; done < count; done++) {
    const { operation, length } = await nextCompletion(connection);
    if (operation === 'receive' && length !== messageBytes) {
      throw new Error(`received ${length} bytes, not ${messageBytes}`);
    }
  }
}
