// SPDX-License-Identifier: BSD-3-Clause
//
// Connects, exchanges a greeting in the private data, and waits until the server disconnects. A
// server that does not listen yet answers with a rejection, so that is tried again. See README.md.

import '../common/failure.js';
import { setTimeout as delay } from 'node:timers/promises';
import { type Connection, isRpmaError, Peer } from 'rpma';
import { readClientArguments } from '../common/arguments.js';
import { waitAndDisconnect } from '../common/connection.js';
import { readText } from '../common/hello.js';

const attemptsMax = 10;
const retryDelayMs = 5_000;

const { address, port } = readClientArguments('client <address> <port>');
await using peer = await Peer.open({ remoteAddress: address });

await using connection = await connectPatiently();
console.log(`Received a message: ${readText(connection.privateData)}`);
await waitAndDisconnect(connection);

async function connectPatiently(): Promise<Connection> {
  const privateData = new TextEncoder().encode('Hello server!\0');
  for (let attempt = 1; ; attempt++) {
    try {
      return await peer.connect(address, port, { privateData });
    } catch (error) {
      const rejected = isRpmaError(error) && error.code === 'ERR_RPMA_REJECTED';
      if (!rejected || attempt === attemptsMax) throw error;
      console.error('Retrying...');
      await delay(retryDelayMs);
    }
  }
}
