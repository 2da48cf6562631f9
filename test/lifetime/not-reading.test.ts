// SPDX-License-Identifier: BSD-3-Clause
// flavour: test
//
// Endings towards a peer that lives and does not read: its process is stopped, or its window is
// closed. close() takes closeTimeoutMs and no more, region.close() takes a peer's connection that
// leaves its answer lying for a second, every operation has its outcome, and nothing is left
// behind.

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import type { Connection, MemoryRegion, RemoteRegion } from 'rpma';
import { Child, fromHex } from '../support/child.js';
import { conform } from '../support/conform.js';
import { lastFor, timed, withDeadline } from '../support/deadline.js';
import { type Footprint, growth, settledFootprint } from '../support/footprint.js';
import { Ledger } from '../support/ledger.js';
import { remoteUsage, takeOk, takeRest, type World } from '../support/world.js';
import { type Client, type Listening, memoryBytes, openClient } from './programs/endurance.js';

const acceptor = new URL('./programs/endurance.js', import.meta.url);
const reader = new URL('./programs/reader.js', import.meta.url);
const closeTimeoutMs = 400;
/** What a loaded machine may add to a bound; far below the next larger one (5 s). */
const slackMs = 3000;
const sendQueueSize = 512; // of 64 KiB each: more than the kernel buffers of both ends hold

/** What is held when all that is made once has been made. */
async function warmFootprint(world: World): Promise<Footprint> {
  const peer = await world.peer();
  await peer.listen('127.0.0.1', 0);
  await peer.close();
  return settledFootprint();
}

/** What is open at the end that was not at the beginning; the kernel's buffers are no leak. */
async function leftBehind(before: Footprint): Promise<string[]> {
  return growth(before, await settledFootprint(), 128 << 10);
}

function checkBound(elapsedMs: number, boundMs: number): void {
  const told = `${elapsedMs.toFixed(0)} ms of ${boundMs}`;
  assert.ok(elapsedMs > boundMs * 0.8 && elapsedMs < boundMs + slackMs, told);
}

interface Jam {
  readonly connection: Connection;
  readonly ledger: Ledger;
}

function dial({ peer, port }: Client): Promise<Connection> {
  const options = { sendQueueSize, closeTimeoutMs };
  return peer.connect('127.0.0.1', port, { connection: options });
}

/** Fills the send queue of a connection that does not get rid of it. */
function jam(connection: Connection, local: MemoryRegion, remote: RemoteRegion): Jam {
  const ledger = new Ledger();
  while (connection.sendQueueFree > 0) {
    const range = { local, remote, length: memoryBytes };
    ledger.post('always', (id) => connection.postWrite({ ...range, id }));
  }
  return { connection, ledger };
}

async function checkOutcomes({ connection, ledger }: Jam): Promise<void> {
  ledger.add(...(await takeRest(connection.completionQueue)));
  ledger.audit();
  assert.ok(ledger.failures > 0, 'the queue was stuck');
}

async function acceptorAndClient(world: World): Promise<[Child, Client]> {
  const child = Child.start(world.test, acceptor, ['target']);
  const { port, descriptor } = await child.expect<Listening>('listening');
  return [child, await openClient(port, fromHex(descriptor))];
}

/** A target here, whose memory a process of its own reads and reads until it is stopped. */
async function stoppedReader(world: World) {
  const pair = await world.pair({ target: { closeTimeoutMs } });
  const lent = await world.lend(pair, 1 << 26); // more than the kernel buffers hold
  const child = Child.start(world.test, reader, [String(pair.endpoint.port)]);
  const request = await pair.endpoint.take({ timeoutMs: 10_000, connection: { closeTimeoutMs } });
  assert.ok(request !== null);
  const connection = request.accept({ privateData: lent.region.toDescriptor() });
  await withDeadline(connection.whenEstablished(), 'established');
  await child.expect('reading');
  await child.stop();
  await lastFor(300); // until nothing more fits into the buffers between
  assert.equal(connection.state, 'established');
  return { pair, lent, connection, child };
}

conform('a peer that does not read', ({ it }) => {
  it('close() of many connections to a stopped process ends within the bound', async (world) => {
    const before = await warmFootprint(world);
    const [child, client] = await acceptorAndClient(world);
    const connections = await Promise.all(Array.from({ length: 4 }, () => dial(client)));
    await child.stop();
    const jams = connections.map((each) => jam(each, client.local, client.remote));
    await lastFor(300); // until nothing more fits into the buffers between
    const closings = jams.map(({ connection }) => timed(connection.close()));
    for (const { elapsedMs } of await Promise.all(closings)) checkBound(elapsedMs, closeTimeoutMs);
    for (const each of jams) await checkOutcomes(each);
    assert.equal(client.local.inFlight, 0);
    await withDeadline(client.local.close(), 'the region closes at once', slackMs);
    await client.peer.close();
    await child.kill();
    assert.deepEqual(await leftBehind(before), []);
  });

  it('so does close() of the whole peer', async (world) => {
    const before = await warmFootprint(world);
    const [child, client] = await acceptorAndClient(world);
    const connections = await Promise.all(Array.from({ length: 4 }, () => dial(client)));
    await child.stop();
    const jams = connections.map((each) => jam(each, client.local, client.remote));
    await lastFor(300);
    // Whoever reads a queue while its peer closes gets all of it; afterwards it is closed, too.
    const outcomes = Promise.all(jams.map(checkOutcomes));
    const { elapsedMs } = await timed(client.peer.close());
    checkBound(elapsedMs, closeTimeoutMs);
    await outcomes;
    await child.kill();
    assert.deepEqual(await leftBehind(before), []);
  });

  it('close() with answers owed to a stopped process ends within the bound', async (world) => {
    const { connection, lent, child } = await stoppedReader(world);
    const { elapsedMs } = await timed(connection.close());
    checkBound(elapsedMs, closeTimeoutMs);
    await withDeadline(lent.region.close(), 'the region closes at once', 800);
    await child.kill();
  });

  it("region.close() takes its connection after a second, and nobody else's", async (world) => {
    const { pair, connection, lent } = await stoppedReader(world);
    const other = await world.lend(pair, 4096);
    const { elapsedMs } = await timed(withDeadline(lent.region.close(), 'the region closes'));
    checkBound(elapsedMs, 1000);
    assert.equal((await withDeadline(connection.whenClosed(), 'its end')).type, 'lost');
    const local = await world.local(pair);
    pair.initiator.postRead({ local, remote: other.remote, length: 4096, id: 5 });
    assert.equal((await takeOk(pair.initiator.completionQueue)).id, 5);
  });

  it('close() against a closed window ends within the bound', async (world) => {
    const options = { sendQueueSize, closeTimeoutMs };
    const pair = await world.pair({ initiator: options });
    const local = await world.local(pair, memoryBytes);
    const { remote } = await world.lend(pair, memoryBytes, remoteUsage);
    // Nobody posts receives over there: the messages are parked, and then nothing is read.
    pair.initiator.postSend({ length: 0, completion: 'on-error' });
    const jammed = jam(pair.initiator, local, remote);
    await lastFor(300);
    const { elapsedMs } = await timed(pair.initiator.close());
    checkBound(elapsedMs, closeTimeoutMs);
    await checkOutcomes(jammed);
    assert.equal(local.inFlight, 0);
    await withDeadline(pair.target.close({ timeoutMs: closeTimeoutMs }), 'the other end');
  });
});
