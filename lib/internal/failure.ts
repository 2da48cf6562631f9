// SPDX-License-Identifier: BSD-3-Clause
//
// Turns what the addon says of a failure (a status number, an errno, a system call, a detail) into
// the error that JavaScript sees, by the table of abi/status.json. Pure; no addon.

import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { argumentError, RpmaError, type RpmaErrorCode, type RpmaErrorOptions } from '../errors.js';
import type { CompletionStatus } from '../types.js';
import { completionStatuses, statuses, statusNumber } from './abi.generated.js';
import type { NativeError } from './native.js';

/** What the caller knows beside the addon. */
export type FailureContext = Omit<RpmaErrorOptions, 'errno' | 'syscall'>;

/** The system's name of a positive errno, for people. */
export function errnoName(errno: number): string {
  try {
    return getSystemErrorName(-errno);
  } catch {
    return `errno ${errno}`;
  }
}

function codeOf(status: number): RpmaErrorCode {
  const code = statuses[status]?.code;
  return code === undefined || code === 'ERR_RPMA_OK' ? 'ERR_RPMA_INTERNAL' : code;
}

/** The system's part of a message: ' (fsync: EIO)'. */
function systemPart(errno: number, syscall: string): string {
  if (errno === 0) return '';
  return syscall === '' ? ` (${errnoName(errno)})` : ` (${syscall}: ${errnoName(errno)})`;
}

/** The error of a failed native call; `what` says what was tried. */
export function failureOf(error: NativeError, what: string, context: FailureContext = {}): Error {
  const row = statuses[error.status];
  const reason = error.detail === '' ? (row?.message ?? 'unknown status') : error.detail;
  const message = `${what}: ${reason}${systemPart(error.errno, error.syscall)}`;
  if (row !== undefined && (row.class === 'TypeError' || row.class === 'RangeError')) {
    return argumentError(row.code, message);
  }
  return new RpmaError(codeOf(error.status), message, {
    ...context,
    ...(error.errno === 0 ? {} : { errno: -error.errno }),
    ...(error.syscall === '' ? {} : { syscall: error.syscall }),
  });
}

/**
 * Why there is no connection with `place`, and what helps, as far as a positive errno tells it;
 * else ''.
 */
export function endReason(errno: number, place: string): string {
  const numbers = constants.errno;
  switch (errno) {
    case numbers.ECONNREFUSED:
      return `nothing listens at ${place}: start the other side first, or check address and port`;
    case numbers.ETIMEDOUT:
      return 'no answer came in time: check the address, and that no firewall drops the port';
    case numbers.EHOSTUNREACH:
    case numbers.ENETUNREACH:
      return 'no route leads there: check the address and the network';
    case numbers.ECONNRESET:
    case numbers.EPIPE:
      return 'the other side went away without closing it: connect again once it is back';
    default:
      return '';
  }
}

/** As failureOf, where an RpmaError is promised: events carry nothing else. */
export function rpmaFailureOf(
  error: NativeError,
  what: string,
  context?: FailureContext,
): RpmaError {
  const failure = failureOf(error, what, context);
  if (failure instanceof RpmaError) return failure;
  return new RpmaError('ERR_RPMA_INTERNAL', failure.message, { ...context, cause: failure });
}

/** The code of a failed completion. */
export function completionCode(status: CompletionStatus): RpmaErrorCode {
  const index = completionStatuses.indexOf(status);
  return codeOf(statusNumber.wcLength + index - 1);
}

/** What a completion's error says. */
export interface FailedOutcome {
  readonly status: CompletionStatus;
  readonly operation: NonNullable<RpmaErrorOptions['operation']>;
  readonly providerError: number;
  readonly mayHaveTakenEffect: boolean;
}

/** The error that a failed completion stands for. */
export function completionFailure(outcome: FailedOutcome, context: FailureContext = {}): RpmaError {
  const code = completionCode(outcome.status);
  const reason = statuses.find((row) => row.code === code)?.message ?? 'failed';
  const message = `${outcome.operation}: ${reason}${systemPart(outcome.providerError, '')}`;
  return new RpmaError(code, message, {
    operation: outcome.operation,
    mayHaveTakenEffect: outcome.mayHaveTakenEffect,
    ...context,
    ...(outcome.providerError === 0 ? {} : { errno: -outcome.providerError }),
  });
}
