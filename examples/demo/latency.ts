// SPDX-License-Identifier: BSD-3-Clause
//
// A short summary of latencies: median, 99th percentile, count.

export function summariseLatency(latenciesMs: readonly number[]): string {
  const sorted = [...latenciesMs].sort((left, right) => left - right);
  const median = format(percentile(sorted, 0.5));
  return `median ${median}, p99 ${format(percentile(sorted, 0.99))}, count ${sorted.length}`;
}

/** The smallest value that at least this part of all values does not exceed. */
function percentile(sorted: readonly number[], part: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? 0;
}

function format(milliseconds: number): string {
  return milliseconds < 10
    ? `${Math.round(milliseconds * 1_000)} us`
    : `${milliseconds.toFixed(1)} ms`;
}
