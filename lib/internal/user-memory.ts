// SPDX-License-Identifier: BSD-3-Clause
//
// Which memory of the program may be registered in place, and which would move, shrink or be shared
// with strangers while other sides write to it. What is refused is refused with the cure. JS thread
// only.

import * as workerThreads from 'node:worker_threads';
import { argumentError } from '../errors.js';
import { wrongType } from './validate.js';

const cure = 'use peer.allocate(), a SharedArrayBuffer, or an ArrayBuffer of its own';

function unusable(why: string): Error {
  return argumentError('ERR_RPMA_INVALID_ARG_VALUE', `memory ${why}: ${cure}`);
}

/** Buffers that we marked untransferable: they look like WebAssembly's from then on. */
const marked = new WeakSet<ArrayBuffer>();

/** Node marks and asks; the question exists since Node 21. */
const isMarkedByOthers = (
  workerThreads as { readonly isMarkedAsUntransferable?: (value: object) => boolean }
).isMarkedAsUntransferable;

/** The bytes of a memory as they are registered; throws for memory that cannot stay where it is. */
export function requireStableBytes(memory: unknown): Uint8Array {
  if (memory instanceof SharedArrayBuffer) return bytesOf(memory, 0, memory.byteLength);
  if (memory instanceof ArrayBuffer) return bytesOf(memory, 0, memory.byteLength);
  if (ArrayBuffer.isView(memory)) {
    const { buffer, byteOffset, byteLength } = memory;
    const isPiece = Buffer.isBuffer(memory) && byteLength < buffer.byteLength;
    if (isPiece && buffer.byteLength === Buffer.poolSize && !isTransferable(buffer)) {
      throw unusable("is a slice of Buffer's pool, which other Buffers share");
    }
    return bytesOf(buffer, byteOffset, byteLength);
  }
  const wanted = 'an ArrayBuffer, a view, a SharedArrayBuffer or a PmemFile';
  throw wrongType('memory', wanted, memory);
}

/** The buffer stays where it is from now on, for good: Node cannot take the mark back. */
export function pinUserBuffer(bytes: Uint8Array): void {
  const { buffer } = bytes;
  if (!(buffer instanceof ArrayBuffer) || marked.has(buffer)) return;
  workerThreads.markAsUntransferable(buffer);
  refuseMoves(buffer);
  marked.add(buffer);
}

function refuseMove(): never {
  throw unusable('is registered, or was, and other sides may use it: it cannot be transferred');
}

/**
 * The mark of Node 21 to 23 stops messages and not these methods, which would free memory that
 * others write to. From Node 24 on the mark stops both. To go once Node 22 is not supported.
 */
function refuseMoves(buffer: ArrayBuffer): void {
  for (const name of ['transfer', 'transferToFixedLength']) {
    if (name in buffer) Reflect.defineProperty(buffer, name, { value: refuseMove });
  }
}

function bytesOf(buffer: ArrayBufferLike, offset: number, length: number): Uint8Array {
  const sizes = buffer as { readonly resizable?: boolean; readonly growable?: boolean };
  if (sizes.resizable === true) throw unusable('is a resizable ArrayBuffer');
  if (sizes.growable === true) throw unusable('is a growable SharedArrayBuffer');
  if (isDetached(buffer)) throw unusable('is a detached ArrayBuffer');
  if (length === 0) throw argumentError('ERR_RPMA_INVALID_ARG_VALUE', 'memory has no bytes');
  if (buffer instanceof ArrayBuffer && !marked.has(buffer) && !isTransferable(buffer)) {
    if (isMarkedByOthers?.(buffer) !== true) {
      throw unusable('is WebAssembly memory (or was marked untransferable), which may move');
    }
  }
  return new Uint8Array(buffer, offset, length);
}

function isDetached(buffer: ArrayBufferLike): boolean {
  if (!(buffer instanceof ArrayBuffer) || buffer.byteLength > 0) return false;
  try {
    return new Uint8Array(buffer).length !== 0;
  } catch {
    return true;
  }
}

/**
 * Whether a buffer could be transferred, found out without doing it. The list of what shall be
 * transferred is checked first, then the message is read, and only then are buffers detached; so a
 * message that throws when it is read tells how far it came, and changes nothing. What cannot be
 * transferred is refused since Node 21; Node 20 leaves it out of the list in silence, and with it
 * the check that nothing is listed twice.
 */
function isTransferable(buffer: ArrayBufferLike): boolean {
  if (!(buffer instanceof ArrayBuffer)) return false;
  return isListAccepted([buffer]) && !isListAccepted([buffer, buffer]);
}

function isListAccepted(list: ArrayBuffer[]): boolean {
  let wasRead = false;
  const message = {
    get stop(): never {
      wasRead = true;
      throw new Error('the list was accepted');
    },
  };
  try {
    structuredClone(message, { transfer: list });
  } catch {
    return wasRead;
  }
  return wasRead;
}
