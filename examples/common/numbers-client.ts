// SPDX-License-Identifier: BSD-3-Clause
//
// The client of the examples that exchange numbers with promises (08, 08srq, 13): sends a number,
// takes the answer as the next one, and so on; then sends the end. It awaits promises (the promise
// tier).

import { setTimeout as delay } from 'node:timers/promises';
import { type Connection, MemoryUsage, Peer } from 'rpma';
import { readClientArguments, readCount, readWord } from './arguments.js';
import { waitAndDisconnect } from './connection.js';

export const messageBytes = 8;
/** The number that ends the exchange. */
export const endOfMessages = 0xffff_ffff_ffff_ffffn;

/** `exchangesOf`: how many of the rounds asked for; `leave`: which side disconnects. */
export async function runNumbersClient(
  exchangesOf: (rounds: number) => number = (rounds) => rounds,
  leave: (connection: Connection) => Promise<unknown> = waitAndDisconnect,
): Promise<void> {
  const {
    address,
    port,
    rest: [seed, roundsText, sleepText = '0'],
  } = readClientArguments('client <address> <port> <seed> <rounds> [<sleep-us>]', 2);
  let value = readWord('<seed>', seed);
  const exchanges = exchangesOf(readCount('<rounds>', roundsText, Number.MAX_SAFE_INTEGER));
  const sleepMs = readCount('<sleep-us>', sleepText, 3_600_000_000) / 1_000;

  await using peer = await Peer.open({ remoteAddress: address });
  await using memory = await peer.allocate(2 * messageBytes, {
    usage: MemoryUsage.Receive | MemoryUsage.Send,
  });
  const words = new BigUint64Array(memory.bytes.buffer, memory.bytes.byteOffset, 2); // in, out
  const send = { local: memory, localOffset: messageBytes, length: messageBytes };

  await using connection = await peer.connect(address, port);
  for (let exchange = 0; exchange < exchanges; exchange++) {
    // The receive is posted before the send that provokes the answer.
    const answer = connection.receive({ local: memory, localOffset: 0, length: messageBytes });
    console.log(`Value sent: ${value}`);
    words[1] = value;
    const [{ length }] = await Promise.all([answer, connection.send(send)]);
    if (length !== messageBytes) throw new Error(`received ${length} bytes, not ${messageBytes}`);
    value = words[0] ?? 0n;
    console.log(`Value received: ${value}`);
    if (sleepMs > 0) await delay(sleepMs);
  }
  words[1] = endOfMessages;
  await connection.send(send);
  await leave(connection);
}
