// SPDX-License-Identifier: BSD-3-Clause
//
// This thread's end of the process's log: takes records out of the addon's ring and gives them to
// the program's sink and to the channel `rpma:log`. One environment of the process reads at a time:
// the one that has the sink, else the oldest. JS thread only.

import type { LogRecord } from '../log.js';
import { type LogLevel, logLevels } from './abi.generated.js';
import { isHeard, publish } from './channels.js';
import { native, type NativeLogRecord } from './native.js';

/** What the program gave to `log.setSink()`. */
export type LogSink = (record: LogRecord) => void;

let sink: LogSink | null = null;
let draining = false;

/** The sink that this thread has now; it may have gone to another one. */
export function currentSink(): LogSink | null {
  if (sink !== null && !native.logHasSink()) sink = null;
  return sink;
}

/** Puts the sink, or the default, in place. What was logged before is still the old one's. */
export function replaceSink(next: LogSink | null): void {
  drainLog(() => true);
  sink = next;
  native.logSetSink(next !== null);
}

/** What a sink throws: nobody below us can handle it, and hiding it would hide the log. */
type Report = (error: unknown) => void;

/** As node:diagnostics_channel does with what its subscribers throw. */
function throwLater(error: unknown): void {
  process.nextTick(() => {
    throw error;
  });
}

/** At the exit of this thread: nothing will wake it any more, and no tick comes. */
export function drainLogAtExit(): void {
  const errors: unknown[] = [];
  drainLog(
    () => true,
    (error) => errors.push(error),
  );
  if (errors.length > 0) throw errors[0];
}

/** Delivers until nothing is there or `mayGoOn` says no; true when something may be left. */
export function drainLog(mayGoOn: () => boolean, report: Report = throwLater): boolean {
  // A sink that waits synchronously comes here again: the records of its batch go first.
  if (draining) return false;
  draining = true;
  try {
    for (;;) {
      const records = native.logRead();
      if (records.length === 0) return false;
      const to = currentSink();
      for (const raw of records) deliver(raw, to, report);
      if (!mayGoOn()) return true;
    }
  } finally {
    draining = false;
  }
}

function deliver(raw: NativeLogRecord, to: LogSink | null, report: Report): void {
  if (to === null && !isHeard('log')) return;
  const record = recordOf(raw);
  publish('log', () => record);
  if (to === null) return;
  try {
    to(record);
  } catch (error) {
    report(error);
  }
}

function recordOf(raw: NativeLogRecord): LogRecord {
  const { level, message, time, file, line, provider, dropped } = raw;
  return Object.freeze({
    level: (logLevels[level] ?? 'debug') as Exclude<LogLevel, 'disabled'>,
    message,
    time,
    file,
    line,
    function: raw.function,
    ...(provider === '' ? {} : { provider }),
    ...(dropped === 0 ? {} : { dropped }),
  });
}
