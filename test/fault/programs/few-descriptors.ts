// SPDX-License-Identifier: BSD-3-Clause
//
// A target that is started with few descriptors, and takes all that are left when it is told to.
// Messages: listening, exhausted, a told for each message of `rpma:error`, freed, established.

import { subscribe } from 'node:diagnostics_channel';
import { closeSync, openSync } from 'node:fs';
import { Peer } from 'rpma';
import { channels, type ErrorReport } from 'rpma/diagnostics';
import { commands, type Message, report } from '../../support/child.js';

export interface Told {
  readonly kind: 'told';
  readonly what: string;
  readonly count: number;
  readonly address: string | null;
  readonly code: string;
  readonly errno: number | undefined;
  readonly syscall: string | undefined;
}

const peer = await Peer.open({ localAddress: '127.0.0.1' });
const endpoint = await peer.listen('127.0.0.1', 0);
subscribe(channels.error, (message) => {
  const { kind, count, address, error } = message as ErrorReport;
  const { code, errno, syscall } = error;
  const told: Told = { kind: 'told', what: kind, count, address, code, errno, syscall };
  report(told);
});
report({ kind: 'listening', port: endpoint.port, descriptor: '' });

const taken: number[] = [];

/** Every descriptor that is left. */
function exhaust(): void {
  for (;;) {
    try {
      taken.push(openSync('/dev/null', 'r'));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EMFILE') return;
      throw error;
    }
  }
}

for await (const { kind } of commands<Message>()) {
  if (kind === 'exhaust') {
    exhaust();
    report({ kind: 'exhausted' });
  } else if (kind === 'free') {
    for (const fd of taken.splice(0)) closeSync(fd);
    report({ kind: 'freed' });
    const request = await endpoint.take();
    await request?.accept().whenEstablished();
    report({ kind: 'established' });
  } else {
    break;
  }
}
process.exit(0);
