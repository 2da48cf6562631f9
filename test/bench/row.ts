// SPDX-License-Identifier: BSD-3-Clause
//
// What a row of the benchmark is. Budgets with a yardstick are ratios to it, from the same run,
// because a figure alone says more about the machine; those without are figures.

import type { Placement, Wish } from './placement.js';
import type { Spread } from './statistics.js';
import type { Yardsticks } from './yardstick.js';

export type Unit = 'us' | 'ms' | 'bytes' | 'GB/s' | '1/s';

/** What a trial is given. */
export interface TrialContext {
  readonly seconds: number;
  readonly placement: Placement;
  readonly yardsticks: Yardsticks;
}

/** What came of one trial; the baseline is null without a yardstick. */
export interface Trial {
  readonly value: number;
  readonly baseline: number | null;
  readonly provider: string;
}

export interface Row {
  readonly name: string;
  readonly what: string;
  readonly sizeBytes: number;
  readonly unit: Unit;
  /** Name of the yardstick, or null. */
  readonly yardstick: string | null;
  readonly placement: Wish;
  /** More is better: the bar is a least ratio, not a largest one. */
  readonly isRate: boolean;
  /** Of the ratio, or of the value where there is no yardstick; null: no bar. */
  readonly bar: number | null;
  readonly aim: number | null;
  readonly run: (context: TrialContext) => Promise<Trial>;
}

/** One row of the result, in the form that is kept and compared. */
export interface Result {
  readonly name: string;
  readonly provider: string;
  readonly sizeBytes: number;
  readonly unit: Unit;
  readonly value: Spread;
  readonly baseline: ({ readonly name: string } & Spread) | null;
  readonly ratio: number | null;
}
