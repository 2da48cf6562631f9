// SPDX-License-Identifier: BSD-3-Clause
//
// The few statistics that the benchmarks print.

export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

/** The value below which a share of the sorted values lies. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  const at = Math.min(sorted.length - 1, Math.floor(sorted.length * share));
  return sorted[at] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[upper] ?? Number.NaN;
  return ((sorted[upper - 1] ?? Number.NaN) + (sorted[upper] ?? Number.NaN)) / 2;
}

/** Three decimals: nanoseconds, where the unit is a microsecond. */
export function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}

export function spread(values: readonly number[]): Spread {
  return {
    min: rounded(Math.min(...values)),
    median: rounded(median(values)),
    max: rounded(Math.max(...values)),
  };
}
