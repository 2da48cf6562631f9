// SPDX-License-Identifier: BSD-3-Clause
//
// Imports the package and opens a peer, once. Message to the driver: opened.

import type { Opened } from './start-up.js';

const start = performance.now();
const { Peer } = await import('rpma');
const peer = await Peer.open({ localAddress: '127.0.0.1' });
const opened: Opened = {
  kind: 'opened',
  ms: performance.now() - start,
  provider: peer.provider,
};
const { report } = await import('../support/child.js');
report(opened);
await peer.close();
