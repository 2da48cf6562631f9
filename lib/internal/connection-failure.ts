// SPDX-License-Identifier: BSD-3-Clause
//
// The errors of a connection: of what is refused by it, and of what its end leaves unanswered. JS
// thread only.

import { RpmaError } from '../errors.js';
import type { ConnectionState } from '../types.js';
import { statusNumber } from './abi.generated.js';
import { failureOf, type FailureContext } from './failure.js';
import { native } from './native.js';
import { handedOverError } from './queue-core.js';

/** What the errors tell of a connection. */
export interface FailingConnection {
  readonly connectionState: ConnectionState;
  readonly failureContext: FailureContext;
  readonly isHandedOver: boolean;
  /** Why it has ended or is ending, where there is a reason. */
  readonly endCause: Error | undefined;
}

/** Of what comes too late. */
export function closedError(
  connection: FailingConnection,
  what: string,
  context?: FailureContext,
): RpmaError {
  const known = { ...connection.failureContext, ...context };
  if (connection.isHandedOver) return handedOverError(what, known);
  const message = `${what}: the connection is closed or closing`;
  return new RpmaError('ERR_RPMA_CLOSED', message, { ...known, cause: connection.endCause });
}

/** Of what comes too early or too late. */
export function notEstablishedError(
  connection: FailingConnection,
  what: string,
  context: FailureContext = connection.failureContext,
): RpmaError {
  const { connectionState } = connection;
  const over = connectionState === 'closing' || connectionState === 'closed';
  if (over) return closedError(connection, what, context);
  const message = `${what}: the connection is not established yet; await whenEstablished()`;
  return new RpmaError('ERR_RPMA_STATE', message, context);
}

/** Of the newest refused post. */
export function postError(
  connection: FailingConnection,
  status: number,
  context: FailureContext,
): Error {
  const what = context.operation ?? 'post';
  if (status === statusNumber.again) {
    const cure = 'poll the completion queue (or await operations) and look at sendQueueFree';
    return new RpmaError('ERR_RPMA_AGAIN', `${what}: the queue is full; ${cure}`, context);
  }
  if (status === statusNumber.state) return notEstablishedError(connection, what, context);
  return failureOf(native.lastError(), what, context);
}

/** Of an operation that the end left behind: before it was posted, or before it completed. */
export function leftBehindError(
  { failureContext, endCause }: FailingConnection,
  wasPosted: boolean,
): RpmaError {
  const message = `the connection ended before the operation ${wasPosted ? 'completed' : 'was posted'}`;
  return new RpmaError('ERR_RPMA_WC_FLUSHED', message, {
    ...failureContext,
    mayHaveTakenEffect: wasPosted,
    cause: endCause,
  });
}
