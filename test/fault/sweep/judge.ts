// SPDX-License-Identifier: BSD-3-Clause
//
// What a process may come to, with a fault in it or beside it: success, or status 1 and one line
// with a documented code. Either way nothing native is left behind, and every operation that was
// accepted has had its one outcome.

import { documentedCodes } from '../../support/codes.js';
import type { End, Report } from './process.js';

/** Says of the demonstration why it ended; the line above it has the code. */
const demonstrationLine = /^failed: the target ended (before it listened|by itself)/;
/** Notes of the examples, and lines of the log, that are no failures. */
const noteLine = /^(No <pmem-path> provided|Retrying\.\.\.|rpma \d{4}-)/;

export interface Judgement {
  /** 'success' or the code of the failure. */
  readonly outcome: string;
  /** What must not be; empty when all is well. */
  readonly problems: readonly string[];
}

function judgeReport(report: Report | null, exempt: ReadonlySet<string>): string[] {
  if (report === null) return ['it left no report: it did not end by itself'];
  const problems: string[] = [];
  for (const [name, count] of Object.entries(report.live)) {
    if (!exempt.has(name)) problems.push(`${name} left behind: ${count}`);
  }
  const { 'operations.accepted': accepted, 'operations.settled': settled } = report.tallies;
  if (accepted !== settled) {
    problems.push(`${accepted} operations were accepted, ${settled} had an outcome`);
  }
  return problems;
}

/** `processes` share the output, and each may have failed. */
function judgeFailure(stderr: string, processes: number): Judgement {
  const lines = stderr.split('\n').filter((line) => line !== '' && !noteLine.test(line));
  const own = lines.filter((line) => !demonstrationLine.test(line));
  const codes = own.map((line) => /^failed: (ERR_RPMA_[A-Z_]+): ./.exec(line)?.[1] ?? '');
  const problems: string[] = [];
  if (own.length < 1 || own.length > processes) {
    problems.push(`${own.length} lines on stderr, not one`);
  }
  if (!codes.every((code) => documentedCodes.has(code))) {
    problems.push('a line without a documented code');
  }
  return { outcome: codes[0] ?? 'none', problems };
}

/** What differs where a program is several processes and ends by process.exit(). */
export interface Allowance {
  /** Live objects that may be left, because the end was cut short. */
  readonly left: ReadonlySet<string>;
  /** How many share the output. */
  readonly processes: number;
}

const strict: Allowance = { left: new Set(), processes: 1 };

export function judge(end: End, allowance: Allowance = strict): Judgement {
  if (end.timedOut) return { outcome: 'hang', problems: ['it did not end'] };
  if (end.signal !== null) return { outcome: end.signal, problems: [`ended by ${end.signal}`] };
  const left = judgeReport(end.report, allowance.left);
  if (end.code === 0) return { outcome: 'success', problems: left };
  if (end.code !== 1) return { outcome: 'status', problems: [`exit status ${end.code}`, ...left] };
  const { outcome, problems } = judgeFailure(end.stderr, allowance.processes);
  return { outcome, problems: [...problems, ...left] };
}

/** Success must mean the same output as without a fault. */
export function compareOutput(name: string, actual: string, expected: string): string[] {
  const withoutPort = (text: string): string => text.replace(/:\d+\n/, ':port\n');
  if (withoutPort(actual) === withoutPort(expected)) return [];
  return [`the ${name} succeeds with other output than without a fault`];
}
