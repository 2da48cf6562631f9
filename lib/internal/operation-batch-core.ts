// SPDX-License-Identifier: BSD-3-Clause
//
// What is behind an OperationBatch: submission records in memory of its own, and which regions they
// name. What a record says was checked when it was encoded; what only the connection knows (its
// peer, whether a persistent flush would be durable, whether a region is still open) is checked by
// each post before the first record is posted. JS thread only.

import { flushTypeNumber, operationNumber, statusNumber } from './abi.generated.js';
import type { ConnectionCore } from './connection-core.js';
import type { FailureContext } from './failure.js';
import {
  notPersistent,
  operationWords,
  requireImmediate,
  whyNotLocal,
  type OperationScope,
} from './operations.js';
import type { RegionCore } from './region-core.js';
import { SubmissionRecords } from './submission.js';
import { asError, outOfRange } from './validate.js';

/** Of the first operation that names no region. */
const noPeer: object = Object.freeze({});

/** Says in the message which operation of the batch it is; the error stays what it is. */
export function atIndex(caught: unknown, index: number): Error {
  const error = asError(caught);
  const before = error.message;
  error.message = `operation ${index} of the batch: ${before}`;
  // The stack begins with the message as it was when the error was made.
  if (error.stack !== undefined) error.stack = error.stack.replace(before, () => error.message);
  return error;
}

export class OperationBatchCore implements OperationScope {
  readonly records: SubmissionRecords;
  /** The local region of each operation. */
  readonly #regions: (RegionCore | null)[] = [];
  /** The same, each once: few, whatever the length. */
  readonly #distinct = new Set<RegionCore>();
  #newest: RegionCore | null = null;
  /** Something that not every connection takes. */
  #hasConditional = false;
  length = 0;
  /** Of the operation that is being encoded: any peer will do until it is posted. */
  peer: object = noPeer;
  /** The connection decides at the post. */
  readonly persistentFlush: boolean = true;
  readonly capabilities: OperationScope['capabilities'] = { immediateData: true };
  readonly agreed: null = null;

  constructor(capacity: number) {
    this.records = new SubmissionRecords(capacity);
  }

  /** Before an operation is encoded at `length`. */
  open(local: RegionCore | null): void {
    const { capacity } = this.records;
    if (this.length >= capacity) {
      throw outOfRange(
        'the number of operations',
        `at most capacity, ${capacity} (post the batch and clear() it, or make a larger one)`,
        this.length + 1,
      );
    }
    this.peer = local?.peer ?? noPeer;
  }

  /** The operation at `length` is encoded. */
  close(local: RegionCore | null, isConditional: boolean): void {
    this.#regions[this.length++] = local;
    if (local !== null && local !== this.#newest) {
      this.#newest = local;
      this.#distinct.add(local);
    }
    if (isConditional) this.#hasConditional = true;
  }

  clear(): void {
    this.length = 0;
    this.#regions.length = 0;
    this.#distinct.clear();
    this.#newest = null;
    this.#hasConditional = false;
  }

  /** Posts what is behind `start`, as far as there is room; how many were accepted. */
  post(connection: ConnectionCore, start: number): number {
    connection.requireSendable('post');
    this.#check(connection, start);
    const { submissions } = connection;
    let next = start;
    while (next < this.length) {
      const count = Math.min(this.length - next, submissions.capacity);
      submissions.copyFrom(this.records, next, count);
      const accepted = connection.post(count);
      if (accepted > 0) connection.queue.verbsPosted = true;
      // What was accepted before has completions of its own: the next post tells why it was cut.
      if (accepted < 0 && next === start && accepted !== -statusNumber.again) {
        const context = this.#context(connection, next);
        throw atIndex(connection.postFailure(-accepted, context), next);
      }
      next += Math.max(accepted, 0);
      if (accepted < count) break;
    }
    return next - start;
  }

  #check(connection: ConnectionCore, start: number): void {
    for (const region of this.#distinct) {
      if (region.peer === connection.peer && region.usable) continue;
      const index = this.#regions.indexOf(region, start);
      if (index >= 0) throw atIndex(whyNotLocal(connection, region, 0, 0, 0), index);
    }
    if (!this.#hasConditional) return;
    if (connection.persistentFlush && connection.capabilities.immediateData) return;
    for (let index = start; index < this.length; index++) this.#checkOne(connection, index);
  }

  /** What depends on the connection. */
  #checkOne(connection: ConnectionCore, index: number): void {
    const { records } = this;
    const operation = records.operation(index);
    try {
      if (operation === operationNumber.flush) {
        const isPersistent = records.flushType(index) === flushTypeNumber.persistent;
        if (isPersistent && !connection.persistentFlush) throw notPersistent();
      } else if (records.hasImmediate(index)) {
        requireImmediate(connection, operation === operationNumber.send ? 'send' : 'write');
      }
    } catch (error) {
      throw atIndex(error, index);
    }
  }

  #context(connection: ConnectionCore, index: number): FailureContext {
    const operation = operationWords[this.records.operation(index)];
    return { ...connection.failureContext, operation };
  }
}
