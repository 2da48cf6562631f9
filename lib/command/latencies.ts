// SPDX-License-Identifier: BSD-3-Clause
//
// Latencies of a run of any length in bounded memory: the extremes exactly, the percentiles from a
// histogram of three significant digits. Pure.

import { createHistogram } from 'node:perf_hooks';

/** Microseconds; median and p99 to three digits. */
export interface LatencySummary {
  readonly minUs: number;
  readonly medianUs: number;
  readonly p99Us: number;
  readonly maxUs: number;
}

export class Latencies {
  readonly #histogram = createHistogram({ figures: 3 }); // of nanoseconds
  #minMs: number = Infinity;
  #maxMs: number = 0;

  get count(): number {
    return this.#histogram.count;
  }

  record(milliseconds: number): void {
    this.#minMs = Math.min(this.#minMs, milliseconds);
    this.#maxMs = Math.max(this.#maxMs, milliseconds);
    this.#histogram.record(Math.max(1, Math.round(milliseconds * 1e6)));
  }

  /** null before the first. */
  summary(): LatencySummary | null {
    if (this.count === 0) return null;
    const [minUs, maxUs] = [round(this.#minMs), round(this.#maxMs)];
    const at = (percent: number): number => {
      const us = round(this.#histogram.percentile(percent) / 1e6);
      return Math.min(maxUs, Math.max(minUs, us));
    };
    return { minUs, medianUs: at(50), p99Us: at(99), maxUs };
  }
}

/** Milliseconds as microseconds with one decimal: what the clock can tell. */
export function round(milliseconds: number): number {
  return Math.round(milliseconds * 1e4) / 10;
}
