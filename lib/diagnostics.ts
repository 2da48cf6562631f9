// SPDX-License-Identifier: BSD-3-Clause
//
// The entry `rpma/diagnostics`: the log, the names of the channels of node:diagnostics_channel on
// which the library publishes, and what their messages are. Any thread; the log is the process's,
// channels belong to their environment.

import type { Endpoint } from './endpoint.js';
import type { RpmaError } from './errors.js';

/**
 * What happened:
 *
 * - `accept-paused`: no descriptor or memory was left for a connection that waits in the backlog;
 *   the endpoint tries again in 100 ms.
 * - `setup-refused`: a set-up was closed because too many are pending, in all or from its address.
 * - `connection-refused`: the endpoint has as many connections as `limits.connections` allows.
 * - `address-slowed`: a set-up waits, because connections of its address ended by protection
 *   errors.
 */
export type ErrorReportKind =
  'accept-paused' | 'setup-refused' | 'connection-refused' | 'address-slowed';

/**
 * A message of `rpma:error`. An endpoint publishes at most one of each kind five times a second,
 * whatever happens; `count` says how often it happened since the last one.
 */
export interface ErrorReport {
  /** Where it happened. */
  readonly endpoint: Endpoint;
  /** What happened. */
  readonly kind: ErrorReportKind;
  /** How often since the last message of this kind. */
  readonly count: number;
  /** Where the newest came from; null of a pause. */
  readonly address: string | null;
  /** The newest as an error, for logs. */
  readonly error: RpmaError;
}

export { channels } from './internal/channels.js';
export { bridgeLog, log } from './log.js';
export type { BridgedLogger, Log, LogLevel, LogRecord } from './log.js';
