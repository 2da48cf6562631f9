// SPDX-License-Identifier: BSD-3-Clause
//
// The rows about connections themselves: setting one up and closing it, what an idle one costs in
// memory, and how often a process with a thousand of them wakes up.

import { readdirSync, readFileSync } from 'node:fs';
import { Child, type Message } from '../support/child.js';
import { pinned } from './placement.js';
import type { Row, Trial, TrialContext } from './row.js';

export interface SetUps {
  readonly kind: 'set-ups';
  readonly medianMs: number;
  readonly provider: string;
}

/** To a holder: make (or accept) so many connections more, and say when they are there. */
export interface Hold extends Message {
  readonly kind: 'hold';
  readonly count: number;
}

export interface Holding {
  readonly kind: 'holding';
  readonly rssBytes: number;
}

export interface HolderReady {
  readonly kind: 'ready';
  readonly port: number;
  readonly provider: string;
}

const idleConnections = 1000;
/** What the first connections bring (code, tables, arenas) is not the price of one more. */
const warmUpConnections = 100;

async function setUp({ seconds, placement }: TrialContext): Promise<Trial> {
  const program = new URL('./set-ups-program.js', import.meta.url);
  const child = Child.spawn(program, [String(seconds)], pinned(placement.client));
  try {
    const { medianMs, provider } = await child.expect<SetUps>('set-ups', 30_000 + seconds * 2000);
    await child.ended;
    return { value: medianMs, baseline: null, provider };
  } finally {
    await child.kill();
  }
}

interface Pair {
  readonly target: Child;
  readonly initiator: Child;
  readonly provider: string;
}

/** Two processes with the idle connections between them, while `measure` runs. */
async function withIdle<T>(
  measure: (pair: Pair, grownBytes: number) => Promise<T>,
): Promise<{ value: T; provider: string }> {
  const program = new URL('./holder-program.js', import.meta.url);
  const target = Child.spawn(program, ['target']);
  let initiator: Child | null = null;
  try {
    const { port, provider } = await target.expect<HolderReady>('ready');
    initiator = Child.spawn(program, ['initiator', String(port)]);
    await initiator.expect<HolderReady>('ready');
    const sides = [target, initiator];
    const hold = async (count: number): Promise<number[]> => {
      const command: Hold = { kind: 'hold', count };
      for (const side of sides) side.send(command);
      const held = sides.map((side) => side.expect<Holding>('holding', 60_000));
      return (await Promise.all(held)).map(({ rssBytes }) => rssBytes);
    };
    const before = await hold(warmUpConnections);
    const after = await hold(idleConnections);
    const grown = after.map((bytes, n) => bytes - (before[n] ?? 0));
    return { value: await measure({ target, initiator, provider }, Math.max(...grown)), provider };
  } finally {
    await initiator?.kill();
    await target.kill();
  }
}

async function idleMemory(): Promise<Trial> {
  const idle = await withIdle((_, grownBytes) => Promise.resolve(grownBytes / idleConnections));
  return { value: Math.round(idle.value), baseline: null, provider: idle.provider };
}

/** How often the threads of a process have given up the processor: each time, something woke it. */
function wakeUps(pid: number): number {
  let sum = 0;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const status = readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8');
    sum += Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(status)?.[1]);
  }
  return sum;
}

async function idleWakeUps({ seconds }: TrialContext): Promise<Trial> {
  const windowMs = Math.max(3000, seconds * 1000);
  const idle = await withIdle(async ({ target, initiator }) => {
    const pids = [target, initiator].map(({ process }) => process.pid ?? 0);
    // What follows the set-up (collections, the last timers) is over soon.
    await new Promise((resolve) => setTimeout(resolve, 2000));
    const before = pids.map(wakeUps);
    await new Promise((resolve) => setTimeout(resolve, windowMs));
    const counts = pids.map((pid, n) => wakeUps(pid) - (before[n] ?? 0));
    return (Math.max(...counts) * 1000) / windowMs;
  });
  return { value: idle.value, baseline: null, provider: idle.provider };
}

const common = {
  sizeBytes: 0,
  yardstick: null,
  isRate: false,
  aim: null,
} as const;

export const connectionRows: readonly Row[] = [
  {
    ...common,
    name: 'connection_setup',
    what: 'connect + accept + close',
    unit: 'ms',
    placement: 'one processor',
    bar: 1,
    run: setUp,
  },
  {
    ...common,
    name: 'idle_connection_memory',
    what: 'RSS of one more idle connection, the larger end',
    unit: 'bytes',
    placement: 'free',
    bar: 32 * 1024,
    aim: 8 * 1024,
    run: idleMemory,
  },
  {
    ...common,
    name: 'idle_wakeups',
    what: 'wake-ups of a process with 1,000 idle connections',
    unit: '1/s',
    placement: 'free',
    bar: 2,
    run: idleWakeUps,
  },
];
