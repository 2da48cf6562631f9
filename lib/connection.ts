// SPDX-License-Identifier: BSD-3-Clause
//
// A connection: posts and events of the verbs tier, awaited operations of the promise tier. What is
// behind it is internal/connection-core.ts. JS thread only; the peer's threads move the bytes.

import { completionQueueOf, type CompletionQueue } from './completion-queue.js';
import type { ConnectionConfig } from './connection-config.js';
import { memoryUsage, operationNumber } from './internal/abi.generated.js';
import { access, constructorKey, requireConstructorKey } from './internal/access.js';
import { awaitAtomicWrite, awaitFlush, awaitMessage, awaitTransfer } from './internal/awaited.js';
import { checkConnection, type ConnectionCore } from './internal/connection-core.js';
import { eventSourceOf } from './internal/event-source.js';
import { native } from './internal/native.js';
import {
  completionFlag,
  encodeAtomicWrite,
  encodeFlush,
  encodeReceive,
  encodeSend,
  encodeTransfer,
} from './internal/operations.js';
import {
  asError,
  requireObject,
  requireTimeout,
  requireWord,
  wrongType,
} from './internal/validate.js';
import { PeerConfig } from './peer-config.js';
import type { Peer } from './peer.js';
import type { RemoteRegion } from './remote-region.js';
import type {
  AtomicWriteOperation,
  Capabilities,
  ConnectionEvent,
  ConnectionState,
  DurableResult,
  FlushOperation,
  FlushType,
  GuaranteeChoice,
  PostOptions,
  ReceiveOperation,
  ReceiveResult,
  SendOperation,
  Source,
  TransferOperation,
  WaitOptions,
  WriteOperation,
} from './types.js';

let construct: (core: ConnectionCore, config: ConnectionConfig) => Connection;

/**
 * One connection. Keeps the process alive from connect() or accept() until it has ended or is
 * unref'd, as net.Socket.
 *
 * Verbs tier: `postX()` returns at once and its completion comes out of `completionQueue`. Promise
 * tier: `read()`, `write()` and the like; the first one claims the queue. Methods that return a
 * promise never throw: they reject. A signal or deadline ends the waiting, not the operation: its
 * memory stays in use and its place taken until its completion.
 *
 * @remarks Thread safety: per object, on the thread that made it.
 * @see librpma: `struct rpma_conn`
 */
export class Connection implements AsyncDisposable {
  readonly #core: ConnectionCore;
  readonly #config: ConnectionConfig;
  readonly #queue: CompletionQueue;
  readonly #receiveQueue: CompletionQueue | null;
  readonly #events: Source<ConnectionEvent>;

  static {
    access.connection = (value) =>
      typeof value === 'object' && value !== null && #core in value ? value.#core : undefined;
    construct = (core, config) => new Connection(constructorKey, core, config);
  }

  private constructor(key: typeof constructorKey, core: ConnectionCore, config: ConnectionConfig) {
    requireConstructorKey(key, 'Connection', 'peer.connect() or request.accept()');
    this.#core = core;
    this.#config = config;
    this.#queue = config.completionQueue ?? completionQueueOf(core.queue);
    const hasOwn = core.receiveQueue !== core.queue;
    this.#receiveQueue = hasOwn ? completionQueueOf(core.receiveQueue) : null;
    this.#events = eventSourceOf(core.events);
  }

  /** The peer it belongs to. */
  get peer(): Peer {
    return this.#core.peer.owner;
  }

  /** What it is configured with. */
  get config(): ConnectionConfig {
    return this.#config;
  }

  /** Our address. */
  get localAddress(): string {
    return this.#core.localAddress;
  }

  /** The other side's address. */
  get remoteAddress(): string {
    return this.#core.remoteAddress;
  }

  /** Where it is between connect() or accept() and its end. */
  get state(): ConnectionState {
    return this.#core.connectionState;
  }

  /** What both sides agreed on; final once established. */
  get capabilities(): Capabilities {
    return this.#core.capabilities;
  }

  /**
   * The other side's private data, empty if none.
   *
   * @see librpma: `rpma_conn_get_private_data`
   */
  get privateData(): Uint8Array {
    return this.#core.privateData;
  }

  /**
   * The number by which its completions are told apart in a shared queue.
   *
   * @see librpma: `rpma_conn_get_qp_num`
   */
  get queuePairNumber(): number {
    return this.#core.queuePairNumber;
  }

  /**
   * Where its completions come out; also those of receives, unless they have a queue of their own.
   *
   * @see librpma: `rpma_conn_get_cq`
   */
  get completionQueue(): CompletionQueue {
    return this.#queue;
  }

  /**
   * Where completions of receives come out; null without receiveCompletionQueueSize.
   *
   * @see librpma: `rpma_conn_get_rcq`
   */
  get receiveCompletionQueue(): CompletionQueue | null {
    return this.#receiveQueue;
  }

  /**
   * What happened: established, closed, lost, …; each once, kept until read (at most 8).
   *
   * @see librpma: `rpma_conn_next_event`
   */
  get events(): Source<ConnectionEvent> {
    return this.#events;
  }

  /** Operations that can be posted before ERR_RPMA_AGAIN; 0 once ended. */
  get sendQueueFree(): number {
    const core = this.#core;
    return core.connectionState === 'closed' ? 0 : Math.max(0, native.sendQueueFree(core.handle));
  }

  /** Receives that can be posted before ERR_RPMA_AGAIN; 0 once ended. */
  get receiveQueueFree(): number {
    const core = this.#core;
    return core.connectionState === 'closed'
      ? 0
      : Math.max(0, native.receiveQueueFree(core.handle));
  }

  /**
   * Says what the other side's operator vouches for; only emulated persistent flushes need it.
   *
   * @param config - as a rule `PeerConfig.fromDescriptor()` of what the other side sent
   * @throws ERR_RPMA_INVALID_ARG_TYPE config is no PeerConfig
   * @throws ERR_RPMA_CLOSED the connection has ended
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_conn_apply_remote_peer_cfg`
   */
  applyRemotePeerConfig(config: PeerConfig): void {
    if (!(config instanceof PeerConfig)) throw wrongType('config', 'a PeerConfig', config);
    const core = this.#core;
    const what = 'connection.applyRemotePeerConfig()';
    core.requireActive(what);
    const vouched = config.directWriteToPmem;
    checkConnection(native.connectionApplyPeerConfig(core.handle, vouched), what, core);
    core.vouched = vouched;
  }

  /**
   * Whether a flush of this type would be accepted: granted by the region, and for 'persistent'
   * native here or vouched for.
   *
   * @param remote - the region to flush
   * @param type - 'visibility' or 'persistent'
   * @returns whether postFlush() would take it
   * @throws ERR_RPMA_INVALID_ARG_TYPE remote is no RemoteRegion
   * @throws ERR_RPMA_INVALID_ARG_VALUE type is an unknown word
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_mr_remote_get_flush_type`
   */
  canFlush(remote: RemoteRegion, type: FlushType): boolean {
    const target = access.remote(remote);
    if (target === undefined) throw wrongType('remote', 'a RemoteRegion', remote);
    if (requireWord(type, 'type', ['visibility', 'persistent']) === 'visibility') {
      return (target.usage & memoryUsage.flushVisibility) !== 0;
    }
    return (target.usage & memoryUsage.flushPersistent) !== 0 && this.#core.persistentFlush;
  }

  /**
   * Waits until it is up. Consumes no event.
   *
   * @param options - signal and deadline of this wait
   * @returns this
   * @throws ERR_RPMA_REJECTED the other side said no (privateData), or nothing listens there (errno)
   * @throws ERR_RPMA_UNREACHABLE no route, or no answer in connectTimeoutMs
   * @throws ERR_RPMA_CONNECTION_LOST it broke
   * @throws ERR_RPMA_CLOSED it has ended in good order
   * @throws ERR_RPMA_TIMEOUT, ERR_RPMA_ABORTED the wait was given up; the connection goes on
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_conn_next_event`
   */
  async whenEstablished(options?: WaitOptions): Promise<this> {
    await this.#core.whenEstablished(options);
    return this;
  }

  /**
   * Waits until it has ended, whoever ended it. Consumes no event.
   *
   * @param options - signal and deadline of this wait
   * @returns the last event; every completion is in its queue by then
   * @throws ERR_RPMA_TIMEOUT, ERR_RPMA_ABORTED the wait was given up; the connection goes on
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_conn_next_event`
   */
  whenClosed(options?: WaitOptions): Promise<ConnectionEvent> {
    return this.#core.whenClosed(options);
  }

  /**
   * Starts the orderly end and returns at once: no new posts, own operations finish.
   *
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_conn_disconnect`
   */
  disconnect(): void {
    this.#core.disconnect();
  }

  /**
   * Waits for accepted operations, disconnects, waits for the other side, frees. Its queue stays
   * readable.
   *
   * @param options - timeoutMs bounds it (closeTimeoutMs), then it becomes destroy()
   * @returns a promise, the same each time; resolves after the end
   * @throws ERR_RPMA_INVALID_ARG_TYPE, ERR_RPMA_OUT_OF_RANGE timeoutMs is no number, or out of bounds
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_conn_disconnect`, `rpma_conn_delete`
   */
  close(options: { readonly timeoutMs?: number | undefined } = {}): Promise<void> {
    try {
      requireObject(options, 'options');
      const timeoutMs = options.timeoutMs ?? this.#config.closeTimeoutMs;
      if (requireTimeout(timeoutMs, 'timeoutMs') === Infinity) return this.#core.close();
      return this.#core.closeWithin(timeoutMs);
    } catch (error) {
      return Promise.reject(asError(error));
    }
  }

  /**
   * Ends it now: accepted operations complete as flushed, their completions stay readable.
   *
   * @param reason - becomes the `cause` of errors that come of it
   * @throws ERR_RPMA_INVALID_ARG_TYPE reason is no Error
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_conn_delete`
   */
  destroy(reason?: Error): void {
    if (reason !== undefined && !(reason instanceof Error))
      throw wrongType('reason', 'an Error', reason);
    this.#core.destroy(reason);
  }

  /**
   * Undoes unref().
   *
   * @returns this
   */
  ref(): this {
    this.#core.keepAlive.setReferenced(true);
    return this;
  }

  /**
   * Neither the connection nor waits and promises on it keep the process alive any more.
   *
   * @returns this
   */
  unref(): this {
    this.#core.keepAlive.setReferenced(false);
    return this;
  }

  /**
   * Posts a read of remote into local memory. Guarantee on completion: delivered; the bytes are in
   * local memory.
   *
   * @param operation - read during the call only: reuse it freely
   * @throws ERR_RPMA_INVALID_ARG_TYPE, ERR_RPMA_INVALID_ARG_VALUE a bad option, or half of local/remote
   * @throws ERR_RPMA_OUT_OF_RANGE beyond a region, not a safe integer, or 2 GiB and more
   * @throws ERR_RPMA_USAGE remote lacks ReadSource, or local ReadDestination
   * @throws ERR_RPMA_FOREIGN local belongs to another peer
   * @throws ERR_RPMA_STATE not established yet
   * @throws ERR_RPMA_CLOSED the connection or the region is closed
   * @throws ERR_RPMA_AGAIN the send queue is full; nothing was posted
   * @throws ERR_RPMA_QUEUE_CLAIMED awaited operations consume the completion queue
   * @throws ERR_RPMA_NOT_SUPPORTED outboundReads is 0
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
   * Posts a write of local into remote memory. Guarantee on completion: reusable; local memory may
   * be changed, and nothing is known of the other side.
   *
   * @param operation - read during the call only: reuse it freely
   * @throws ERR_RPMA_INVALID_ARG_TYPE, ERR_RPMA_INVALID_ARG_VALUE a bad option, or half of local/remote
   * @throws ERR_RPMA_OUT_OF_RANGE beyond a region, or not a safe integer
   * @throws ERR_RPMA_USAGE remote lacks WriteDestination, or local WriteSource
   * @throws ERR_RPMA_FOREIGN local belongs to another peer
   * @throws ERR_RPMA_STATE not established yet
   * @throws ERR_RPMA_CLOSED the connection or the region is closed
   * @throws ERR_RPMA_AGAIN the send queue is full; nothing was posted
   * @throws ERR_RPMA_QUEUE_CLAIMED awaited operations consume the completion queue
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_write`
   */
  postWrite(operation: WriteOperation & PostOptions): void {
    const core = this.#core;
    core.requireSendable('write');
    const flags = completionFlag((operation as PostOptions | undefined)?.completion);
    encodeTransfer(core.submissions, 0, core, operationNumber.write, flags, operation);
    core.postOne(core.queue, 'write');
  }

  /**
   * Posts a write of 8 bytes that change together, after all earlier operations. Guarantee on
   * completion: reusable.
   *
   * @param operation - read during the call only: reuse it freely
   * @throws ERR_RPMA_INVALID_ARG_TYPE a bad option
   * @throws ERR_RPMA_OUT_OF_RANGE beyond the region, or the value is not 0 to 2^64-1 or 8 bytes
   * @throws ERR_RPMA_ALIGNMENT address plus offset is no multiple of 8
   * @throws ERR_RPMA_USAGE remote lacks WriteDestination
   * @throws ERR_RPMA_STATE not established yet
   * @throws ERR_RPMA_CLOSED the connection is closed
   * @throws ERR_RPMA_AGAIN the send queue is full; nothing was posted
   * @throws ERR_RPMA_QUEUE_CLAIMED awaited operations consume the completion queue
   * @throws ERR_RPMA_NOT_SUPPORTED outboundReads is 0
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
   * Posts a flush of what earlier operations of this connection wrote to the range. Guarantee on
   * completion: delivered ('visibility') or durable ('persistent'). Length 0 only orders.
   *
   * @param operation - read during the call only: reuse it freely
   * @throws ERR_RPMA_INVALID_ARG_TYPE, ERR_RPMA_INVALID_ARG_VALUE a bad option
   * @throws ERR_RPMA_OUT_OF_RANGE beyond the region, or not a safe integer
   * @throws ERR_RPMA_USAGE remote lacks FlushVisibility or FlushPersistent
   * @throws ERR_RPMA_NOT_PERSISTENT 'persistent' would be emulated, and nobody vouched for it
   * @throws ERR_RPMA_STATE not established yet
   * @throws ERR_RPMA_CLOSED the connection is closed
   * @throws ERR_RPMA_AGAIN the send queue is full; nothing was posted
   * @throws ERR_RPMA_QUEUE_CLAIMED awaited operations consume the completion queue
   * @throws ERR_RPMA_NOT_SUPPORTED outboundReads is 0
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
   * Posts a message, which takes one receive of the other side. Guarantee on completion: reusable.
   *
   * @param operation - read during the call only: reuse it freely
   * @throws ERR_RPMA_INVALID_ARG_TYPE, ERR_RPMA_INVALID_ARG_VALUE a bad option
   * @throws ERR_RPMA_OUT_OF_RANGE beyond the region, or not a safe integer
   * @throws ERR_RPMA_USAGE local lacks Send
   * @throws ERR_RPMA_FOREIGN local belongs to another peer
   * @throws ERR_RPMA_STATE not established yet
   * @throws ERR_RPMA_CLOSED the connection or the region is closed
   * @throws ERR_RPMA_AGAIN the send queue is full; nothing was posted
   * @throws ERR_RPMA_QUEUE_CLAIMED awaited operations consume the completion queue
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_send`
   */
  postSend(operation: SendOperation & PostOptions): void {
    const core = this.#core;
    core.requireSendable('send');
    const flags = completionFlag((operation as PostOptions | undefined)?.completion);
    encodeSend(core.submissions, 0, core, flags, operation);
    core.postOne(core.queue, 'send');
  }

  /**
   * Posts room for one message; allowed before the connection is established. Guarantee on
   * completion: the message is in local memory.
   *
   * @param operation - read during the call only: reuse it freely
   * @throws ERR_RPMA_INVALID_ARG_TYPE, ERR_RPMA_INVALID_ARG_VALUE a bad option
   * @throws ERR_RPMA_OUT_OF_RANGE beyond the region, or not a safe integer
   * @throws ERR_RPMA_USAGE local lacks Receive
   * @throws ERR_RPMA_FOREIGN local belongs to another peer
   * @throws ERR_RPMA_CLOSED the connection or the region is closed
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
   * Reads remote into local memory. Guarantee once resolved: delivered; the bytes are in local
   * memory.
   *
   * @param operation - read during the call only; with signal and deadline of the waiting
   * @returns a promise
   * @throws ERR_RPMA_INVALID_ARG_TYPE, ERR_RPMA_INVALID_ARG_VALUE, ERR_RPMA_OUT_OF_RANGE,
   * ERR_RPMA_USAGE, ERR_RPMA_FOREIGN, ERR_RPMA_STATE, ERR_RPMA_CLOSED, ERR_RPMA_NOT_SUPPORTED as
   * postRead()
   * @throws ERR_RPMA_QUEUE_CLAIMED the verbs tier consumes the completion queue
   * @throws ERR_RPMA_AGAIN 1024 operations wait for room already
   * @throws ERR_RPMA_TIMEOUT, ERR_RPMA_ABORTED the waiting ended; the operation may still happen
   * @throws ERR_RPMA_WC_FLUSHED, ERR_RPMA_WC_REMOTE_ACCESS and the other WC codes: it failed
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_read`
   */
  read(operation: TransferOperation & WaitOptions): Promise<void> {
    return awaitTransfer(this.#core, operationNumber.read, operation, 'reusable') as Promise<void>;
  }

  /**
   * Writes local into remote memory. Guarantee once resolved: as `until` says; 'reusable' by
   * default, 'delivered' and 'durable' with the flush that they need. Whole operations keep their
   * order.
   *
   * @param operation - read during the call only; with signal and deadline of the waiting
   * @returns what stands behind 'durable'
   * @throws ERR_RPMA_INVALID_ARG_TYPE, ERR_RPMA_INVALID_ARG_VALUE, ERR_RPMA_OUT_OF_RANGE,
   * ERR_RPMA_USAGE, ERR_RPMA_FOREIGN, ERR_RPMA_STATE, ERR_RPMA_CLOSED as postWrite()
   * @throws ERR_RPMA_NOT_PERSISTENT, ERR_RPMA_NOT_SUPPORTED as postFlush(), or sendQueueSize is 1
   * @throws ERR_RPMA_QUEUE_CLAIMED the verbs tier consumes the completion queue
   * @throws ERR_RPMA_AGAIN 1024 operations wait for room already
   * @throws ERR_RPMA_TIMEOUT, ERR_RPMA_ABORTED the waiting ended; the operation may still happen
   * @throws ERR_RPMA_WC_FLUSHED, ERR_RPMA_WC_REMOTE_ACCESS and the other WC codes: it failed
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_write`, `rpma_flush`
   */
  write(operation: WriteOperation & WaitOptions & GuaranteeChoice): Promise<DurableResult> {
    const until = (operation as GuaranteeChoice | undefined)?.until;
    const wrote = awaitTransfer(this.#core, operationNumber.write, operation, until ?? 'reusable');
    return wrote as Promise<DurableResult>;
  }

  /**
   * write() until 'durable'. Guarantee once resolved: durable; the range is persistent on the other
   * side.
   *
   * @param operation - read during the call only; with signal and deadline of the waiting
   * @returns what stands behind it
   * @throws every code of write()
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_write`, `rpma_flush`
   */
  writeDurable(operation: TransferOperation & WaitOptions): Promise<DurableResult> {
    const wrote = awaitTransfer(this.#core, operationNumber.write, operation, 'durable');
    return wrote as Promise<DurableResult>;
  }

  /**
   * Writes 8 bytes that change together, after all earlier operations. Guarantee once resolved: as
   * `until` says, 'reusable' by default.
   *
   * @param operation - read during the call only; with signal and deadline of the waiting
   * @returns what stands behind 'durable'
   * @throws ERR_RPMA_INVALID_ARG_TYPE, ERR_RPMA_OUT_OF_RANGE, ERR_RPMA_ALIGNMENT, ERR_RPMA_USAGE,
   * ERR_RPMA_STATE, ERR_RPMA_CLOSED as postAtomicWrite()
   * @throws ERR_RPMA_NOT_PERSISTENT, ERR_RPMA_NOT_SUPPORTED as postFlush(), or sendQueueSize is 1
   * @throws ERR_RPMA_QUEUE_CLAIMED the verbs tier consumes the completion queue
   * @throws ERR_RPMA_AGAIN 1024 operations wait for room already
   * @throws ERR_RPMA_TIMEOUT, ERR_RPMA_ABORTED the waiting ended; the operation may still happen
   * @throws ERR_RPMA_WC_FLUSHED, ERR_RPMA_WC_REMOTE_ACCESS and the other WC codes: it failed
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_atomic_write`, `rpma_flush`
   */
  atomicWrite(
    operation: AtomicWriteOperation & WaitOptions & GuaranteeChoice,
  ): Promise<DurableResult> {
    return awaitAtomicWrite(this.#core, operation);
  }

  /**
   * Flushes what earlier operations of this connection wrote to the range. Guarantee once resolved:
   * delivered ('visibility') or durable ('persistent').
   *
   * @param operation - read during the call only; with signal and deadline of the waiting
   * @returns what stands behind 'persistent'
   * @throws ERR_RPMA_INVALID_ARG_TYPE, ERR_RPMA_INVALID_ARG_VALUE, ERR_RPMA_OUT_OF_RANGE,
   * ERR_RPMA_USAGE, ERR_RPMA_NOT_PERSISTENT, ERR_RPMA_STATE, ERR_RPMA_CLOSED,
   * ERR_RPMA_NOT_SUPPORTED as postFlush()
   * @throws ERR_RPMA_QUEUE_CLAIMED the verbs tier consumes the completion queue
   * @throws ERR_RPMA_AGAIN 1024 operations wait for room already
   * @throws ERR_RPMA_TIMEOUT, ERR_RPMA_ABORTED the waiting ended; the operation may still happen
   * @throws ERR_RPMA_WC_FLUSHED, ERR_RPMA_WC_REMOTE_ACCESS and the other WC codes: it failed
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_flush`
   */
  flush(operation: FlushOperation & WaitOptions): Promise<DurableResult> {
    return awaitFlush(this.#core, operation);
  }

  /**
   * Sends a message, which takes one receive of the other side. Guarantee once resolved: reusable.
   *
   * @param operation - read during the call only; with signal and deadline of the waiting
   * @returns a promise
   * @throws ERR_RPMA_INVALID_ARG_TYPE, ERR_RPMA_INVALID_ARG_VALUE, ERR_RPMA_OUT_OF_RANGE,
   * ERR_RPMA_USAGE, ERR_RPMA_FOREIGN, ERR_RPMA_STATE, ERR_RPMA_CLOSED as postSend()
   * @throws ERR_RPMA_QUEUE_CLAIMED the verbs tier consumes the completion queue
   * @throws ERR_RPMA_AGAIN 1024 operations wait for room already
   * @throws ERR_RPMA_TIMEOUT, ERR_RPMA_ABORTED the waiting ended; the operation may still happen
   * @throws ERR_RPMA_WC_FLUSHED, ERR_RPMA_WC_RNR_RETRY and the other WC codes: it failed
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_send`
   */
  send(operation: SendOperation & WaitOptions): Promise<void> {
    return awaitMessage(this.#core, 'send', operation) as Promise<void>;
  }

  /**
   * Posts now, resolves when a message has come. No signal and no deadline: a posted receive cannot
   * be taken back. One that ends as flushed is no unhandled rejection: whenClosed() tells the end.
   *
   * @param operation - read during the call only
   * @returns length and origin of the message
   * @throws ERR_RPMA_INVALID_ARG_TYPE, ERR_RPMA_INVALID_ARG_VALUE, ERR_RPMA_OUT_OF_RANGE,
   * ERR_RPMA_USAGE, ERR_RPMA_FOREIGN, ERR_RPMA_CLOSED as postReceive()
   * @throws ERR_RPMA_QUEUE_CLAIMED the verbs tier consumes the completion queue
   * @throws ERR_RPMA_AGAIN 1024 operations wait for room already
   * @throws ERR_RPMA_WC_FLUSHED the connection ended first
   * @throws ERR_RPMA_WC_LENGTH the message was longer than the room
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_recv`
   */
  receive(operation: ReceiveOperation): Promise<ReceiveResult> {
    return awaitMessage(this.#core, 'receive', operation) as Promise<ReceiveResult>;
  }

  /** The promise of close(). */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Wraps a core. Library use. */
export function connectionOf(core: ConnectionCore, config: ConnectionConfig): Connection {
  return construct(core, config);
}
