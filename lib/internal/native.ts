// SPDX-License-Identifier: BSD-3-Clause
//
// The only file that loads the addon, and its typed interface. The contract is
// docs/internals/boundary.md. Handles are integers with a generation inside: a stale one is refused
// by the addon, never followed. Native code throws nothing: a call returns a negative status number
// when it failed, and lastError() then tells the cause.

import { createRequire } from 'node:module';
import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { dirname, join, resolve } from 'node:path';
import { abiHash } from './abi.generated.js';
import { RpmaError } from '../errors.js';

/** A generation-checked integer that names a native object; 0 names none. */
export type Handle = number;
/** Zero or a count or handle when it is not negative; else the negated number of a status. */
export type NativeResult = number;

export interface NativeError {
  readonly status: number;
  readonly errno: number;
  readonly syscall: string;
  readonly detail: string;
}

export interface NativeConnectionOptions {
  readonly sendQueueSize: number;
  readonly receiveQueueSize: number;
  readonly completionQueueSize: number;
  readonly receiveCompletionQueueSize: number;
  readonly connectTimeoutMs: number;
  readonly closeTimeoutMs: number;
  readonly deadPeerTimeoutMs: number;
  /** -1: for ever. */
  readonly receiverNotReadyTimeoutMs: number;
  /** 0 off, 1 between our own kind, 2 required. */
  readonly crc: number;
  /** 0 auto, 1 one MSS, else bytes. */
  readonly maxFrameBytes: number;
  readonly inboundReads: number;
  readonly outboundReads: number;
  /** Bits of extensionCapabilities. */
  readonly requireNative: number;
  /** Handle of a shared queue, 0 for a private one. */
  readonly completionQueue: Handle;
  /** Handle of a shared receive queue, 0 for receives of its own. */
  readonly sharedReceiveQueue: Handle;
}

export interface NativeCapabilities {
  readonly nativeFlush: boolean;
  readonly nativeAtomicWrite: boolean;
  readonly persistentFlush: boolean;
  readonly immediateData: boolean;
  readonly sharedReceiveQueue: boolean;
  readonly backgroundProgress: boolean;
  readonly onDemandPaging: boolean;
  readonly regionAdvice: boolean;
  readonly maxMessageBytes: number;
  readonly maxPrivateDataBytes: number;
  readonly maxQueueEntries: number;
  readonly maxInlineBytes: number;
}

export interface NativeEvent {
  /** Index into connectionEvents. */
  readonly type: number;
  readonly error: NativeError | null;
  readonly privateData: Uint8Array;
}

export interface NativePeerStatistics {
  readonly peer: Record<string, number>;
  readonly connections: Record<string, number>;
}

/** Counted since the last report of its kind; address and error are the newest's. */
export interface NativeReport {
  /** Index into reportKinds. */
  readonly kind: number;
  readonly count: number;
  /** '' where there is none. */
  readonly address: string;
  readonly error: NativeError;
}

/** A line of the library's log. */
export interface NativeLogRecord {
  /** Index into logLevels. */
  readonly level: number;
  readonly message: string;
  /** Milliseconds since the epoch, with microseconds behind the point. */
  readonly time: number;
  readonly file: string;
  readonly line: number;
  readonly function: string;
  /** '' where there is none. */
  readonly provider: string;
  /** Records that found no room right before this one. */
  readonly dropped: number;
}

export interface NativeBinding {
  readonly abiHash: string;
  readonly flavour: 'release' | 'test';
  /**
   * Once per environment: the three record buffers, touched on this thread only, and the function
   * that a wake-up calls.
   */
  start(
    submissions: ArrayBuffer,
    completions: ArrayBuffer,
    ready: ArrayBuffer,
    onWake: () => void,
  ): void;
  /** Fills the ready buffer; returns how many objects have something. */
  drainReady(): number;
  /** Whether the environment's wake-up keeps the process alive. */
  setReferenced(on: boolean): void;
  /**
   * Blocks at most timeoutMs (<= 50) until drainReady() has something; drives what was taken over.
   */
  waitReady(timeoutMs: number): void;
  /** Cause of the newest failed call on this thread. */
  lastError(): NativeError;

  peerOpen(
    provider: string,
    busyPollMicroseconds: number,
    directWriteToPmem: boolean,
  ): NativeResult;
  peerCapabilities(peer: Handle): NativeCapabilities;
  /** Its own, and the sums over its connections; null when it is closed. */
  peerStatistics(peer: Handle): NativePeerStatistics | null;
  /** Aborts what is left of it and stops its threads; its children's handles become stale. */
  peerClose(peer: Handle): NativeResult;

  regionAllocate(peer: Handle, sizeBytes: number, usage: number, hugePages: boolean): NativeResult;
  /** Registers a view's bytes in place and holds its buffer. */
  regionRegister(
    peer: Handle,
    bytes: Uint8Array,
    usage: number,
    boundConnection: Handle,
  ): NativeResult;
  regionRegisterFile(
    peer: Handle,
    file: Handle,
    offset: number,
    length: number,
    usage: number,
    boundConnection: Handle,
  ): NativeResult;
  /** librpma's 21 bytes. */
  regionDescriptor(region: Handle): Uint8Array;
  /** A window of library-allocated or file memory; detached when the region (file) is closed. */
  regionView(region: Handle, offset: number, length: number): ArrayBuffer | NativeResult;
  regionInFlight(region: Handle): number;
  /**
   * kind: index into adviceKinds. `flush`: resolves when it is done; else once it is under way, and
   * what fails then is only logged.
   */
  regionAdvise(
    region: Handle,
    offset: number,
    length: number,
    kind: number,
    flush: boolean,
  ): Promise<0 | NativeError>;
  /** Revokes at once; resolves with 0 or an error when nothing uses the memory any more. */
  regionClose(region: Handle): Promise<0 | NativeError>;

  /**
   * Resolves with the file's handle, or an error. sizeBytes 0: the whole file. oracle: test flavour
   * only.
   */
  fileMap(
    path: string,
    options: {
      sizeBytes: number;
      offset: number;
      create: boolean;
      mode: number;
      readOnly: boolean;
      allowVolatile: boolean;
      oracle: boolean;
    },
  ): Promise<Handle | NativeError>;
  /** durability: index into pmemDurabilities. */
  fileInfo(file: Handle): { sizeBytes: number; isPmem: boolean; durability: number };
  fileView(file: Handle, offset: number, length: number): ArrayBuffer | NativeResult;
  filePersist(file: Handle, offset: number, length: number): Promise<0 | NativeError>;
  filePersistSync(file: Handle, offset: number, length: number): NativeResult;
  /** Detaches every view, then unmaps; ERR_RPMA_BUSY while a region is open. */
  fileUnmap(file: Handle): Promise<0 | NativeError>;

  /** address is a literal; port 0 picks one. */
  endpointListen(
    peer: Handle,
    address: string,
    port: number,
    backlog: number,
    pendingSetups: number,
    pendingSetupsPerAddress: number,
    connections: number,
    unfetchedRequests: number,
  ): NativeResult;
  endpointAddress(endpoint: Handle): { address: string; port: number };
  /** A connection handle in state 'request', or 0 when there is none. */
  endpointNext(endpoint: Handle, options: NativeConnectionOptions): NativeResult;
  /** What was announced and not taken yet, or null; at most one of each kind. */
  endpointReports(endpoint: Handle): NativeReport[] | null;
  endpointClose(endpoint: Handle): NativeResult;

  /**
   * Outgoing: makes the queues; nothing reaches the other side yet. The handle is the connection's.
   */
  connectionCreate(
    peer: Handle,
    address: string,
    port: number,
    options: NativeConnectionOptions,
  ): NativeResult;
  connectionConnect(connection: Handle, privateData: Uint8Array): NativeResult;
  connectionAccept(connection: Handle, privateData: Uint8Array): NativeResult;
  connectionReject(connection: Handle, privateData: Uint8Array): NativeResult;
  connectionInfo(connection: Handle): {
    queuePairNumber: number;
    localAddress: string;
    localPort: number;
    remoteAddress: string;
    remotePort: number;
    /** Of an incoming request. */
    privateData: Uint8Array;
    completionQueue: Handle;
    receiveCompletionQueue: Handle;
    capabilities: NativeCapabilities;
  };
  /** Index into connectionStates. */
  connectionState(connection: Handle): number;
  /** By name; null when the handle is gone. */
  connectionStatistics(connection: Handle): Record<string, number> | null;
  connectionNextEvent(connection: Handle): NativeEvent | null;
  connectionApplyPeerConfig(connection: Handle, directWriteToPmem: boolean): NativeResult;
  /** Starts the graceful end; timeoutMs bounds it. */
  connectionDisconnect(connection: Handle, timeoutMs: number): NativeResult;
  connectionDestroy(connection: Handle): NativeResult;
  /**
   * After its end: lets go of the handle; an incoming or outgoing request that was never used is
   * dropped (incoming: rejected). Its private queues stay until queueClose.
   */
  connectionRelease(connection: Handle): NativeResult;
  sendQueueFree(connection: Handle): number;
  receiveQueueFree(connection: Handle): number;
  /**
   * Asks for one 'events' ready record of the connection once so many slots of the send queue are
   * free; 0 when they are already and nothing was asked for. The newest call counts.
   */
  watchSendQueue(connection: Handle, slots: number): NativeResult;

  /**
   * Posts the first `count` submission records in order; returns how many were accepted, or the
   * negated status when the first was not.
   */
  post(connection: Handle, count: number): NativeResult;

  queueCreate(peer: Handle, size: number): NativeResult;
  queueCapacity(queue: Handle): number;
  /** Fills the completion buffer; returns the count. Never blocks. */
  poll(queue: Handle, max: number): NativeResult;
  /**
   * Asks for one 'completions' ready record; 0 when something is there already and nothing was
   * armed.
   */
  queueArm(queue: Handle): NativeResult;
  /**
   * 1 once nothing more will come: every connection it served has ended, and the shared receive
   * queue whose own it is is closed.
   */
  queueOver(queue: Handle): NativeResult;
  /** 1 once it is over and empty. */
  queueDrained(queue: Handle): NativeResult;
  queueClose(queue: Handle): NativeResult;

  /** A descriptor that notifications make readable, and that nobody notifies yet. */
  readinessCreate(): NativeResult;
  readinessFd(readiness: Handle): number;
  /**
   * The notifications of an endpoint, a connection or a queue go through it from now on. `alone`,
   * of a queue: a poll that finds nothing clears it and asks for the next notification.
   */
  readinessWatch(readiness: Handle, object: Handle, alone: boolean): NativeResult;
  /** Clears it and arms the queues (0 for none); 0, and readable, when one has something. */
  readinessRearm(readiness: Handle, queue: Handle, receiveQueue: Handle): NativeResult;
  readinessRaise(readiness: Handle): NativeResult;
  readinessClear(readiness: Handle): NativeResult;
  readinessClose(readiness: Handle): NativeResult;

  epollCreate(): NativeResult;
  epollFd(epoll: Handle): number;
  /** `interest`: epollFlags. `id` comes back in the records. */
  epollAdd(epoll: Handle, fd: number, interest: number, id: number): NativeResult;
  epollModify(epoll: Handle, fd: number, interest: number, id: number): NativeResult;
  epollRemove(epoll: Handle, fd: number): NativeResult;
  /** Fills the buffer with at most `max` records; returns the count. Never blocks. */
  epollPoll(epoll: Handle, max: number, events: ArrayBuffer): NativeResult;
  /** Blocks at most timeoutMs (<= 50) until something is ready. */
  epollBlock(epoll: Handle, timeoutMs: number): NativeResult;
  /** Asks for one 'epoll' ready record when something is ready. */
  epollArm(epoll: Handle): NativeResult;
  epollClose(epoll: Handle): NativeResult;
  /** `completions` 0: without a completion queue of its own. */
  sharedReceiveQueueCreate(peer: Handle, size: number, completions: number): NativeResult;
  /** Its own completion queue, or 0. */
  sharedReceiveQueueCompletions(queue: Handle): Handle;
  sharedReceiveQueueFree(queue: Handle): number;
  /** As post(), of receives. */
  sharedReceiveQueuePost(queue: Handle, count: number): NativeResult;
  /** ERR_RPMA_BUSY while a connection or request uses it. Its completion queue stays. */
  sharedReceiveQueueClose(queue: Handle): NativeResult;

  /** The token of a ticket. `note` is given to the adopter. */
  peerShare(peer: Handle, timeoutMs: number, note: string): string | NativeResult;
  /** The handle is the one that this environment has already, if it has that native peer open. */
  peerAdopt(token: string): { peer: Handle; note: string } | NativeResult;
  regionShare(region: Handle, timeoutMs: number): string | NativeResult;
  /**
   * `bytes`: the whole SharedArrayBuffer, of memory of the program's; `offset` is the region's in
   * it.
   */
  regionAdopt(
    token: string,
    bytes: Uint8Array | null,
  ):
    | { region: Handle; peer: Handle; sizeBytes: number; usage: number; offset: number }
    | NativeResult;
  /**
   * The token of a ticket for a request or connection with its private queues, whose handles are
   * gone then. `connection` 0: it has ended; `queue` 0: that one was empty. When it fails nothing
   * has happened.
   */
  connectionHandOver(
    peer: Handle,
    connection: Handle,
    queue: Handle,
    receiveQueue: Handle,
    kind: number,
    note: string,
    timeoutMs: number,
  ): string | NativeResult;
  /** Fresh handles, 0 where there was none. */
  connectionAdopt(
    token: string,
    kind: number,
  ):
    | { peer: Handle; connection: Handle; queue: Handle; receiveQueue: Handle; note: string }
    | NativeResult;

  /** Of the process; which: index into logThresholds, level: index into logLevels. */
  logThreshold(which: number): number;
  logSetThreshold(which: number, level: number): void;
  /**
   * This environment reads the log from now on, in the place of standard error; false: none does.
   */
  logSetSink(on: boolean): void;
  /** Whether logSetSink(true) was called here and the sink has not gone elsewhere since. */
  logHasSink(): boolean;
  /**
   * The oldest records, some at a time; none when there is nothing, or another environment reads.
   * A ready record of kind 'log' and handle 0 announces them.
   */
  logRead(): NativeLogRecord[];

  /** Test flavour only. */
  readonly test?: NativeTest;
}

export interface NativeTest {
  /**
   * The nth hit (from 1) and the count - 1 after it wait delayMs, then fail with errno (0: they
   * only wait).
   */
  faultSet(name: string, nth: number, count: number, errno: number, delayMs: number): void;
  faultClear(): void;
  faultHits(name: string): number;
  faultNames(): string[];
  switchSet(name: string, on: boolean): void;
  /** Live native objects by kind. */
  counters(): Record<string, number>;
  /** How often what happened since the process began. */
  events(): Record<string, number>;
  /**
   * The n-th persist from now is cut in the middle (seeded); it and all later ones fail. 0: never.
   */
  oracleCut(file: Handle, nth: number, seed: number): void;
  /** The second copy: what would be found after the power came back. A fresh copy. */
  oracleCopy(file: Handle): ArrayBuffer;
  oraclePersists(file: Handle): number;
}

/** Whether a result of an asynchronous native call is an error. */
export function isNativeError(value: Handle | NativeError): value is NativeError {
  return typeof value === 'object';
}

const platform = `${process.platform}-${process.arch}`;

function missingAddon(message: string, cause?: unknown): RpmaError {
  return new RpmaError('ERR_RPMA_MISSING_LIBRARY', message, { scope: 'process', cause });
}

/** What gets a package with these prebuilt binaries, or a checkout, its addon. */
function addonCure(root: string): string {
  // The scripts that build are in the repository only, not in the package.
  if (existsSync(join(root, 'scripts', 'run.mjs'))) return 'build it with: npm run build';
  const folder = join(root, 'prebuilds');
  const prebuilt = existsSync(folder) ? readdirSync(folder).sort() : [];
  const build = `build it for ${platform} in a checkout of the repository with: npm run build`;
  if (prebuilt.includes(platform)) return `install the package again, or ${build}`;
  const names = prebuilt.length === 0 ? 'no platform' : prebuilt.join(', ');
  return `this package is prebuilt for ${names}; ${build}`;
}

/** The package's folder, upwards from build/js/lib/internal or dist/internal, and those above. */
function packageFolders(): string[] {
  const found: string[] = [];
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const isRoot = existsSync(join(folder, 'abi', 'layout.json'));
    if (isRoot && existsSync(join(folder, 'package.json'))) found.push(folder);
    if (dirname(folder) === folder) return found;
  }
}

/**
 * Where the binary is: RPMA_NATIVE names one (tests use it for the test flavour), else the one
 * built in this tree, else the prebuilt one of the package.
 */
function locate(): string {
  const chosen = process.env['RPMA_NATIVE'];
  if (chosen !== undefined && chosen !== '') {
    if (existsSync(chosen)) return resolve(chosen);
    throw missingAddon(
      `RPMA_NATIVE names the native addon '${chosen}', which is not there: correct or unset it`,
    );
  }
  const roots = packageFolders();
  const tried = roots.flatMap((root) => [
    join(root, 'build', 'Release', 'rpma.node'),
    join(root, 'prebuilds', platform, 'rpma.node'),
  ]);
  const found = tried.find((candidate) => existsSync(candidate));
  if (found !== undefined) return found;
  const cure = addonCure(roots[0] ?? '');
  const places =
    tried.length === 0 ? 'no package folder was found' : `looked for ${tried.join(', ')}`;
  throw missingAddon(`there is no native addon for ${platform} (${places}); ${cure}`);
}

function load(): NativeBinding {
  const path = locate();
  let binding: NativeBinding;
  try {
    binding = createRequire(import.meta.url)(path) as NativeBinding;
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'it failed';
    const cure = addonCure(packageFolders()[0] ?? '');
    throw missingAddon(
      `the native addon ${path} does not load on ${platform}: ${reason}; ${cure}`,
      error,
    );
  }
  if (binding.abiHash !== abiHash) {
    const cure = addonCure(packageFolders()[0] ?? '');
    throw new RpmaError(
      'ERR_RPMA_ABI_MISMATCH',
      `the native addon ${path} was built from other record layouts (${binding.abiHash}, wanted ${abiHash}); ${cure}`,
    );
  }
  return binding;
}

export const native: NativeBinding = load();
