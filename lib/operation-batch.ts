// SPDX-License-Identifier: BSD-3-Clause
//
// Operations encoded ahead, to be posted with one call. JS thread only; nothing reaches the addon
// before connection.post().

import { limits, operationNumber } from './internal/abi.generated.js';
import { access } from './internal/access.js';
import { atIndex, OperationBatchCore } from './internal/operation-batch-core.js';
import {
  completionFlag,
  encodeAtomicWrite,
  encodeFlush,
  encodeSend,
  encodeTransfer,
} from './internal/operations.js';
import { requireInteger } from './internal/validate.js';
import type {
  AtomicWriteOperation,
  FlushOperation,
  PostOptions,
  SendOperation,
  TransferOperation,
  WriteOperation,
} from './types.js';

interface Options extends PostOptions {
  readonly local?: unknown;
}

/**
 * Operations encoded ahead, posted with one call of `connection.post()`; reusable, for any
 * connection of the peer whose regions it names. Posting them again costs no check and no encoding.
 * Each operation is checked when it is added; an error names its index and adds nothing.
 *
 * @remarks Thread safety: per object, on the thread that made it.
 * @see librpma: none; there each operation is posted by a call of its own
 */
export class OperationBatch {
  readonly #core: OperationBatchCore;

  static {
    access.operations = (value) =>
      typeof value === 'object' && value !== null && #core in value ? value.#core : undefined;
  }

  /**
   * Makes an empty batch.
   *
   * @param capacity - most operations, 1 to 65536; each takes 64 bytes
   * @throws ERR_RPMA_INVALID_ARG_TYPE capacity is no number
   * @throws ERR_RPMA_OUT_OF_RANGE capacity is not a whole number from 1 to 65536
   * @remarks Thread safety: any thread; the batch belongs to the one that made it.
   */
  constructor(capacity: number) {
    requireInteger(capacity, 'capacity', 1, limits.queueSizeMax);
    this.#core = new OperationBatchCore(capacity);
  }

  /** Most operations it holds. */
  get capacity(): number {
    return this.#core.records.capacity;
  }

  /** How many it holds. */
  get length(): number {
    return this.#core.length;
  }

  /**
   * Adds a read of remote into local memory.
   *
   * @param operation - as for `connection.postRead()`; read during the call only
   * @returns this
   * @throws ERR_RPMA_INVALID_ARG_TYPE operation, or something in it, has the wrong type
   * @throws ERR_RPMA_INVALID_ARG_VALUE local or remote alone, a length without both, or a bad word
   * @throws ERR_RPMA_OUT_OF_RANGE beyond a region, no safe integer, 2 GiB and more, or it is full
   * @throws ERR_RPMA_USAGE remote lacks ReadSource, or local ReadDestination
   * @throws ERR_RPMA_CLOSED local is closed
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_read`
   */
  read(operation: TransferOperation & PostOptions): this {
    const core = this.#core;
    const local = access.region((operation as Options | undefined)?.local) ?? null;
    core.open(local);
    try {
      const flags = completionFlag((operation as Options | undefined)?.completion);
      encodeTransfer(core.records, core.length, core, operationNumber.read, flags, operation);
    } catch (error) {
      throw atIndex(error, core.length);
    }
    core.close(local, false);
    return this;
  }

  /**
   * Adds a write of local into remote memory.
   *
   * @param operation - as for `connection.postWrite()`; read during the call only
   * @returns this
   * @throws ERR_RPMA_INVALID_ARG_TYPE operation, or something in it, has the wrong type
   * @throws ERR_RPMA_INVALID_ARG_VALUE local or remote alone, a length without both, or a bad word
   * @throws ERR_RPMA_OUT_OF_RANGE beyond a region, no safe integer, an immediate value that is no
   *   32-bit number, or the batch is full
   * @throws ERR_RPMA_USAGE remote lacks WriteDestination, or local WriteSource
   * @throws ERR_RPMA_CLOSED local is closed
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_write`
   */
  write(operation: WriteOperation & PostOptions): this {
    const core = this.#core;
    const local = access.region((operation as Options | undefined)?.local) ?? null;
    core.open(local);
    try {
      const flags = completionFlag((operation as Options | undefined)?.completion);
      encodeTransfer(core.records, core.length, core, operationNumber.write, flags, operation);
    } catch (error) {
      throw atIndex(error, core.length);
    }
    core.close(local, operation.immediate !== undefined);
    return this;
  }

  /**
   * Adds a write of 8 bytes that change together, after all earlier operations.
   *
   * @param operation - as for `connection.postAtomicWrite()`; read during the call only
   * @returns this
   * @throws ERR_RPMA_INVALID_ARG_TYPE operation, or something in it, has the wrong type
   * @throws ERR_RPMA_INVALID_ARG_VALUE completion is an unknown word
   * @throws ERR_RPMA_OUT_OF_RANGE beyond the region, value is not 8 bytes, or the batch is full
   * @throws ERR_RPMA_ALIGNMENT the region's address plus remoteOffset is no multiple of 8
   * @throws ERR_RPMA_USAGE remote lacks WriteDestination
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_atomic_write`
   */
  atomicWrite(operation: AtomicWriteOperation & PostOptions): this {
    const core = this.#core;
    core.open(null);
    try {
      const flags = completionFlag((operation as Options | undefined)?.completion);
      encodeAtomicWrite(core.records, core.length, flags, operation);
    } catch (error) {
      throw atIndex(error, core.length);
    }
    core.close(null, false);
    return this;
  }

  /**
   * Adds a flush. Whether a 'persistent' one can be kept is the connection's affair: the post
   * tells.
   *
   * @param operation - as for `connection.postFlush()`; read during the call only
   * @returns this
   * @throws ERR_RPMA_INVALID_ARG_TYPE operation, or something in it, has the wrong type
   * @throws ERR_RPMA_INVALID_ARG_VALUE type or completion is an unknown word
   * @throws ERR_RPMA_OUT_OF_RANGE beyond the region, no safe integer, or the batch is full
   * @throws ERR_RPMA_USAGE remote lacks FlushVisibility or FlushPersistent, whichever type asks for
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_flush`
   */
  flush(operation: FlushOperation & PostOptions): this {
    const core = this.#core;
    core.open(null);
    try {
      const flags = completionFlag((operation as Options | undefined)?.completion);
      encodeFlush(core.records, core.length, core, flags, operation);
    } catch (error) {
      throw atIndex(error, core.length);
    }
    core.close(null, operation.type === 'persistent');
    return this;
  }

  /**
   * Adds a message, which takes one receive of the other side.
   *
   * @param operation - as for `connection.postSend()`; read during the call only
   * @returns this
   * @throws ERR_RPMA_INVALID_ARG_TYPE operation, or something in it, has the wrong type
   * @throws ERR_RPMA_INVALID_ARG_VALUE an offset or a length without local, or a bad word
   * @throws ERR_RPMA_OUT_OF_RANGE beyond the region, no safe integer, an immediate value that is no
   *   32-bit number, or the batch is full
   * @throws ERR_RPMA_USAGE local lacks Send
   * @throws ERR_RPMA_CLOSED local is closed
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_send`
   */
  send(operation: SendOperation & PostOptions): this {
    const core = this.#core;
    const local = access.region((operation as Options | undefined)?.local) ?? null;
    core.open(local);
    try {
      const flags = completionFlag((operation as Options | undefined)?.completion);
      encodeSend(core.records, core.length, core, flags, operation);
    } catch (error) {
      throw atIndex(error, core.length);
    }
    core.close(local, operation.immediate !== undefined);
    return this;
  }

  /**
   * Empties it. Regions that it named are no longer held by it.
   *
   * @returns this
   * @remarks Thread safety: per object, on the thread that made it.
   */
  clear(): this {
    this.#core.clear();
    return this;
  }
}
