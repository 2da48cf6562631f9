// SPDX-License-Identifier: BSD-3-Clause
//
// Where the completions of a connection come out when its receives complete apart from what it
// sends: which options that takes, and how to wait for either kind. It is all of examples 09 and 12
// that depends on it.

import type { Completion, Connection, ConnectionOptions } from 'rpma';
import { completionOf } from './connection.js';

export interface Completions {
  /** For connect() or take(). */
  readonly options: ConnectionOptions;
  /** The next completion of something sent or written, or throws why there is none. */
  sent(connection: Connection): Promise<Completion>;
  /** The next completion of a receive. */
  received(connection: Connection): Promise<Completion>;
}

/** A completion queue of its own for receives. */
export function separateQueues(receiveCompletionQueueSize: number): Completions {
  return {
    options: { receiveCompletionQueueSize },
    sent: (connection) => completionOf(connection, connection.completionQueue),
    received: (connection) => completionOf(connection, connection.receiveCompletionQueue),
  };
}
