// SPDX-License-Identifier: BSD-3-Clause
//
// Outcomes of operations: the reusable batch for polling without allocation, and the error that a
// failed completion stands for. JS thread only; no addon.

import { RpmaError } from './errors.js';
import { access, type BatchCore } from './internal/access.js';
import { limits } from './internal/abi.generated.js';
import { CompletionRecords, durabilityOf } from './internal/completion-codec.js';
import { completionFailure } from './internal/failure.js';
import { requireInteger, requireObject } from './internal/validate.js';
import type { Completion, CompletionStatus, Durability, Operation } from './types.js';

/**
 * The error a failed completion stands for: what the promise tier rejects with.
 *
 * @param completion - one whose `ok` is false
 * @returns the error; its code is ERR_RPMA_WC_ and the status in capitals
 * @throws ERR_RPMA_INVALID_ARG_TYPE completion is no object
 * @throws ERR_RPMA_STATE the completion is ok
 * @remarks Thread safety: any thread.
 * @see librpma: `ibv_wc_status_str` of the `struct ibv_wc` that `rpma_cq_get_wc` gives
 */
export function completionError(completion: Completion): RpmaError {
  requireObject(completion, 'completion');
  if (completion.ok) {
    throw new RpmaError('ERR_RPMA_STATE', 'the completion is ok: it stands for no error');
  }
  return completionFailure(completion);
}

/**
 * A reusable view for polling without allocation; holds what the last pollInto() put there.
 *
 * @remarks Thread safety: per object, on the thread that made it.
 * @see librpma: the array of `struct ibv_wc` given to `rpma_cq_get_wc`
 */
export class CompletionBatch implements Iterable<Completion> {
  readonly #core: BatchCore;

  static {
    access.batch = (value) =>
      typeof value === 'object' && value !== null && #core in value ? value.#core : undefined;
  }

  /**
   * Makes an empty batch.
   *
   * @param capacity - most completions of one poll, 1 to 65536; one poll gives at most 256
   * @throws ERR_RPMA_INVALID_ARG_TYPE capacity is no number
   * @throws ERR_RPMA_OUT_OF_RANGE capacity is not a whole number from 1 to 65536
   * @remarks Thread safety: any thread; the batch belongs to the one that made it.
   */
  constructor(capacity: number) {
    requireInteger(capacity, 'capacity', 1, limits.queueSizeMax);
    this.#core = { records: new CompletionRecords(capacity), length: 0 };
  }

  /** Most completions it holds. */
  get capacity(): number {
    return this.#core.records.capacity;
  }

  /** How many it holds now. */
  get length(): number {
    return this.#core.length;
  }

  /**
   * The id as posted.
   *
   * @param index - 0 to length - 1
   * @returns the id
   * @throws ERR_RPMA_INVALID_ARG_TYPE index is no number
   * @throws ERR_RPMA_OUT_OF_RANGE no completion has this index
   * @remarks Thread safety: per object, on the thread that made it.
   */
  id(index: number): number {
    return this.#at(index).id(index);
  }

  /**
   * Whether it succeeded.
   *
   * @param index - 0 to length - 1
   * @returns whether the status is 'success'
   * @throws ERR_RPMA_INVALID_ARG_TYPE index is no number
   * @throws ERR_RPMA_OUT_OF_RANGE no completion has this index
   * @remarks Thread safety: per object, on the thread that made it.
   */
  ok(index: number): boolean {
    return this.#at(index).ok(index);
  }

  /**
   * How it ended.
   *
   * @param index - 0 to length - 1
   * @returns the status
   * @throws ERR_RPMA_INVALID_ARG_TYPE index is no number
   * @throws ERR_RPMA_OUT_OF_RANGE no completion has this index
   * @remarks Thread safety: per object, on the thread that made it.
   */
  status(index: number): CompletionStatus {
    return this.#at(index).status(index);
  }

  /**
   * What was posted.
   *
   * @param index - 0 to length - 1
   * @returns the operation's name
   * @throws ERR_RPMA_INVALID_ARG_TYPE index is no number
   * @throws ERR_RPMA_OUT_OF_RANGE no completion has this index
   * @remarks Thread safety: per object, on the thread that made it.
   */
  operation(index: number): Operation {
    return this.#at(index).operation(index);
  }

  /**
   * Of receives that are ok: bytes received, or written by the write that took the receive.
   *
   * @param index - 0 to length - 1
   * @returns bytes
   * @throws ERR_RPMA_INVALID_ARG_TYPE index is no number
   * @throws ERR_RPMA_OUT_OF_RANGE no completion has this index
   * @remarks Thread safety: per object, on the thread that made it.
   */
  byteLength(index: number): number {
    return this.#at(index).byteLength(index);
  }

  /**
   * What came beside a message or a write, of receives that are ok.
   *
   * @param index - 0 to length - 1
   * @returns 0 to 2^32-1; undefined when nothing came
   * @throws ERR_RPMA_INVALID_ARG_TYPE index is no number
   * @throws ERR_RPMA_OUT_OF_RANGE no completion has this index
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `imm_data` of the `struct ibv_wc` that `rpma_cq_get_wc` gives
   */
  immediate(index: number): number | undefined {
    return this.#at(index).immediate(index);
  }

  /**
   * The connection it belongs to.
   *
   * @param index - 0 to length - 1
   * @returns the connection's queuePairNumber
   * @throws ERR_RPMA_INVALID_ARG_TYPE index is no number
   * @throws ERR_RPMA_OUT_OF_RANGE no completion has this index
   * @remarks Thread safety: per object, on the thread that made it.
   */
  queuePairNumber(index: number): number {
    return this.#at(index).queuePairNumber(index);
  }

  /**
   * What stands behind a persistent flush that is ok.
   *
   * @param index - 0 to length - 1
   * @returns the durability; undefined for all else
   * @throws ERR_RPMA_INVALID_ARG_TYPE index is no number
   * @throws ERR_RPMA_OUT_OF_RANGE no completion has this index
   * @remarks Thread safety: per object, on the thread that made it.
   */
  durability(index: number): Durability | undefined {
    const records = this.#at(index);
    return records.ok(index) ? durabilityOf(records.durabilityNumber(index)) : undefined;
  }

  /**
   * Whether the other side may have been changed.
   *
   * @param index - 0 to length - 1
   * @returns false when the operation surely changed nothing there
   * @throws ERR_RPMA_INVALID_ARG_TYPE index is no number
   * @throws ERR_RPMA_OUT_OF_RANGE no completion has this index
   * @remarks Thread safety: per object, on the thread that made it.
   */
  mayHaveTakenEffect(index: number): boolean {
    return this.#at(index).mayHaveTakenEffect(index);
  }

  /**
   * A completion as a value that outlives the next poll.
   *
   * @param index - 0 to length - 1
   * @returns a fresh object
   * @throws ERR_RPMA_INVALID_ARG_TYPE index is no number
   * @throws ERR_RPMA_OUT_OF_RANGE no completion has this index
   * @remarks Thread safety: per object, on the thread that made it.
   */
  at(index: number): Completion {
    return this.#at(index).decode(index);
  }

  /**
   * Goes over what it holds, as fresh values.
   *
   * @returns an iterator
   * @remarks Thread safety: per object, on the thread that made it.
   */
  *[Symbol.iterator](): Iterator<Completion> {
    for (let index = 0; index < this.#core.length; index++) yield this.#core.records.decode(index);
  }

  #at(index: number): CompletionRecords {
    const core = this.#core;
    if (Number.isInteger(index) && index >= 0 && index < core.length) return core.records;
    requireInteger(index, 'index', 0, core.length - 1);
    return core.records;
  }
}
