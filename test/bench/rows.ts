// SPDX-License-Identifier: BSD-3-Clause
//
// The rows of the benchmark: what is measured, beside which yardstick, with which bar. Budgets
// are ratios to the yardstick of the same run, because a figure alone says more about the
// machine.

import { type Spread } from './statistics.js';
import type { Placement, Shape } from './trial.js';

export interface Row {
  readonly name: string;
  readonly what: string;
  readonly shape: Shape;
  readonly sizeBytes: number;
  readonly yardstick: 'pingpong_blocking' | 'pingpong_spinning' | 'own median';
  readonly placement: 'one processor' | 'one each' | 'free';
  /** Which figure of a trial: its median or its 99th percentile. */
  readonly figure: 'median' | 'p99';
  /** The largest ratio that is asked for now; null: no bar. */
  readonly bar: number | null;
  readonly aim: number | null;
  readonly busyPollMicroseconds: number;
}

const common = {
  shape: 'write-flush',
  sizeBytes: 64,
  yardstick: 'pingpong_blocking',
  placement: 'one processor',
  figure: 'median',
  bar: null,
  aim: null,
  busyPollMicroseconds: 0,
} as const;

export const rows: readonly Row[] = [
  {
    ...common,
    name: 'rma_write_flush_lat',
    what: '64 B write + flush, awaited',
    bar: 2.0,
    aim: 1.3,
  },
  {
    ...common,
    name: 'rma_write_flush_lat_free',
    what: 'the same, unpinned',
    placement: 'free',
  },
  {
    ...common,
    name: 'rma_write_flush_lat_polled',
    what: '64 B write + flush, polled',
    shape: 'polled',
    yardstick: 'pingpong_spinning',
    placement: 'one each',
    bar: 1.6,
    aim: 1.2,
    busyPollMicroseconds: 1_000_000,
  },
  {
    ...common,
    name: 'rma_write_flush_p99',
    what: 'p99 of the awaited row to its median',
    yardstick: 'own median',
    figure: 'p99',
    bar: 3,
    aim: 2,
  },
  { ...common, name: 'rma_read_lat', what: '64 B read, awaited', shape: 'read' },
  { ...common, name: 'msg_pingpong', what: '8 B message and answer', shape: 'echo', sizeBytes: 8 },
  {
    ...common,
    name: 'msg_pingpong_free',
    what: 'the same, unpinned',
    shape: 'echo',
    sizeBytes: 8,
    placement: 'free',
  },
];

/** One row of the result, in the form that is kept and compared. */
export interface Result {
  readonly name: string;
  readonly provider: string;
  readonly sizeBytes: number;
  readonly unit: 'us';
  readonly value: Spread;
  readonly baseline: ({ readonly name: string } & Spread) | null;
  readonly ratio: number | null;
}

/** Processors for a placement, or why there are none. */
export function place(row: Row, cpus: readonly number[], canPin: boolean): Placement | string {
  if (row.placement === 'free') return { target: null, client: null };
  const [first, second] = cpus;
  if (!canPin) return 'taskset (util-linux) is missing';
  if (first === undefined) return 'no processor is known';
  if (row.placement === 'one processor') return { target: first, client: first };
  if (second === undefined) return 'this needs two processors';
  return { target: first, client: second };
}
