// SPDX-License-Identifier: BSD-3-Clause
//
// The events of a connection: from what the addon tells to what the program reads, and those that
// it has not read yet. What the addon told is kept beside, because it is that which can be handed
// over to another thread. JS thread only; no addon.

import { RpmaError } from '../errors.js';
import type { ConnectionEvent } from '../types.js';
import { connectionEvents, limits, statusNumber } from './abi.generated.js';
import { endReason, rpmaFailureOf, type FailureContext } from './failure.js';
import type { NativeError, NativeEvent } from './native.js';

/** What the core knows and the addon does not say. */
export interface EventContext {
  readonly failureContext: FailureContext;
  /** The other side, for messages. */
  readonly place: string;
  /** What destroy() was given. */
  readonly reason: Error | undefined;
}

interface KeptEvent {
  readonly raw: NativeEvent;
  readonly event: ConnectionEvent;
}

/** What was not read yet: at most 8; of 'device' only the newest, so the others always fit. */
export class UnreadEvents {
  readonly #kept: KeptEvent[] = [];

  keep(raw: NativeEvent, event: ConnectionEvent): void {
    const kept = this.#kept;
    const isDevice = event.type === 'device';
    const older = isDevice ? kept.findIndex((each) => each.event.type === 'device') : -1;
    if (older >= 0) kept.splice(older, 1);
    if (kept.length >= limits.connectionEvents) kept.shift();
    kept.push({ raw, event });
  }

  take(): ConnectionEvent | null {
    return this.#kept.shift()?.event ?? null;
  }

  get isEmpty(): boolean {
    return this.#kept.length === 0;
  }

  /** In order, as the addon told them. */
  get raw(): NativeEvent[] {
    return this.#kept.map(({ raw }) => raw);
  }
}

/** As the program reads it; null for what this version does not know. */
export function eventOf(raw: NativeEvent, context: EventContext): ConnectionEvent | null {
  const type = connectionEvents[raw.type] ?? 'none';
  if (type === 'none') return null;
  const { error, privateData } = raw;
  return Object.freeze({
    type,
    ...(error === null ? {} : { error: eventError(type, error, privateData, context) }),
    ...(privateData.length === 0 ? {} : { privateData }),
  });
}

function eventError(
  type: ConnectionEvent['type'],
  error: NativeError,
  privateData: Uint8Array,
  { failureContext, place, reason }: EventContext,
): RpmaError {
  const unsupported = error.status === statusNumber.notSupported;
  const ending = unsupported ? 'refused here' : type;
  const what = `connection with ${place} ${ending}`;
  const detail = error.detail === '' ? endReason(error.errno, place) : error.detail;
  const cause = rpmaFailureOf({ ...error, detail }, what, {
    ...failureContext,
    scope: 'connection',
    ...(reason === undefined ? {} : { cause: reason }),
    ...(type === 'rejected' ? { privateData } : {}),
  });
  // What requireNative refused is told as it is: no retry will change it.
  const itself =
    cause.code === 'ERR_RPMA_CONNECTION_LOST' || cause.code === 'ERR_RPMA_NOT_SUPPORTED';
  if (type !== 'lost' || itself) return cause;
  return new RpmaError('ERR_RPMA_CONNECTION_LOST', cause.message, {
    ...failureContext,
    cause,
    errno: cause.errno,
    syscall: cause.syscall,
  });
}
