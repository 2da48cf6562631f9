// SPDX-License-Identifier: BSD-3-Clause
//
// From a name or literal to the literal that the addon takes. Names are looked up here, with Node's
// own resolver on its thread pool, so that no call of the addon blocks. JS thread only.

import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { RpmaError, type RpmaErrorCode } from '../errors.js';
import type { WaitOptions } from '../types.js';
import { within } from './deadline.js';
import { requireString } from './validate.js';

/** How a failed look-up is told. */
export interface ResolveChoice extends WaitOptions {
  /** The argument's name. */
  readonly name: string;
  /** UNREACHABLE for other hosts, PROVIDER for our own addresses. */
  readonly code: RpmaErrorCode & ('ERR_RPMA_UNREACHABLE' | 'ERR_RPMA_PROVIDER');
  /** Bound of the look-up itself. */
  readonly resolveTimeoutMs?: number | undefined;
}

interface SystemFailure {
  readonly errno?: unknown;
  readonly syscall?: unknown;
}

/** The literal of an address or name; IPv4 and IPv6. */
export async function resolveAddress(address: unknown, choice: ResolveChoice): Promise<string> {
  const host = requireString(address, choice.name);
  if (isIP(host) !== 0) return host;
  try {
    const search = within(
      lookup(host),
      { timeoutMs: choice.resolveTimeoutMs },
      `looking up ${choice.name} '${host}'`,
    );
    const found = await within(search, choice, `looking up ${choice.name} '${host}'`);
    return found.address;
  } catch (error) {
    const isOurs = error instanceof RpmaError;
    if (isOurs && error.code === 'ERR_RPMA_ABORTED') throw error;
    if (isOurs && (choice.resolveTimeoutMs ?? Infinity) >= (choice.timeoutMs ?? Infinity))
      throw error;
    const { errno, syscall } = error as SystemFailure;
    throw new RpmaError(
      choice.code,
      `${choice.name} '${host}' could not be resolved: ${(error as Error).message}`,
      {
        cause: error,
        syscall: typeof syscall === 'string' ? syscall : 'getaddrinfo',
        ...(typeof errno === 'number' ? { errno } : {}),
      },
    );
  }
}

/** Address and port as one word, for messages. */
export function placeName(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** The addresses of this machine. */
export function localAddresses(): string[] {
  const found = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return found.map(({ address, family, scopeid }) =>
    family === 'IPv6' && scopeid !== undefined && scopeid !== 0 ? `${address}%${scopeid}` : address,
  );
}

/** Whether a literal is an address that this machine can listen at. */
export function isLocalAddress(literal: string): boolean {
  if (literal === '0.0.0.0' || literal === '::' || literal.startsWith('127.')) return true;
  const bare = literal.replace(/%.*$/, '').toLowerCase();
  return localAddresses().some((address) => address.replace(/%.*$/, '') === bare);
}
