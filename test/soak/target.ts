// SPDX-License-Identifier: BSD-3-Clause
//
// The target of the soak: lends the log's file to whoever connects and does nothing else. Its
// argument is a TargetOptions. Warm means that all is loaded; the file is mapped by 'serve'.

import { type Connection, type Endpoint, type MemoryRegion, Peer, PmemFile } from 'rpma';
import { commands, report } from '../support/child.js';
import { footprint } from '../support/footprint.js';
import { durableUsage } from '../support/world.js';
import type { Listening, Quiet, Stopped, TargetCommand, TargetOptions } from './protocol.js';

const { path, allowVolatile } = JSON.parse(process.argv[2] ?? '{}') as TargetOptions;
const peer = await Peer.open({ localAddress: '127.0.0.1' });
const open = new Set<Connection>();
let ends: string[] = [];
let onQuiet: (() => void) | null = null;

async function follow(connection: Connection): Promise<void> {
  open.add(connection);
  const { type } = await connection.whenClosed();
  open.delete(connection);
  ends.push(type);
  if (open.size === 0) onQuiet?.();
}

async function acceptAll(endpoint: Endpoint, region: MemoryRegion): Promise<void> {
  for await (const request of endpoint) {
    void follow(request.accept({ privateData: region.toDescriptor() }));
  }
}

async function untilQuiet(): Promise<void> {
  if (open.size === 0) return;
  await new Promise<void>((resolve) => {
    onQuiet = resolve;
  });
  onQuiet = null;
}

async function run(): Promise<void> {
  for await (const command of commands<TargetCommand>()) {
    if (command.kind === 'serve') {
      const file = await PmemFile.map(path, { allowVolatile });
      const region = await peer.register(file, { usage: durableUsage });
      const endpoint = await peer.listen('127.0.0.1', 0);
      void acceptAll(endpoint, region);
      report<Listening>({ kind: 'listening', port: endpoint.port });
    } else if (command.kind === 'quiet') {
      await untilQuiet();
      report<Quiet>({ kind: 'quiet', ends, footprint: footprint() });
      ends = [];
    } else {
      break;
    }
  }
}

report({ kind: 'warm' });
await run();
await untilQuiet();
await peer.close();
report<Stopped>({ kind: 'stopped' });
