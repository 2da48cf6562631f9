// SPDX-License-Identifier: BSD-3-Clause
//
// Reads the names of many clients, in one thread that waits in epoll(7) for all of them at once and
// never lets its event loop turn. The two queues of a connection share a completion channel, which
// tells which of them has something. See README.md.

import '../common/failure.js';
import {
  completionError,
  type CompletionQueue,
  type Connection,
  type ConnectionEvent,
  Epoll,
  type IncomingRequest,
  MemoryUsage,
  Peer,
  type Source,
} from 'rpma';
import { readArguments, readCount } from '../common/arguments.js';
import { unpackCommonData } from '../common/common-data.js';
import { announce } from '../common/connection.js';
import { nameBytes, readName } from '../common/names.js';

const clientsMax = 10;
const silenceMs = 15_000;

const {
  address,
  port,
  rest: [countText],
} = readArguments('server <address> <port> [<clients>]');
const count = countText === undefined ? Infinity : readCount('<clients>', countText, 1_000_000);

await using peer = await Peer.open({ localAddress: address });
const usage = MemoryUsage.ReadDestination;
await using names = await peer.allocate(clientsMax * nameBytes, { usage });
// Receives would complete in the second queue; this server posts none.
const connectionOptions = { sharedCompletionChannel: true, receiveCompletionQueueSize: 10 };
await using endpoint = await peer.listen(address, port, { connection: connectionOptions });
announce(endpoint);
console.log('Today I have got in touch with:');

const slots = new Array<Connection | null>(clientsMax).fill(null);
let gone = 0;
let failure: Error | undefined; // the first, told at the end: one client must not end the server

using epoll = new Epoll<() => void>(); // what is attached to each descriptor: what serves it
epoll.add(endpoint, welcome);
while (gone < count) {
  const ready = epoll.waitSync(silenceMs);
  if (ready.length === 0) {
    console.error('Server timed out.');
    break;
  }
  for (const { data: serve } of ready) serve();
}
for (const connection of slots) connection?.destroy();
if (failure !== undefined) throw failure;

function welcome(): void {
  for (let request = endpoint.tryTake(); request !== null; request = endpoint.tryTake()) {
    const slot = slots.indexOf(null);
    if (slot >= 0) {
      admit(slot, request);
    } else {
      request.reject();
      console.error('All slots are busy: a client was rejected.');
    }
  }
}

function admit(slot: number, request: IncomingRequest): void {
  const { privateData } = request;
  const connection = request.accept();
  slots[slot] = connection;
  epoll.add(channelOf(connection), () => completions(slot, connection));
  epoll.add(connection.events, () => {
    const { events } = connection;
    for (let event = events.tryTake(); event !== null; event = events.tryTake()) {
      if (event.type === 'established') readFrom(slot, connection, privateData);
      else leave(slot, connection, event);
    }
  });
}

function readFrom(slot: number, connection: Connection, privateData: Uint8Array): void {
  try {
    const { region: remote } = unpackCommonData(privateData);
    const localOffset = slot * nameBytes;
    connection.postRead({ local: names, localOffset, remote, length: nameBytes });
  } catch (error) {
    failure ??= error as Error;
    connection.disconnect();
  }
}

function channelOf(connection: Connection): Source<CompletionQueue> {
  if (connection.completionChannel === null) throw new Error('the channel is not shared');
  return connection.completionChannel;
}

/** There is one: of the read. Whatever it says, the client has been served. */
function completions(slot: number, connection: Connection): void {
  const channel = channelOf(connection);
  for (let queue = channel.tryTake(); queue !== null; queue = channel.tryTake()) {
    for (const completion of queue.poll()) {
      if (completion.ok) console.log(`- ${readName(names.view(slot * nameBytes, nameBytes))}`);
      else failure ??= completionError(completion);
      connection.disconnect();
    }
  }
}

function leave(slot: number, connection: Connection, { type, error }: ConnectionEvent): void {
  completions(slot, connection); // what came before the end
  if (type !== 'closed') failure ??= error;
  connection.destroy(); // its descriptors leave the epoll by themselves
  slots[slot] = null;
  gone++;
}
