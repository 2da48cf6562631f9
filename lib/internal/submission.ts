// SPDX-License-Identifier: BSD-3-Clause
//
// The submission records: posted operations on their way to the addon, 64 bytes each, written with
// typed arrays over one buffer. Only the JS thread touches them; the addon copies them out during
// the call. Fields are in host order, which is little-endian on every platform the package is built
// for; the first four bytes go in one store.

import { limits, submissionFlags, submissionLayout as layout } from './abi.generated.js';

/** Where remote memory is, as a record says it: halves of the base address, and the key. */
export interface RemotePlace {
  readonly low: number;
  readonly high: number;
  readonly key: number;
}

const wordsPerRecord = layout.sizeBytes / 4;
const doublesPerRecord = layout.sizeBytes / 8;
const keyAt = layout.remoteKey / 4;
const baseLowAt = layout.remoteBaseLow / 4;
const baseHighAt = layout.remoteBaseHigh / 4;
const idAt = layout.id / 8;
const regionAt = layout.localRegion / 8;
const localOffsetAt = layout.localOffset / 8;
const remoteOffsetAt = layout.remoteOffset / 8;
const lengthAt = layout.length / 8;
const valueAt = layout.value / 8;

/** The place of an operation without remote memory. */
export const noPlace: RemotePlace = { low: 0, high: 0, key: 0 };

/** A buffer of submission records. */
export class SubmissionRecords {
  readonly buffer: ArrayBuffer;
  readonly capacity: number;
  readonly #words: Uint32Array;
  readonly #doubles: Float64Array;
  readonly #quads: BigUint64Array;
  readonly #bytes: Uint8Array;

  constructor(capacity: number = limits.submissionsPerCall) {
    this.capacity = capacity;
    this.buffer = new ArrayBuffer(capacity * layout.sizeBytes);
    this.#words = new Uint32Array(this.buffer);
    this.#doubles = new Float64Array(this.buffer);
    this.#quads = new BigUint64Array(this.buffer);
    this.#bytes = new Uint8Array(this.buffer);
  }

  /**
   * Writes a whole record; what it does not name is zero. `head` is operation | flags << 8 |
   * flushType << 16.
   */
  encode(
    index: number,
    head: number,
    id: number,
    localRegion: number,
    localOffset: number,
    remote: RemotePlace,
    remoteOffset: number,
    length: number,
  ): void {
    const words = this.#words;
    const doubles = this.#doubles;
    const word = index * wordsPerRecord;
    const double = index * doublesPerRecord;
    words[word] = head;
    words[word + keyAt] = remote.key;
    words[word + baseLowAt] = remote.low;
    words[word + baseHighAt] = remote.high;
    doubles[double + idAt] = id;
    doubles[double + regionAt] = localRegion;
    doubles[double + localOffsetAt] = localOffset;
    doubles[double + remoteOffsetAt] = remoteOffset;
    doubles[double + lengthAt] = length;
    doubles[double + valueAt] = 0;
  }

  /** The 8 bytes of an atomic write: a bigint in host order, or bytes verbatim. */
  setValue(index: number, value: bigint | Uint8Array): void {
    if (typeof value === 'bigint') this.#quads[index * doublesPerRecord + valueAt] = value;
    else this.#bytes.set(value, index * layout.sizeBytes + layout.value);
  }

  operation(index: number): number {
    return this.#bytes[index * layout.sizeBytes + layout.operation] ?? 0;
  }

  hasImmediate(index: number): boolean {
    const flags = this.#bytes[index * layout.sizeBytes + layout.flags] ?? 0;
    return (flags & submissionFlags.immediate) !== 0;
  }

  flushType(index: number): number {
    return this.#bytes[index * layout.sizeBytes + layout.flushType] ?? 0;
  }

  /** The immediate data of a write or send. */
  setImmediate(index: number, value: number): void {
    this.#words[index * wordsPerRecord + layout.value / 4] = value;
  }

  setId(index: number, id: number): void {
    this.#doubles[index * doublesPerRecord + idAt] = id;
  }

  /** A copy of `count` records from `first` on, for an operation that has to wait its turn. */
  save(first: number, count: number): Uint8Array {
    return this.#bytes.slice(first * layout.sizeBytes, (first + count) * layout.sizeBytes);
  }

  /** `count` records of another buffer, from `first` on there, to the beginning here. */
  copyFrom(source: SubmissionRecords, first: number, count: number): void {
    const start = first * layout.sizeBytes;
    this.#bytes.set(source.#bytes.subarray(start, start + count * layout.sizeBytes));
  }

  /** Puts saved records back, from `first` on. */
  restore(saved: Uint8Array, first: number): void {
    this.#bytes.set(saved, first * layout.sizeBytes);
  }
}

/** The first four bytes of a record. */
export function recordHead(operation: number, flags: number, flushType: number): number {
  return operation | (flags << 8) | (flushType << 16);
}
