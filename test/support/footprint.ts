// SPDX-License-Identifier: BSD-3-Clause
//
// What a process holds, as the kernel and the addon count it: what grows from round to round of one
// and the same work leaks.

import { readdirSync, readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { native } from '../../lib/internal/native.js';
import { turn } from './deadline.js';

// V8's young generation grows with the pace of work, to dozens of megabytes that stay; kept as it
// is, what remains to be seen is what the work itself holds.
setFlagsFromString('--semi-space-growth-factor=1');

export interface Footprint {
  readonly rssKiB: number;
  readonly descriptors: number;
  readonly threads: number;
  /** Live native objects by kind; null in the release flavour, which does not tell. */
  readonly live: Readonly<Record<string, number>> | null;
}

export function footprint(): Footprint {
  const pages = Number(readFileSync('/proc/self/statm', 'utf8').split(' ')[1]);
  return {
    rssKiB: pages * 4,
    // The listing holds a descriptor of its own.
    descriptors: readdirSync('/proc/self/fd').length - 1,
    threads: readdirSync('/proc/self/task').length,
    live: native.test?.counters() ?? null,
  };
}

/** What the later one holds more of, memory beyond the allowance; nothing when all is flat. */
export function growth(before: Footprint, later: Footprint, allowedKiB: number): string[] {
  const found: string[] = [];
  const compare = (what: string, first: number, second: number, allowed: number): void => {
    if (second > first + allowed) found.push(`${what}: ${first}, later ${second}`);
  };
  compare('descriptors', before.descriptors, later.descriptors, 0);
  compare('threads', before.threads, later.threads, 0);
  compare('KiB resident', before.rssKiB, later.rssKiB, allowedKiB);
  for (const [name, count] of Object.entries(later.live ?? {})) {
    compare(name, before.live?.[name] ?? 0, count, 0);
  }
  return found;
}

export function describeFootprint({ rssKiB, descriptors, threads }: Footprint): string {
  const mebibytes = (rssKiB / 1024).toFixed(1);
  return `${mebibytes} MiB, ${descriptors} descriptors, ${threads} threads`;
}

/** What is still held once the collector and the finalizers had their turns. */
export async function settledFootprint(): Promise<Footprint> {
  if (globalThis.gc === undefined) throw new Error('start node with --expose-gc');
  for (let round = 0; round < 8; round++) {
    globalThis.gc();
    await turn();
  }
  return footprint();
}
