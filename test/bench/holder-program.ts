// SPDX-License-Identifier: BSD-3-Clause
//
// Holds one end of many idle connections. Messages to the driver: ready, then holding for each hold
// command. Killed when the trial is over.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Connection, type Endpoint, Peer } from 'rpma';
import { commands, report } from '../support/child.js';
import type { Hold, HolderReady, Holding } from './connections.js';

const [role, port] = process.argv.slice(2);
const atOnce = 50;
const held: Connection[] = [];

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** What stays resident once garbage is gone. */
function rssBytes(): number {
  collect();
  collect();
  return process.memoryUsage.rss();
}

async function accept(endpoint: Endpoint, count: number): Promise<void> {
  for (let left = count; left > 0; left--) {
    const request = await endpoint.take();
    if (request === null) throw new Error('the endpoint gave no request');
    held.push(request.accept());
  }
  await Promise.all(held.slice(-count).map((connection) => connection.whenEstablished()));
}

async function connect(from: Peer, count: number): Promise<void> {
  for (let left = count; left > 0; left -= atOnce) {
    const some = Array.from({ length: Math.min(left, atOnce) }, () =>
      from.connect('127.0.0.1', Number(port)),
    );
    held.push(...(await Promise.all(some)));
  }
}

const peer = await Peer.open({ localAddress: '127.0.0.1' });
const endpoint = role === 'target' ? await peer.listen('127.0.0.1', 0) : null;
const ready: HolderReady = { kind: 'ready', port: endpoint?.port ?? 0, provider: peer.provider };
report(ready);
for await (const { count } of commands<Hold>()) {
  if (endpoint === null) await connect(peer, count);
  else await accept(endpoint, count);
  const holding: Holding = { kind: 'holding', rssBytes: rssBytes() };
  report(holding);
}
