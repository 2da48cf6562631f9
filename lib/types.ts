// SPDX-License-Identifier: BSD-3-Clause
//
// The words of the public surface that belong to no single object: waiting, capabilities,
// operations and their options. Types, and the one bit mask that is also on the wire. No addon.

import { memoryUsage } from './internal/abi.generated.js';
import type { Connection } from './connection.js';
import type { ConnectionOptions } from './connection-config.js';
import type { RpmaError } from './errors.js';
import type { MemoryRegion } from './memory-region.js';
import type { PmemFile } from './pmem-file.js';
import type { RemoteRegion } from './remote-region.js';

/**
 * Bits of what a region may be used for; the values are librpma's descriptor byte.
 *
 * @see librpma: `RPMA_MR_USAGE_*`
 */
export const MemoryUsage: {
  /** Other sides may read it. */
  readonly ReadSource: 0x01;
  /** Our reads may put their bytes here. */
  readonly ReadDestination: 0x02;
  /** Our writes may take their bytes from here. */
  readonly WriteSource: 0x04;
  /** Other sides may write it, also with atomic writes. */
  readonly WriteDestination: 0x08;
  /** Other sides may flush it to visibility. */
  readonly FlushVisibility: 0x10;
  /** Other sides may flush it to persistence; only for a PmemFile. */
  readonly FlushPersistent: 0x20;
  /** Our sends may take their bytes from here. */
  readonly Send: 0x40;
  /** Our receives may put their bytes here. */
  readonly Receive: 0x80;
} = Object.freeze({
  ReadSource: memoryUsage.readSource,
  ReadDestination: memoryUsage.readDestination,
  WriteSource: memoryUsage.writeSource,
  WriteDestination: memoryUsage.writeDestination,
  FlushVisibility: memoryUsage.flushVisibility,
  FlushPersistent: memoryUsage.flushPersistent,
  Send: memoryUsage.send,
  Receive: memoryUsage.receive,
});

/** What a flush shall reach: 'visibility' to other readers there, or 'persistent' memory. */
export type FlushType = 'visibility' | 'persistent';

/** How a wait, or the waiting for an operation, is ended early. */
export interface WaitOptions {
  /** Ends the wait: it rejects with ERR_RPMA_ABORTED (name 'AbortError', cause = signal.reason). */
  readonly signal?: AbortSignal | undefined;
  /**
   * Ends the wait with nothing (null or false); for operations it rejects with ERR_RPMA_TIMEOUT.
   */
  readonly timeoutMs?: number | undefined;
}

/**
 * Anything that can be waited for, in three ways. Nothing yet, and closed, are null, never an
 * error.
 *
 * @remarks Thread safety: per object, on the thread that made it.
 */
export interface Source<T> extends AsyncIterable<T> {
  /** Waits without blocking the thread; null at the deadline or once closed. */
  take(options?: WaitOptions): Promise<T | null>;
  /** Blocks this thread for at most timeoutMs (0 to 2^31-1; Infinity only in a worker). */
  takeSync(timeoutMs: number): T | null;
  /** Never blocks. */
  tryTake(): T | null;
  /**
   * For epoll(7) and poll(2), made at first use: readable, level-triggered, until tryTake() (or
   * poll()) has returned nothing; readable for good at the end. The object owns it: never close or
   * read it.
   */
  readonly fd: number;
  /** One consumer at a time; ends when the source is closed and empty; break loses nothing. */
  [Symbol.asyncIterator](): AsyncIterableIterator<T>;
}

/** What an Epoll can watch: a Source, any object with a descriptor, or a descriptor. */
export type Pollable =
  | number
  | {
      /** Readable by epoll(7), for as long as it is watched. */
      readonly fd: number;
    };

/** What of it is waited for; hang-ups and errors are always told. */
export type EpollInterest = 'read' | 'write' | 'both';

/** One of an Epoll that is ready. A fresh value each. */
export interface EpollEvent<D> {
  /** What was attached to it. */
  readonly data: D;
  /** Something is there to take or read, or the end. */
  readonly readable: boolean;
  /** Writing would not block. */
  readonly writable: boolean;
  /** The other end of a socket or pipe is gone. */
  readonly hangup: boolean;
  /** Something is wrong with it: reading or writing tells. */
  readonly error: boolean;
}

/** What moves the bytes: see the design of each in docs. This version offers 'iwarp'. */
export type ProviderName = 'verbs' | 'iwarp' | 'shm';

/** What a device, a peer or a connection can do; what is missing is refused with a clear error. */
export interface Capabilities {
  /** Flush is carried out by the other side's library or device, not emulated by a read. */
  readonly nativeFlush: boolean;
  /** Atomic write has an operation of its own, not a fenced write of 8 bytes. */
  readonly nativeAtomicWrite: boolean;
  /** A persistent flush completes only after the other side persisted the range itself. */
  readonly persistentFlush: boolean;
  /** Writes and sends can carry 32 immediate bits. */
  readonly immediateData: boolean;
  /** Several connections can take their receives from one queue. */
  readonly sharedReceiveQueue: boolean;
  /** Operations of others are served while JavaScript is busy. */
  readonly backgroundProgress: boolean;
  /** The device brings pages in by itself; memory need not be resident. */
  readonly onDemandPaging: boolean;
  /** `region.advise()` is offered. */
  readonly regionAdvice: boolean;
  /** Most bytes of one write or send. */
  readonly maxMessageBytes: number;
  /** Most bytes of private data at connect, accept and reject. */
  readonly maxPrivateDataBytes: number;
  /** Most entries of a queue. */
  readonly maxQueueEntries: number;
  /** Most bytes that a post copies instead of reading them later. */
  readonly maxInlineBytes: number;
}

/** One device, or the reason why a provider has none here. */
export interface DeviceInfo {
  /** The provider it belongs to. */
  readonly provider: ProviderName;
  /** Its name. */
  readonly name: string;
  /** Whether Peer.open() can use it. */
  readonly available: boolean;
  /** When not available: why. */
  readonly reason?: string;
  /** When not available: what helps. */
  readonly remedy?: string;
  /** The local addresses it owns; also of an RDMA device that is not available. */
  readonly addresses: readonly string[];
  /** What it can do. */
  readonly capabilities: Capabilities;
}

/** Memory that can be registered. */
export type Memory = ArrayBufferView | ArrayBuffer | SharedArrayBuffer | PmemFile;

/** Which part of a memory is registered, for what, and for whom. */
export interface RegisterOptions {
  /** MemoryUsage bits. */
  readonly usage: number;
  /** First byte; default 0. */
  readonly offset?: number | undefined;
  /** Bytes; default all that follow. */
  readonly length?: number | undefined;
  /** Only this connection may use the descriptor. */
  readonly connection?: Connection | undefined;
}

/** What `region.advise()` is told. */
export interface RegionAdvice {
  /** First byte; default 0. */
  readonly offset?: number | undefined;
  /** Bytes; default: to the region's end. */
  readonly length?: number | undefined;
  /**
   * - `prefetch`: bring the pages in, for reading.
   * - `prefetch-write`: bring them in ready to be written; a file's pages may be written back.
   * - `prefetch-no-fault`: only have a file read ahead into the system's cache; no page is mapped.
   */
  readonly kind: 'prefetch' | 'prefetch-write' | 'prefetch-no-fault';
  /** Whether to wait until it is done; default false: only until it is under way. */
  readonly flush?: boolean | undefined;
}

/** Bounds that keep strangers from exhausting a listener. */
export interface EndpointLimits {
  /** Set-ups under way (256). */
  readonly pendingSetups?: number | undefined;
  /** Set-ups under way from one address, loopback excepted (16). */
  readonly pendingSetupsPerAddress?: number | undefined;
  /** Connections (4096). */
  readonly connections?: number | undefined;
  /** Requests that nobody has fetched; at this bound the listener stops accepting (128). */
  readonly unfetchedRequests?: number | undefined;
}

/** Where the configuration of a connection is given. */
export interface ConnectionChoice {
  /** A plain object or a ConnectionConfig; default the defaults. */
  readonly connection?: ConnectionOptions | undefined;
}

/** Where private data is given: at most 251 bytes; 56 are portable to every device. */
export interface PrivateDataChoice {
  /** Bytes that the other side finds with the request or the connection; copied at the call. */
  readonly privateData?: Uint8Array | undefined;
}

/** States of a connection. */
export type ConnectionState = 'connecting' | 'established' | 'closing' | 'closed';

/** Something that happened to a connection; each is kept until read. */
export interface ConnectionEvent {
  /** What happened. */
  readonly type: 'established' | 'closed' | 'lost' | 'rejected' | 'unreachable' | 'device';
  /** The cause, of all but 'established' and an orderly 'closed'. */
  readonly error?: RpmaError;
  /** What the other side said, of 'established' and 'rejected'. */
  readonly privateData?: Uint8Array;
}

/** Names of operations, as posted. */
export type Operation =
  'read' | 'write' | 'atomic-write' | 'flush' | 'send' | 'receive' | 'receive-write';

/** How a posted operation is told apart and completes. */
export interface PostOptions {
  /** Comes back in the completion: 0 to 2^53-1, default 0. */
  readonly id?: number | undefined;
  /**
   * 'always' (default): exactly one completion. 'on-error': one only if it fails; a later 'always'
   * on the connection that succeeds says it succeeded.
   *
   * Operations 'on-error' that are few and small are not sent at once. They leave with the next
   * 'always' of the connection, the next poll or wait, the next look at `sendQueueFree`, or before
   * the event loop sleeps, whichever is first.
   */
  readonly completion?: 'always' | 'on-error' | undefined;
}

/** Where in local memory. */
export interface LocalPart {
  /** A region of the same peer. */
  readonly local: MemoryRegion;
  /** First byte in it; default 0. */
  readonly localOffset?: number | undefined;
}

/** Where in remote memory. */
export interface RemotePart {
  /** What the other side's descriptor says. */
  readonly remote: RemoteRegion;
  /** First byte in it; default 0. */
  readonly remoteOffset?: number | undefined;
}

/** Neither local nor remote memory: an operation of no bytes. */
export interface EmptyPart {
  /** Left out. */
  readonly local?: undefined;
  /** 0, or left out. */
  readonly localOffset?: 0 | undefined;
  /** Left out. */
  readonly remote?: undefined;
  /** 0, or left out. */
  readonly remoteOffset?: 0 | undefined;
  /** No bytes. */
  readonly length: 0;
}

/** How many bytes. */
export interface LengthPart {
  /** Bytes. */
  readonly length: number;
}

/** Bytes between local and remote memory; leave both out, length 0, for the zero-byte form. */
export type TransferOperation = (LocalPart & RemotePart & LengthPart) | EmptyPart;

/** 32 bits beside the data. */
export interface ImmediatePart {
  /**
   * 0 to 2^32-1; takes one receive of the other side, whose completion has it. Left out: none. Only
   * where `capabilities.immediateData`.
   */
  readonly immediate?: number | undefined;
}

/** A write; with `immediate` it takes a receive of the other side, and touches no byte of that. */
export type WriteOperation = TransferOperation & ImmediatePart;

/** A range of remote memory, and what it shall reach. */
export type FlushOperation = RemotePart &
  LengthPart & {
    /** 'visibility' or 'persistent'. */
    readonly type: FlushType;
  };

/** Eight bytes that change together, at a multiple of 8 of base + offset. */
export type AtomicWriteOperation = RemotePart & {
  /** A bigint is stored in host order (little-endian); 8 bytes verbatim; copied at the call. */
  readonly value: bigint | Uint8Array;
};

/** A message; leave local out, length 0, for an empty one. With `immediate` 8 bytes less fit. */
export type SendOperation = ((LocalPart & LengthPart) | EmptyPart) & ImmediatePart;

/** Room for one message. */
export type ReceiveOperation = ((LocalPart & LengthPart) | EmptyPart) & {
  /** Comes back in the completion: 0 to 2^53-1, default 0. */
  readonly id?: number | undefined;
};

/**
 * What a resolved write means: 'reusable' (local memory may be changed; nothing is known of the
 * other side), 'delivered' (visible there), 'durable' (persistent there).
 */
export type Guarantee = 'reusable' | 'delivered' | 'durable';

/** Which guarantee an awaited write shall reach. */
export interface GuaranteeChoice {
  /** Default 'reusable'. */
  readonly until?: Guarantee | undefined;
}

/**
 * What stands behind a durable completion: the target persisted the range ('persisted'), the
 * operator's word ('vouched'), or memory that was asked for by name although it does not last
 * ('volatile').
 */
export type Durability = 'persisted' | 'vouched' | 'volatile';

/** What an awaited write, atomic write or flush tells. */
export interface DurableResult {
  /** undefined unless durable. */
  readonly durability: Durability | undefined;
}

/** What an awaited receive tells. */
export interface ReceiveResult {
  /** 'receive': a message; 'receive-write': a write with immediate, which put nothing here. */
  readonly operation: 'receive' | 'receive-write';
  /** Bytes received, or written elsewhere by that write. */
  readonly length: number;
  /** What came beside it. */
  readonly immediate: number | undefined;
  /** The connection they came from. */
  readonly queuePairNumber: number;
}

/** Sizes of a shared receive queue. */
export interface SharedReceiveQueueOptions {
  /** Receives that it holds (20). */
  readonly receiveQueueSize?: number | undefined;
  /** Entries of a completion queue of its own, at least receiveQueueSize; 0: it has none (20). */
  readonly receiveCompletionQueueSize?: number | undefined;
}

/** How long a ticket of share() or handOver() is good. */
export interface HandOverOptions {
  /** From 1 on; default 5000. Not adopted until then, what the ticket carries is let go of. */
  readonly timeoutMs?: number | undefined;
}

/**
 * Opaque, structured-cloneable, good once, in this process only. Send it, whole, with postMessage.
 */
export interface HandOverTicket {
  /** What adopts it. */
  readonly kind: 'peer' | 'region' | 'request' | 'connection';
  /** Names it in this process; a secret among its threads. */
  readonly token: string;
  /** Of a region over a SharedArrayBuffer: the buffer. */
  readonly memory?: SharedArrayBuffer | undefined;
}

/** How a completion ended. */
export type CompletionStatus =
  | 'success'
  | 'length'
  | 'local-protection'
  | 'flushed'
  | 'remote-access'
  | 'remote-invalid'
  | 'remote-operation'
  | 'retry'
  | 'rnr-retry'
  | 'provider';

/** The outcome of one operation: a plain value, fresh each time; keep it as long as you like. */
export interface Completion {
  /** As posted. */
  readonly id: number;
  /** Whether status is 'success'. */
  readonly ok: boolean;
  /** How it ended. */
  readonly status: CompletionStatus;
  /** As posted, however the provider did it; 'receive-write' of a receive that a write took. */
  readonly operation: Operation;
  /** Of receives that are ok: bytes received, or written by the write that took it. */
  readonly length: number;
  /** Of receives that are ok: what came beside the message or the write. */
  readonly immediate: number | undefined;
  /** The connection it belongs to. */
  readonly queuePairNumber: number;
  /** The errno of the cause, positive; 0 when there is none. */
  readonly providerError: number;
  /** Of persistent flushes that are ok. */
  readonly durability: Durability | undefined;
  /** false: the operation surely changed nothing on the other side. */
  readonly mayHaveTakenEffect: boolean;
}
