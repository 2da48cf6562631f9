// SPDX-License-Identifier: BSD-3-Clause
//
// Checks of arguments. Every message names the argument, says what it was and what it must be.
// Pure; the data path has checks of its own (operations.ts) and comes here only to explain a
// failure.

import { argumentError, RpmaError, type ErrorScope } from '../errors.js';
import type { WaitOptions } from '../types.js';

/** The largest number of milliseconds that a Node timer takes. */
export const timeoutMsMax: number = 2 ** 31 - 1;

/** A value as it is shown in messages: short, and never a whole object. */
export function describe(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value === 'string')
    return value.length > 40 ? `'${value.slice(0, 40)}…'` : `'${value}'`;
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'symbol') return 'a symbol';
  if (typeof value === 'number' || typeof value === 'boolean') return value.toString();
  if (typeof value !== 'object') return 'undefined';
  const name = (value as { constructor?: { name?: unknown } }).constructor?.name;
  return typeof name === 'string' && name !== '' ? `an instance of ${name}` : 'an object';
}

/** What was caught, as a reason to reject with. */
export function asError(caught: unknown): Error {
  return caught instanceof Error ? caught : new Error(describe(caught), { cause: caught });
}

/** The TypeError of an argument that is no such thing. */
export function wrongType(name: string, wanted: string, value: unknown): Error {
  return argumentError(
    'ERR_RPMA_INVALID_ARG_TYPE',
    `${name} must be ${wanted}, but is ${describe(value)}`,
  );
}

/** The RangeError of a number out of bounds. */
export function outOfRange(name: string, wanted: string, value: unknown): Error {
  return argumentError(
    'ERR_RPMA_OUT_OF_RANGE',
    `${name} must be ${wanted}, but is ${describe(value)}`,
  );
}

/** An object, which options are. */
export function requireObject(value: unknown, name: string): void {
  if (typeof value !== 'object' || value === null) throw wrongType(name, 'an object', value);
}

/** A whole number from min to max. */
export function requireInteger(value: unknown, name: string, min: number, max: number): number {
  if (typeof value !== 'number') {
    const cure = typeof value === 'bigint' ? 'a number (not a bigint)' : 'a number';
    throw wrongType(name, cure, value);
  }
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw outOfRange(name, `a whole number from ${min} to ${max}`, value);
  }
  return value;
}

/** A whole number from min to max, or the default when it is left out. */
export function optionalInteger(
  value: unknown,
  name: string,
  min: number,
  max: number,
  fallback: number,
): number {
  return value === undefined ? fallback : requireInteger(value, name, min, max);
}

/** A boolean, or the default when it is left out. */
export function optionalBoolean(value: unknown, name: string, fallback: boolean): boolean {
  if (value === undefined) return fallback;
  if (typeof value !== 'boolean') throw wrongType(name, 'a boolean', value);
  return value;
}

/** A string that is not empty. */
export function requireString(value: unknown, name: string): string {
  if (typeof value !== 'string') throw wrongType(name, 'a string', value);
  if (value === '') {
    throw argumentError('ERR_RPMA_INVALID_ARG_VALUE', `${name} must not be empty`);
  }
  return value;
}

/** One of some words. */
export function requireWord<T extends string>(
  value: unknown,
  name: string,
  words: readonly T[],
): T {
  if ((words as readonly unknown[]).includes(value)) return value as T;
  const wanted = words.map((word) => `'${word}'`).join(' or ');
  if (typeof value !== 'string') throw wrongType(name, wanted, value);
  throw argumentError(
    'ERR_RPMA_INVALID_ARG_VALUE',
    `${name} must be ${wanted}, but is ${describe(value)}`,
  );
}

/**
 * An option that later versions will have: whoever asks for it is told, instead of going without.
 * `plain` asks for nothing.
 */
export function refuseUnoffered(
  options: object,
  name: string,
  plain: unknown,
  scope: ErrorScope,
): void {
  const value = (options as Readonly<Record<string, unknown>>)[name];
  if (value === undefined || value === plain) return;
  throw new RpmaError(
    'ERR_RPMA_NOT_SUPPORTED',
    `${name} (here ${describe(value)}) is not offered by this version: leave it out`,
    { scope },
  );
}

/** A Uint8Array (a Buffer is one). */
export function requireBytes(value: unknown, name: string): Uint8Array {
  if (!(value instanceof Uint8Array)) throw wrongType(name, 'a Uint8Array', value);
  return value;
}

/** Private data within the bound, or nothing. */
export function optionalPrivateData(value: unknown, bytesMax: number): Uint8Array {
  if (value === undefined) return new Uint8Array(0);
  const bytes = requireBytes(value, 'privateData');
  if (bytes.length > bytesMax) {
    throw outOfRange('privateData.length', `at most ${bytesMax} bytes`, bytes.length);
  }
  return bytes;
}

/** A TCP port. */
export function requirePort(value: unknown, name: string, min: number): number {
  return requireInteger(value, name, min, 65_535);
}

/** Milliseconds of a wait; Infinity and undefined mean no deadline. */
export function requireTimeout(value: unknown, name: string): number {
  if (value === undefined || value === Infinity) return Infinity;
  if (typeof value !== 'number') throw wrongType(name, 'a number', value);
  if (!(value >= 0 && value <= timeoutMsMax)) {
    throw outOfRange(name, `from 0 to ${timeoutMsMax}, or Infinity`, value);
  }
  return value;
}

/** Checks the options of a wait; undefined is fine. */
export function checkWaitOptions(options: WaitOptions | undefined): void {
  if (options === undefined) return;
  requireObject(options, 'options');
  requireTimeout(options.timeoutMs, 'timeoutMs');
  const signal: unknown = options.signal;
  if (signal === undefined) return;
  const looksRight =
    typeof signal === 'object' && signal !== null && 'aborted' in signal && 'reason' in signal;
  if (!looksRight) throw wrongType('signal', 'an AbortSignal', signal);
}

/**
 * Of a receive, which is not given up. What is silently left out would be believed: a bound that
 * there is not.
 */
export function refuseWait(operation: object): void {
  const { signal, timeoutMs } = operation as WaitOptions;
  if (signal === undefined && timeoutMs === undefined) return;
  throw argumentError(
    'ERR_RPMA_INVALID_ARG_VALUE',
    `${signal !== undefined ? 'signal' : 'timeoutMs'} is given, but a posted receive cannot be ` +
      'taken back: leave it out, and bound what provokes the message',
  );
}
