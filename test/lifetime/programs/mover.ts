// SPDX-License-Identifier: BSD-3-Clause
//
// A worker through whose hands connections go: it adopts one, works on it with whatever tier is
// free, and gives it on with operations in flight and completions unread. Told by workerData;
// messages in: a Turn; messages out: a Done.

import { parentPort, workerData } from 'node:worker_threads';
import {
  Connection,
  type HandOverTicket,
  isRpmaError,
  MemoryRegion,
  Peer,
  RemoteRegion,
} from 'rpma';
import { until } from '../../support/deadline.js';
import { Ledger, type LedgerPage } from '../../support/ledger.js';
import { SeededRandom } from '../../support/random.js';

export interface MoverOptions {
  readonly peer: HandOverTicket;
  readonly local: HandOverTicket;
  readonly descriptor: Uint8Array;
}

export interface Turn {
  readonly ticket: HandOverTicket;
  readonly firstId: number;
  readonly seed: number;
}

export interface Done {
  readonly ticket: HandOverTicket;
  readonly page: LedgerPage;
  /** Awaited writes that came true. */
  readonly awaited: number;
  readonly claim: string;
}

const options = workerData as MoverOptions;
const peer = Peer.adopt(options.peer);
const local = MemoryRegion.adopt(options.local);
const remote = RemoteRegion.fromDescriptor(options.descriptor);

/** Reads some of what is there, in one of the ways of the verbs tier; leaves the rest. */
async function read(connection: Connection, ledger: Ledger, random: SeededRandom): Promise<void> {
  for (const queue of [connection.completionQueue, connection.receiveCompletionQueue]) {
    if (queue === null || queue.claimedBy === 'promise-tier') continue;
    const way = random.below(4);
    if (way === 0) ledger.add(...queue.poll(random.between(1, 20)));
    if (way === 1) {
      const one = queue.tryTake(); // up to 16 are fetched by this
      if (one !== null) ledger.add(one);
    }
    if (way === 2) {
      const one = await queue.take({ timeoutMs: random.between(1, 3) });
      if (one !== null) ledger.add(one);
    }
  }
}

/** Reads the send queue empty, so that either tier may have it next. */
async function readAll(connection: Connection, ledger: Ledger): Promise<void> {
  const { completionQueue: queue, config } = connection;
  // An on-error operation that succeeds has no completion to wait for, but gives its place back.
  await until(() => {
    ledger.add(...queue.poll(64));
    return connection.sendQueueFree === config.sendQueueSize;
  }, 'every outcome');
}

/**
 * Awaited writes; how many came true, 0 when posted ones are still in the queue. `leaveOne`: one is
 * on its way at the end; without it the queue is idle, and nobody's for the next.
 */
async function awaitSome(
  connection: Connection,
  count: number,
  leaveOne: boolean,
): Promise<number> {
  const write = { local, remote, length: 64, until: 'delivered' } as const;
  try {
    await connection.write(write);
  } catch (error) {
    if (isRpmaError(error) && error.code === 'ERR_RPMA_QUEUE_CLAIMED') return 0;
    throw error;
  }
  await Promise.all(Array.from({ length: count }, () => connection.write(write)));
  if (!leaveOne) return count + 1;
  // One that nobody waits for any more goes on with the next.
  const abort = new AbortController();
  const late = connection.write({ ...write, signal: abort.signal, length: 4096 });
  abort.abort();
  await late.catch(() => undefined);
  return count + 1;
}

async function work({ ticket, firstId, seed }: Turn): Promise<Done> {
  const random = new SeededRandom(seed);
  const connection = Connection.adopt(ticket);
  if (connection.peer !== peer) throw new Error('it belongs to another peer');
  const ledger = new Ledger(firstId);
  const claim = connection.completionQueue.claimedBy;
  const mayAwait = claim === 'promise-tier' || (claim === 'nobody' && random.below(2) === 0);
  const awaited = mayAwait
    ? await awaitSome(connection, random.between(1, 12), random.below(2) === 0)
    : 0;
  if (awaited === 0) {
    const load = { connection, local, remote, random, lengths: [1, 64, 4096], sends: false };
    for (let bursts = random.between(1, 3); bursts > 0; bursts--) {
      ledger.fill(load);
      await read(connection, ledger, random);
    }
    if (random.below(3) === 0) await readAll(connection, ledger);
  }
  return { ticket: connection.handOver(), page: ledger.page, awaited, claim };
}

parentPort?.on('message', (turn: Turn) => {
  void work(turn).then((done) => parentPort?.postMessage(done));
});
