// SPDX-License-Identifier: BSD-3-Clause
//
// A peer: one device with its protection domain and progress threads; all else is made from it. JS
// thread only; the peer's threads serve other sides whatever this thread does.

import { isIP } from 'node:net';
import { completionQueueOf, sharedQueueCore, type CompletionQueue } from './completion-queue.js';
import { connectionConfigOf, nativeConnectionOptions } from './connection-config.js';
import { outgoingRequestOf, type OutgoingRequest } from './connection-request.js';
import type { Connection } from './connection.js';
import { iwarpDevice } from './devices.js';
import { endpointOf, type Endpoint } from './endpoint.js';
import { argumentError, isRpmaError, RpmaError } from './errors.js';
import { limits } from './internal/abi.generated.js';
import { constructorKey, requireConstructorKey } from './internal/access.js';
import { isLocalAddress, placeName, resolveAddress } from './internal/address.js';
import { publish, traceConnect } from './internal/channels.js';
import { ConnectionCore } from './internal/connection-core.js';
import { throwIfAborted, timeoutError } from './internal/deadline.js';
import { check, startEnvironment } from './internal/environment.js';
import { ticketOf, ticketTimeout, tokenOf } from './internal/hand-over.js';
import { native } from './internal/native.js';
import { forgetCollectedPeers, PeerCore, peerOfHandle } from './internal/peer-core.js';
import { QueueCore } from './internal/queue-core.js';
import { allocateRegion, registerRegion } from './internal/register.js';
import { watchForLeak } from './internal/resource.js';
import { requireSharedReceives } from './internal/shared-receive-queue-core.js';
import {
  checkWaitOptions,
  optionalBoolean,
  optionalInteger,
  optionalPrivateData,
  refuseUnoffered,
  requireObject,
  requirePort,
  requireTimeout,
  requireWord,
  wrongType,
} from './internal/validate.js';
import { memoryRegionOf, type MemoryRegion } from './memory-region.js';
import { createSharedReceives, type SharedReceiveQueue } from './shared-receive-queue.js';
import type {
  Capabilities,
  ConnectionChoice,
  DeviceInfo,
  EndpointLimits,
  HandOverOptions,
  HandOverTicket,
  Memory,
  PrivateDataChoice,
  ProviderName,
  RegisterOptions,
  SharedReceiveQueueOptions,
  WaitOptions,
} from './types.js';

/** How a peer is opened. */
export interface PeerOptions {
  /** Default: the environment variable RPMA_PROVIDER, else 'auto'. This version offers 'iwarp'. */
  readonly provider?: ProviderName | 'auto' | undefined;
  /** The device that owns this local address. */
  readonly localAddress?: string | undefined;
  /** In its place: the device on the route to this address. */
  readonly remoteAddress?: string | undefined;
  /**
   * Default false. iwarp: what a side without our extension wrote is persisted before its Read is
   * answered.
   */
  readonly directWriteToPmem?: boolean | undefined;
  /**
   * How long progress threads and waits spin before they sleep; default 0, which saves the
   * processor.
   */
  readonly busyPollMicroseconds?: number | undefined;
}

/** How a peer listens. */
export interface ListenOptions extends ConnectionChoice, WaitOptions {
  /** Connections that the system may hold before they are accepted; default its maximum. */
  readonly backlog?: number | undefined;
  /** Bounds against strangers. */
  readonly limits?: EndpointLimits | undefined;
}

/** How a peer connects. */
export interface ConnectOptions extends ConnectionChoice, PrivateDataChoice, WaitOptions {}

const providerWords = ['auto', 'iwarp', 'verbs', 'shm'] as const;
const busyPollMax = 1_000_000;
const boundMax = 2 ** 31 - 1;

let construct: (handle: number, provider: ProviderName) => Peer;

/**
 * One device and protection domain, and its progress threads. Everything made from it stays open
 * until it or the peer is closed: nothing open is collected.
 *
 * @remarks Thread safety: per object, on the thread that made it.
 * @see librpma: `struct rpma_peer`
 */
export class Peer implements AsyncDisposable {
  readonly #core: PeerCore;
  readonly #device: DeviceInfo;

  static {
    construct = (handle, provider) => new Peer(constructorKey, handle, provider);
  }

  private constructor(key: typeof constructorKey, handle: number, provider: ProviderName) {
    requireConstructorKey(key, 'Peer', 'Peer.open()');
    const capabilities = Object.freeze(native.peerCapabilities(handle));
    this.#core = new PeerCore(handle, provider, capabilities, this);
    this.#device = iwarpDevice(capabilities);
    const release = (): void => {
      native.peerClose(handle);
    };
    watchForLeak(this, this.#core, { what: 'a Peer', release, report: true });
  }

  /**
   * Opens a peer.
   *
   * @param options - provider and address, and how it runs
   * @returns the peer
   * @throws ERR_RPMA_INVALID_ARG_TYPE options, or an option, has the wrong type
   * @throws ERR_RPMA_INVALID_ARG_VALUE an unknown provider, an empty address, or both addresses
   * @throws ERR_RPMA_OUT_OF_RANGE busyPollMicroseconds or timeoutMs is out of bounds
   * @throws ERR_RPMA_NOT_SUPPORTED a provider or option that this version does not offer
   * @throws ERR_RPMA_PROVIDER localAddress is no address of this machine, or the system refused
   * @throws ERR_RPMA_UNREACHABLE remoteAddress cannot be resolved
   * @throws ERR_RPMA_TIMEOUT the deadline ended the look-up
   * @throws ERR_RPMA_ABORTED the signal ended the look-up
   * @remarks Thread safety: any thread; the peer belongs to the one that opened it.
   * @see librpma: `rpma_utils_get_ibv_context`, `rpma_peer_new`
   */
  static async open(options: PeerOptions & WaitOptions = {}): Promise<Peer> {
    requireObject(options, 'options');
    checkWaitOptions(options);
    refuseUnoffered(options, 'preferLocal', false, 'peer');
    refuseUnoffered(options, 'progressThreads', 1, 'peer');
    const provider = chooseProvider(options.provider);
    const spin = optionalInteger(
      options.busyPollMicroseconds,
      'busyPollMicroseconds',
      0,
      busyPollMax,
      0,
    );
    const direct = optionalBoolean(options.directWriteToPmem, 'directWriteToPmem', false);
    await checkAddresses(options);
    throwIfAborted(options, 'Peer.open()');
    startEnvironment();
    const handle = check(native.peerOpen(provider, spin, direct), 'Peer.open()', { provider });
    const peer = construct(handle, provider);
    publish('peerOpen', () => ({ peer }));
    return peer;
  }

  /**
   * The native peer of a ticket, in this thread: regions, requests and connections of it can be
   * adopted here then. A thread has one Peer over it: adopting again gives the same object.
   *
   * @param ticket - what `peer.share()` gave, in whichever thread
   * @returns the peer; open until it is closed here, whatever happens to it elsewhere
   * @throws ERR_RPMA_INVALID_ARG_TYPE ticket is no ticket
   * @throws ERR_RPMA_HAND_OVER it was used, has expired, is of another kind or another process
   * @throws ERR_RPMA_CLOSED the peer is being closed in this thread
   * @throws ERR_RPMA_LIMIT no handle is left for it
   * @remarks Thread safety: any thread; the peer belongs to the one that adopted it.
   * @see librpma: none; there an `rpma_peer` is used by every thread
   */
  static adopt(ticket: HandOverTicket): Peer {
    const what = 'Peer.adopt()';
    const token = tokenOf(ticket);
    startEnvironment();
    forgetCollectedPeers();
    const adopted = native.peerAdopt(token);
    if (typeof adopted === 'number') {
      check(adopted, what);
      throw new RpmaError('ERR_RPMA_INTERNAL', `${what}: nothing was adopted`);
    }
    const known = peerOfHandle(adopted.peer);
    if (known === undefined) {
      const peer = construct(adopted.peer, adopted.note as ProviderName);
      publish('peerOpen', () => ({ peer }));
      return peer;
    }
    known.requireOpen(what);
    return known.owner;
  }

  /** What moves the bytes. */
  get provider(): ProviderName {
    return this.#core.provider;
  }

  /** The device it uses. */
  get device(): DeviceInfo {
    return this.#device;
  }

  /**
   * What it can do; a connection's own capabilities depend on the other side as well.
   *
   * @see librpma: `rpma_utils_ibv_context_is_odp_capable`
   */
  get capabilities(): Capabilities {
    return this.#core.capabilities;
  }

  /**
   * Listens; port 0 picks one. `connection` configures the requests that iteration yields.
   *
   * @param address - an address or name of this machine; IPv4 or IPv6
   * @param port - 0 to 65535
   * @param options - bounds, configuration, and signal and deadline of the look-up
   * @returns the endpoint, listening
   * @throws ERR_RPMA_INVALID_ARG_TYPE an argument or option has the wrong type
   * @throws ERR_RPMA_INVALID_ARG_VALUE an empty address, an unknown word, or a foreign queue
   * @throws ERR_RPMA_OUT_OF_RANGE port, a bound or another number is out of bounds
   * @throws ERR_RPMA_NOT_SUPPORTED an option that this version does not offer
   * @throws ERR_RPMA_PROVIDER the address is taken (EADDRINUSE), not ours, or not to be resolved
   * @throws ERR_RPMA_CLOSED the peer is closed
   * @throws ERR_RPMA_TIMEOUT the deadline ended the look-up
   * @throws ERR_RPMA_ABORTED the signal ended the look-up
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_ep_listen`
   */
  async listen(address: string, port: number, options: ListenOptions = {}): Promise<Endpoint> {
    const what = 'peer.listen()';
    requireObject(options, 'options');
    checkWaitOptions(options);
    requirePort(port, 'port', 0);
    const config = connectionConfigOf(options.connection);
    sharedQueueCore(config.completionQueue, this.#core);
    requireSharedReceives(config, this.#core);
    const bounds = limitsOf(options.limits);
    const backlog = optionalInteger(options.backlog, 'backlog', 0, boundMax, 0);
    this.#core.requireOpen(what);
    const literal = await resolveAddress(address, {
      ...options,
      name: 'address',
      code: 'ERR_RPMA_PROVIDER',
      resolveTimeoutMs: config.resolveTimeoutMs,
    });
    throwIfAborted(options, what);
    this.#core.requireOpen(what);
    const handle = check(
      native.endpointListen(this.#core.handle, literal, port, backlog, ...bounds),
      `${what} at ${literal} port ${port}`,
      { provider: this.provider },
    );
    return endpointOf(handle, this.#core, config);
  }

  /**
   * Resolves the address and makes the queues; nothing reaches the other side yet.
   *
   * @param address - an address or name; IPv4 or IPv6
   * @param port - 1 to 65535
   * @param options - configuration, and signal and deadline of the look-up
   * @returns the request, to which receives can be posted before it connects
   * @throws ERR_RPMA_INVALID_ARG_TYPE an argument or option has the wrong type
   * @throws ERR_RPMA_INVALID_ARG_VALUE an empty address, an unknown word, or a foreign queue
   * @throws ERR_RPMA_OUT_OF_RANGE port, a bound or another number is out of bounds
   * @throws ERR_RPMA_NOT_SUPPORTED an option that this version does not offer
   * @throws ERR_RPMA_UNREACHABLE the name cannot be resolved in resolveTimeoutMs
   * @throws ERR_RPMA_NO_MEMORY no memory is left for the queues
   * @throws ERR_RPMA_LIMIT no descriptor or handle is left for them
   * @throws ERR_RPMA_CLOSED the peer is closed
   * @throws ERR_RPMA_TIMEOUT the deadline ended the look-up
   * @throws ERR_RPMA_ABORTED the signal ended the look-up
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_conn_req_new`
   */
  async createConnectionRequest(
    address: string,
    port: number,
    options: ConnectionChoice & WaitOptions = {},
  ): Promise<OutgoingRequest> {
    const what = 'peer.createConnectionRequest()';
    requireObject(options, 'options');
    checkWaitOptions(options);
    requirePort(port, 'port', 1);
    const config = connectionConfigOf(options.connection);
    const shared = sharedQueueCore(config.completionQueue, this.#core);
    requireSharedReceives(config, this.#core);
    this.#core.requireOpen(what);
    const literal = await resolveAddress(address, {
      ...options,
      name: 'address',
      code: 'ERR_RPMA_UNREACHABLE',
      resolveTimeoutMs: config.resolveTimeoutMs,
    });
    throwIfAborted(options, what);
    this.#core.requireOpen(what);
    const handle = check(
      native.connectionCreate(this.#core.handle, literal, port, nativeConnectionOptions(config)),
      `${what} to ${literal} port ${port}`,
      { provider: this.provider },
    );
    const goal = { address: literal, port };
    return outgoingRequestOf(new ConnectionCore(handle, this.#core, config, shared, goal), config);
  }

  /**
   * createConnectionRequest(), connect() and whenEstablished() in one.
   *
   * @param address - an address or name; IPv4 or IPv6
   * @param port - 1 to 65535
   * @param options - configuration, private data, and signal and deadline of the whole
   * @returns the connection, established; given up, it is destroyed
   * @throws ERR_RPMA_INVALID_ARG_TYPE an argument or option has the wrong type
   * @throws ERR_RPMA_INVALID_ARG_VALUE an empty address, an unknown word, or a foreign queue
   * @throws ERR_RPMA_OUT_OF_RANGE port, a bound or another number is out of bounds
   * @throws ERR_RPMA_REJECTED the other side said no (privateData), or nothing listens (errno)
   * @throws ERR_RPMA_UNREACHABLE no route, no answer in connectTimeoutMs, or no such name
   * @throws ERR_RPMA_CONNECTION_LOST it broke while it was set up
   * @throws ERR_RPMA_NOT_SUPPORTED an option is not offered, or requireNative cannot be met
   * @throws ERR_RPMA_NO_MEMORY no memory is left for the queues
   * @throws ERR_RPMA_LIMIT no descriptor or handle is left for them
   * @throws ERR_RPMA_CLOSED the peer is closed
   * @throws ERR_RPMA_TIMEOUT it was not established by the deadline
   * @throws ERR_RPMA_ABORTED the signal ended the connecting
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_conn_req_new`, `rpma_conn_req_connect`, `rpma_conn_next_event`
   */
  connect(address: string, port: number, options: ConnectOptions = {}): Promise<Connection> {
    return traceConnect({ peer: this, address, port }, () => this.#connect(address, port, options));
  }

  async #connect(address: string, port: number, options: ConnectOptions): Promise<Connection> {
    requireObject(options, 'options');
    const start = performance.now();
    // Copied now: the caller may change it while the address is being resolved.
    const privateData = optionalPrivateData(options.privateData, limits.privateDataBytes).slice();
    const request = await this.createConnectionRequest(address, port, options);
    const timeoutMs = requireTimeout(options.timeoutMs, 'timeoutMs');
    const connection = connectOrDestroy(request, privateData);
    const left = Math.max(0, timeoutMs - (performance.now() - start));
    try {
      return await connection.whenEstablished({
        signal: options.signal,
        timeoutMs: left === Infinity ? undefined : left,
      });
    } catch (error) {
      connection.destroy();
      if (!isRpmaError(error) || error.code !== 'ERR_RPMA_TIMEOUT') throw error;
      // The wait had only what the look-up left of it; the program knows the whole.
      const place = placeName(connection.remoteAddress, port);
      const context = { provider: this.provider };
      throw timeoutError(`the connection to ${place} was not established`, timeoutMs, context);
    }
  }

  /**
   * Registers memory in place, never a copy. An ArrayBuffer is held, and untransferable from then
   * on. Refused is memory that may move or is shared with strangers: resizable or detached buffers,
   * WebAssembly memory, slices of Buffer's pool.
   *
   * @param memory - an ArrayBuffer, a view, a SharedArrayBuffer or a PmemFile
   * @param options - usage, and which part
   * @returns the region
   * @throws ERR_RPMA_INVALID_ARG_TYPE an argument or option has the wrong type
   * @throws ERR_RPMA_INVALID_ARG_VALUE memory that moves, usage 0, or a readOnly file to be written
   * @throws ERR_RPMA_OUT_OF_RANGE offset plus length is beyond the memory
   * @throws ERR_RPMA_NOT_PERSISTENT FlushPersistent on memory that is no PmemFile
   * @throws ERR_RPMA_NOT_SUPPORTED shareWholeFile, which this version does not offer
   * @throws ERR_RPMA_FOREIGN options.connection belongs to another peer
   * @throws ERR_RPMA_NO_MEMORY no memory is left for it
   * @throws ERR_RPMA_LIMIT no key, handle or descriptor is left for it
   * @throws ERR_RPMA_CLOSED the peer, the file or options.connection is closed
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_mr_reg`
   */
  register(memory: Memory, options: RegisterOptions): Promise<MemoryRegion> {
    return promised(() => memoryRegionOf(registerRegion(this.#core, memory, options)));
  }

  /**
   * Page-aligned zeroed memory of the library's own, registered; the choice when nothing else
   * decides.
   *
   * @param sizeBytes - at least 1
   * @param options - usage, and whether huge pages are asked for
   * @returns the region
   * @throws ERR_RPMA_INVALID_ARG_TYPE an argument or option has the wrong type
   * @throws ERR_RPMA_INVALID_ARG_VALUE usage 0 or unknown
   * @throws ERR_RPMA_OUT_OF_RANGE sizeBytes is no whole number from 1 on
   * @throws ERR_RPMA_NOT_PERSISTENT usage has FlushPersistent
   * @throws ERR_RPMA_NO_MEMORY no memory is left for it
   * @throws ERR_RPMA_LIMIT no key, handle or descriptor is left for it
   * @throws ERR_RPMA_CLOSED the peer is closed
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_mr_reg`
   */
  allocate(
    sizeBytes: number,
    options: { readonly usage: number; readonly hugePages?: boolean | undefined },
  ): Promise<MemoryRegion> {
    return promised(() => memoryRegionOf(allocateRegion(this.#core, sizeBytes, options)));
  }

  /**
   * A queue for several connections; holds at least the sum of the queues it serves, so it cannot
   * overflow. It ends with its connections, and is given back with the peer.
   *
   * @param options - entries at least; default 10
   * @returns the queue, for `connection: { completionQueue }`
   * @throws ERR_RPMA_INVALID_ARG_TYPE options is no object, or size no number
   * @throws ERR_RPMA_OUT_OF_RANGE size is not a whole number from 1 to 65536
   * @throws ERR_RPMA_NO_MEMORY no memory is left for it
   * @throws ERR_RPMA_LIMIT no handle is left for it
   * @throws ERR_RPMA_CLOSED the peer is closed
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: none; there each connection has queues of its own
   */
  createCompletionQueue(
    options: { readonly size?: number | undefined } = {},
  ): Promise<CompletionQueue> {
    return promised(() => {
      requireObject(options, 'options');
      const size = optionalInteger(options.size, 'size', 1, limits.queueSizeMax, limits.queueSize);
      this.#core.requireOpen('peer.createCompletionQueue()');
      const handle = check(
        native.queueCreate(this.#core.handle, size),
        'peer.createCompletionQueue()',
      );
      return completionQueueOf(new QueueCore(handle, this.#core));
    });
  }

  /**
   * A receive queue for several connections.
   *
   * @param options - receives that it holds, and entries of its own completion queue, 0 for none;
   *   default 20 each
   * @returns the queue, for `connection: { sharedReceiveQueue }`
   * @throws ERR_RPMA_INVALID_ARG_TYPE options is no object, or a size no number
   * @throws ERR_RPMA_OUT_OF_RANGE a size is not a whole number up to 65536
   * @throws ERR_RPMA_NO_MEMORY no memory is left for it
   * @throws ERR_RPMA_LIMIT no handle is left for it
   * @throws ERR_RPMA_CLOSED the peer is closed
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_srq_new`, `rpma_srq_cfg_new`, `rpma_srq_cfg_delete`
   */
  createSharedReceiveQueue(options: SharedReceiveQueueOptions = {}): Promise<SharedReceiveQueue> {
    return promised(() => createSharedReceives(this.#core, options));
  }

  /**
   * A ticket by which another thread of this process opens the same native peer. It holds the
   * native peer, not the process.
   *
   * @param options - how long it is good; then it is let go of
   * @returns the ticket, for one `Peer.adopt()`
   * @throws ERR_RPMA_INVALID_ARG_TYPE options is no object, or timeoutMs no number
   * @throws ERR_RPMA_OUT_OF_RANGE timeoutMs is no whole number from 1 to 2^31-1
   * @throws ERR_RPMA_CLOSED the peer is closed
   * @throws ERR_RPMA_LIMIT 1024 tickets are outstanding, or no thread is left
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: none; there an `rpma_peer` is used by every thread
   */
  share(options: HandOverOptions = {}): HandOverTicket {
    const what = 'peer.share()';
    const timeoutMs = ticketTimeout(options);
    this.#core.requireOpen(what);
    const { handle, provider } = this.#core;
    return ticketOf('peer', native.peerShare(handle, timeoutMs, provider), what);
  }

  /**
   * What its connections and endpoints have done and met, in numbers that only grow (but for
   * connectionsOpen); docs/reference/statistics.md has each with its unit. Those of its connections
   * are sums, also over the ones that have ended and over all threads that share it. Readable after
   * close().
   *
   * @returns a frozen record
   * @remarks Thread safety: per object, on the thread that made it.
   */
  statistics(): Readonly<Record<string, number>> {
    return this.#core.statistics();
  }

  /**
   * Closes what was made from it or adopted in this thread, newest first, each gracefully. The
   * native peer ends with the last thread that has it open and its last ticket.
   *
   * @returns a promise, the same each time; once resolved its threads have ended, unless another
   *   thread has the native peer open
   * @throws ERR_RPMA_PROVIDER something could not be closed in good order, yet it is closed
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_peer_delete`
   */
  close(): Promise<void> {
    return this.#core.close();
  }

  /**
   * Aborts it all: accepted operations complete as flushed. What cannot be had at once (memory in
   * use) follows; close() gives the promise of it.
   *
   * @param reason - becomes the `cause` of errors that come of it
   * @throws ERR_RPMA_INVALID_ARG_TYPE reason is no Error
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_peer_delete`
   */
  destroy(reason?: Error): void {
    if (reason !== undefined && !(reason instanceof Error))
      throw wrongType('reason', 'an Error', reason);
    this.#core.destroy(reason);
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

/** What is done at once and promised all the same: other providers need the time. */
function promised<T>(make: () => T): Promise<T> {
  return new Promise((resolve) => {
    resolve(make());
  });
}

/** The option, else RPMA_PROVIDER, else 'auto'; what this version does not offer is refused. */
function chooseProvider(option: unknown): ProviderName {
  const chosen = process.env['RPMA_PROVIDER'];
  const fromEnvironment = option === undefined && chosen !== undefined && chosen !== '';
  const name = fromEnvironment ? 'RPMA_PROVIDER' : 'provider';
  const word = requireWord(fromEnvironment ? chosen : (option ?? 'auto'), name, providerWords);
  if (word === 'auto' || word === 'iwarp') return 'iwarp';
  throw new RpmaError(
    'ERR_RPMA_NOT_SUPPORTED',
    `${name} '${word}' is not offered by this version, which has 'iwarp': leave it out or use 'iwarp'`,
    { provider: word, scope: 'peer' },
  );
}

/**
 * iwarp runs over every address, so all there is to find out is whether there is such an address.
 */
async function checkAddresses(options: PeerOptions & WaitOptions): Promise<void> {
  const { localAddress, remoteAddress } = options;
  const wait = { signal: options.signal, timeoutMs: options.timeoutMs };
  const resolveTimeoutMs = limits.resolveTimeoutMs;
  if (localAddress !== undefined && remoteAddress !== undefined) {
    throw argumentError(
      'ERR_RPMA_INVALID_ARG_VALUE',
      'localAddress and remoteAddress exclude each other: both name the device',
    );
  }
  if (remoteAddress !== undefined) {
    const code = 'ERR_RPMA_UNREACHABLE';
    await resolveAddress(remoteAddress, { ...wait, name: 'remoteAddress', code, resolveTimeoutMs });
  }
  if (localAddress === undefined) return;
  const code = 'ERR_RPMA_PROVIDER';
  const choice = { ...wait, name: 'localAddress', code, resolveTimeoutMs } as const;
  const literal = await resolveAddress(localAddress, choice);
  if (isIP(literal) !== 0 && isLocalAddress(literal)) return;
  throw new RpmaError(
    'ERR_RPMA_PROVIDER',
    `localAddress '${localAddress}' is no address of this machine: use one of devices(), or remoteAddress`,
    { scope: 'peer' },
  );
}

function limitsOf(options: EndpointLimits | undefined): [number, number, number, number] {
  if (options !== undefined) requireObject(options, 'limits');
  const bound = (name: keyof EndpointLimits): number =>
    optionalInteger(options?.[name], `limits.${name}`, 1, boundMax, limits[name]);
  return [
    bound('pendingSetups'),
    bound('pendingSetupsPerAddress'),
    bound('connections'),
    bound('unfetchedRequests'),
  ];
}

/** A request that could not even start must not stay behind: nobody has a name for it. */
function connectOrDestroy(request: OutgoingRequest, privateData: Uint8Array): Connection {
  try {
    return request.connect({ privateData });
  } catch (error) {
    request.destroy();
    throw error;
  }
}
