// SPDX-License-Identifier: BSD-3-Clause
//
// Answers the numbers of up to ten clients, whose messages come out of one shared receive queue and
// are told apart by the queue-pair number. The shared queue is read by the verbs tier, answers are
// awaited in the promise tier: the choice is made queue by queue. See README.md.

import '../common/failure.js';
import {
  type Completion,
  type CompletionQueue,
  type Connection,
  type Endpoint,
  MemoryUsage,
  Peer,
} from 'rpma';
import { readArguments, readCount, refuseArguments } from '../common/arguments.js';
import { announce } from '../common/connection.js';
import { endOfMessages, messageBytes } from '../common/numbers-client.js';

const clientsMax = 10;

/** By queue-pair number. Whatever fails, they end before the queue that they share. */
class Clients extends Map<number, Connection> implements AsyncDisposable {
  readonly closing: Promise<void>[] = [];

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.values()) this.closing.push(connection.close());
    await Promise.all(this.closing);
  }
}

const usage = 'server <address> <port> [<timeout-s>]';
const {
  address,
  port,
  rest: [timeoutText = '5'],
} = readArguments(usage);
const timeoutMs = 1_000 * readCount('<timeout-s>', timeoutText, 3_600);
if (timeoutMs === 0) refuseArguments(usage);

await using peer = await Peer.open({ localAddress: address });
await using memory = await peer.allocate((clientsMax + 1) * messageBytes, {
  usage: MemoryUsage.Receive | MemoryUsage.Send,
});
const { buffer, byteOffset } = memory.bytes;
const words = new BigUint64Array(buffer, byteOffset, clientsMax + 1); // received, then the answer
const answer = { local: memory, localOffset: clientsMax * messageBytes, length: messageBytes };
await using sharedReceiveQueue = await peer.createSharedReceiveQueue({
  receiveQueueSize: clientsMax,
  receiveCompletionQueueSize: clientsMax,
});

await using clients = new Clients();
const allGone = new AbortController();
let accepting = true;
let failure: Error | undefined;

const endpoint = await peer.listen(address, port, { connection: { sharedReceiveQueue } });
announce(endpoint);
await acceptClients(endpoint);
await endpoint.close(); // who comes later is rejected
accepting = false;
if (clients.size === 0) allGone.abort();
const { completionQueue } = sharedReceiveQueue;
if (completionQueue !== null) await serve(completionQueue);
if (failure !== undefined) throw failure;

/** Takes the first client, and more until none has come for the time that the program was told. */
async function acceptClients(from: Endpoint): Promise<void> {
  for (let slot = 0; slot < clientsMax; slot++) {
    const request = await from.take(slot === 0 ? {} : { timeoutMs });
    if (request === null) return;
    // A client has one message under way, so each gets a receive, whose place is its id.
    postReceive(slot);
    const connection = request.accept();
    clients.set(connection.queuePairNumber, connection);
    void connection.whenClosed().then(({ type, error }) => {
      if (type !== 'closed') failure ??= error;
      if (clients.has(connection.queuePairNumber)) leave(connection);
    });
  }
}

/** Answers until the last client has left. */
async function serve(queue: CompletionQueue): Promise<void> {
  while (!allGone.signal.aborted) {
    try {
      const completion = await queue.take({ signal: allGone.signal });
      if (completion !== null) await answerTo(completion);
    } catch (error) {
      if (!allGone.signal.aborted) throw error;
    }
  }
}

async function answerTo({ id: slot, ok, length, queuePairNumber }: Completion): Promise<void> {
  const value = words[slot] ?? 0n;
  postReceive(slot); // before the answer that provokes the next message
  const connection = clients.get(queuePairNumber);
  if (!ok || connection === undefined) return; // its connection tells why
  if (length !== messageBytes) {
    throw new Error(`received ${length} bytes, not ${messageBytes}`);
  }
  if (value === endOfMessages) {
    leave(connection);
    return;
  }
  console.log(`Value received: ${value}`);
  words[clientsMax] = value + 1n;
  console.log(`Value sent: ${value + 1n}`);
  // One that is refused has lost its connection, which tells why.
  await connection.send(answer).catch(() => undefined);
}

function postReceive(slot: number): void {
  const localOffset = slot * messageBytes;
  sharedReceiveQueue.postReceive({ local: memory, localOffset, length: messageBytes, id: slot });
}

/** The client said its last word, or left without one. */
function leave(connection: Connection): void {
  clients.delete(connection.queuePairNumber);
  clients.closing.push(connection.close());
  if (clients.size === 0 && !accepting) allGone.abort();
}
