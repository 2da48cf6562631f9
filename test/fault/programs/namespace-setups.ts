// SPDX-License-Identifier: BSD-3-Clause
//
// Runs inside a network namespace of its own, where addresses other than loopback's are its own:
// strangers from two of them leave connections half made at a listener on a third. Messages:
// refused (what the machine does not allow), served.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type Endpoint, Peer } from 'rpma';
import { report } from '../../support/child.js';
import { until, withDeadline } from '../../support/deadline.js';
import { encodeSetup, plainSetup } from '../../support/iwarp.js';
import { ip, type Refused, SetupRefusal, setUpNetwork } from '../../support/namespaces.js';

export interface Served {
  readonly kind: 'served';
  readonly bound: number;
}

const listening = '10.88.0.1';
const crowded = '10.88.0.2';
const other = '10.88.0.3';
const whole = encodeSetup(plainSetup('request'));
const sockets: Socket[] = [];

async function dial(endpoint: Endpoint, from: string): Promise<Socket> {
  const socket = connect({ host: listening, port: endpoint.port, localAddress: from });
  sockets.push(socket);
  socket.on('error', () => undefined);
  socket.resume();
  await withDeadline(once(socket, 'connect'), `a TCP connection from ${from}`);
  return socket;
}

async function halfOpen(endpoint: Endpoint, from: string, count: number): Promise<Socket[]> {
  const opened: Socket[] = [];
  for (let n = 0; n < count; n++) {
    const socket = await dial(endpoint, from);
    socket.write(whole.subarray(0, 7));
    opened.push(socket);
  }
  return opened;
}

function isOpen(socket: Socket): boolean {
  return !socket.readableEnded && !socket.destroyed;
}

/** One more from there is closed at once. */
async function isRefused(endpoint: Endpoint, from: string): Promise<void> {
  const socket = await dial(endpoint, from);
  await until(() => !isOpen(socket), `the newest from ${from} is closed`, 2000);
}

/** The rest of a Request arrives, and the listener has the request. */
async function isServed(endpoint: Endpoint, socket: Socket): Promise<void> {
  socket.write(whole.subarray(7));
  const request = await endpoint.take({ timeoutMs: 2000 });
  assert.ok(request !== null, 'a connection within the bound is served');
  request.destroy();
}

async function scenario(endpoint: Endpoint, bound: number): Promise<void> {
  const kept = await halfOpen(endpoint, crowded, bound);
  await isRefused(endpoint, crowded);
  const elsewhere = await halfOpen(endpoint, other, bound);
  await isRefused(endpoint, other);
  assert.ok([...kept, ...elsewhere].every(isOpen), 'those within the bound stay');
  for (const socket of [...kept, ...elsewhere]) await isServed(endpoint, socket);
  // A set-up that became a request, or left, gives its place back.
  const again = await halfOpen(endpoint, crowded, bound);
  await isRefused(endpoint, crowded);
  for (const socket of again) socket.destroy();
  await until(() => again.every((each) => each.closed), 'the strangers left');
  const [later] = await halfOpen(endpoint, crowded, 1);
  assert.ok(later !== undefined);
  await isServed(endpoint, later);
}

async function run(limits: { readonly pendingSetupsPerAddress?: number }, bound: number) {
  const peer = await Peer.open({ localAddress: listening });
  const endpoint = await peer.listen(listening, 0, { limits });
  await scenario(endpoint, bound);
  for (const socket of sockets.splice(0)) socket.destroy();
  peer.destroy();
  await peer.close();
  const served: Served = { kind: 'served', bound };
  report(served);
}

try {
  await setUpNetwork(() => {
    ip('link set lo up');
    for (const address of [listening, crowded, other]) ip(`addr add ${address}/32 dev lo`);
  });
  await run({}, 16);
  await run({ pendingSetupsPerAddress: 2 }, 2);
} catch (error) {
  if (!(error instanceof SetupRefusal)) throw error;
  const refused: Refused = { kind: 'refused', reason: error.message };
  report(refused);
}
process.exit(process.exitCode ?? 0);
