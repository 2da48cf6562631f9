// SPDX-License-Identifier: BSD-3-Clause
//
// The promise tier: awaited operations over the verbs tier. One Pump a claimed completion queue
// (arm, drain, settle), two Lines a connection (its send queue and its receive queue) in which
// operations wait their turn when the queue is full. An operation is one or two records; the last
// has a completion, the one before it only if it fails, so each operation ends with exactly one. JS
// thread only; the queue and the posts are given as values, so that it runs without the addon.
//
//   id of a record = 2 * slot (the one that always completes)
//                 or 2 * slot + 1 (the silent one before it)

import { RpmaError } from '../errors.js';
import type { DurableResult, ReceiveResult, WaitOptions } from '../types.js';
import { limits, operationNumber, statusNumber, submissionLayout } from './abi.generated.js';
import { durabilityOf, type CompletionRecords } from './completion-codec.js';
import type { SlotNote } from './connection-note.js';
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
  /** Nothing waits for room any more. */
  idle?(): void;
  /** Provider and the like, for errors. */
  readonly failureContext: FailureContext;
}

const recordBytes = submissionLayout.sizeBytes;

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

  /** Whether promises of it are pending. */
  get isAwaited(): boolean {
    return this.#slots.some((operation) => operation !== undefined && !operation.settled);
  }

  /** What is in flight and awaited by nobody. */
  notes(): SlotNote[] {
    return this.#slots.flatMap((each) =>
      each === undefined
        ? []
        : [
            {
              slot: each.slot,
              operation: each.operation,
              records: each.records,
              posted: each.posted,
            },
          ],
    );
  }

  /** Before anything else is posted: keeps the slots of what the giver left in flight. */
  restore(notes: readonly SlotNote[], lineOf: (operation: number) => Line): void {
    for (const note of notes) {
      const line = lineOf(note.operation);
      const operation = new PendingOperation(line, note.operation, 'nothing', note.records);
      operation.slot = note.slot;
      operation.posted = note.posted;
      operation.settled = true;
      while (this.#slots.length < note.slot) this.#free.push(this.#slots.push(undefined) - 1);
      this.#slots[note.slot] = operation;
      this.#outstanding++;
      line.occupy(note.posted);
    }
    this.kick();
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
    operation: records.operation(index) === 'receive-write' ? 'receive-write' : 'receive',
    length: records.byteLength(index),
    immediate: records.immediate(index),
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

/** Throws when an operation must not be taken over, whatever the queue holds. */
export function refuseHopeless(
  operation: number,
  records: number,
  capacity: number,
  wait: WaitOptions | undefined,
  context: FailureContext,
): void {
  const what = operationWords[operation] ?? 'the operation';
  if (wait?.signal?.aborted === true) throw abortedError(wait.signal, what, context);
  if (records <= capacity) return;
  throw new RpmaError(
    'ERR_RPMA_NOT_SUPPORTED',
    `${what}: a guarantee beyond 'reusable' takes ${records} entries, and the send queue has ` +
      `${capacity}: raise sendQueueSize`,
    context,
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
    const lineIsFull = this.#waiting.length >= limits.promisesWaiting;
    if (lineIsFull || records > this.#capacity || wait?.signal?.aborted === true) {
      refuseHopeless(operation, records, this.#capacity, wait, this.#context(operation));
      throw this.#fullError(operation);
    }
    const pending = new PendingOperation(this, operation, result, records);
    this.#keepAlive.hold();
    if (this.#waiting.length > 0 || this.#inUse + records > this.#capacity) this.#enqueue(pending);
    else this.#postNow(pending);
    if (!pending.settled) {
      if (wait !== undefined) this.#watch(pending, wait);
      this.#pump.kick();
    }
    return pending.promise;
  }

  /** Posts what waits, as far as there is room, as many records with each call as it takes. */
  advance(): void {
    while (this.#waiting.length > 0) {
      const offered = this.#offer();
      if (offered.length === 0) return;
      const records = offered.reduce((sum, each) => sum + each.records - each.posted, 0);
      if (!this.#account(offered, records, this.port.post(records))) return;
    }
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

  /** Records of the giver's are in the queue pair. */
  occupy(records: number): void {
    this.#inUse += records;
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

  #fullError(operation: number): RpmaError {
    const context = this.#context(operation);
    return new RpmaError(
      'ERR_RPMA_AGAIN',
      `${operationWords[operation] ?? 'the operation'}: ${limits.promisesWaiting} operations wait for room already; await some of them first`,
      context,
    );
  }

  #context(operation: number): FailureContext {
    return { ...this.port.failureContext, operation: operationWords[operation] };
  }

  /** Posts an operation whose records are the first submission records; nothing waits before it. */
  #postNow(operation: PendingOperation): void {
    const { records } = operation;
    this.#number(operation, 0);
    const accepted = this.port.post(records);
    if (accepted === records) {
      operation.posted = records;
      this.#inUse += records;
      return;
    }
    this.#enqueue(operation);
    this.#account([operation], records, accepted);
  }

  #enqueue(operation: PendingOperation): void {
    operation.saved = this.port.submissions.save(0, operation.records);
    this.#waiting.push(operation);
  }

  /** Puts the records of the waiting operations that fit side by side; splits no operation. */
  #offer(): PendingOperation[] {
    const { submissions } = this.port;
    const room = Math.min(this.#capacity - this.#inUse, submissions.capacity);
    const offered: PendingOperation[] = [];
    let end = 0;
    for (const operation of this.#waiting) {
      const start = end;
      end += operation.records - operation.posted;
      if (end > room) break;
      if (operation.saved !== null) submissions.restore(operation.saved, start);
      this.#number(operation, start);
      offered.push(operation);
    }
    return offered;
  }

  /** Gives the operation a slot, and its records from `index` on the ids by which it is found. */
  #number(operation: PendingOperation, index: number): void {
    const { submissions } = this.port;
    if (operation.slot < 0) operation.slot = this.#pump.enter(operation);
    const last = operation.records - operation.posted - 1;
    if (last > 0) submissions.setId(index, operation.slot * 2 + 1);
    submissions.setId(index + last, operation.slot * 2);
  }

  /**
   * What became of the first waiting operations, whose records were offered with one post. Whether
   * the next ones may be offered now.
   */
  #account(offered: readonly PendingOperation[], records: number, answer: number): boolean {
    let left = Math.max(answer, 0);
    for (const operation of offered) {
      const taken = Math.min(left, operation.records - operation.posted);
      left -= taken;
      operation.posted += taken;
      this.#inUse += taken;
      if (operation.posted === operation.records) this.#forget(operation);
      else if (operation.posted === 0) this.#leaveSlot(operation);
      else if (taken > 0) operation.saved = operation.saved?.subarray(taken * recordBytes) ?? null;
    }
    if (answer === records) return true;
    const [first] = offered;
    if (answer < 0 && answer !== -statusNumber.again && first !== undefined) {
      this.#refused(first, -answer);
      return true;
    }
    // The next post tells why this one was cut short. Otherwise completions of ours make room;
    // without any on their way nothing would come to try again.
    const onTheirWay = this.#inUse - (this.#waiting[0]?.posted ?? 0);
    if (answer > 0 || onTheirWay === 0) this.#pump.advanceLater(this);
    return false;
  }

  #leaveSlot(operation: PendingOperation): void {
    this.#pump.leave(operation.slot);
    operation.slot = -1;
  }

  #refused(operation: PendingOperation, status: number): void {
    const context = {
      ...this.#context(operation.operation),
      mayHaveTakenEffect: operation.posted > 0,
    };
    this.#forget(operation);
    this.reject(operation, this.port.postFailure(status, context));
  }

  /** The deadline and the signal end the waiting; what was posted keeps its slot and memory. */
  #watch(operation: PendingOperation, wait: WaitOptions): void {
    const what = operationWords[operation.operation] ?? 'the operation';
    const context = (): FailureContext => ({
      ...this.#context(operation.operation),
      mayHaveTakenEffect: operation.posted > 0,
    });
    operation.deadline = Deadline.of(
      wait,
      () => {
        this.reject(operation, timeoutError(`${what} did not end`, wait.timeoutMs ?? 0, context()));
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
    if (place < 0) return;
    this.#waiting.splice(place, 1);
    this.#tellIdle();
  }

  #tellIdle(): void {
    if (this.#waiting.length > 0) return;
    this.#onIdle?.();
    this.#onIdle = null;
    this.port.idle?.();
  }
}
