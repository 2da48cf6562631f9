// SPDX-License-Identifier: BSD-3-Clause
//
// Tickets as the program sees them: a kind and a token, and of memory that JavaScript shares the
// SharedArrayBuffer itself. What they carry lies in the addon's table: docs/internals/ownership.md.
// JS thread only.

import type { HandOverOptions, HandOverTicket } from '../types.js';
import { limits } from './abi.generated.js';
import { check } from './environment.js';
import type { NativeResult } from './native.js';
import { requireInteger, requireObject, requireString, timeoutMsMax } from './validate.js';

/** How long a ticket is good. */
export function ticketTimeout(options: HandOverOptions): number {
  requireObject(options, 'options');
  if (options.timeoutMs === undefined) return limits.handOverTimeoutMs;
  return requireInteger(options.timeoutMs, 'timeoutMs', 1, timeoutMsMax);
}

/** The ticket of a token, or the error of the call that should have given one. */
export function ticketOf(
  kind: HandOverTicket['kind'],
  token: string | NativeResult,
  what: string,
  memory?: SharedArrayBuffer,
): HandOverTicket {
  if (typeof token === 'number') {
    check(token, what);
    return { kind, token: '' };
  }
  return memory === undefined ? { kind, token } : { kind, token, memory };
}

/** The token of what should be a ticket; the addon knows what it is for. */
export function tokenOf(ticket: HandOverTicket): string {
  requireObject(ticket, 'ticket');
  requireString(ticket.kind, 'ticket.kind');
  return requireString(ticket.token, 'ticket.token');
}
