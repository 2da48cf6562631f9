// SPDX-License-Identifier: BSD-3-Clause
//
// The test's half of an ending: deadlines in the order in which they should speak, and what can be
// said from outside of a process that hangs.

import { readdirSync, readFileSync } from 'node:fs';
import { withDeadline } from '../../support/deadline.js';
import type { Hangs } from '../programs/state-holder.js';

const isSanitized = process.env['RPMA_SANITIZED'] !== undefined;

/** The program says what it hangs in; then the test gives up. */
export const diagnoseMs: number = isSanitized ? 40_000 : 8000;
export const endMs: number = diagnoseMs + 4000;

/** Every thread of a process: its name, state and the kernel function in which it waits. */
export function threadsOf(pid: number | 'self'): string {
  const tasks = `/proc/${pid}/task`;
  const line = (task: string): string => {
    try {
      const stat = readFileSync(`${tasks}/${task}/stat`, 'utf8');
      const waits = readFileSync(`${tasks}/${task}/wchan`, 'utf8');
      return `  ${stat.slice(0, stat.lastIndexOf(')') + 3)} ${waits}`;
    } catch {
      return `  ${task} has ended`;
    }
  };
  try {
    return readdirSync(tasks).map(line).join('\n');
  } catch {
    return '  the process has ended';
  }
}

export function describeHang({ where, resources }: Hangs): Error {
  return new Error(`it hangs ${where}; its loop is kept by: ${resources.join(', ') || 'nothing'}`);
}

/** withDeadline(), and the threads of the process when it does not come true. */
export async function orThreads<T>(
  promise: Promise<T>,
  what: string,
  pid: number | 'self',
  deadlineMs: number = endMs,
): Promise<T> {
  return withDeadline(promise, what, deadlineMs).catch((error: unknown) => {
    const message = error instanceof Error ? error.message : String(error);
    throw new Error(`${message}\nthreads:\n${threadsOf(pid)}`, { cause: error });
  });
}
