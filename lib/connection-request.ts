// SPDX-License-Identifier: BSD-3-Clause
//
// A connection before it is one: its queues exist, receives can be posted, and what it becomes is
// still the program's to decide. An unspent request may be collected; that is reported once. JS
// thread only.

import { ConnectionConfig } from './connection-config.js';
import { connectionOf, type Connection } from './connection.js';
import { RpmaError } from './errors.js';
import { limits } from './internal/abi.generated.js';
import { constructorKey, requireConstructorKey } from './internal/access.js';
import { adoptConnection } from './internal/adoption.js';
import type { ConnectionCore } from './internal/connection-core.js';
import { check } from './internal/environment.js';
import { ticketOf, ticketTimeout } from './internal/hand-over.js';
import { native } from './internal/native.js';
import { encodeReceive } from './internal/operations.js';
import { endLeakWatch, watchForLeak } from './internal/resource.js';
import { optionalPrivateData, requireObject } from './internal/validate.js';
import type { Peer } from './peer.js';
import type {
  HandOverOptions,
  HandOverTicket,
  PrivateDataChoice,
  ReceiveOperation,
} from './types.js';

let constructOutgoing: (core: ConnectionCore, config: ConnectionConfig) => OutgoingRequest;
let constructIncoming: (core: ConnectionCore, config: ConnectionConfig) => IncomingRequest;

/**
 * What outgoing and incoming requests share.
 *
 * @remarks Thread safety: per object, on the thread that made it.
 * @see librpma: `struct rpma_conn_req`
 */
export abstract class ConnectionRequest {
  readonly #core: ConnectionCore;
  readonly #config: ConnectionConfig;

  /** Library use: requests come from peer.createConnectionRequest() and from endpoints. */
  protected constructor(key: symbol, core: object, config: ConnectionConfig) {
    requireConstructorKey(key, 'request', 'peer.createConnectionRequest() or endpoint.take()');
    const watched = core as ConnectionCore;
    this.#core = watched;
    this.#config = config;
    const release = (): void => {
      watched.releaseRequest();
    };
    watchForLeak(this, core, { what: 'a connection request', release, report: true });
  }

  /** The peer it belongs to. */
  get peer(): Peer {
    return this.#core.peer.owner;
  }

  /** What the connection will be configured with. */
  get config(): ConnectionConfig {
    return this.#config;
  }

  /** Our address; empty while an outgoing request has none. */
  get localAddress(): string {
    return this.#core.localAddress;
  }

  /** The other side's address. */
  get remoteAddress(): string {
    return this.#core.remoteAddress;
  }

  /**
   * Posts a receive before the connection exists, so that the first message finds it. It belongs to
   * the verbs tier: its completion comes out of the connection's queue.
   *
   * Guarantee on completion: the message is in local memory.
   *
   * @param receive - where the message goes; read during the call only
   * @throws ERR_RPMA_INVALID_ARG_TYPE receive, or something in it, has the wrong type
   * @throws ERR_RPMA_INVALID_ARG_VALUE an offset or a length without local
   * @throws ERR_RPMA_OUT_OF_RANGE beyond the region, or no safe integer
   * @throws ERR_RPMA_USAGE the region lacks Receive
   * @throws ERR_RPMA_FOREIGN the region belongs to another peer
   * @throws ERR_RPMA_CLOSED the region is closed
   * @throws ERR_RPMA_STATE the request is spent
   * @throws ERR_RPMA_AGAIN the receive queue is full; nothing was posted
   * @throws ERR_RPMA_QUEUE_CLAIMED awaited operations consume the shared completion queue
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_conn_req_recv`
   */
  postReceive(receive: ReceiveOperation): void {
    const core = this.#core;
    requireUnspent(core, 'request.postReceive()');
    core.requireReceivable('receive');
    encodeReceive(core.submissions, 0, core, receive);
    core.postOne(core.receiveQueue, 'receive');
  }
}

function requireUnspent(core: ConnectionCore, what: string): void {
  if (core.isRequest) return;
  throw new RpmaError(
    'ERR_RPMA_STATE',
    `${what}: the request is spent (used, handed over or destroyed)`,
  );
}

/** Makes the connection of a request. */
function spend(
  core: ConnectionCore,
  config: ConnectionConfig,
  what: string,
  start: (handle: number) => number,
): Connection {
  requireUnspent(core, what);
  core.peer.requireOpen(what);
  check(start(core.handle), what, core.failureContext);
  endLeakWatch(core);
  core.begin();
  return connectionOf(core, config);
}

function privateDataOf(options: PrivateDataChoice): Uint8Array {
  requireObject(options, 'options');
  return optionalPrivateData(options.privateData, limits.privateDataBytes);
}

/**
 * A connection that we are about to ask for.
 *
 * @remarks Thread safety: per object, on the thread that made it.
 * @see librpma: `rpma_conn_req_new`
 */
export class OutgoingRequest extends ConnectionRequest implements Disposable {
  static {
    constructOutgoing = (core, config) => new OutgoingRequest(constructorKey, core, config);
  }

  readonly #core: ConnectionCore;

  private constructor(key: symbol, core: ConnectionCore, config: ConnectionConfig) {
    super(key, core, config);
    this.#core = core;
  }

  /**
   * Starts connecting and returns at once; the request is spent.
   *
   * @param options - private data of at most 251 bytes (56 are portable to every device); copied
   * @returns the connection, in state 'connecting'; `whenEstablished()` tells the outcome
   * @throws ERR_RPMA_INVALID_ARG_TYPE options is no object, or privateData no Uint8Array
   * @throws ERR_RPMA_OUT_OF_RANGE privateData is too long
   * @throws ERR_RPMA_STATE the request is spent
   * @throws ERR_RPMA_CLOSED the peer is closed
   * @throws ERR_RPMA_PROVIDER the system refused
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_conn_req_connect`
   */
  connect(options: PrivateDataChoice = {}): Connection {
    const privateData = privateDataOf(options);
    return spend(this.#core, this.config, 'request.connect()', (handle) =>
      native.connectionConnect(handle, privateData),
    );
  }

  /**
   * Drops the request; after connect() it does nothing.
   *
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_conn_req_delete`
   */
  destroy(): void {
    this.#core.releaseRequest();
  }

  /**
   * destroy().
   *
   * @remarks Thread safety: per object, on the thread that made it.
   */
  [Symbol.dispose](): void {
    this.destroy();
  }
}

/**
 * A connection that another side asks for.
 *
 * @remarks Thread safety: per object, on the thread that made it.
 * @see librpma: `rpma_ep_next_conn_req`
 */
export class IncomingRequest extends ConnectionRequest implements Disposable {
  static {
    constructIncoming = (core, config) => new IncomingRequest(constructorKey, core, config);
  }

  readonly #core: ConnectionCore;
  readonly #privateData: Uint8Array;

  private constructor(key: symbol, core: ConnectionCore, config: ConnectionConfig) {
    super(key, core, config);
    this.#core = core;
    this.#privateData = core.privateData;
  }

  /**
   * The request of a ticket, in this thread, whose peer was adopted here before (`Peer.adopt()`).
   *
   * @param ticket - what `request.handOver()` gave, in whichever thread
   * @returns the request, with the configuration and the receives that it had
   * @throws ERR_RPMA_INVALID_ARG_TYPE ticket is no ticket
   * @throws ERR_RPMA_HAND_OVER it was used, has expired, is of another kind or another process
   * @throws ERR_RPMA_FOREIGN the request's peer is not open in this thread; the ticket stays good
   * @throws ERR_RPMA_CLOSED the peer is being closed in this thread
   * @throws ERR_RPMA_LIMIT no handle is left for it
   * @remarks Thread safety: any thread; the request belongs to the one that adopted it.
   * @see librpma: none; there an `rpma_conn_req` is used by every thread
   */
  static adopt(ticket: HandOverTicket): IncomingRequest {
    const { core, note } = adoptConnection(ticket, 'request', 'IncomingRequest.adopt()');
    return incomingRequestOf(core, new ConnectionConfig(note.config));
  }

  /**
   * A copy of what the other side sent; may be longer than sent on InfiniBand.
   *
   * @see librpma: `rpma_conn_req_get_private_data`
   */
  get privateData(): Uint8Array {
    return this.#privateData;
  }

  /**
   * Accepts and returns at once; the request is spent.
   *
   * @param options - private data of at most 251 bytes (56 are portable to every device); copied
   * @returns the connection, in state 'connecting'; `whenEstablished()` tells the outcome
   * @throws ERR_RPMA_INVALID_ARG_TYPE options is no object, or privateData no Uint8Array
   * @throws ERR_RPMA_OUT_OF_RANGE privateData is too long
   * @throws ERR_RPMA_STATE the request is spent
   * @throws ERR_RPMA_CLOSED the peer is closed
   * @throws ERR_RPMA_PROVIDER the system refused
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_conn_req_connect`
   */
  accept(options: PrivateDataChoice = {}): Connection {
    const privateData = privateDataOf(options);
    return spend(this.#core, this.config, 'request.accept()', (handle) =>
      native.connectionAccept(handle, privateData),
    );
  }

  /**
   * Rejects; the other side's connection ends with 'rejected' and this private data.
   *
   * @param options - private data of at most 251 bytes (56 are portable to every device); copied
   * @throws ERR_RPMA_INVALID_ARG_TYPE options is no object, or privateData no Uint8Array
   * @throws ERR_RPMA_OUT_OF_RANGE privateData is too long
   * @throws ERR_RPMA_STATE the request is spent
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_conn_req_delete`, which rejects without private data
   */
  reject(options: PrivateDataChoice = {}): void {
    const privateData = privateDataOf(options);
    const core = this.#core;
    requireUnspent(core, 'request.reject()');
    check(
      native.connectionReject(core.handle, privateData),
      'request.reject()',
      core.failureContext,
    );
    core.releaseRequest();
  }

  /**
   * Gives the request to another thread of this process, which accepts or rejects it; rejected when
   * nobody adopts it in time. Receives that were posted to it go with it. The request is spent.
   *
   * @param options - how long the ticket is good
   * @returns the ticket, for one `IncomingRequest.adopt()`
   * @throws ERR_RPMA_INVALID_ARG_TYPE options is no object, or timeoutMs no number
   * @throws ERR_RPMA_OUT_OF_RANGE timeoutMs is no whole number from 1 to 2^31-1
   * @throws ERR_RPMA_BUSY it is configured with a queue of peer.createCompletionQueue()
   * @throws ERR_RPMA_STATE the request is spent
   * @throws ERR_RPMA_CLOSED the peer is closed
   * @throws ERR_RPMA_LIMIT 1024 tickets are outstanding, or no thread is left
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: none; there an `rpma_conn_req` is used by every thread
   */
  handOver(options: HandOverOptions = {}): HandOverTicket {
    const what = 'request.handOver()';
    const timeoutMs = ticketTimeout(options);
    const core = this.#core;
    requireUnspent(core, what);
    core.peer.requireOpen(what);
    const ticket = ticketOf('request', core.handOver(this.config, timeoutMs, what), what);
    endLeakWatch(core);
    return ticket;
  }

  /**
   * Rejects if neither accepted, rejected nor handed over.
   *
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_conn_req_delete`
   */
  destroy(): void {
    this.#core.releaseRequest();
  }

  /**
   * destroy().
   *
   * @remarks Thread safety: per object, on the thread that made it.
   */
  [Symbol.dispose](): void {
    this.destroy();
  }
}

/** Wraps a core. Library use. */
export function outgoingRequestOf(core: ConnectionCore, config: ConnectionConfig): OutgoingRequest {
  return constructOutgoing(core, config);
}

/** Wraps a core. Library use. */
export function incomingRequestOf(core: ConnectionCore, config: ConnectionConfig): IncomingRequest {
  return constructIncoming(core, config);
}
