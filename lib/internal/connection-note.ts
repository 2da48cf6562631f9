// SPDX-License-Identifier: BSD-3-Clause
//
// What JavaScript knows of a connection and the addon does not, as text that travels beside the
// native object when the connection is handed over. Written and read by the same build: no version,
// no checks. Pure.

import type { ConnectionConfig } from '../connection-config.js';
import type { Capabilities } from '../types.js';
import type { NativeError, NativeEvent } from './native.js';

/** An awaited operation that nobody awaits any more and that is still in flight. */
export interface SlotNote {
  readonly slot: number;
  readonly operation: number;
  readonly records: number;
  readonly posted: number;
}

/** Of one completion queue. */
export interface QueueNote {
  readonly capacity: number;
  readonly claim: 'nobody' | 'verbs-tier' | 'promise-tier';
  readonly verbsPosted: boolean;
  /** Records that were fetched and not given out, in order. */
  readonly ahead: Uint8Array;
  readonly slots: readonly SlotNote[];
}

/** Of one connection or request. */
export interface ConnectionNote {
  /** The values of the configuration; a ConnectionConfig is made of them by the adopter. */
  readonly config: ConnectionConfig;
  readonly phase: 'request' | 'active' | 'ended';
  readonly wasEstablished: boolean;
  readonly vouched: boolean;
  readonly queuePairNumber: number;
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly privateData: Uint8Array;
  readonly capabilities: Capabilities;
  /** Events that the program has not read. */
  readonly unread: readonly NativeEvent[];
  /** Of one that has ended; null while it lives, for then the native object tells. */
  readonly statistics: Readonly<Record<string, number>> | null;
  /** The last event, whether it was read or not. */
  readonly end: NativeEvent | null;
  readonly queue: QueueNote;
  /** null: receives complete in the same queue. */
  readonly receiveQueue: QueueNote | null;
}

type PlainEvent = Omit<NativeEvent, 'privateData'> & { readonly privateData: string };
type PlainQueue = Omit<QueueNote, 'ahead'> & { readonly ahead: string };
type Plain = Omit<
  ConnectionNote,
  'config' | 'privateData' | 'unread' | 'end' | 'queue' | 'receiveQueue'
> & {
  readonly config: Omit<ConnectionConfig, 'receiverNotReadyTimeoutMs'> & {
    /** null: for ever. */
    readonly receiverNotReadyTimeoutMs: number | null;
  };
  readonly privateData: string;
  readonly unread: readonly PlainEvent[];
  readonly end: PlainEvent | null;
  readonly queue: PlainQueue;
  readonly receiveQueue: PlainQueue | null;
};

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'base64'));
}

function plainEvent(event: NativeEvent): PlainEvent {
  const error: NativeError | null = event.error === null ? null : { ...event.error };
  return { type: event.type, error, privateData: textOf(event.privateData) };
}

function eventOf(event: PlainEvent): NativeEvent {
  return { ...event, privateData: bytesOf(event.privateData) };
}

function plainQueue(queue: QueueNote): PlainQueue {
  return { ...queue, ahead: textOf(queue.ahead) };
}

function queueOf(queue: PlainQueue): QueueNote {
  return { ...queue, ahead: bytesOf(queue.ahead) };
}

/** As text. */
export function encodeNote(note: ConnectionNote): string {
  const { receiverNotReadyTimeoutMs: wait } = note.config;
  const plain: Plain = {
    ...note,
    config: { ...note.config, receiverNotReadyTimeoutMs: wait === Infinity ? null : wait },
    privateData: textOf(note.privateData),
    unread: note.unread.map(plainEvent),
    end: note.end === null ? null : plainEvent(note.end),
    queue: plainQueue(note.queue),
    receiveQueue: note.receiveQueue === null ? null : plainQueue(note.receiveQueue),
  };
  return JSON.stringify(plain);
}

/** From text. */
export function decodeNote(text: string): ConnectionNote {
  const plain = JSON.parse(text) as Plain;
  const wait = plain.config.receiverNotReadyTimeoutMs ?? Infinity;
  return {
    ...plain,
    config: {
      ...plain.config,
      receiverNotReadyTimeoutMs: wait,
      completionQueue: undefined,
      sharedReceiveQueue: undefined,
    },
    privateData: bytesOf(plain.privateData),
    unread: plain.unread.map(eventOf),
    end: plain.end === null ? null : eventOf(plain.end),
    queue: queueOf(plain.queue),
    receiveQueue: plain.receiveQueue === null ? null : queueOf(plain.receiveQueue),
  };
}
