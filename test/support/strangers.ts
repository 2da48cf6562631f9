// SPDX-License-Identifier: BSD-3-Clause
//
// Bare TCP connections to a listener, by the hundred, and the messages of `rpma:error` that they
// cause.

import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { channels, type ErrorReport, type ErrorReportKind } from 'rpma/diagnostics';
import { withDeadline } from './deadline.js';
import type { World } from './world.js';

/**
 * A stranger whose TCP connection is up; what it is sent is dropped. One that stays does not answer
 * FIN with its own.
 */
export async function dial(
  world: World,
  port: number,
  first?: Uint8Array,
  host: string = '127.0.0.1',
  stays: boolean = false,
): Promise<Socket> {
  const socket = connect({ host, port, allowHalfOpen: stays });
  socket.on('error', () => undefined);
  socket.resume();
  world.after(() => void socket.destroy());
  await withDeadline(once(socket, 'connect'), 'a TCP connection');
  if (first !== undefined) socket.write(first);
  return socket;
}

/** Neither side has ended it. */
export function isOpen(socket: Socket): boolean {
  return !socket.readableEnded && !socket.destroyed;
}

/** Every message of `rpma:error` from now on. */
export class Reports {
  readonly all: ErrorReport[] = [];

  constructor(world: World) {
    const take = (message: unknown): void => void this.all.push(message as ErrorReport);
    subscribe(channels.error, take);
    world.after(() => void unsubscribe(channels.error, take));
  }

  of(kind: ErrorReportKind): ErrorReport[] {
    return this.all.filter((report) => report.kind === kind);
  }

  /** How often it happened, by what was told so far. */
  count(kind: ErrorReportKind): number {
    return this.of(kind).reduce((sum, report) => sum + report.count, 0);
  }

  newest(kind: ErrorReportKind): ErrorReport {
    const report = this.of(kind).at(-1);
    assert.ok(report !== undefined, `no ${kind} was told`);
    return report;
  }
}
