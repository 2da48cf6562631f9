// SPDX-License-Identifier: BSD-3-Clause
//
// Every system call of the provider fails once, early in a small scenario: open, listen, connect,
// write and flush, close. Whatever comes of it is an error with a documented code or a success;
// every accepted operation has one outcome; nothing native is left behind; and the same scenario
// succeeds right after.

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import {
  type Connection,
  type Endpoint,
  isRpmaError,
  MemoryUsage,
  Peer,
  type ProviderName,
  RemoteRegion,
} from 'rpma';
import { conform } from '../support/conform.js';
import { timed, until, withDeadline } from '../support/deadline.js';
import { Ledger } from '../support/ledger.js';
import { documentedCodes, nativeTest } from '../support/native.js';
import { remoteUsage, takeRest } from '../support/world.js';

const { ECONNABORTED, ECONNREFUSED, ECONNRESET } = constants.errno;
const { EADDRINUSE, EMFILE, ENETUNREACH, ENOBUFS, ENOMEM, ENOSPC, EPIPE } = constants.errno;
/** No outcome waits for a deadline of the connection. */
const promptMs = 3000;

/** Fault point, errno, and how many of its hits a scenario surely reaches. */
const points: readonly (readonly [string, number, number])[] = [
  ['iwarp.socket', EMFILE, 2],
  ['iwarp.bind', EADDRINUSE, 1],
  ['iwarp.listen', EADDRINUSE, 1],
  ['iwarp.accept', EMFILE, 2],
  ['iwarp.accept', ECONNABORTED, 2],
  ['iwarp.connect', ECONNREFUSED, 1],
  ['iwarp.connect', ENETUNREACH, 1],
  ['iwarp.recv', ECONNRESET, 4],
  ['iwarp.recv', ENOMEM, 2],
  ['iwarp.sendmsg', EPIPE, 4],
  ['iwarp.sendmsg', ENOBUFS, 2],
  ['iwarp.eventfd', EMFILE, 2],
  ['iwarp.epoll_create1', EMFILE, 2],
  ['iwarp.epoll_ctl', ENOSPC, 5],
  ['iwarp.send-request', EPIPE, 1],
  ['iwarp.send-reply', EPIPE, 1],
];

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

interface Pair {
  readonly initiator: Connection;
  readonly target: Connection;
}

const choices = { connectTimeoutMs: 4000, closeTimeoutMs: 1000, sendQueueSize: 8 };

/** An end that never comes is no error of the library, so it fails the test. */
function established(connection: Connection): Promise<Connection> {
  return withDeadline(connection.whenEstablished(), 'an outcome of the set-up', 8000);
}

async function dial(from: Peer, port: number): Promise<Connection> {
  const request = await from.createConnectionRequest('127.0.0.1', port, { connection: choices });
  try {
    return await established(request.connect());
  } catch (error) {
    request.destroy(); // nothing to do when it is spent
    throw error;
  }
}

async function answer(endpoint: Endpoint, signal: AbortSignal): Promise<Connection> {
  const request = await endpoint.take({ connection: choices, signal });
  assert.ok(request !== null, 'the endpoint ended');
  return established(request.accept());
}

/** Both ends; when one fails the other is not waited for. */
async function connect(from: Peer, endpoint: Endpoint): Promise<Pair> {
  const stop = new AbortController();
  const failed = (error: unknown): never => {
    stop.abort();
    throw error;
  };
  const [dialled, answered] = await Promise.allSettled([
    dial(from, endpoint.port).catch(failed),
    answer(endpoint, stop.signal).catch(failed),
  ]);
  // Who was told first has the cause; the other's is that its wait was given up.
  const reasons: unknown[] = [];
  if (dialled.status === 'rejected') reasons.push(dialled.reason);
  if (answered.status === 'rejected') reasons.push(answered.reason);
  if (reasons.length > 0) throw reasons.find((reason) => !isRpmaError(reason)) ?? reasons[0];
  assert.ok(dialled.status === 'fulfilled' && answered.status === 'fulfilled');
  return { initiator: dialled.value, target: answered.value };
}

/** Writes and flushes; every accepted one has its outcome, and the first failure is thrown. */
async function operate({ initiator, target }: Pair, from: Peer, to: Peer): Promise<void> {
  const usage = MemoryUsage.WriteSource | MemoryUsage.ReadDestination;
  const local = await from.allocate(4096, { usage });
  const lent = await to.allocate(4096, { usage: remoteUsage });
  const remote = RemoteRegion.fromDescriptor(lent.toDescriptor());
  const ledger = new Ledger();
  for (let n = 0; n < 2; n++) {
    const range = { local, remote, length: 4096 };
    const flush = { remote, length: 4096, type: 'visibility' as const };
    ledger.post('on-error', (id) => initiator.postWrite({ ...range, id, completion: 'on-error' }));
    ledger.post('always', (id) => initiator.postWrite({ ...range, id }));
    ledger.post('always', (id) => initiator.postFlush({ ...flush, id }));
    ledger.post('always', (id) => initiator.postRead({ ...range, id }));
    ledger.post('always', (id) => target.postReceive({ length: 0, id }));
  }
  for (let n = 0; n < 6 && initiator.state === 'established'; n++) {
    const done = await initiator.completionQueue.take({ timeoutMs: 3000 });
    if (done === null) break;
    ledger.add(done);
    if (!done.ok) break;
  }
  const ended = Promise.all([initiator.close(), target.close()]);
  ledger.add(...(await takeRest(initiator.completionQueue, 5000)));
  ledger.add(...(await takeRest(target.completionQueue, 5000)));
  await withDeadline(ended, 'both connections close', 5000);
  ledger.audit();
  for (const connection of [initiator, target]) {
    const { error } = await connection.whenClosed();
    if (error !== undefined) throw error;
  }
}

/** Opens, uses and closes everything; what it opened is closed when it failed, too. */
async function scenario(provider: ProviderName): Promise<void> {
  const peers: Peer[] = [];
  const open = async (): Promise<Peer> => {
    const peer = await Peer.open({ localAddress: '127.0.0.1', provider });
    peers.push(peer);
    return peer;
  };
  try {
    const from = await open();
    const to = await open();
    const endpoint = await to.listen('127.0.0.1', 0, { connection: choices });
    await operate(await connect(from, endpoint), from, to);
  } finally {
    for (const peer of peers) peer.destroy();
    await withDeadline(Promise.all(peers.map((peer) => peer.close())), 'peers close', 5000);
  }
}

/** Native objects alive, without the threads that a process keeps for its life. */
function alive(): string {
  return JSON.stringify(nativeTest().counters());
}

conform('fault sweep', ({ provider, it }) => {
  if (provider !== 'iwarp') return;

  it('names every point of the provider', () => {
    const swept = new Set(points.map(([name]) => name));
    const all = nativeTest().faultNames();
    assert.deepEqual(
      all.filter((name) => name.startsWith('iwarp.') && !swept.has(name)),
      [],
    );
  });

  for (const [name, errno, reached] of points) {
    const word = Object.entries(constants.errno).find(([, value]) => value === errno)?.[0];
    for (let nth = 1; nth <= reached; nth++) {
      it(`${name} fails with ${word} at hit ${nth}`, async (world) => {
        await scenario(provider); // threads and tables that stay are made by it
        const before = alive();
        world.after(() => nativeTest().faultClear());
        nativeTest().faultSet(name, nth, 1, errno, 0);
        const attempt = outcomeOf(scenario(provider));
        const within = withDeadline(attempt, 'the scenario ends', 20_000);
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
        await withDeadline(scenario(provider), 'the same scenario without the fault', 10_000);
      });
    }
  }
});
