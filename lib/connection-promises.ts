// SPDX-License-Identifier: BSD-3-Clause
//
// The promise tier of a connection: operations that are awaited. A base of Connection in a file of
// its own; the program sees them through Connection only. What becomes of an operation is
// internal/awaited.ts and internal/promise-tier.ts. JS thread only; the peer's threads move the
// bytes.

import { ConnectionVerbs } from './connection-verbs.js';
import { operationNumber } from './internal/abi.generated.js';
import { awaitAtomicWrite, awaitFlush, awaitMessage, awaitTransfer } from './internal/awaited.js';
import type { ConnectionCore } from './internal/connection-core.js';
import type {
  AtomicWriteOperation,
  DurableResult,
  FlushOperation,
  GuaranteeChoice,
  ReceiveOperation,
  ReceiveResult,
  SendOperation,
  TransferOperation,
  WaitOptions,
  WriteOperation,
} from './types.js';

/**
 * The awaited operations of a {@link Connection}. The first one claims the completion queue. They
 * never throw: they reject. A signal or deadline ends the waiting, not the operation.
 *
 * @remarks Thread safety: per object, on the thread that made it.
 * @see librpma: `struct rpma_conn`
 */
export abstract class ConnectionPromises extends ConnectionVerbs {
  readonly #core: ConnectionCore;

  /** Library use: connections come from peer.connect() and request.accept(). */
  protected constructor(key: symbol, core: object) {
    super(key, core);
    this.#core = core as ConnectionCore;
  }

  /**
   * Reads remote into local memory.
   *
   * Guarantee once resolved: delivered; the bytes are in local memory.
   *
   * @param operation - read during the call only; with signal and deadline of the waiting
   * @returns a promise
   * @throws ERR_RPMA_INVALID_ARG_TYPE operation, or something in it, has the wrong type
   * @throws ERR_RPMA_INVALID_ARG_VALUE local or remote alone, or a length without both
   * @throws ERR_RPMA_OUT_OF_RANGE beyond a region, no safe integer, 2 GiB or more, or bad timeoutMs
   * @throws ERR_RPMA_USAGE remote lacks ReadSource, or local ReadDestination
   * @throws ERR_RPMA_FOREIGN local belongs to another peer
   * @throws ERR_RPMA_STATE the connection is not established yet
   * @throws ERR_RPMA_CLOSED the connection has ended or is closing, or local is closed
   * @throws ERR_RPMA_AGAIN 1024 operations wait for room already
   * @throws ERR_RPMA_QUEUE_CLAIMED the verbs tier consumes the completion queue
   * @throws ERR_RPMA_NOT_SUPPORTED outboundReads here or inboundReads there is 0
   * @throws ERR_RPMA_TIMEOUT the deadline ended the waiting; the operation may still happen
   * @throws ERR_RPMA_ABORTED the signal ended the waiting; the operation may still happen
   * @throws ERR_RPMA_WC_LOCAL_PROTECTION local memory is gone (a truncated file)
   * @throws ERR_RPMA_WC_FLUSHED the connection ended before it was carried out
   * @throws ERR_RPMA_WC_REMOTE_ACCESS the other side refused access to its memory
   * @throws ERR_RPMA_WC_REMOTE_INVALID the other side found the request invalid
   * @throws ERR_RPMA_WC_REMOTE_OPERATION the other side failed to carry it out
   * @throws ERR_RPMA_WC_RETRY the other side stopped answering
   * @throws ERR_RPMA_WC_PROVIDER the connection broke (a bad checksum, a broken frame)
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_read`
   */
  read(operation: TransferOperation & WaitOptions): Promise<void> {
    return awaitTransfer(this.#core, operationNumber.read, operation, 'reusable') as Promise<void>;
  }

  /**
   * Writes local into remote memory. Whole operations keep their order.
   *
   * Guarantee once resolved: as `until` says; 'reusable' by default, 'delivered' and 'durable' with
   * the flush that they need.
   *
   * @param operation - read during the call only; with signal and deadline of the waiting
   * @returns what stands behind 'durable'
   * @throws ERR_RPMA_INVALID_ARG_TYPE operation, or something in it, has the wrong type
   * @throws ERR_RPMA_INVALID_ARG_VALUE local or remote alone, a length without both, or a bad word
   * @throws ERR_RPMA_OUT_OF_RANGE beyond a region, no safe integer, or timeoutMs out of bounds
   * @throws ERR_RPMA_USAGE local lacks WriteSource, remote WriteDestination or what `until` needs
   * @throws ERR_RPMA_FOREIGN local belongs to another peer
   * @throws ERR_RPMA_NOT_PERSISTENT 'durable' would be emulated, and nobody vouched for it
   * @throws ERR_RPMA_STATE the connection is not established yet
   * @throws ERR_RPMA_CLOSED the connection has ended or is closing, or local is closed
   * @throws ERR_RPMA_AGAIN 1024 operations wait for room already
   * @throws ERR_RPMA_QUEUE_CLAIMED the verbs tier consumes the completion queue
   * @throws ERR_RPMA_NOT_SUPPORTED immediate data that the other side does not take, or a flush
   * without outbound reads or with sendQueueSize 1
   * @throws ERR_RPMA_TIMEOUT the deadline ended the waiting; the operation may still happen
   * @throws ERR_RPMA_ABORTED the signal ended the waiting; the operation may still happen
   * @throws ERR_RPMA_WC_LOCAL_PROTECTION local memory is gone (a truncated file)
   * @throws ERR_RPMA_WC_FLUSHED the connection ended before it was carried out
   * @throws ERR_RPMA_WC_REMOTE_ACCESS the other side refused access to its memory
   * @throws ERR_RPMA_WC_REMOTE_INVALID the other side found the request invalid
   * @throws ERR_RPMA_WC_REMOTE_OPERATION the other side failed to carry it out
   * @throws ERR_RPMA_WC_RETRY the other side stopped answering
   * @throws ERR_RPMA_WC_PROVIDER the connection broke (a bad checksum, a broken frame)
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_write`, `rpma_write_with_imm`, `rpma_flush`
   */
  write(operation: WriteOperation & WaitOptions & GuaranteeChoice): Promise<DurableResult> {
    const until = (operation as GuaranteeChoice | undefined)?.until;
    const wrote = awaitTransfer(this.#core, operationNumber.write, operation, until ?? 'reusable');
    return wrote as Promise<DurableResult>;
  }

  /**
   * write() until 'durable'.
   *
   * Guarantee once resolved: durable; the range is persistent on the other side.
   *
   * @param operation - read during the call only; with signal and deadline of the waiting
   * @returns what stands behind it
   * @throws ERR_RPMA_INVALID_ARG_TYPE operation, or something in it, has the wrong type
   * @throws ERR_RPMA_INVALID_ARG_VALUE local or remote is missing
   * @throws ERR_RPMA_OUT_OF_RANGE beyond a region, no safe integer, or timeoutMs out of bounds
   * @throws ERR_RPMA_USAGE remote lacks WriteDestination or FlushPersistent, or local WriteSource
   * @throws ERR_RPMA_FOREIGN local belongs to another peer
   * @throws ERR_RPMA_NOT_PERSISTENT the flush would be emulated, and nobody vouched for it
   * @throws ERR_RPMA_STATE the connection is not established yet
   * @throws ERR_RPMA_CLOSED the connection has ended or is closing, or local is closed
   * @throws ERR_RPMA_AGAIN 1024 operations wait for room already
   * @throws ERR_RPMA_QUEUE_CLAIMED the verbs tier consumes the completion queue
   * @throws ERR_RPMA_NOT_SUPPORTED a flush without outbound reads or with sendQueueSize 1
   * @throws ERR_RPMA_TIMEOUT the deadline ended the waiting; the operation may still happen
   * @throws ERR_RPMA_ABORTED the signal ended the waiting; the operation may still happen
   * @throws ERR_RPMA_WC_LOCAL_PROTECTION local memory is gone (a truncated file)
   * @throws ERR_RPMA_WC_FLUSHED the connection ended before it was carried out
   * @throws ERR_RPMA_WC_REMOTE_ACCESS the other side refused access to its memory
   * @throws ERR_RPMA_WC_REMOTE_INVALID the other side found the request invalid
   * @throws ERR_RPMA_WC_REMOTE_OPERATION the other side failed to carry it out
   * @throws ERR_RPMA_WC_RETRY the other side stopped answering
   * @throws ERR_RPMA_WC_PROVIDER the connection broke (a bad checksum, a broken frame)
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_write`, `rpma_flush`
   */
  writeDurable(operation: TransferOperation & WaitOptions): Promise<DurableResult> {
    const wrote = awaitTransfer(this.#core, operationNumber.write, operation, 'durable');
    return wrote as Promise<DurableResult>;
  }

  /**
   * Writes 8 bytes that change together, after all earlier operations.
   *
   * Guarantee once resolved: as `until` says, 'reusable' by default.
   *
   * @param operation - read during the call only; with signal and deadline of the waiting
   * @returns what stands behind 'durable'
   * @throws ERR_RPMA_INVALID_ARG_TYPE operation, or something in it, has the wrong type
   * @throws ERR_RPMA_INVALID_ARG_VALUE until is an unknown word
   * @throws ERR_RPMA_OUT_OF_RANGE beyond the region, not 0 to 2^64-1 or 8 bytes, or a bad timeoutMs
   * @throws ERR_RPMA_ALIGNMENT the region's address plus remoteOffset is no multiple of 8
   * @throws ERR_RPMA_USAGE remote lacks WriteDestination or what `until` needs
   * @throws ERR_RPMA_NOT_PERSISTENT 'durable' would be emulated, and nobody vouched for it
   * @throws ERR_RPMA_STATE the connection is not established yet
   * @throws ERR_RPMA_CLOSED the connection has ended or is closing
   * @throws ERR_RPMA_AGAIN 1024 operations wait for room already
   * @throws ERR_RPMA_QUEUE_CLAIMED the verbs tier consumes the completion queue
   * @throws ERR_RPMA_NOT_SUPPORTED no outbound reads, or a flush and only 1 entry of the send queue
   * @throws ERR_RPMA_TIMEOUT the deadline ended the waiting; the operation may still happen
   * @throws ERR_RPMA_ABORTED the signal ended the waiting; the operation may still happen
   * @throws ERR_RPMA_WC_FLUSHED the connection ended before it was carried out
   * @throws ERR_RPMA_WC_REMOTE_ACCESS the other side refused access to its memory
   * @throws ERR_RPMA_WC_REMOTE_INVALID the other side found the request invalid
   * @throws ERR_RPMA_WC_REMOTE_OPERATION the other side failed to carry it out
   * @throws ERR_RPMA_WC_RETRY the other side stopped answering
   * @throws ERR_RPMA_WC_PROVIDER the connection broke (a bad checksum, a broken frame)
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_atomic_write`, `rpma_flush`
   */
  atomicWrite(
    operation: AtomicWriteOperation & WaitOptions & GuaranteeChoice,
  ): Promise<DurableResult> {
    return awaitAtomicWrite(this.#core, operation);
  }

  /**
   * Flushes what earlier operations of this connection wrote to the range.
   *
   * Guarantee once resolved: delivered ('visibility') or durable ('persistent').
   *
   * @param operation - read during the call only; with signal and deadline of the waiting
   * @returns what stands behind 'persistent'
   * @throws ERR_RPMA_INVALID_ARG_TYPE operation, or something in it, has the wrong type
   * @throws ERR_RPMA_INVALID_ARG_VALUE type is an unknown word
   * @throws ERR_RPMA_OUT_OF_RANGE beyond the region, no safe integer, or timeoutMs out of bounds
   * @throws ERR_RPMA_USAGE remote lacks FlushVisibility or FlushPersistent, whichever type asks for
   * @throws ERR_RPMA_NOT_PERSISTENT 'persistent' would be emulated, and nobody vouched for it
   * @throws ERR_RPMA_STATE the connection is not established yet
   * @throws ERR_RPMA_CLOSED the connection has ended or is closing
   * @throws ERR_RPMA_AGAIN 1024 operations wait for room already
   * @throws ERR_RPMA_QUEUE_CLAIMED the verbs tier consumes the completion queue
   * @throws ERR_RPMA_NOT_SUPPORTED outboundReads here or inboundReads there is 0
   * @throws ERR_RPMA_TIMEOUT the deadline ended the waiting; the operation may still happen
   * @throws ERR_RPMA_ABORTED the signal ended the waiting; the operation may still happen
   * @throws ERR_RPMA_WC_FLUSHED the connection ended before it was carried out
   * @throws ERR_RPMA_WC_REMOTE_ACCESS the other side refused access to its memory
   * @throws ERR_RPMA_WC_REMOTE_INVALID the other side found the request invalid
   * @throws ERR_RPMA_WC_REMOTE_OPERATION the other side failed to carry it out
   * @throws ERR_RPMA_WC_RETRY the other side stopped answering
   * @throws ERR_RPMA_WC_PROVIDER the connection broke (a bad checksum, a broken frame)
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_flush`
   */
  flush(operation: FlushOperation & WaitOptions): Promise<DurableResult> {
    return awaitFlush(this.#core, operation);
  }

  /**
   * Sends a message, which takes one receive of the other side.
   *
   * Guarantee once resolved: reusable.
   *
   * @param operation - read during the call only; with signal and deadline of the waiting
   * @returns a promise
   * @throws ERR_RPMA_INVALID_ARG_TYPE operation, or something in it, has the wrong type
   * @throws ERR_RPMA_INVALID_ARG_VALUE an offset or a length without local
   * @throws ERR_RPMA_OUT_OF_RANGE beyond the region, no safe integer, or timeoutMs out of bounds
   * @throws ERR_RPMA_USAGE local lacks Send
   * @throws ERR_RPMA_FOREIGN local belongs to another peer
   * @throws ERR_RPMA_STATE the connection is not established yet
   * @throws ERR_RPMA_CLOSED the connection has ended or is closing, or local is closed
   * @throws ERR_RPMA_AGAIN 1024 operations wait for room already
   * @throws ERR_RPMA_QUEUE_CLAIMED the verbs tier consumes the completion queue
   * @throws ERR_RPMA_NOT_SUPPORTED immediate data, which the other side does not take
   * @throws ERR_RPMA_TIMEOUT the deadline ended the waiting; the operation may still happen
   * @throws ERR_RPMA_ABORTED the signal ended the waiting; the operation may still happen
   * @throws ERR_RPMA_WC_LOCAL_PROTECTION local memory is gone (a truncated file)
   * @throws ERR_RPMA_WC_FLUSHED the connection ended before it was carried out
   * @throws ERR_RPMA_WC_REMOTE_INVALID the other side found the request invalid
   * @throws ERR_RPMA_WC_REMOTE_OPERATION the other side failed to carry it out
   * @throws ERR_RPMA_WC_RETRY the other side stopped answering
   * @throws ERR_RPMA_WC_RNR_RETRY the other side posted no receive in time
   * @throws ERR_RPMA_WC_PROVIDER the connection broke (a bad checksum, a broken frame)
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_send`, `rpma_send_with_imm`
   */
  send(operation: SendOperation & WaitOptions): Promise<void> {
    return awaitMessage(this.#core, 'send', operation) as Promise<void>;
  }

  /**
   * Posts room for one message now, resolves when it has come. No signal and no deadline: a posted
   * receive cannot be taken back. One that ends as flushed is no unhandled rejection: whenClosed()
   * tells the end.
   *
   * Guarantee once resolved: the message is in local memory.
   *
   * @param operation - read during the call only
   * @returns length and origin of the message
   * @throws ERR_RPMA_INVALID_ARG_TYPE operation, or something in it, has the wrong type
   * @throws ERR_RPMA_INVALID_ARG_VALUE an offset or a length without local, or a bound of the wait
   * @throws ERR_RPMA_OUT_OF_RANGE beyond the region, or no safe integer
   * @throws ERR_RPMA_USAGE local lacks Receive
   * @throws ERR_RPMA_FOREIGN local belongs to another peer
   * @throws ERR_RPMA_CLOSED the connection has ended or is closing, or local is closed
   * @throws ERR_RPMA_AGAIN 1024 operations wait for room already
   * @throws ERR_RPMA_QUEUE_CLAIMED the verbs tier consumes the completion queue
   * @throws ERR_RPMA_WC_LENGTH the message was longer than the room
   * @throws ERR_RPMA_WC_LOCAL_PROTECTION local memory is gone (a truncated file)
   * @throws ERR_RPMA_WC_FLUSHED the connection ended first
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_recv`
   */
  receive(operation: ReceiveOperation): Promise<ReceiveResult> {
    return awaitMessage(this.#core, 'receive', operation) as Promise<ReceiveResult>;
  }
}
