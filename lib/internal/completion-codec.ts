// SPDX-License-Identifier: BSD-3-Clause
//
// The completion records: outcomes on their way from the addon, 32 bytes each, read with typed
// arrays. One buffer belongs to the environment and is overwritten by the next poll; batches have
// their own. JS thread only; no addon.

import type { Completion, CompletionStatus, Durability, Operation } from '../types.js';
import {
  completionFlags,
  completionLayout as layout,
  completionStatuses,
  completionStatusNumber,
  durabilities,
  operations,
} from './abi.generated.js';

const wordsPerRecord = layout.sizeBytes / 4;
const doublesPerRecord = layout.sizeBytes / 8;

/** Durability by its number; number 0 and numbers of later versions say nothing. */
export function durabilityOf(number: number): Durability | undefined {
  const name = durabilities[number];
  return name === undefined || name === 'none' ? undefined : name;
}

/** A buffer of completion records. */
export class CompletionRecords {
  readonly buffer: ArrayBuffer;
  readonly capacity: number;
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  readonly #integers: Int32Array;
  readonly #doubles: Float64Array;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.buffer = new ArrayBuffer(capacity * layout.sizeBytes);
    this.#bytes = new Uint8Array(this.buffer);
    this.#words = new Uint32Array(this.buffer);
    this.#integers = new Int32Array(this.buffer);
    this.#doubles = new Float64Array(this.buffer);
  }

  id(index: number): number {
    return this.#doubles[index * doublesPerRecord + layout.id / 8] ?? 0;
  }

  ok(index: number): boolean {
    return this.statusNumber(index) === completionStatusNumber.success;
  }

  statusNumber(index: number): number {
    return this.#bytes[index * layout.sizeBytes + layout.status] ?? 0;
  }

  status(index: number): CompletionStatus {
    return completionStatuses[this.statusNumber(index)] ?? 'provider';
  }

  operation(index: number): Operation {
    const name = operations[this.#bytes[index * layout.sizeBytes + layout.operation] ?? 0];
    return name === undefined || name === 'none' ? 'receive' : name;
  }

  durabilityNumber(index: number): number {
    return this.#bytes[index * layout.sizeBytes + layout.durability] ?? 0;
  }

  untouched(index: number): boolean {
    const flags = this.#bytes[index * layout.sizeBytes + layout.flags] ?? 0;
    return (flags & completionFlags.untouched) !== 0;
  }

  mayHaveTakenEffect(index: number): boolean {
    return this.ok(index) || !this.untouched(index);
  }

  queuePairNumber(index: number): number {
    return this.#words[index * wordsPerRecord + layout.queuePairNumber / 4] ?? 0;
  }

  byteLength(index: number): number {
    return this.#words[index * wordsPerRecord + layout.length / 4] ?? 0;
  }

  /** What came beside a message or a write; undefined when nothing did. */
  immediate(index: number): number | undefined {
    const flags = this.#bytes[index * layout.sizeBytes + layout.flags] ?? 0;
    if ((flags & completionFlags.immediate) === 0) return undefined;
    return this.#words[index * wordsPerRecord + layout.immediate / 4] ?? 0;
  }

  providerError(index: number): number {
    return this.#integers[index * wordsPerRecord + layout.providerError / 4] ?? 0;
  }

  /** A fresh value. */
  decode(index: number): Completion {
    const ok = this.ok(index);
    return {
      id: this.id(index),
      ok,
      status: this.status(index),
      operation: this.operation(index),
      length: this.byteLength(index),
      immediate: this.immediate(index),
      queuePairNumber: this.queuePairNumber(index),
      providerError: this.providerError(index),
      durability: ok ? durabilityOf(this.durabilityNumber(index)) : undefined,
      mayHaveTakenEffect: this.mayHaveTakenEffect(index),
    };
  }

  /** A copy of `count` records from `first` on. */
  save(first: number, count: number): Uint8Array {
    return this.#bytes.slice(first * layout.sizeBytes, (first + count) * layout.sizeBytes);
  }

  /** Puts saved records at the beginning; returns how many. */
  restore(saved: Uint8Array): number {
    this.#bytes.set(saved);
    return saved.length / layout.sizeBytes;
  }

  /**
   * Copies records without allocating. Words, not doubles: a store of a double may change a NaN's
   * bits.
   */
  copyFrom(source: CompletionRecords, first: number, count: number): void {
    const from = source.#words;
    const to = this.#words;
    const start = first * wordsPerRecord;
    const end = count * wordsPerRecord;
    for (let i = 0; i < end; i++) to[i] = from[start + i] ?? 0;
  }
}
