// SPDX-License-Identifier: BSD-3-Clause
//
// Connects, accepts and closes, again and again, both ends in this process: the time of one round
// is what both ends and the network spend on it. Message to the driver: set-ups.

import { type Endpoint, Peer } from 'rpma';
import { report } from '../support/child.js';
import type { SetUps } from './connections.js';
import { quantile } from './statistics.js';

const seconds = Number(process.argv[2]);
const warmUp = 50;

const peer = await Peer.open({ localAddress: '127.0.0.1' });
const endpoint = await peer.listen('127.0.0.1', 0);

async function answer(from: Endpoint): Promise<void> {
  const request = await from.take();
  if (request === null) throw new Error('the endpoint gave no request');
  const connection = request.accept();
  await connection.whenClosed();
}

async function round(): Promise<void> {
  const answered = answer(endpoint);
  const connection = await peer.connect('127.0.0.1', endpoint.port);
  await connection.close();
  await answered;
}

for (let left = warmUp; left > 0; left--) await round();
const laps: number[] = [];
for (const end = performance.now() + seconds * 1000; performance.now() < end;) {
  const start = performance.now();
  await round();
  laps.push(performance.now() - start);
}
laps.sort((a, b) => a - b);
const setUps: SetUps = {
  kind: 'set-ups',
  medianMs: quantile(laps, 0.5),
  provider: peer.provider,
};
report(setUps);
await peer.close();
