// SPDX-License-Identifier: BSD-3-Clause
//
// The entry `rpma/diagnostics`: the log, the names of the channels of node:diagnostics_channel on
// which the library publishes, and what their messages are. Any thread; the log is the process's,
// channels belong to their environment.

import type { Connection } from './connection.js';
import type { IncomingRequest } from './connection-request.js';
import type { Endpoint } from './endpoint.js';
import type { RpmaError } from './errors.js';
import type { MemoryRegion } from './memory-region.js';
import type { Peer } from './peer.js';
import type { ConnectionEvent } from './types.js';

/**
 * What happened:
 *
 * - `accept-paused`: no descriptor or memory was left for a connection that waits in the backlog;
 *   the endpoint tries again in 100 ms.
 * - `setup-refused`: a set-up was closed because too many are pending, in all or from its address.
 * - `connection-refused`: the endpoint has as many connections as `limits.connections` allows.
 * - `address-slowed`: a set-up waits, because connections of its address ended by protection
 *   errors.
 */
export type ErrorReportKind =
  'accept-paused' | 'setup-refused' | 'connection-refused' | 'address-slowed';

/**
 * A message of `rpma:error`. An endpoint publishes at most one of each kind five times a second,
 * whatever happens; `count` says how often it happened since the last one.
 */
export interface ErrorReport {
  /** Where it happened. */
  readonly endpoint: Endpoint;
  /** What happened. */
  readonly kind: ErrorReportKind;
  /** How often since the last message of this kind. */
  readonly count: number;
  /** Where the newest came from; null of a pause. */
  readonly address: string | null;
  /** The newest as an error, for logs. */
  readonly error: RpmaError;
}

/** A message of `rpma:peer:open`, once it is open or adopted, and of `rpma:peer:close`. */
export interface PeerMessage {
  /** The peer. */
  readonly peer: Peer;
}

/** A message of `rpma:endpoint:listen`: it listens. */
export interface EndpointMessage {
  /** The endpoint. */
  readonly endpoint: Endpoint;
}

/** A message of `rpma:request:incoming`: the program fetched it, and is about to decide. */
export interface RequestMessage {
  /** Where it came in. */
  readonly endpoint: Endpoint;
  /** The request, neither accepted nor rejected yet. */
  readonly request: IncomingRequest;
}

/** A message of `rpma:connection:event`: what `connection.events` will tell, as it happens. */
export interface ConnectionEventMessage {
  /** The connection. */
  readonly connection: Connection;
  /** The same object that `connection.events` yields. */
  readonly event: ConnectionEvent;
}

/** A message of `rpma:region:register`, and of `rpma:region:close` once nothing uses it. */
export interface RegionMessage {
  /** The region. */
  readonly region: MemoryRegion;
}

/**
 * A message of `rpma:queue:full`: posts were refused with ERR_RPMA_AGAIN. At most five a second and
 * connection; `count` says how often it happened since the last one.
 */
export interface QueueFullMessage {
  /** The connection. */
  readonly connection: Connection;
  /** Which of its queues. */
  readonly queue: 'send' | 'receive';
  /** Operations that the queue holds. */
  readonly capacity: number;
  /** Posts refused since the last message. */
  readonly count: number;
}

/**
 * The message of the TracingChannel `rpma:connect`, the same object in all its steps of one
 * `peer.connect()`; `result` and `error` are there once it is settled.
 */
export interface ConnectMessage {
  /** The peer that connects. */
  readonly peer: Peer;
  /** As given. */
  readonly address: string;
  /** As given. */
  readonly port: number;
  /** The connection, at the steps asyncStart and asyncEnd of one that was established. */
  readonly result?: unknown;
  /** Why there is none, at the steps error, asyncStart and asyncEnd. */
  readonly error?: unknown;
}

export { channels } from './internal/channels.js';
export { bridgeLog, log } from './log.js';
export type { BridgedLogger, Log, LogLevel, LogRecord } from './log.js';
