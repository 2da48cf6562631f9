// SPDX-License-Identifier: BSD-3-Clause
//
// What the two ends of a thousand connections say to each other and to their test. Each connection
// has a place of its own in the server's memory: the client writes there and flushes, then sends a
// number; the server finds the number in the place, and answers with the next one.

import { readdirSync, readFileSync } from 'node:fs';
import type { Message } from '../../support/child.js';

export type Tier = 'verbs' | 'promise';

/** Of a connection, in the server's memory and in the client's. */
export const placeBytes = 64;
export const messageBytes = 8;

export interface Ready extends Message {
  readonly kind: 'ready';
  readonly port: number;
}

/** To the server: how it stands; to the client: the next step. The end of the input ends both. */
export interface Question extends Message {
  readonly kind: 'count' | 'work' | 'close';
}

export interface Held {
  readonly rssMiB: number;
  readonly descriptors: number;
  readonly threads: number;
}

export interface Count extends Held {
  readonly kind: 'count';
  readonly established: number;
  readonly ended: Readonly<Record<string, number>>;
  readonly echoes: number;
  /** What was not as it should be, the first few. */
  readonly wrong: readonly string[];
}

export interface Connected extends Held {
  readonly kind: 'connected';
  readonly ms: number;
}

export interface Worked extends Held {
  readonly kind: 'worked';
  readonly ms: number;
  readonly answers: number;
  readonly wrong: readonly string[];
}

export interface Closed extends Held {
  readonly kind: 'closed';
  readonly ms: number;
}

/** What this process holds, as the kernel counts it. */
export function held(): Held {
  return {
    rssMiB: Math.round(process.memoryUsage.rss() / 2 ** 20),
    // The listing holds a descriptor of its own.
    descriptors: readdirSync('/proc/self/fd').length - 1,
    threads: readdirSync('/proc/self/task').length,
  };
}

/** Descriptors that a process may have, as Node leaves it to a child: its hard limit. */
export function descriptorLimit(): number {
  const line = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
  return line?.[1] === 'unlimited' ? Infinity : Number(line?.[1]);
}
