// SPDX-License-Identifier: BSD-3-Clause
//
// The server of a thousand connections: one process, one peer, one JavaScript thread. Verbs tier:
// one completion queue for all. Promise tier: a loop for each connection. Arguments: provider,
// tier, connections. Messages: ready, then a count for each question.

import {
  type CompletionQueue,
  type Connection,
  type ConnectionEvent,
  type Endpoint,
  type IncomingRequest,
  MemoryUsage,
  Peer,
  type ProviderName,
} from 'rpma';
import { commands, report } from '../../support/child.js';
import { type Count, held, messageBytes, placeBytes, type Question } from './crowd.js';

const [provider = 'iwarp', tier = 'verbs', count = '1000'] = process.argv.slice(2);
const most = Number(count);

const peer = await Peer.open({
  localAddress: '127.0.0.1',
  provider: provider as ProviderName,
});
const places = await peer.allocate(most * placeBytes, {
  usage: MemoryUsage.WriteDestination | MemoryUsage.FlushVisibility,
});
const messages = await peer.allocate(most * 2 * messageBytes, {
  usage: MemoryUsage.Send | MemoryUsage.Receive,
});
const written = new BigUint64Array(places.bytes.buffer, places.bytes.byteOffset, most * 8);
const words = new BigUint64Array(messages.bytes.buffer, messages.bytes.byteOffset, most * 2);

const ended: Record<string, number> = {};
const wrong: string[] = [];
let established = 0;
let echoes = 0;

/** What the client of this place said; the answer stands in the message memory then. */
function answer(place: number): void {
  const said = words[place * 2] ?? 0n;
  // The message came after the flush: the other 8 words are there whatever this thread did.
  for (let word = 0; word < 8; word++) {
    const found = written[place * 8 + word];
    if (found === said + BigInt(word) || wrong.length > 5) continue;
    wrong.push(`place ${place}, word ${word}: ${found} written, ${said} said`);
  }
  words[place * 2 + 1] = said + 1n;
  echoes++;
}

const receiveOf = (place: number) => ({
  local: messages,
  localOffset: place * 2 * messageBytes,
  length: messageBytes,
  id: place,
});
const sendOf = (place: number) => ({
  local: messages,
  localOffset: (place * 2 + 1) * messageBytes,
  length: messageBytes,
});

function accept(request: IncomingRequest, place: number): Connection {
  const descriptor = places.toDescriptor();
  const data = Buffer.alloc(4 + descriptor.length);
  data.writeUInt32LE(place);
  data.set(descriptor, 4);
  const connection = request.accept({ privateData: data });
  void connection.whenEstablished().then(
    () => established++,
    (error: unknown) => wrong.push(String(error)),
  );
  void connection.whenClosed().then((event: ConnectionEvent) => {
    ended[event.type] = (ended[event.type] ?? 0) + 1;
    return connection.close();
  });
  return connection;
}

async function serveAll(endpoint: Endpoint, queue: CompletionQueue): Promise<void> {
  const byNumber = new Map<number, Connection>();
  const accepting = (async (): Promise<void> => {
    let next = 0;
    for await (const request of endpoint) {
      request.postReceive(receiveOf(next));
      const connection = accept(request, next++);
      byNumber.set(connection.queuePairNumber, connection);
    }
  })();
  for await (const batch of queue.batches({ capacity: 256 })) {
    for (let i = 0; i < batch.length; i++) {
      const connection = byNumber.get(batch.queuePairNumber(i));
      if (!batch.ok(i) || connection === undefined) {
        if (batch.status(i) !== 'flushed') wrong.push(`${batch.operation(i)} ${batch.status(i)}`);
      } else if (batch.operation(i) === 'receive') {
        const place = batch.id(i);
        answer(place);
        connection.postReceive(receiveOf(place));
        connection.postSend({ ...sendOf(place), completion: 'on-error' });
      }
    }
  }
  await accepting;
}

async function serveEach(endpoint: Endpoint): Promise<void> {
  let next = 0;
  for await (const request of endpoint) {
    const place = next++;
    const connection = accept(request, place);
    void (async () => {
      for (let receiving = connection.receive(receiveOf(place)); ;) {
        await receiving;
        answer(place);
        receiving = connection.receive(receiveOf(place));
        receiving.catch(() => undefined); // the end, which whenClosed() tells
        await connection.send(sendOf(place));
      }
    })().catch(() => undefined);
  }
}

const queue = tier === 'verbs' ? await peer.createCompletionQueue() : undefined;
const connection = { sendQueueSize: 4, receiveQueueSize: 2, completionQueue: queue };
const endpoint = await peer.listen('127.0.0.1', 0, { connection });
void (queue === undefined ? serveEach(endpoint) : serveAll(endpoint, queue));
report({ kind: 'ready', port: endpoint.port });

for await (const { kind } of commands<Question>()) {
  if (kind !== 'count') continue;
  report<Count>({ kind, established, ended, echoes, wrong, ...held() });
}
await endpoint.close();
await peer.close();
