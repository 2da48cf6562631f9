// SPDX-License-Identifier: BSD-3-Clause
//
// The verbs tier of a connection: operations that are posted, and complete in its queue. A base of
// Connection in a file of its own; the program sees them through Connection only. JS thread only;
// the peer's threads move the bytes.

import { operationNumber } from './internal/abi.generated.js';
import { access, requireConstructorKey } from './internal/access.js';
import type { ConnectionCore } from './internal/connection-core.js';
import {
  completionFlag,
  encodeAtomicWrite,
  encodeFlush,
  encodeReceive,
  encodeSend,
  encodeTransfer,
} from './internal/operations.js';
import { requireInteger, wrongType } from './internal/validate.js';
import type { OperationBatch } from './operation-batch.js';
import type {
  AtomicWriteOperation,
  FlushOperation,
  PostOptions,
  ReceiveOperation,
  SendOperation,
  TransferOperation,
  WriteOperation,
} from './types.js';

/**
 * The posts of a {@link Connection}: each returns at once, and its completion comes out of
 * `completionQueue`.
 *
 * @remarks Thread safety: per object, on the thread that made it.
 * @see librpma: `struct rpma_conn`
 */
export abstract class ConnectionVerbs {
  readonly #core: ConnectionCore;

  /** Library use: connections come from peer.connect() and request.accept(). */
  protected constructor(key: symbol, core: object) {
    requireConstructorKey(key, 'Connection', 'peer.connect() or request.accept()');
    this.#core = core as ConnectionCore;
  }

  /**
   * Posts a read of remote into local memory.
   *
   * Guarantee on completion: delivered; the bytes are in local memory.
   *
   * @param operation - read during the call only: reuse it freely
   * @throws ERR_RPMA_INVALID_ARG_TYPE operation, or something in it, has the wrong type
   * @throws ERR_RPMA_INVALID_ARG_VALUE local or remote alone, a length without both, or a bad word
   * @throws ERR_RPMA_OUT_OF_RANGE beyond a region, no safe integer, or 2 GiB and more
   * @throws ERR_RPMA_USAGE remote lacks ReadSource, or local ReadDestination
   * @throws ERR_RPMA_FOREIGN local belongs to another peer
   * @throws ERR_RPMA_STATE the connection is not established yet
   * @throws ERR_RPMA_CLOSED the connection has ended or is closing, or local is closed
   * @throws ERR_RPMA_AGAIN the send queue is full; nothing was posted
   * @throws ERR_RPMA_QUEUE_CLAIMED awaited operations consume the completion queue
   * @throws ERR_RPMA_NOT_SUPPORTED outboundReads here or inboundReads there is 0
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_read`
   */
  postRead(operation: TransferOperation & PostOptions): void {
    const core = this.#core;
    core.requireSendable('read');
    const flags = completionFlag((operation as PostOptions | undefined)?.completion);
    encodeTransfer(core.submissions, 0, core, operationNumber.read, flags, operation);
    core.postOne(core.queue, 'read');
  }

  /**
   * Posts a write of local into remote memory.
   *
   * Guarantee on completion: reusable; local memory may be changed, and nothing is known of the
   * other side.
   *
   * @param operation - read during the call only: reuse it freely
   * @throws ERR_RPMA_INVALID_ARG_TYPE operation, or something in it, has the wrong type
   * @throws ERR_RPMA_INVALID_ARG_VALUE local or remote alone, a length without both, or a bad word
   * @throws ERR_RPMA_OUT_OF_RANGE beyond a region, or no safe integer
   * @throws ERR_RPMA_USAGE remote lacks WriteDestination, or local WriteSource
   * @throws ERR_RPMA_FOREIGN local belongs to another peer
   * @throws ERR_RPMA_STATE the connection is not established yet
   * @throws ERR_RPMA_CLOSED the connection has ended or is closing, or local is closed
   * @throws ERR_RPMA_AGAIN the send queue is full; nothing was posted
   * @throws ERR_RPMA_QUEUE_CLAIMED awaited operations consume the completion queue
   * @throws ERR_RPMA_NOT_SUPPORTED immediate data, which the other side does not take
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_write`, `rpma_write_with_imm`
   */
  postWrite(operation: WriteOperation & PostOptions): void {
    const core = this.#core;
    core.requireSendable('write');
    const flags = completionFlag((operation as PostOptions | undefined)?.completion);
    encodeTransfer(core.submissions, 0, core, operationNumber.write, flags, operation);
    core.postOne(core.queue, 'write');
  }

  /**
   * Posts a write of 8 bytes that change together, after all earlier operations.
   *
   * Guarantee on completion: reusable.
   *
   * @param operation - read during the call only: reuse it freely
   * @throws ERR_RPMA_INVALID_ARG_TYPE operation, or something in it, has the wrong type
   * @throws ERR_RPMA_INVALID_ARG_VALUE completion is an unknown word
   * @throws ERR_RPMA_OUT_OF_RANGE beyond the region, or value is not 0 to 2^64-1 or 8 bytes
   * @throws ERR_RPMA_ALIGNMENT the region's address plus remoteOffset is no multiple of 8
   * @throws ERR_RPMA_USAGE remote lacks WriteDestination
   * @throws ERR_RPMA_STATE the connection is not established yet
   * @throws ERR_RPMA_CLOSED the connection has ended or is closing
   * @throws ERR_RPMA_AGAIN the send queue is full; nothing was posted
   * @throws ERR_RPMA_QUEUE_CLAIMED awaited operations consume the completion queue
   * @throws ERR_RPMA_NOT_SUPPORTED outboundReads here or inboundReads there is 0
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_atomic_write`
   */
  postAtomicWrite(operation: AtomicWriteOperation & PostOptions): void {
    const core = this.#core;
    core.requireSendable('atomic-write');
    const flags = completionFlag((operation as PostOptions | undefined)?.completion);
    encodeAtomicWrite(core.submissions, 0, flags, operation);
    core.postOne(core.queue, 'atomic-write');
  }

  /**
   * Posts a flush of what earlier operations of this connection wrote to the range; length 0 only
   * orders.
   *
   * Guarantee on completion: delivered ('visibility') or durable ('persistent').
   *
   * @param operation - read during the call only: reuse it freely
   * @throws ERR_RPMA_INVALID_ARG_TYPE operation, or something in it, has the wrong type
   * @throws ERR_RPMA_INVALID_ARG_VALUE type or completion is an unknown word
   * @throws ERR_RPMA_OUT_OF_RANGE beyond the region, or no safe integer
   * @throws ERR_RPMA_USAGE remote lacks FlushVisibility or FlushPersistent, whichever type asks for
   * @throws ERR_RPMA_NOT_PERSISTENT 'persistent' would be emulated, and nobody vouched for it
   * @throws ERR_RPMA_STATE the connection is not established yet
   * @throws ERR_RPMA_CLOSED the connection has ended or is closing
   * @throws ERR_RPMA_AGAIN the send queue is full; nothing was posted
   * @throws ERR_RPMA_QUEUE_CLAIMED awaited operations consume the completion queue
   * @throws ERR_RPMA_NOT_SUPPORTED outboundReads here or inboundReads there is 0
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_flush`
   */
  postFlush(operation: FlushOperation & PostOptions): void {
    const core = this.#core;
    core.requireSendable('flush');
    const flags = completionFlag((operation as PostOptions | undefined)?.completion);
    encodeFlush(core.submissions, 0, core, flags, operation);
    core.postOne(core.queue, 'flush');
  }

  /**
   * Posts a message, which takes one receive of the other side.
   *
   * Guarantee on completion: reusable.
   *
   * @param operation - read during the call only: reuse it freely
   * @throws ERR_RPMA_INVALID_ARG_TYPE operation, or something in it, has the wrong type
   * @throws ERR_RPMA_INVALID_ARG_VALUE an offset or a length without local, or a bad word
   * @throws ERR_RPMA_OUT_OF_RANGE beyond the region, or no safe integer
   * @throws ERR_RPMA_USAGE local lacks Send
   * @throws ERR_RPMA_FOREIGN local belongs to another peer
   * @throws ERR_RPMA_STATE the connection is not established yet
   * @throws ERR_RPMA_CLOSED the connection has ended or is closing, or local is closed
   * @throws ERR_RPMA_AGAIN the send queue is full; nothing was posted
   * @throws ERR_RPMA_QUEUE_CLAIMED awaited operations consume the completion queue
   * @throws ERR_RPMA_NOT_SUPPORTED immediate data, which the other side does not take
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_send`, `rpma_send_with_imm`
   */
  postSend(operation: SendOperation & PostOptions): void {
    const core = this.#core;
    core.requireSendable('send');
    const flags = completionFlag((operation as PostOptions | undefined)?.completion);
    encodeSend(core.submissions, 0, core, flags, operation);
    core.postOne(core.queue, 'send');
  }

  /**
   * Posts room for one message; allowed before the connection is established.
   *
   * Guarantee on completion: the message is in local memory.
   *
   * @param operation - read during the call only: reuse it freely
   * @throws ERR_RPMA_INVALID_ARG_TYPE operation, or something in it, has the wrong type
   * @throws ERR_RPMA_INVALID_ARG_VALUE an offset or a length without local
   * @throws ERR_RPMA_OUT_OF_RANGE beyond the region, or no safe integer
   * @throws ERR_RPMA_USAGE local lacks Receive
   * @throws ERR_RPMA_FOREIGN local belongs to another peer
   * @throws ERR_RPMA_CLOSED the connection has ended or is closing, or local is closed
   * @throws ERR_RPMA_AGAIN the receive queue is full; nothing was posted
   * @throws ERR_RPMA_QUEUE_CLAIMED awaited operations consume the completion queue
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_recv`
   */
  postReceive(operation: ReceiveOperation): void {
    const core = this.#core;
    core.requireReceivable('receive');
    encodeReceive(core.submissions, 0, core, operation);
    core.postOne(core.receiveQueue, 'receive');
  }

  /**
   * Posts the operations of a batch, in order, from `start` on, as many as there is room for. All
   * of them are checked first: an error means that none was posted. When the connection ends
   * meanwhile the count is short, and the next call says why.
   *
   * Guarantee on completion: that of each operation.
   *
   * @param batch - read during the call only: post it again, or to another connection of the peer
   * @param start - the first operation to post, 0 to the batch's length, default 0
   * @returns how many were accepted; 0 when the send queue is full
   * @throws ERR_RPMA_INVALID_ARG_TYPE batch is no OperationBatch, or start no number
   * @throws ERR_RPMA_OUT_OF_RANGE start is not a whole number from 0 to the batch's length
   * @throws ERR_RPMA_FOREIGN a region in it belongs to another peer
   * @throws ERR_RPMA_NOT_PERSISTENT a 'persistent' flush would be emulated, and nobody vouched
   * @throws ERR_RPMA_STATE the connection is not established yet
   * @throws ERR_RPMA_CLOSED the connection has ended or is closing, or a region in it is closed
   * @throws ERR_RPMA_QUEUE_CLAIMED awaited operations consume the completion queue
   * @throws ERR_RPMA_NOT_SUPPORTED immediate data that the other side does not take, or
   *   outboundReads here or inboundReads there is 0
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_write`, `rpma_read`, `rpma_flush` and the like, one call each
   */
  post(batch: OperationBatch, start: number = 0): number {
    const operations = access.operations(batch);
    if (operations === undefined) throw wrongType('batch', 'an OperationBatch', batch);
    requireInteger(start, 'start', 0, operations.length);
    return operations.post(this.#core, start);
  }
}
