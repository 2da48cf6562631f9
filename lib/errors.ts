// SPDX-License-Identifier: BSD-3-Clause
//
// The errors of the library: one class, one table of codes (abi/status.json), and the brand by
// which both are known across copies of the package. Pure values: any thread, no addon.

import { statuses, type StatusCode, type StatusScope } from './internal/abi.generated.js';
import type { Operation, ProviderName } from './types.js';

/** The largest thing that an error has permanently affected: what must be rebuilt. */
export type ErrorScope = StatusScope;

/** The codes of every error of this library; docs/reference/errors.md explains each. */
export type RpmaErrorCode = Exclude<StatusCode, 'ERR_RPMA_OK'>;

/** What may be said of an {@link RpmaError} beside its code and message. */
export interface RpmaErrorOptions extends ErrorOptions {
  /** Overrides the code's own scope. */
  readonly scope?: ErrorScope | undefined;
  /** The system's error number, negative as in Node's system errors. */
  readonly errno?: number | undefined;
  /** The system call or library function that failed. */
  readonly syscall?: string | undefined;
  /** The operation that failed. */
  readonly operation?: Operation | undefined;
  /** The provider that was used. */
  readonly provider?: ProviderName | undefined;
  /** What the other side said when it rejected the connection. */
  readonly privateData?: Uint8Array | undefined;
  /** Whether remote memory may have been changed; false when not given. */
  readonly mayHaveTakenEffect?: boolean | undefined;
}

/** On every error of the library, also on its TypeErrors and RangeErrors. */
const brand: unique symbol = Symbol.for('rpma.error') as never;

const table = new Map(statuses.map((status) => [status.code as string, status]));

function brandOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return (value as { readonly [brand]?: unknown })[brand];
}

/**
 * Every error of the library but bad arguments, which are TypeErrors and RangeErrors with a `code`.
 *
 * `instanceof RpmaError` holds across several copies of the package in one thread: the class is
 * known by a brand, `Symbol.for('rpma.error')`. The `name` of ERR_RPMA_ABORTED is 'AbortError',
 * that of ERR_RPMA_TIMEOUT 'TimeoutError'.
 *
 * @remarks Thread safety: a value; belongs to the thread that caught it.
 * @see librpma: `rpma_err_2str` and the RPMA_E codes
 */
export class RpmaError extends Error {
  /** Tells the cause; never parse the message. */
  readonly code: RpmaErrorCode;
  /** The largest thing that must be rebuilt. */
  readonly scope: ErrorScope;
  /** Whether the same call may succeed later as it is (ERR_RPMA_AGAIN). */
  readonly retryable: boolean;
  /** Whether the remote memory may have been changed: false means it surely was not. */
  readonly mayHaveTakenEffect: boolean;
  /** The operation that failed, where there is one. */
  declare readonly operation?: Operation;
  /** The provider that was used, where it matters. */
  declare readonly provider?: ProviderName;
  /** The system's error number, negative as in Node's system errors. */
  declare readonly errno?: number;
  /** The system call or library function that failed. */
  declare readonly syscall?: string;
  /** Of ERR_RPMA_REJECTED: what the other side said. */
  declare readonly privateData?: Uint8Array;

  /**
   * Makes an error; programs rarely need to.
   *
   * @param code - one of the table's codes
   * @param message - for people
   * @param options - structured context
   * @remarks Thread safety: any thread.
   */
  constructor(code: RpmaErrorCode, message: string, options: RpmaErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    const status = table.get(code);
    this.code = code;
    this.scope = options.scope ?? status?.scope ?? 'operation';
    this.retryable = status?.retryable ?? false;
    this.mayHaveTakenEffect = options.mayHaveTakenEffect ?? false;
    if (options.operation !== undefined) this.operation = options.operation;
    if (options.provider !== undefined) this.provider = options.provider;
    if (options.errno !== undefined) this.errno = options.errno;
    if (options.syscall !== undefined) this.syscall = options.syscall;
    if (options.privateData !== undefined) this.privateData = options.privateData;
    Object.defineProperty(this, brand, { value: 'error' });
    Object.defineProperty(this, 'name', {
      value: nameOf(code),
      configurable: true,
      writable: true,
    });
  }

  /**
   * Makes `instanceof RpmaError` true for errors of every copy of the package.
   *
   * @param value - anything
   * @returns whether it is such an error
   * @remarks Thread safety: any thread.
   */
  static override [Symbol.hasInstance](value: unknown): boolean {
    if (this !== RpmaError) return Function.prototype[Symbol.hasInstance].call(this, value);
    return brandOf(value) === 'error';
  }
}

function nameOf(code: RpmaErrorCode): string {
  if (code === 'ERR_RPMA_ABORTED') return 'AbortError';
  if (code === 'ERR_RPMA_TIMEOUT') return 'TimeoutError';
  return 'RpmaError';
}

/**
 * Whether a value is an error of this library: an RpmaError, or one of its TypeErrors and
 * RangeErrors.
 *
 * @param value - anything, as a rule what was caught
 * @returns true when it carries a `code` of this library
 * @remarks Thread safety: any thread.
 * @see librpma: the RPMA_E codes
 */
export function isRpmaError(value: unknown): value is Error & { readonly code: RpmaErrorCode } {
  return brandOf(value) !== undefined;
}

/** A code whose class in the table is TypeError or RangeError. */
export type ArgumentErrorCode =
  | 'ERR_RPMA_INVALID_ARG_TYPE'
  | 'ERR_RPMA_INVALID_ARG_VALUE'
  | 'ERR_RPMA_OUT_OF_RANGE'
  | 'ERR_RPMA_ALIGNMENT'
  | 'ERR_RPMA_DESCRIPTOR';

/** Makes the branded TypeError or RangeError of a bad argument. Library use. */
export function argumentError(
  code: ArgumentErrorCode,
  message: string,
): (TypeError | RangeError) & { readonly code: ArgumentErrorCode } {
  const Class = table.get(code)?.class === 'RangeError' ? RangeError : TypeError;
  const error = new Class(message);
  Object.defineProperty(error, brand, { value: 'argument' });
  return Object.assign(error, { code });
}
