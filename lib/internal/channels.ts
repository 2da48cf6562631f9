// SPDX-License-Identifier: BSD-3-Clause
//
// The names of the channels of node:diagnostics_channel on which the library publishes. No addon;
// each environment has channels of its own.

/** Names of the channels. */
export const channels: {
  readonly log: 'rpma:log';
  readonly error: 'rpma:error';
} = Object.freeze({
  log: 'rpma:log',
  error: 'rpma:error',
});
