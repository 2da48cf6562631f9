// SPDX-License-Identifier: BSD-3-Clause
//
// A connection: what it is, its events and its end. Its operations are in the files of its bases:
// connection-verbs.ts (posted) and connection-promises.ts (awaited). What is behind it is
// internal/connection-core.ts. JS thread only; the peer's threads move the bytes.

import { completionQueueOf, type CompletionQueue } from './completion-queue.js';
import { ConnectionConfig } from './connection-config.js';
import { ConnectionPromises } from './connection-promises.js';
import { memoryUsage } from './internal/abi.generated.js';
import { access, constructorKey } from './internal/access.js';
import { adoptConnection } from './internal/adoption.js';
import { ChannelCore } from './internal/channel-core.js';
import { checkConnection, type ConnectionCore } from './internal/connection-core.js';
import { waitForRoom } from './internal/connection-room.js';
import { eventSourceOf } from './internal/event-source.js';
import { ticketOf, ticketTimeout } from './internal/hand-over.js';
import { native } from './internal/native.js';
import {
  asError,
  checkWaitOptions,
  requireInteger,
  requireObject,
  requireTimeout,
  requireWord,
  wrongType,
} from './internal/validate.js';
import { PeerConfig } from './peer-config.js';
import type { Peer } from './peer.js';
import type { RemoteRegion } from './remote-region.js';
import type {
  Capabilities,
  ConnectionEvent,
  ConnectionState,
  FlushType,
  HandOverOptions,
  HandOverTicket,
  Source,
  WaitOptions,
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
export class Connection extends ConnectionPromises implements AsyncDisposable {
  readonly #core: ConnectionCore;
  readonly #config: ConnectionConfig;
  readonly #queue: CompletionQueue;
  readonly #receiveQueue: CompletionQueue | null;
  readonly #channel: Source<CompletionQueue> | null;
  readonly #events: Source<ConnectionEvent>;

  static {
    access.connection = (value) =>
      typeof value === 'object' && value !== null && #core in value ? value.#core : undefined;
    construct = (core, config) => new Connection(constructorKey, core, config);
  }

  private constructor(key: typeof constructorKey, core: ConnectionCore, config: ConnectionConfig) {
    super(key, core);
    this.#core = core;
    core.owner = this;
    this.#config = config;
    this.#queue = config.completionQueue ?? completionQueueOf(core.queue);
    const hasOwn = core.receiveQueue !== core.queue;
    this.#receiveQueue = hasOwn ? completionQueueOf(core.receiveQueue) : null;
    this.#channel = config.sharedCompletionChannel ? this.#shareChannel() : null;
    this.#events = eventSourceOf(core.events, () => {
      core.requireHere('connection events');
      return core.eventDescriptor.fd;
    });
  }

  #shareChannel(): Source<CompletionQueue> {
    const core = this.#core;
    const queues = [{ core: core.queue, face: this.#queue }];
    if (this.#receiveQueue !== null) {
      queues.push({ core: core.receiveQueue, face: this.#receiveQueue });
    }
    const channel = new ChannelCore(queues, core.keepAlive, () => {
      core.requireHere('completion channel');
    });
    core.channel = channel;
    return eventSourceOf(
      channel.source,
      () => channel.descriptor.fd,
      () => {
        core.requireHere('completion channel');
        channel.claim();
      },
    );
  }

  /**
   * The connection of a ticket, in this thread, whose peer was adopted here before
   * (`Peer.adopt()`). Completions and events that nobody has read are read here, in order. A queue
   * with nothing outstanding and nothing unread is nobody's; else it keeps its tier.
   *
   * @param ticket - what `connection.handOver()` gave, in whichever thread
   * @returns the connection, in whatever state it is by now
   * @throws ERR_RPMA_INVALID_ARG_TYPE ticket is no ticket
   * @throws ERR_RPMA_HAND_OVER it was used, has expired, is of another kind or another process
   * @throws ERR_RPMA_FOREIGN its peer is not open in this thread; the ticket stays good
   * @throws ERR_RPMA_CLOSED the peer is being closed in this thread
   * @throws ERR_RPMA_LIMIT no handle is left for it
   * @remarks Thread safety: any thread; the connection belongs to the one that adopted it.
   * @see librpma: none; there an `rpma_conn` is used by every thread
   */
  static adopt(ticket: HandOverTicket): Connection {
    const { core, note } = adoptConnection(ticket, 'connection', 'Connection.adopt()');
    return connectionOf(core, new ConnectionConfig(note.config));
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
   * Tells which of its queues has something, and yields that queue until it is empty: poll it. With
   * both busy it yields them in turn. null unless sharedCompletionChannel. The first use claims the
   * queues for the verbs tier.
   *
   * @throws ERR_RPMA_QUEUE_CLAIMED (from the methods of it) awaited operations consume a queue
   * @throws ERR_RPMA_BUSY (from the methods of it) an iterator waits on it
   * @see librpma: `rpma_conn_wait`, `rpma_conn_get_compl_fd`
   */
  get completionChannel(): Source<CompletionQueue> | null {
    return this.#channel;
  }

  /**
   * What happened: established, closed, lost, …; each once, kept until read (at most 8).
   *
   * @see librpma: `rpma_conn_next_event`, `rpma_conn_get_event_fd`, `rpma_utils_conn_event_2str`
   */
  get events(): Source<ConnectionEvent> {
    return this.#events;
  }

  /** Operations that can be posted before ERR_RPMA_AGAIN; 0 once ended. */
  get sendQueueFree(): number {
    const core = this.#core;
    return core.connectionState === 'closed' ? 0 : Math.max(0, native.sendQueueFree(core.handle));
  }

  /**
   * Waits until so many operations can be posted. In the promise tier it needs nothing more; in the
   * verbs tier the program's own reading of completions frees places (on-error operations that
   * succeed free theirs by themselves). It reserves nothing: who is told first may post first.
   *
   * @param slots - places, 1 to sendQueueSize
   * @param options - signal and deadline of this wait
   * @throws ERR_RPMA_INVALID_ARG_TYPE slots, options, timeoutMs or signal has the wrong type
   * @throws ERR_RPMA_OUT_OF_RANGE slots is not from 1 to sendQueueSize, or timeoutMs out of bounds
   * @throws ERR_RPMA_STATE the connection is not established yet
   * @throws ERR_RPMA_CLOSED the connection has ended or is closing, before or during the wait
   * @throws ERR_RPMA_AGAIN 1024 waits are pending
   * @throws ERR_RPMA_TIMEOUT the deadline ended the wait; the connection goes on
   * @throws ERR_RPMA_ABORTED the signal ended the wait; the connection goes on
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: none; there a full queue is an error of `ibv_post_send`
   */
  whenSendQueueFree(slots: number = 1, options?: WaitOptions): Promise<void> {
    try {
      requireInteger(slots, 'slots', 1, this.#config.sendQueueSize);
      checkWaitOptions(options);
      return waitForRoom(this.#core, slots, options);
    } catch (error) {
      return Promise.reject(asError(error));
    }
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
   * @throws ERR_RPMA_INVALID_ARG_TYPE remote is no RemoteRegion, or type no string
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
   * @throws ERR_RPMA_INVALID_ARG_TYPE options, timeoutMs or signal has the wrong type
   * @throws ERR_RPMA_OUT_OF_RANGE timeoutMs is out of bounds
   * @throws ERR_RPMA_REJECTED the other side said no (privateData), or nothing listens (errno)
   * @throws ERR_RPMA_UNREACHABLE no route, or no answer in connectTimeoutMs
   * @throws ERR_RPMA_CONNECTION_LOST it broke
   * @throws ERR_RPMA_NOT_SUPPORTED the other side lacks what requireNative asks for
   * @throws ERR_RPMA_CLOSED it has ended in good order
   * @throws ERR_RPMA_AGAIN 1024 waits are pending
   * @throws ERR_RPMA_TIMEOUT the deadline ended the wait; the connection goes on
   * @throws ERR_RPMA_ABORTED the signal ended the wait; the connection goes on
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
   * @throws ERR_RPMA_INVALID_ARG_TYPE options, timeoutMs or signal has the wrong type
   * @throws ERR_RPMA_OUT_OF_RANGE timeoutMs is out of bounds
   * @throws ERR_RPMA_AGAIN 1024 waits are pending
   * @throws ERR_RPMA_TIMEOUT the deadline ended the wait; the connection goes on
   * @throws ERR_RPMA_ABORTED the signal ended the wait; the connection goes on
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_conn_next_event`
   */
  whenClosed(options?: WaitOptions): Promise<ConnectionEvent> {
    return this.#core.whenClosed(options);
  }

  /**
   * What the connection has done and met, in numbers that only grow; docs/reference/statistics.md
   * has each with its unit. Readable after its end.
   *
   * @returns a frozen record
   * @throws ERR_RPMA_CLOSED the connection was handed over
   * @remarks Thread safety: per object, on the thread that made it.
   */
  statistics(): Readonly<Record<string, number>> {
    return this.#core.statistics();
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
   * @throws ERR_RPMA_INVALID_ARG_TYPE options is no object, or timeoutMs no number
   * @throws ERR_RPMA_OUT_OF_RANGE timeoutMs is out of bounds
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
   * Gives the connection with its own queues to another thread of this process; destroyed when
   * nobody adopts it in time. Posted operations go on, and their completions and events stay queued
   * until the adopter reads them. This object is closed then: `close()`, `destroy()`, `ref()` and
   * `unref()` do nothing, all else throws ERR_RPMA_CLOSED.
   *
   * @param options - how long the ticket is good
   * @returns the ticket, for one `Connection.adopt()`
   * @throws ERR_RPMA_INVALID_ARG_TYPE options is no object, or timeoutMs no number
   * @throws ERR_RPMA_OUT_OF_RANGE timeoutMs is no whole number from 1 to 2^31-1
   * @throws ERR_RPMA_BUSY promises or waits are pending on it, close() is under way, or its queue
   *   is one of peer.createCompletionQueue()
   * @throws ERR_RPMA_CLOSED it was handed over before, or its peer is closed
   * @throws ERR_RPMA_LIMIT 1024 tickets are outstanding, or no thread is left
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: none; there an `rpma_conn` is used by every thread
   */
  handOver(options: HandOverOptions = {}): HandOverTicket {
    const what = 'connection.handOver()';
    const timeoutMs = ticketTimeout(options);
    const core = this.#core;
    core.requireHere(what);
    core.peer.requireOpen(what);
    return ticketOf('connection', core.handOver(this.#config, timeoutMs, what), what);
  }

  /**
   * Undoes unref().
   *
   * @returns this
   * @remarks Thread safety: per object, on the thread that made it.
   */
  ref(): this {
    this.#core.keepAlive.setReferenced(true);
    return this;
  }

  /**
   * Neither the connection nor waits and promises on it keep the process alive any more.
   *
   * @returns this
   * @remarks Thread safety: per object, on the thread that made it.
   */
  unref(): this {
    this.#core.keepAlive.setReferenced(false);
    return this;
  }

  /**
   * close().
   *
   * @returns the promise of close()
   * @remarks Thread safety: per object, on the thread that made it.
   */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Wraps a core. Library use. */
export function connectionOf(core: ConnectionCore, config: ConnectionConfig): Connection {
  return construct(core, config);
}
