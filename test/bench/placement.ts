// SPDX-License-Identifier: BSD-3-Clause
//
// Which processor a side of a trial runs on.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Processors of the two sides; null leaves them where the system puts them. */
export interface Placement {
  readonly target: number | null;
  readonly client: number | null;
}

export type Wish = 'one processor' | 'one each' | 'free';

/** Processors this process may run on. */
function allowedCpus(): number[] {
  const status = readFileSync('/proc/self/status', 'utf8');
  const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(status)?.[1] ?? '0';
  return list.split(',').flatMap((part) => {
    const [first = 0, last = first] = part.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, n) => first + n);
  });
}

const canPin = spawnSync('taskset', ['-V']).error === undefined;

/** Processors for a wish, or why there are none. */
export function place(wish: Wish): Placement | string {
  if (wish === 'free') return { target: null, client: null };
  const [first, second] = allowedCpus();
  if (!canPin) return 'taskset (util-linux) is missing';
  if (first === undefined) return 'no processor is known';
  if (wish === 'one processor') return { target: first, client: first };
  if (second === undefined) return 'this needs two processors';
  return { target: first, client: second };
}

/** How a child is started on a processor. */
export function pinned(cpu: number | null): { readonly prefix: readonly string[] } {
  return { prefix: cpu === null ? [] : ['taskset', '-c', String(cpu)] };
}
