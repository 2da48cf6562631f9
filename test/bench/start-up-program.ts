// SPDX-License-Identifier: BSD-3-Clause
//
// Imports the entry that its argument names and opens a peer, once. Message to the driver: opened.

import type * as Rpma from 'rpma';
import type { Opened } from './start-up.js';

const entry = process.argv[2] ?? '';
const start = performance.now();
const { Peer } = (await import(entry)) as typeof Rpma;
const peer = await Peer.open({ localAddress: '127.0.0.1' });
const opened: Opened = {
  kind: 'opened',
  ms: performance.now() - start,
  provider: peer.provider,
};
const { report } = await import('../support/child.js');
report(opened);
await peer.close();
