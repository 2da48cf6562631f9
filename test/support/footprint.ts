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
  return steadyGrowth([before, later], allowedKiB);
}

/**
 * What grew over rounds of one and the same work. Counts must be flat from the first look to the
 * last. Memory leaks in every round, whereas allocators and the compiler take theirs now and then,
 * at once and for good: so the median of what the rounds added is held to the allowance.
 */
export function steadyGrowth(looks: readonly Footprint[], allowedKiB: number): string[] {
  const [first, last] = [looks[0], looks.at(-1)];
  if (first === undefined || last === undefined) throw new Error('no look at the process');
  const found: string[] = [];
  const compare = (what: string, before: number, after: number): void => {
    if (after > before) found.push(`${what}: ${before}, later ${after}`);
  };
  compare('descriptors', first.descriptors, last.descriptors);
  compare('threads', first.threads, last.threads);
  for (const [name, count] of Object.entries(last.live ?? {})) {
    compare(name, first.live?.[name] ?? 0, count);
  }
  const resident = looks.map(({ rssKiB }) => rssKiB);
  const added = resident.slice(1).map((each, n) => each - (resident[n] ?? 0));
  const median = added.toSorted((a, b) => a - b)[Math.floor(added.length / 2)] ?? 0;
  if (median > allowedKiB) found.push(`KiB resident: ${resident.join(', ')}`);
  return found;
}

/** In words: memory at each look, the rest at the last one. */
export function describeFootprints(looks: readonly Footprint[]): string {
  const mebibytes = looks.map(({ rssKiB }) => (rssKiB / 1024).toFixed(1)).join(', ');
  const last = looks.at(-1);
  return `${mebibytes} MiB, ${last?.descriptors} descriptors, ${last?.threads} threads`;
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
