// SPDX-License-Identifier: BSD-3-Clause
//
// A listening address, and the requests that come to it. JS thread only.

import { connectionConfigOf, nativeConnectionOptions } from './connection-config.js';
import type { ConnectionConfig, ConnectionOptions } from './connection-config.js';
import { incomingRequestOf, type IncomingRequest } from './connection-request.js';
import { sharedQueueCore } from './completion-queue.js';
import { constructorKey, requireConstructorKey } from './internal/access.js';
import { publish } from './internal/channels.js';
import { ConnectionCore } from './internal/connection-core.js';
import { EndpointCore } from './internal/endpoint-core.js';
import { native, type Handle, type NativeConnectionOptions } from './internal/native.js';
import type { PeerCore } from './internal/peer-core.js';
import { publishReports } from './internal/reports.js';
import { requireSharedReceives } from './internal/shared-receive-queue-core.js';
import { asError, requireObject } from './internal/validate.js';
import type { Peer } from './peer.js';
import type { ConnectionChoice, Source, WaitOptions } from './types.js';

let construct: (handle: Handle, peer: PeerCore, config: ConnectionConfig) => Endpoint;

/**
 * A listening address. Keeps the process alive until closed or unref'd, as net.Server. Requests
 * that are not fetched wait; at `limits.unfetchedRequests` of them it stops accepting until one is
 * fetched. What it refuses, and when it has to pause, is published on the channel `rpma:error` of
 * node:diagnostics_channel.
 *
 * @remarks Thread safety: per object, on the thread that made it.
 * @see librpma: `rpma_ep_listen`, `struct rpma_ep`
 */
export class Endpoint implements Source<IncomingRequest>, AsyncDisposable {
  readonly #core: EndpointCore<IncomingRequest>;
  readonly #address: string;
  readonly #port: number;
  readonly #config: ConnectionConfig;
  readonly #native: NativeConnectionOptions;

  static {
    construct = (handle, peer, config) => new Endpoint(constructorKey, handle, peer, config);
  }

  private constructor(
    key: typeof constructorKey,
    handle: Handle,
    peer: PeerCore,
    config: ConnectionConfig,
  ) {
    requireConstructorKey(key, 'Endpoint', 'peer.listen()');
    this.#config = config;
    this.#native = nativeConnectionOptions(config);
    const { address, port } = native.endpointAddress(handle);
    this.#address = address;
    this.#port = port;
    const next = () => this.#next(this.#config, this.#native);
    this.#core = new EndpointCore(handle, peer, next, (reports) => publishReports(this, reports));
  }

  /** The peer that listens. */
  get peer(): Peer {
    return this.#core.peer.owner;
  }

  /** The literal it listens at. */
  get address(): string {
    return this.#address;
  }

  /** The port it listens at. */
  get port(): number {
    return this.#port;
  }

  /**
   * For epoll(7) and poll(2), made at first use: readable, level-triggered, until `tryTake()` has
   * returned null. The endpoint owns it and closes it when it is closed: never close or read it.
   *
   * @throws ERR_RPMA_CLOSED the endpoint is closed
   * @throws ERR_RPMA_LIMIT the system has no descriptor left
   * @see librpma: `rpma_ep_get_fd`
   */
  get fd(): number {
    return this.#core.descriptor.fd;
  }

  /** Whether close() was called. */
  get closed(): boolean {
    return this.#core.state !== 'open';
  }

  /**
   * Waits for a request without blocking the thread.
   *
   * @param options - signal and deadline, and the configuration of this one connection
   * @returns the request; null at the deadline or once closed
   * @throws ERR_RPMA_INVALID_ARG_TYPE options, or an option, has the wrong type
   * @throws ERR_RPMA_INVALID_ARG_VALUE an unknown word, or a queue of another peer
   * @throws ERR_RPMA_OUT_OF_RANGE a number is out of bounds
   * @throws ERR_RPMA_NOT_SUPPORTED an option that this version does not offer
   * @throws ERR_RPMA_ABORTED the signal ended the wait
   * @throws ERR_RPMA_BUSY an iterator waits on it
   * @throws ERR_RPMA_AGAIN 1024 waits are pending
   * @throws ERR_RPMA_NO_MEMORY the connection's queues could not be made; the request was rejected
   * @throws ERR_RPMA_LIMIT no handle is left for the connection; the request was rejected
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_ep_next_conn_req`
   */
  take(options?: ConnectionChoice & WaitOptions): Promise<IncomingRequest | null> {
    try {
      if (options !== undefined) requireObject(options, 'options');
      return this.#core.source.take(options, this.#attempt(options?.connection));
    } catch (error) {
      return Promise.reject(asError(error));
    }
  }

  /**
   * Blocks this thread for a request.
   *
   * @param timeoutMs - 0 to 2^31-1; Infinity only in a worker, which can still be terminated
   * @param connection - configuration of this one connection
   * @returns the request; null at the deadline or once closed
   * @throws ERR_RPMA_INVALID_ARG_TYPE timeoutMs, or an option, has the wrong type
   * @throws ERR_RPMA_INVALID_ARG_VALUE an unknown word, or a queue of another peer
   * @throws ERR_RPMA_OUT_OF_RANGE a number is out of bounds, or Infinity on the main thread
   * @throws ERR_RPMA_NOT_SUPPORTED an option that this version does not offer
   * @throws ERR_RPMA_BUSY an iterator waits on it
   * @throws ERR_RPMA_NO_MEMORY the connection's queues could not be made; the request was rejected
   * @throws ERR_RPMA_LIMIT no handle is left for the connection; the request was rejected
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_ep_next_conn_req`
   */
  takeSync(timeoutMs: number, connection?: ConnectionOptions): IncomingRequest | null {
    return this.#core.source.takeSync(timeoutMs, this.#attempt(connection));
  }

  /**
   * A request if there is one; never blocks.
   *
   * @param connection - configuration of this one connection
   * @returns the request, or null
   * @throws ERR_RPMA_INVALID_ARG_TYPE an option has the wrong type
   * @throws ERR_RPMA_INVALID_ARG_VALUE an unknown word, or a queue of another peer
   * @throws ERR_RPMA_OUT_OF_RANGE a number is out of bounds
   * @throws ERR_RPMA_NOT_SUPPORTED an option that this version does not offer
   * @throws ERR_RPMA_NO_MEMORY the connection's queues could not be made; the request was rejected
   * @throws ERR_RPMA_LIMIT no handle is left for the connection; the request was rejected
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_ep_next_conn_req`
   */
  tryTake(connection?: ConnectionOptions): IncomingRequest | null {
    return this.#attempt(connection)();
  }

  /**
   * Yields requests until the endpoint is closed. `break` lets go. A second loop at the same time
   * gets ERR_RPMA_BUSY.
   *
   * @returns an iterator
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_ep_next_conn_req`
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<IncomingRequest> {
    return this.#core.source.iterate();
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
   * Neither the open endpoint nor waits on it keep the process alive any more.
   *
   * @returns this
   * @remarks Thread safety: per object, on the thread that made it.
   */
  unref(): this {
    this.#core.keepAlive.setReferenced(false);
    return this;
  }

  /**
   * Stops listening and rejects what was not fetched; connections live on.
   *
   * @returns a promise, the same each time; once resolved the port is free
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_ep_shutdown`
   */
  close(): Promise<void> {
    return this.#core.close();
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

  #attempt(options: ConnectionOptions | undefined): () => IncomingRequest | null {
    if (options === undefined) return () => this.#next(this.#config, this.#native);
    const config = connectionConfigOf(options);
    sharedQueueCore(config.completionQueue, this.#core.peer);
    requireSharedReceives(config, this.#core.peer);
    const nativeOptions = nativeConnectionOptions(config);
    return () => this.#next(config, nativeOptions);
  }

  #next(config: ConnectionConfig, nativeOptions: NativeConnectionOptions): IncomingRequest | null {
    const handle = this.#core.fetch(nativeOptions);
    if (handle === 0) return null;
    const { peer } = this.#core;
    const shared = sharedQueueCore(config.completionQueue, peer);
    const core = new ConnectionCore(handle, peer, config, shared, null);
    const request = incomingRequestOf(core, config);
    publish('requestIncoming', () => ({ endpoint: this, request }));
    return request;
  }
}

/** Wraps a handle. Library use. */
export function endpointOf(handle: Handle, peer: PeerCore, config: ConnectionConfig): Endpoint {
  const endpoint = construct(handle, peer, config);
  publish('endpointListen', () => ({ endpoint }));
  return endpoint;
}
