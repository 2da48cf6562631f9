// SPDX-License-Identifier: BSD-3-Clause
//
// The sweep within one process: a scenario is run with a point's nth hit failing. Whatever comes of
// it is an error with a documented code or a success, and soon; nothing native is left behind; and
// the same scenario succeeds right after.

import '../../support/test-flavour.js';
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import {
  type Connection,
  type ConnectionOptions,
  type Endpoint,
  isRpmaError,
  Peer,
  type PeerOptions,
} from 'rpma';
import type { Suite } from '../../support/conform.js';
import { timed, turn, until, withDeadline } from '../../support/deadline.js';
import { documentedCodes, nativeTest } from '../../support/native.js';

/** No outcome waits for a deadline of the connection. */
const promptMs = 3000;

/** Fault point, errno, and how many of its hits a scenario surely reaches. */
export type Row = readonly [point: string, errno: string, reached: number];

/** Gives null on success and the error when the scenario failed in a way that it may. */
async function outcomeOf(scenario: Promise<void>): Promise<Error | null> {
  try {
    await scenario;
    return null;
  } catch (error) {
    assert.ok(isRpmaError(error), `not an error of the library: ${String(error)}`);
    assert.ok(documentedCodes.has(error.code), `${error.code} is documented`);
    return error;
  }
}

export interface Pair {
  readonly initiator: Connection;
  readonly target: Connection;
}

export const choices: ConnectionOptions = {
  connectTimeoutMs: 4000,
  closeTimeoutMs: 8000,
  sendQueueSize: 8,
};

/** An end that never comes is no error of the library, so it fails the test. */
function established(connection: Connection): Promise<Connection> {
  return withDeadline(connection.whenEstablished(), 'an outcome of the set-up', 8000);
}

async function dial(from: Peer, port: number, connection: ConnectionOptions): Promise<Connection> {
  const request = await from.createConnectionRequest('127.0.0.1', port, { connection });
  try {
    return await established(request.connect());
  } catch (error) {
    request.destroy(); // nothing to do when it is spent
    throw error;
  }
}

async function answer(
  endpoint: Endpoint,
  connection: ConnectionOptions,
  signal: AbortSignal,
): Promise<Connection> {
  const request = await endpoint.take({ connection, signal });
  assert.ok(request !== null, 'the endpoint ended');
  return established(request.accept());
}

/** Both ends; when one fails the other is not waited for. */
export async function connect(
  from: Peer,
  endpoint: Endpoint,
  options: ConnectionOptions = choices,
): Promise<Pair> {
  const stop = new AbortController();
  const failed = (error: unknown): never => {
    stop.abort();
    throw error;
  };
  const [dialled, answered] = await Promise.allSettled([
    dial(from, endpoint.port, options).catch(failed),
    answer(endpoint, options, stop.signal).catch(failed),
  ]);
  // Who was told first has the cause; the other's is that its wait was given up.
  const reasons: unknown[] = [];
  if (dialled.status === 'rejected') reasons.push(dialled.reason);
  if (answered.status === 'rejected') reasons.push(answered.reason);
  if (reasons.length > 0) throw reasons.find((reason) => !isRpmaError(reason)) ?? reasons[0];
  assert.ok(dialled.status === 'fulfilled' && answered.status === 'fulfilled');
  return { initiator: dialled.value, target: answered.value };
}

/** Two peers for a scenario; closed at its end, also when it fails. */
export async function withPeers(
  options: PeerOptions,
  scenario: (from: Peer, to: Peer) => Promise<void>,
): Promise<void> {
  const peers: Peer[] = [];
  const open = async (): Promise<Peer> => {
    const peer = await Peer.open({ localAddress: '127.0.0.1', ...options });
    peers.push(peer);
    return peer;
  };
  try {
    await scenario(await open(), await open());
  } finally {
    for (const peer of peers) peer.destroy();
    await withDeadline(Promise.all(peers.map((peer) => peer.close())), 'peers close', 5000);
  }
}

/**
 * Native objects alive, without the threads that a process keeps for its life. A queue that a
 * scenario did not read to its end goes with the collector.
 */
function alive(): string {
  globalThis.gc?.();
  return JSON.stringify(nativeTest().counters());
}

/** The same once the collector and the finalizers had their turns. */
async function settled(): Promise<string> {
  for (let round = 0; round < 8; round++) {
    alive();
    await turn();
  }
  return alive();
}

/** One test for each hit of each row. */
export function sweepRows(
  { it }: Suite,
  rows: readonly Row[],
  scenario: () => Promise<void>,
): void {
  for (const [name, word, reached] of rows) {
    const errno = Object.entries(constants.errno).find(([known]) => known === word)?.[1] ?? 0;
    for (let nth = 1; nth <= reached; nth++) {
      it(`${name} fails with ${word} at hit ${nth}`, async (world) => {
        await scenario(); // threads and tables that stay are made by it
        const before = await settled();
        world.after(() => nativeTest().faultClear());
        nativeTest().faultSet(name, nth, 1, errno, 0);
        const within = withDeadline(outcomeOf(scenario()), 'the scenario ends', 20_000);
        const { value: error, elapsedMs } = await timed(within);
        const hits = nativeTest().faultHits(name);
        assert.ok(hits >= nth, `${hits} hits`);
        assert.ok(elapsedMs < promptMs, `its outcome came after ${elapsedMs} ms`);
        world.test.diagnostic(error === null ? 'succeeds' : error.message);
        nativeTest().faultClear();
        await until(() => alive() === before, `nothing left behind: ${before}`, 5000).catch(
          (late: unknown) => {
            throw new Error(`${String(late)}, but ${alive()}`);
          },
        );
        await withDeadline(scenario(), 'the same scenario without the fault', 10_000);
      });
    }
  }
}
