// SPDX-License-Identifier: BSD-3-Clause
//
// The configuration of a connection: options checked once, completed with librpma's defaults and
// ours, and turned into what the addon takes. An immutable value.

import { argumentError } from './errors.js';
import type { CompletionQueue } from './completion-queue.js';
import type { SharedReceiveQueue } from './shared-receive-queue.js';
import { extensionCapabilities, limits } from './internal/abi.generated.js';
import { access } from './internal/access.js';
import type { NativeConnectionOptions } from './internal/native.js';
import {
  describe,
  optionalBoolean,
  optionalInteger,
  outOfRange,
  requireInteger,
  requireObject,
  requireTimeout,
  requireWord,
  timeoutMsMax,
  wrongType,
} from './internal/validate.js';

/** Something that the connection must not emulate: see {@link ConnectionOptions.requireNative}. */
export type NativeFeature = 'flush' | 'atomicWrite' | 'immediate';

/** Options of a connection; each has a default. */
export interface ConnectionOptions {
  /** Address and route resolution (1000): librpma's timeout_ms. */
  readonly resolveTimeoutMs?: number | undefined;
  /** From connect() or accept() to established (10000). */
  readonly connectTimeoutMs?: number | undefined;
  /**
   * Entries of the completion queue, at least; it always holds what its queues can complete (10).
   */
  readonly completionQueueSize?: number | undefined;
  /** Operations in the send queue (10). */
  readonly sendQueueSize?: number | undefined;
  /** Receives in the receive queue (10). */
  readonly receiveQueueSize?: number | undefined;
  /** Entries of a completion queue for receives alone; 0: they complete in the main queue (0). */
  readonly receiveCompletionQueueSize?: number | undefined;
  /** close() becomes destroy() after it (5000). */
  readonly closeTimeoutMs?: number | undefined;
  /** A host that says nothing for so long has vanished (10000). */
  readonly deadPeerTimeoutMs?: number | undefined;
  /** How long a message may wait for a receive (Infinity, as librpma). */
  readonly receiverNotReadyTimeoutMs?: number | undefined;
  /**
   * One completion channel for both of its queues (false): `connection.completionChannel` tells
   * which has something, and there is no waiting on a queue by itself.
   */
  readonly sharedCompletionChannel?: boolean | undefined;
  /** One of peer.createCompletionQueue(), to serve several connections; default a private one. */
  readonly completionQueue?: CompletionQueue | undefined;
  /**
   * One of peer.createSharedReceiveQueue(): receives come from it. With a completion queue of its
   * own receiveCompletionQueueSize is of no meaning.
   */
  readonly sharedReceiveQueue?: SharedReceiveQueue | undefined;
  /** The connection fails where one of these would be emulated or absent ([]). */
  readonly requireNative?: readonly NativeFeature[] | undefined;
  /** iwarp: checksums between our own kind (true), never (false), or also asked of others. */
  readonly crc?: boolean | 'required' | undefined;
  /** iwarp: longest frame: by the other side's kind ('auto'), one TCP segment ('mss'), or bytes. */
  readonly maxFrameBytes?: number | 'auto' | 'mss' | undefined;
  /** Reads, flushes and atomic writes that we serve at once (32). */
  readonly inboundReads?: number | undefined;
  /** Reads, flushes and atomic writes that we have under way at once (32). */
  readonly outboundReads?: number | undefined;
}

const nativeBits: ReadonlyMap<NativeFeature, number> = new Map([
  ['flush', extensionCapabilities.flush],
  ['atomicWrite', extensionCapabilities.atomicWrite],
  ['immediate', extensionCapabilities.sendImmediate],
]);

const queueSizeMin = 1;
/** Smallest frame that carries the longest header and still some bytes. */
const frameBytesMin = 128;

function queueSize(value: unknown, name: string, min: number, fallback: number): number {
  return optionalInteger(value, name, min, limits.queueSizeMax, fallback);
}

function milliseconds(value: unknown, name: string, fallback: number): number {
  return optionalInteger(value, name, 1, timeoutMsMax, fallback);
}

function nativeFeatures(value: unknown): readonly NativeFeature[] {
  if (value === undefined) return Object.freeze([]);
  if (!Array.isArray(value)) throw wrongType('requireNative', 'an array', value);
  const words = value.map((word, index) =>
    requireWord<NativeFeature>(word, `requireNative[${index}]`, [...nativeBits.keys()]),
  );
  return Object.freeze(words);
}

function checksum(value: unknown): boolean | 'required' {
  if (value === undefined) return true;
  if (typeof value === 'boolean' || value === 'required') return value;
  throw wrongType('crc', "a boolean or 'required'", value);
}

function frameBytes(value: unknown): number | 'auto' | 'mss' {
  if (value === undefined) return 'auto';
  if (value === 'auto' || value === 'mss') return value;
  if (typeof value === 'string') {
    throw argumentError(
      'ERR_RPMA_INVALID_ARG_VALUE',
      `maxFrameBytes must be a number, 'auto' or 'mss', but is ${describe(value)}`,
    );
  }
  return requireInteger(value, 'maxFrameBytes', frameBytesMin, limits.frameBytesMax);
}

/** A channel is of one connection, and that queue is of many. */
function sharedReceives(options: ConnectionOptions): SharedReceiveQueue | undefined {
  const value = options.sharedReceiveQueue;
  if (value === undefined) return undefined;
  const core = access.sharedReceiveQueue(value);
  if (core === undefined) throw wrongType('sharedReceiveQueue', 'a SharedReceiveQueue', value);
  if (options.sharedCompletionChannel !== true || core.queue === null) return value;
  throw argumentError(
    'ERR_RPMA_INVALID_ARG_VALUE',
    'sharedCompletionChannel cannot tell of a shared receive queue with a completion queue of its ' +
      'own: create that with receiveCompletionQueueSize 0, or leave sharedCompletionChannel out',
  );
}

/** IRD and ORD are powers of two in the set-up frame; 0 means none. */
function reads(value: unknown, name: string, fallback: number): number {
  const count = optionalInteger(value, name, 0, limits.readsMax, fallback);
  if (count !== 0 && (count & (count - 1)) !== 0) {
    throw outOfRange(name, `0 or a power of two up to ${limits.readsMax}`, count);
  }
  return count;
}

/**
 * Options checked once and completed with the defaults; give it wherever options are taken.
 *
 * @remarks Thread safety: an immutable value of the thread that made it.
 * @see librpma: `rpma_conn_cfg_new`, `rpma_conn_cfg_delete`
 */
export class ConnectionConfig implements ConnectionOptions {
  /**
   * Address and route resolution.
   *
   * @see librpma: `rpma_conn_cfg_set_timeout`, `rpma_conn_cfg_get_timeout`
   */
  readonly resolveTimeoutMs: number;
  /** From connect() or accept() to established. */
  readonly connectTimeoutMs: number;
  /**
   * Entries of the completion queue, at least.
   *
   * @see librpma: `rpma_conn_cfg_set_cq_size`, `rpma_conn_cfg_get_cq_size`
   */
  readonly completionQueueSize: number;
  /**
   * Operations in the send queue.
   *
   * @see librpma: `rpma_conn_cfg_set_sq_size`, `rpma_conn_cfg_get_sq_size`
   */
  readonly sendQueueSize: number;
  /**
   * Receives in the receive queue.
   *
   * @see librpma: `rpma_conn_cfg_set_rq_size`, `rpma_conn_cfg_get_rq_size`
   */
  readonly receiveQueueSize: number;
  /**
   * Entries of a completion queue for receives alone; 0: they complete in the main queue.
   *
   * @see librpma: `rpma_conn_cfg_set_rcq_size`, `rpma_conn_cfg_get_rcq_size`
   */
  readonly receiveCompletionQueueSize: number;
  /** close() becomes destroy() after it. */
  readonly closeTimeoutMs: number;
  /** A host that says nothing for so long has vanished. */
  readonly deadPeerTimeoutMs: number;
  /** How long a message may wait for a receive. */
  readonly receiverNotReadyTimeoutMs: number;
  /**
   * One completion channel for both of its queues.
   *
   * @see librpma: `rpma_conn_cfg_set_compl_channel`, `rpma_conn_cfg_get_compl_channel`
   */
  readonly sharedCompletionChannel: boolean;
  /** A queue that serves several connections; undefined for a private one. */
  readonly completionQueue: CompletionQueue | undefined;
  /**
   * Where its receives come from; undefined for a receive queue of its own.
   *
   * @see librpma: `rpma_conn_cfg_set_srq`, `rpma_conn_cfg_get_srq`
   */
  readonly sharedReceiveQueue: SharedReceiveQueue | undefined;
  /** What must not be emulated. */
  readonly requireNative: readonly NativeFeature[];
  /** iwarp: checksums. */
  readonly crc: boolean | 'required';
  /** iwarp: longest frame. */
  readonly maxFrameBytes: number | 'auto' | 'mss';
  /** Reads, flushes and atomic writes served at once (IRD). */
  readonly inboundReads: number;
  /** Reads, flushes and atomic writes under way at once (ORD). */
  readonly outboundReads: number;

  /**
   * Checks options and completes them.
   *
   * @param options - what differs from the defaults
   * @throws ERR_RPMA_INVALID_ARG_TYPE an option has the wrong type
   * @throws ERR_RPMA_INVALID_ARG_VALUE an option is an unknown word, or a shared completion channel
   *   is asked for with a completion queue of several connections
   * @throws ERR_RPMA_OUT_OF_RANGE a number is out of bounds
   * @remarks Thread safety: any thread; the value belongs to the one that made it.
   * @see librpma: `rpma_conn_cfg_new` and its setters
   */
  constructor(options: ConnectionOptions = {}) {
    requireObject(options, 'connection');
    this.sharedReceiveQueue = sharedReceives(options);
    const o = options;
    this.resolveTimeoutMs = milliseconds(
      o.resolveTimeoutMs,
      'resolveTimeoutMs',
      limits.resolveTimeoutMs,
    );
    this.connectTimeoutMs = milliseconds(
      o.connectTimeoutMs,
      'connectTimeoutMs',
      limits.connectTimeoutMs,
    );
    this.closeTimeoutMs = milliseconds(o.closeTimeoutMs, 'closeTimeoutMs', limits.closeTimeoutMs);
    this.deadPeerTimeoutMs = milliseconds(
      o.deadPeerTimeoutMs,
      'deadPeerTimeoutMs',
      limits.deadPeerTimeoutMs,
    );
    this.receiverNotReadyTimeoutMs = requireTimeout(
      o.receiverNotReadyTimeoutMs,
      'receiverNotReadyTimeoutMs',
    );
    const size = limits.queueSize;
    this.completionQueueSize = queueSize(
      o.completionQueueSize,
      'completionQueueSize',
      queueSizeMin,
      size,
    );
    this.sendQueueSize = queueSize(o.sendQueueSize, 'sendQueueSize', queueSizeMin, size);
    this.receiveQueueSize = queueSize(o.receiveQueueSize, 'receiveQueueSize', queueSizeMin, size);
    this.receiveCompletionQueueSize = queueSize(
      o.receiveCompletionQueueSize,
      'receiveCompletionQueueSize',
      0,
      0,
    );
    if (o.completionQueue !== undefined && access.queue(o.completionQueue) === undefined) {
      throw wrongType('completionQueue', 'a CompletionQueue', o.completionQueue);
    }
    this.completionQueue = o.completionQueue;
    this.sharedCompletionChannel = optionalBoolean(
      o.sharedCompletionChannel,
      'sharedCompletionChannel',
      false,
    );
    if (this.sharedCompletionChannel && o.completionQueue !== undefined) {
      throw argumentError(
        'ERR_RPMA_INVALID_ARG_VALUE',
        'sharedCompletionChannel is for the queues of one connection, and completionQueue serves ' +
          'several: leave one of them out',
      );
    }
    this.requireNative = nativeFeatures(o.requireNative);
    this.crc = checksum(o.crc);
    this.maxFrameBytes = frameBytes(o.maxFrameBytes);
    this.inboundReads = reads(o.inboundReads, 'inboundReads', limits.inboundReads);
    this.outboundReads = reads(o.outboundReads, 'outboundReads', limits.outboundReads);
    Object.freeze(this);
  }
}

/** A configuration from what the program gave: itself, or made of plain options. Library use. */
export function connectionConfigOf(options: ConnectionOptions | undefined): ConnectionConfig {
  return options instanceof ConnectionConfig ? options : new ConnectionConfig(options);
}

function crcNumber(crc: boolean | 'required'): number {
  if (crc === 'required') return 2;
  return crc ? 1 : 0;
}

function frameNumber(bytes: number | 'auto' | 'mss'): number {
  if (bytes === 'auto') return 0;
  return bytes === 'mss' ? 1 : bytes;
}

/** What the addon takes. Library use. */
export function nativeConnectionOptions(config: ConnectionConfig): NativeConnectionOptions {
  const forever = config.receiverNotReadyTimeoutMs === Infinity;
  return {
    sendQueueSize: config.sendQueueSize,
    receiveQueueSize: config.receiveQueueSize,
    completionQueueSize: config.completionQueueSize,
    receiveCompletionQueueSize: config.receiveCompletionQueueSize,
    connectTimeoutMs: config.connectTimeoutMs,
    closeTimeoutMs: config.closeTimeoutMs,
    deadPeerTimeoutMs: config.deadPeerTimeoutMs,
    receiverNotReadyTimeoutMs: forever ? -1 : config.receiverNotReadyTimeoutMs,
    crc: crcNumber(config.crc),
    maxFrameBytes: frameNumber(config.maxFrameBytes),
    inboundReads: config.inboundReads,
    outboundReads: config.outboundReads,
    requireNative: config.requireNative.reduce(
      (bits, word) => bits | (nativeBits.get(word) ?? 0),
      0,
    ),
    completionQueue: access.queue(config.completionQueue)?.handle ?? 0,
    sharedReceiveQueue: access.sharedReceiveQueue(config.sharedReceiveQueue)?.handle ?? 0,
  };
}
