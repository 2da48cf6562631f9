// SPDX-License-Identifier: BSD-3-Clause
//
// The promise tier: awaited operations over the verbs tier. One Pump a claimed completion queue
// (arm, drain, settle), two Lines a connection (its send queue and its receive queue) in which
// operations wait their turn when the queue is full. An operation is one or two records; the last
// has a completion, the one before it only if it fails, so each operation ends with exactly one. JS
// thread only; the queue and the posts are given as values, so that it runs without the addon.
//
//   id of a record = 2 * slot (the one that always completes) or 2 * slot + 1 (the silent one before it)

import { RpmaError } from '../errors.js';
import type { DurableResult, ReceiveResult, WaitOptions } from '../types.js';
import { limits, operationNumber, statusNumber } from './abi.generated.js';
import { durabilityOf, type CompletionRecords } from './completion-codec.js';
import { abortedError, Deadline, timeoutError } from './deadline.js';
import { completionFailure, type FailureContext } from './failure.js';
import type { KeepAlive } from './keep-alive.js';
import { operationWords } from './operations.js';
import type { SubmissionRecords } from './submission.js';

/** A completion queue as the pump sees it. */
export interface PumpQueue {
  /** Where fetch() puts completions. */
  readonly records: CompletionRecords;
  /** Whether a ready record was asked for and has not come. */
  readonly armed: boolean;
  /** Takes completions; returns how many. */
  fetch(): number;
  /** Asks for one ready record; false when something is there already. */
  arm(): boolean;
  /** Whether this turn may go on. */
  withinBudget(): boolean;
  /** Calls back in a later turn of the loop. */
  later(callback: () => void): void;
}

/** A connection as its lines see it. */
export interface LinePort {
  readonly submissions: SubmissionRecords;
  /**
   * Posts the first records; how many were accepted, or the negated status when the first was not.
   */
  post(count: number): number;
  /** The error of the newest refused post. */
  postFailure(status: number, context: FailureContext): Error;
  /** Provider and the like, for errors. */
  readonly failureContext: FailureContext;
}

/** What a resolved operation gives. */
export type ResultKind = 'nothing' | 'durability' | 'message';

const durableResults: readonly DurableResult[] = [0, 1, 2, 3].map((number) =>
  Object.freeze({ durability: durabilityOf(number) }),
);

function ignore(): void {
  // A receive that ends as flushed is normal at every close: the end itself is told by
  // whenClosed().
}

/** One awaited operation. */
class PendingOperation {
  readonly line: Line;
  readonly operation: number;
  readonly result: ResultKind;
  readonly records: number;
  readonly promise: Promise<unknown>;
  resolve: (value: unknown) => void = ignore;
  reject: (error: unknown) => void = ignore;
  /** Records that the send queue took. */
  posted = 0;
  slot = -1;
  settled = false;
  /** The silent record failed and did not touch the other side: nor did the operation. */
  untouched = false;
  saved: Uint8Array | null = null;
  deadline: Deadline | undefined;

  constructor(line: Line, operation: number, result: ResultKind, records: number) {
    this.line = line;
    this.operation = operation;
    this.result = result;
    this.records = records;
    this.promise = new Promise<unknown>((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }
}

/** Arms, drains and settles for one claimed queue. */
export class Pump {
  readonly #queue: PumpQueue;
  readonly #slots: (PendingOperation | undefined)[] = [];
  readonly #free: number[] = [];
  readonly #touched: Line[] = [];
  #outstanding = 0;
  #draining = false;
  #scheduled = false;

  constructor(queue: PumpQueue) {
    this.#queue = queue;
  }

  /** Whether completions may be left that a later turn of the loop will settle. */
  get busy(): boolean {
    return this.#scheduled || this.#draining;
  }

  enter(operation: PendingOperation): number {
    const slot = this.#free.pop() ?? this.#slots.length;
    this.#slots[slot] = operation;
    this.#outstanding++;
    return slot;
  }

  leave(slot: number): void {
    this.#slots[slot] = undefined;
    this.#free.push(slot);
    this.#outstanding--;
  }

  /** After posts: sees to it that their completions are noticed. */
  kick(): void {
    if (this.#outstanding === 0 || this.#draining || this.#scheduled || this.#queue.armed) return;
    if (!this.#queue.arm()) this.drain();
  }

  /** Settles what has completed, then arms again while something is outstanding. */
  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    try {
      for (;;) {
        const count = this.#queue.fetch();
        for (let i = 0; i < count; i++) this.#settle(i);
        this.#advanceLines();
        if (count < this.#queue.records.capacity) {
          if (this.#outstanding === 0 || this.#queue.armed || this.#queue.arm()) return;
        }
        if (!this.#queue.withinBudget()) return this.#drainLater();
      }
    } finally {
      this.#draining = false;
    }
  }

  /** Calls line.advance() in a later turn. */
  advanceLater(line: Line): void {
    this.#queue.later(() => {
      line.advance();
      this.kick();
    });
  }

  /** The queue broke, or what a connection still owed will not come: nothing stays unanswered. */
  failOperationsOf(line: Line | null, error: Error): void {
    this.#slots.forEach((operation, slot) => {
      if (operation === undefined || (line !== null && operation.line !== line)) return;
      this.leave(slot);
      operation.line.finish(operation);
      operation.line.reject(operation, error);
    });
  }

  #drainLater(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#queue.later(() => {
      this.#scheduled = false;
      this.drain();
    });
  }

  #advanceLines(): void {
    for (let line = this.#touched.pop(); line !== undefined; line = this.#touched.pop()) {
      line.advance();
    }
  }

  #settle(index: number): void {
    const records = this.#queue.records;
    const id = records.id(index);
    const slot = Math.floor(id / 2);
    const operation = this.#slots[slot];
    if (operation === undefined) return;
    const silent = id % 2 === 1;
    const ok = records.ok(index);
    if (silent) {
      if (!ok) operation.untouched = records.untouched(index);
      if (!ok && !operation.settled)
        operation.line.reject(operation, failureAt(records, index, operation));
      if (operation.posted !== 1 || operation.records === 1) return;
      // The record behind it was refused at the post: this completion is the operation's last.
    }
    this.leave(slot);
    const { line } = operation;
    line.finish(operation);
    if (line.waiting > 0 && !this.#touched.includes(line)) this.#touched.push(line);
    if (operation.settled) return;
    if (ok) line.resolve(operation, resultAt(records, index, operation));
    else line.reject(operation, failureAt(records, index, operation));
  }
}

function resultAt(records: CompletionRecords, index: number, operation: PendingOperation): unknown {
  if (operation.result === 'nothing') return undefined;
  if (operation.result === 'durability') return durableResults[records.durabilityNumber(index)];
  const result: ReceiveResult = {
    length: records.byteLength(index),
    queuePairNumber: records.queuePairNumber(index),
  };
  return result;
}

function failureAt(records: CompletionRecords, index: number, operation: PendingOperation): Error {
  // Behind a silent write that succeeded, a flush that never ran still means that bytes were
  // written.
  const alone = operation.records === 1 || operation.untouched;
  return completionFailure(
    {
      status: records.status(index),
      operation: records.operation(index),
      providerError: records.providerError(index),
      mayHaveTakenEffect: !(alone && records.untouched(index)),
    },
    {
      ...operation.line.port.failureContext,
      operation: operationWords[operation.operation],
    },
  );
}

/** Operations of one queue of one connection, in order. */
export class Line {
  readonly port: LinePort;
  readonly #pump: Pump;
  readonly #capacity: number;
  readonly #keepAlive: KeepAlive;
  readonly #waiting: PendingOperation[] = [];
  #onIdle: (() => void) | null = null;
  #inUse = 0;

  constructor(port: LinePort, pump: Pump, capacity: number, keepAlive: KeepAlive) {
    this.port = port;
    this.#pump = pump;
    this.#capacity = capacity;
    this.#keepAlive = keepAlive;
  }

  /** Operations that wait for room. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Records in the queue pair. */
  get inUse(): number {
    return this.#inUse;
  }

  /**
   * Takes over the first `records` submission records as one operation: posts them now, or in their
   * turn. Throws when nothing was accepted.
   */
  submit(
    operation: number,
    result: ResultKind,
    records: number,
    wait: WaitOptions | undefined,
  ): Promise<unknown> {
    this.#refuse(operation, records, wait);
    const pending = new PendingOperation(this, operation, result, records);
    this.#keepAlive.hold();
    const posted = this.#waiting.length === 0 && this.#post(pending);
    if (!posted && !pending.settled) {
      pending.saved ??= this.port.submissions.save(0, records);
      this.#waiting.push(pending);
    }
    if (!pending.settled) {
      if (wait !== undefined) this.#watch(pending, wait);
      this.#pump.kick();
    }
    return pending.promise;
  }

  /** Posts what waits, as far as there is room. */
  advance(): void {
    for (let head = this.#waiting[0]; head !== undefined; head = this.#waiting[0]) {
      if (head.saved !== null) this.port.submissions.restore(head.saved);
      if (this.#post(head)) this.#forget(head);
      else if (this.#waiting[0] === head) return;
    }
    this.#tellIdle();
  }

  /** Resolves when nothing waits for room any more. */
  whenPosted(): Promise<void> {
    if (this.#waiting.length === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onIdle = resolve;
    });
  }

  /** Rejects what was never posted. */
  failWaiting(error: Error): void {
    for (const operation of this.#waiting.splice(0)) this.reject(operation, error);
    this.#tellIdle();
  }

  /** Its last completion came: its records' room is free. */
  finish(operation: PendingOperation): void {
    this.#inUse -= operation.posted;
    if (operation.saved !== null) this.#forget(operation);
  }

  resolve(operation: PendingOperation, value: unknown): void {
    this.#end(operation);
    operation.resolve(value);
  }

  reject(operation: PendingOperation, error: unknown): void {
    if (operation.settled) return;
    this.#end(operation);
    const flushed = error instanceof RpmaError && error.code === 'ERR_RPMA_WC_FLUSHED';
    if (flushed && operation.operation === operationNumber.receive) operation.promise.catch(ignore);
    operation.reject(error);
  }

  #refuse(operation: number, records: number, wait: WaitOptions | undefined): void {
    const context = { ...this.port.failureContext, operation: operationWords[operation] };
    const what = operationWords[operation] ?? 'the operation';
    if (wait?.signal?.aborted === true) throw abortedError(wait.signal, what, context);
    if (records > this.#capacity) {
      throw new RpmaError(
        'ERR_RPMA_NOT_SUPPORTED',
        `${what}: a guarantee beyond 'reusable' takes ${records} entries, and the send queue has ` +
          `${this.#capacity}: raise sendQueueSize`,
        context,
      );
    }
    if (this.#waiting.length < limits.promisesWaiting) return;
    throw new RpmaError(
      'ERR_RPMA_AGAIN',
      `${what}: ${limits.promisesWaiting} operations wait for room already; await some of them first`,
      context,
    );
  }

  /**
   * Posts what is left of an operation; false when there is no room, or when it was refused
   * (settled).
   */
  #post(operation: PendingOperation): boolean {
    const count = operation.records - operation.posted;
    if (this.#inUse + count > this.#capacity) return false;
    if (operation.slot < 0) operation.slot = this.#pump.enter(operation);
    const { submissions } = this.port;
    if (count === 2) submissions.setId(0, operation.slot * 2 + 1);
    submissions.setId(count - 1, operation.slot * 2);
    const accepted = this.port.post(count);
    if (accepted > 0) {
      operation.posted += accepted;
      this.#inUse += accepted;
    }
    if (accepted === count) return true;
    if (accepted < 0 && accepted !== -statusNumber.again) {
      this.#refused(operation, -accepted);
      return false;
    }
    operation.saved = submissions.save(Math.max(accepted, 0), count - Math.max(accepted, 0));
    if (operation.posted === 0) {
      this.#pump.leave(operation.slot);
      operation.slot = -1;
    }
    // Room is made by completions of ours; without any in flight nothing would come to try again.
    if (this.#inUse === operation.posted) this.#pump.advanceLater(this);
    return false;
  }

  #refused(operation: PendingOperation, status: number): void {
    if (operation.posted === 0) {
      this.#pump.leave(operation.slot);
      operation.slot = -1;
    }
    this.#forget(operation);
    this.reject(
      operation,
      this.port.postFailure(status, {
        ...this.port.failureContext,
        operation: operationWords[operation.operation],
        mayHaveTakenEffect: operation.posted > 0,
      }),
    );
  }

  /** The deadline and the signal end the waiting; what was posted keeps its slot and memory. */
  #watch(operation: PendingOperation, wait: WaitOptions): void {
    const what = operationWords[operation.operation] ?? 'the operation';
    const context = (): FailureContext => ({
      ...this.port.failureContext,
      operation: operationWords[operation.operation],
      mayHaveTakenEffect: operation.posted > 0,
    });
    operation.deadline = Deadline.of(
      wait,
      () => {
        this.reject(operation, timeoutError(what, wait.timeoutMs ?? 0, context()));
      },
      (signal) => {
        this.reject(operation, abortedError(signal, what, context()));
      },
    );
  }

  #end(operation: PendingOperation): void {
    operation.settled = true;
    operation.deadline?.clear();
    this.#keepAlive.release();
    // When its first record is out it stays in line: only the second one's completion frees the
    // slot.
    if (operation.posted === 0) this.#forget(operation);
  }

  /** Leaves the line. */
  #forget(operation: PendingOperation): void {
    operation.saved = null;
    const place = this.#waiting.indexOf(operation);
    if (place >= 0) this.#waiting.splice(place, 1);
  }

  #tellIdle(): void {
    if (this.#waiting.length > 0) return;
    this.#onIdle?.();
    this.#onIdle = null;
  }
}
