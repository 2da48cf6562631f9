// SPDX-License-Identifier: BSD-3-Clause
//
// The names of the channels of node:diagnostics_channel on which the library publishes. No addon;
// each environment has channels of its own.

import type { ErrorReport, LogRecord } from '../diagnostics.js';

/** Names of the channels. */
export const channels: {
  /** Each record of the log that passes `log.threshold`: its messages are {@link LogRecord}s. */
  readonly log: 'rpma:log';
  /** What an endpoint refused or put off: its messages are {@link ErrorReport}s. */
  readonly error: 'rpma:error';
} = Object.freeze({
  log: 'rpma:log',
  error: 'rpma:error',
});
