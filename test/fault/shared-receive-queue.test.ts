// SPDX-License-Identifier: BSD-3-Clause
//
// What a shared receive queue, and a connection that uses it, acquire may be refused: then there is
// an error with a documented code, nothing is left behind, and the next attempt succeeds.

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import type { Connection, Endpoint, Peer } from 'rpma';
import { conform } from '../support/conform.js';
import { choices, type Pair, type Row, sweepRows, withPeers } from './sweep/in-process.js';

/** Both ends; the first that fails says why, and the other is not waited for. */
async function both(from: Peer, endpoint: Endpoint): Promise<Pair> {
  const stop = new AbortController();
  const failed = (error: unknown): never => {
    stop.abort(error);
    throw error;
  };
  const accept = async (): Promise<Connection> => {
    const request = await endpoint.take({ signal: stop.signal });
    assert.ok(request !== null);
    return request.accept().whenEstablished({ signal: stop.signal });
  };
  const { signal } = stop;
  const dialling = from.connect('127.0.0.1', endpoint.port, { connection: choices, signal });
  const ends = await Promise.allSettled([dialling.catch(failed), accept().catch(failed)]);
  const [initiator, target] = ends.map((end) => {
    if (end.status === 'rejected') throw stop.signal.reason;
    return end.value;
  });
  assert.ok(initiator !== undefined && target !== undefined);
  return { initiator, target };
}

/** A message comes out of a shared queue: of its own completion queue, or of the connection's. */
async function exchange(from: Peer, to: Peer, completions: number): Promise<void> {
  const queue = await to.createSharedReceiveQueue({
    receiveQueueSize: 50,
    receiveCompletionQueueSize: completions,
  });
  const endpoint = await to.listen('127.0.0.1', 0, {
    connection: { ...choices, sharedReceiveQueue: queue },
  });
  const { initiator, target } = await both(from, endpoint);
  queue.postReceive({ length: 0, id: 5 });
  await initiator.send({ length: 0 });
  const place = queue.completionQueue ?? target.completionQueue;
  const done = await place.take({ timeoutMs: 2000 });
  assert.equal(done?.id, 5);
  await target.close();
  await queue.close();
}

const rows: readonly Row[] = [
  ['iwarp.completion-ring', 'ENOMEM', 4],
  ['iwarp.send-slots', 'ENOMEM', 2],
  ['addon.handle', 'ENOMEM', 6],
];

for (const [name, completions] of [
  ['with a completion queue', 4],
  ['without a completion queue', 0],
] as const) {
  conform(`a shared receive queue ${name}`, (suite) => {
    sweepRows(suite, rows, () => withPeers({}, (from, to) => exchange(from, to, completions)));
  });
}
