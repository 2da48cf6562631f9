// SPDX-License-Identifier: BSD-3-Clause
//
// Where the completions of a connection come out when its receives complete apart from what it
// sends: which options that takes, and how to wait for either kind. It is all in which examples 09
// and 12 differ from 09scch and 12scch.

import type { Completion, CompletionQueue, Connection, ConnectionOptions } from 'rpma';
import { completionOf, succeeded } from './connection.js';

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

/** The same two queues, and one completion channel that tells which of them has something. */
export function sharedChannel(receiveCompletionQueueSize: number): Completions {
  const kept = new Map<CompletionQueue, Completion[]>();
  const keptOf = (queue: CompletionQueue): Completion[] => {
    const completions = kept.get(queue) ?? [];
    kept.set(queue, completions);
    return completions;
  };
  /** Whatever comes is taken, also of the other kind: the channel tells of it until it is. */
  const next = async (connection: Connection, wanted: CompletionQueue): Promise<Completion> => {
    for (;;) {
      const completion = keptOf(wanted).shift();
      if (completion !== undefined) return succeeded(connection, completion);
      const queue = (await connection.completionChannel?.take()) ?? null;
      if (queue === null) return succeeded(connection, null);
      keptOf(queue).push(...queue.poll());
    }
  };
  return {
    options: { sharedCompletionChannel: true, receiveCompletionQueueSize },
    sent: (connection) => next(connection, connection.completionQueue),
    received: (connection) => {
      const { completionQueue, receiveCompletionQueue } = connection;
      return next(connection, receiveCompletionQueue ?? completionQueue);
    },
  };
}
