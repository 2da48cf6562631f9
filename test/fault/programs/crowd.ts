// SPDX-License-Identifier: BSD-3-Clause
//
// A target that lets everybody in, and tells how much memory it takes. Messages: listening, then a
// measured for each measure.

import { Peer } from 'rpma';
import { nativeTest } from '../../support/native.js';
import { commands, type Message, report, toHex } from '../../support/child.js';
import { remoteUsage } from '../../support/world.js';
import type { Listening } from './target.js';

export interface Measured {
  readonly kind: 'measured';
  readonly established: number;
  readonly rssBytes: number;
  readonly stagingBytes: number;
}

const peer = await Peer.open({ localAddress: '127.0.0.1' });
const usage = remoteUsage;
const region = await peer.allocate(1 << 20, { usage });
region.bytes.fill(1);
const connection = { deadPeerTimeoutMs: 60_000, receiveQueueSize: 1, sendQueueSize: 1 };
const endpoint = await peer.listen('127.0.0.1', 0, { connection });
let established = 0;

async function serve(): Promise<void> {
  for await (const request of endpoint) {
    const accepted = request.accept();
    void accepted.whenEstablished().then(
      () => established++,
      () => undefined,
    );
  }
}

async function answer(): Promise<void> {
  for await (const { kind } of commands<Message>()) {
    if (kind !== 'measure') break;
    globalThis.gc?.();
    const measured: Measured = {
      kind: 'measured',
      established,
      rssBytes: process.memoryUsage.rss(),
      stagingBytes: nativeTest().counters()['staging_bytes'] ?? 0,
    };
    report(measured);
  }
}

const listening: Listening = {
  kind: 'listening',
  port: endpoint.port,
  descriptor: toHex(region.toDescriptor()),
};
report(listening);
void serve();
await answer();
process.exit(0);
