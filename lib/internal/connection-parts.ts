// SPDX-License-Identifier: BSD-3-Clause
//
// What a connection's core is made with and told: values only.

import type { ConnectionEvent } from '../types.js';
import type { ConnectionNote } from './connection-note.js';
import type { Handle } from './native.js';

/** What the core needs of the configuration. */
export interface ConnectionSizes {
  readonly sendQueueSize: number;
  readonly receiveQueueSize: number;
  readonly closeTimeoutMs: number;
  readonly sharedReceiveQueue?: object | undefined;
}

/** Where an outgoing connection leads. */
export interface Place {
  readonly address: string;
  readonly port: number;
}

/** What a ticket brought beside the native connection. */
export interface Adopted {
  readonly note: ConnectionNote;
  readonly queue: Handle;
  readonly receiveQueue: Handle;
}

/** An event after which nothing comes. */
export type EndEvent = ConnectionEvent & {
  readonly type: Exclude<ConnectionEvent['type'], 'established'>;
};
