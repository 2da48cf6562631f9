// SPDX-License-Identifier: BSD-3-Clause
//
// The promise tier over a send queue and a completion queue that the test plays by hand: order,
// room, one outcome each, and what a deadline does and does not end.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { RpmaError } from 'rpma';
import {
  completionFlags,
  completionLayout,
  completionStatusNumber,
  operationNumber,
  statusNumber,
  submissionLayout,
} from '../../lib/internal/abi.generated.js';
import { CompletionRecords } from '../../lib/internal/completion-codec.js';
import { KeepAlive } from '../../lib/internal/keep-alive.js';
import { Line, type LinePort, Pump, type PumpQueue } from '../../lib/internal/promise-tier.js';
import { noPlace, recordHead, SubmissionRecords } from '../../lib/internal/submission.js';
import type { WaitOptions } from '../../lib/types.js';

interface Outcome {
  readonly id: number;
  readonly status?: number;
  readonly durability?: number;
  readonly flags?: number;
}

class Wire implements PumpQueue, LinePort {
  readonly records: CompletionRecords = new CompletionRecords(4);
  readonly submissions: SubmissionRecords = new SubmissionRecords(4);
  readonly failureContext = { provider: 'iwarp' } as const;
  readonly posted: { id: number; tag: number }[] = [];
  readonly posts: number[] = [];
  readonly postponed: (() => void)[] = [];
  readonly line: Line;
  readonly pump: Pump;
  readonly #arrived: Outcome[] = [];
  armed = false;
  held = 0;
  /** What the next posts answer instead of taking all. */
  readonly answers: number[] = [];

  constructor(capacity: number) {
    this.pump = new Pump(this);
    const keepAlive = new KeepAlive({
      hold: () => void this.held++,
      release: () => void this.held--,
    });
    this.line = new Line(this, this.pump, capacity, keepAlive);
  }

  /** An operation of one record, or a write with the flush behind it. */
  submit(tag: number, records: 1 | 2, wait?: WaitOptions): Promise<unknown> {
    const operation = operationNumber.write;
    for (let index = 0; index < records; index++) {
      this.submissions.encode(index, recordHead(operation, 1, 0), 0, 0, tag, noPlace, 0, 0);
    }
    return this.line.submit(operation, 'durability', records, wait);
  }

  receive(): Promise<unknown> {
    const head = recordHead(operationNumber.receive, 1, 0);
    this.submissions.encode(0, head, 0, 0, 0, noPlace, 0, 0);
    return this.line.submit(operationNumber.receive, 'message', 1, undefined);
  }

  complete(...outcomes: Outcome[]): void {
    this.#arrived.push(...outcomes);
    if (!this.armed) return;
    this.armed = false;
    this.pump.drain();
  }

  fetch(): number {
    const taken = this.#arrived.splice(0, this.records.capacity);
    taken.forEach((outcome, index) => {
      const at = index * completionLayout.sizeBytes;
      const view = new DataView(this.records.buffer, at, completionLayout.sizeBytes);
      view.setFloat64(completionLayout.id, outcome.id, true);
      view.setUint8(completionLayout.operation, operationNumber.write);
      view.setUint8(completionLayout.status, outcome.status ?? 0);
      view.setUint8(completionLayout.durability, outcome.durability ?? 0);
      view.setUint8(completionLayout.flags, outcome.flags ?? 0);
    });
    return taken.length;
  }

  arm(): boolean {
    this.armed = this.#arrived.length === 0;
    return this.armed;
  }

  withinBudget(): boolean {
    return true;
  }

  later(callback: () => void): void {
    this.postponed.push(callback);
  }

  post(count: number): number {
    const answer = Math.min(this.answers.shift() ?? count, count);
    this.posts.push(count);
    const view = new DataView(this.submissions.buffer);
    for (let index = 0; index < Math.max(answer, 0); index++) {
      const at = index * submissionLayout.sizeBytes;
      this.posted.push({
        id: view.getFloat64(at + submissionLayout.id, true),
        tag: view.getFloat64(at + submissionLayout.localOffset, true),
      });
    }
    return answer;
  }

  postFailure(status: number, context: object): Error {
    return Object.assign(new Error(`status ${status}`), context);
  }

  /** A later turn of the loop. */
  turn(): void {
    for (const callback of this.postponed.splice(0)) callback();
  }

  /** Ids as posted. */
  get ids(): number[] {
    return this.posted.map(({ id }) => id);
  }
}

const { flushed, remoteAccess } = completionStatusNumber;

describe('one awaited operation', () => {
  test('resolves with its completion, and nothing stays behind', async () => {
    const wire = new Wire(4);
    const done = wire.submit(1, 1);
    assert.deepEqual(wire.ids, [0]);
    assert.ok(wire.armed);
    assert.equal(wire.held, 1);
    wire.complete({ id: 0 });
    assert.deepEqual(await done, { durability: undefined });
    assert.equal(wire.line.inUse, 0);
    assert.equal(wire.held, 0);
    assert.ok(!wire.armed, 'nothing is outstanding: nothing is asked for');
  });

  test('write and flush go out in one post; the flush answers for both', async () => {
    const wire = new Wire(4);
    const done = wire.submit(1, 2);
    assert.deepEqual(wire.posts, [2]);
    assert.deepEqual(wire.ids, [1, 0]);
    assert.equal(wire.line.inUse, 2);
    wire.complete({ id: 0, durability: 1 });
    assert.deepEqual(await done, { durability: 'persisted' });
    assert.equal(wire.line.inUse, 0);
  });

  test("the write's own error is told, not the 'flushed' behind it", async () => {
    const wire = new Wire(4);
    const done = wire.submit(1, 2);
    wire.complete({ id: 1, status: remoteAccess, flags: completionFlags.untouched });
    wire.complete({ id: 0, status: flushed, flags: completionFlags.untouched });
    await assert.rejects(done, (error: RpmaError) => {
      assert.equal(error.code, 'ERR_RPMA_WC_REMOTE_ACCESS');
      assert.equal(error.operation, 'write');
      assert.equal(error.provider, 'iwarp');
      return true;
    });
    assert.equal(wire.line.inUse, 0);
  });

  test('a flush that never ran behind a write that did: bytes may have changed', async () => {
    const wire = new Wire(4);
    const done = wire.submit(1, 2);
    wire.complete({ id: 0, status: flushed, flags: completionFlags.untouched });
    await assert.rejects(done, { code: 'ERR_RPMA_WC_FLUSHED', mayHaveTakenEffect: true });
    const alone = wire.submit(1, 1);
    const [last] = wire.ids.slice(-1);
    wire.complete({ id: last ?? -1, status: flushed, flags: completionFlags.untouched });
    await assert.rejects(alone, { code: 'ERR_RPMA_WC_FLUSHED', mayHaveTakenEffect: false });
  });

  test('what completed before arming is drained at once', async () => {
    const wire = new Wire(4);
    const first = wire.submit(1, 1);
    wire.armed = false;
    wire.complete({ id: 0 });
    const second = wire.submit(2, 1);
    await first;
    wire.complete({ id: 2 });
    await second;
  });

  test('a flushed receive is no unhandled rejection', async () => {
    const wire = new Wire(1);
    const received = wire.receive();
    wire.complete({ id: 0, status: flushed });
    // The test runner fails on an unhandled rejection in this turn.
    await new Promise(setImmediate);
    await assert.rejects(received, { code: 'ERR_RPMA_WC_FLUSHED' });
  });
});

describe('a full queue', () => {
  test('operations wait their turn, in order, with their own records', async () => {
    const wire = new Wire(2);
    const done = [wire.submit(10, 2), wire.submit(11, 1), wire.submit(12, 2), wire.submit(13, 1)];
    assert.equal(wire.line.waiting, 3);
    while (wire.posted.length < 6) {
      const answered = wire.posted.filter(({ id }) => id % 2 === 0).map(({ id }) => id);
      wire.complete(...answered.slice(-2).map((id) => ({ id })));
    }
    const open = wire.posted.filter(({ id }) => id % 2 === 0).slice(-2);
    wire.complete(...open.map(({ id }) => ({ id })));
    await Promise.all(done);
    assert.deepEqual(
      wire.posted.map(({ tag }) => tag),
      [10, 10, 11, 12, 12, 13],
    );
  });

  test('more than 1024 waiting is ERR_RPMA_AGAIN', () => {
    const wire = new Wire(1);
    for (let index = 0; index < 1025; index++) void wire.submit(index, 1);
    assert.equal(wire.line.waiting, 1024);
    assert.throws(() => void wire.submit(0, 1), { code: 'ERR_RPMA_AGAIN', retryable: true });
  });

  test('an operation that can never fit is refused with the cure', () => {
    const wire = new Wire(1);
    assert.throws(() => void wire.submit(0, 2), { code: 'ERR_RPMA_NOT_SUPPORTED' });
  });

  test('a post that the queue pair refuses for lack of room is tried again', async () => {
    const wire = new Wire(4);
    wire.answers.push(-statusNumber.again);
    const done = wire.submit(1, 1);
    assert.equal(wire.line.waiting, 1);
    wire.postponed.shift()?.();
    assert.equal(wire.line.waiting, 0);
    wire.complete({ id: wire.ids[0] ?? -1 });
    await done;
  });

  test('half a post: the flush follows when there is room', async () => {
    const wire = new Wire(4);
    wire.answers.push(1, -statusNumber.again);
    const done = wire.submit(1, 2);
    assert.deepEqual(wire.ids, [1]);
    wire.postponed.shift()?.();
    wire.postponed.shift()?.();
    assert.deepEqual(wire.ids, [1, 0]);
    wire.complete({ id: 0 });
    await done;
    assert.equal(wire.line.inUse, 0);
  });

  test('a refused post rejects, and says that nothing was posted', async () => {
    const wire = new Wire(4);
    wire.answers.push(-statusNumber.closed);
    const done = wire.submit(1, 1);
    await assert.rejects(done, { mayHaveTakenEffect: false, operation: 'write' });
    assert.equal(wire.line.inUse, 0);
    assert.equal(wire.held, 0);
  });
});

describe('room for several', () => {
  /** Four operations posted, and the given ones waiting behind them. */
  function fullWire(waiting: readonly (1 | 2)[]): { wire: Wire; done: Promise<unknown>[] } {
    const wire = new Wire(4);
    for (let tag = 0; tag < 4; tag++) void wire.submit(tag, 1);
    const done = waiting.map((records, index) => wire.submit(10 + index, records));
    wire.posts.length = 0;
    return { wire, done };
  }

  function completeOldest(wire: Wire, from: number, count: number): void {
    const last = wire.posted.filter(({ id }) => id % 2 === 0);
    wire.complete(...last.slice(from, from + count).map(({ id }) => ({ id })));
  }

  const tags = (wire: Wire): number[] => wire.posted.slice(4).map(({ tag }) => tag);

  test('what waits goes out with one post, in order', async () => {
    const { wire, done } = fullWire([1, 2, 1, 1]);
    completeOldest(wire, 0, 4);
    assert.deepEqual(wire.posts, [4]);
    assert.deepEqual(tags(wire), [10, 11, 11, 12]);
    assert.equal(wire.line.waiting, 1);
    completeOldest(wire, 4, 3);
    assert.deepEqual(wire.posts, [4, 1]);
    completeOldest(wire, 7, 1);
    await Promise.all(done);
    assert.equal(wire.line.inUse, 0);
  });

  test('a write is not posted without its flush, nor overtaken', () => {
    const { wire } = fullWire([1, 1, 1, 2, 1]);
    completeOldest(wire, 0, 4);
    assert.deepEqual(wire.posts, [3]);
    assert.deepEqual(tags(wire), [10, 11, 12]);
  });

  test('a post holds no more records than its buffer', () => {
    const wire = new Wire(6);
    for (let tag = 0; tag < 12; tag++) void wire.submit(tag, 1);
    wire.posts.length = 0;
    completeOldest(wire, 0, 6);
    // The wire fetches four completions at once, and its buffer has four records.
    assert.deepEqual(wire.posts, [4, 2]);
    assert.equal(wire.line.waiting, 0);
  });

  test('a short count leaves the rest waiting until a later turn', async () => {
    const { wire, done } = fullWire([1, 2, 1]);
    wire.answers.push(2);
    completeOldest(wire, 0, 4);
    assert.deepEqual(tags(wire), [10, 11]);
    assert.equal(wire.line.waiting, 2);
    assert.equal(wire.line.inUse, 2);
    wire.turn();
    assert.deepEqual(wire.posts, [4, 2]);
    assert.deepEqual(tags(wire), [10, 11, 11, 12]);
    completeOldest(wire, 4, 3);
    await Promise.all(done);
    assert.equal(wire.line.inUse, 0);
  });

  test('one that is refused takes none of the others with it', async () => {
    const { wire, done } = fullWire([1, 1, 1]);
    wire.answers.push(1, -statusNumber.closed);
    completeOldest(wire, 0, 4);
    wire.turn();
    assert.deepEqual(wire.posts, [3, 2, 1]);
    assert.deepEqual(tags(wire), [10, 12]);
    const [first, second, third] = done;
    await assert.rejects(second ?? Promise.resolve(), {
      message: `status ${statusNumber.closed}`,
      mayHaveTakenEffect: false,
    });
    completeOldest(wire, 4, 2);
    await Promise.all([first, third]);
    assert.equal(wire.line.inUse, 0);
    assert.equal(wire.held, 0);
  });

  test('no room after all: the next completion asks again', async () => {
    const wire = new Wire(4);
    const done = [1, 2, 3, 4, 5, 6].map((tag) => wire.submit(tag, 1));
    wire.answers.push(-statusNumber.again);
    completeOldest(wire, 0, 2);
    assert.equal(wire.line.waiting, 2);
    assert.deepEqual(wire.postponed, [], 'completions are on their way');
    completeOldest(wire, 2, 1);
    assert.equal(wire.line.waiting, 0);
    assert.deepEqual(
      wire.posted.map(({ tag }) => tag),
      [1, 2, 3, 4, 5, 6],
    );
    completeOldest(wire, 3, 3);
    await Promise.all(done);
  });

  test('the last one that waited and is given up leaves the line idle', async () => {
    const wire = new Wire(1);
    const first = wire.submit(1, 1);
    const controller = new AbortController();
    const second = wire.submit(2, 1, { signal: controller.signal });
    const idle = wire.line.whenPosted();
    controller.abort();
    await assert.rejects(second, { code: 'ERR_RPMA_ABORTED' });
    await idle;
    wire.complete({ id: 0 });
    await first;
  });
});

describe('giving up', () => {
  test('a signal ends the waiting, not the operation: its place stays taken', async () => {
    const wire = new Wire(1);
    const controller = new AbortController();
    const done = wire.submit(1, 1, { signal: controller.signal });
    controller.abort();
    await assert.rejects(done, { code: 'ERR_RPMA_ABORTED', mayHaveTakenEffect: true });
    assert.equal(wire.line.inUse, 1);
    assert.equal(wire.held, 0);
    const next = wire.submit(2, 1);
    assert.equal(wire.line.waiting, 1);
    wire.complete({ id: 0 });
    const [last] = wire.ids.slice(-1);
    wire.complete({ id: last ?? -1 });
    await next;
  });

  test('what was not posted yet surely did nothing, and leaves the line', async () => {
    const wire = new Wire(1);
    const first = wire.submit(1, 1);
    const controller = new AbortController();
    const second = wire.submit(2, 1, { signal: controller.signal });
    controller.abort();
    await assert.rejects(second, { code: 'ERR_RPMA_ABORTED', mayHaveTakenEffect: false });
    assert.equal(wire.line.waiting, 0);
    wire.complete({ id: 0 });
    await first;
    assert.deepEqual(wire.ids, [0]);
  });

  test('a signal that is aborted already posts nothing', () => {
    const wire = new Wire(1);
    assert.throws(() => void wire.submit(1, 1, { signal: AbortSignal.abort() }), {
      code: 'ERR_RPMA_ABORTED',
      mayHaveTakenEffect: false,
    });
    assert.deepEqual(wire.posts, []);
  });
});

describe('the end', () => {
  test('what waited is rejected, what has no completion too', async () => {
    const wire = new Wire(1);
    const posted = wire.submit(1, 1);
    const waiting = wire.submit(2, 1);
    wire.line.failWaiting(new Error('ended first'));
    wire.pump.failOperationsOf(wire.line, new Error('never answered'));
    await assert.rejects(posted, /never answered/);
    await assert.rejects(waiting, /ended first/);
    assert.equal(wire.held, 0);
  });
});

describe('any sequence', () => {
  test('keeps the order of posts and settles each operation exactly once', async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('submit'), records: fc.constantFrom(1, 2) }),
      fc.record({ kind: fc.constant('complete'), count: fc.integer({ min: 1, max: 6 }) }),
      fc.record({
        kind: fc.constant('answer'),
        count: fc.constantFrom(1, 2, 3, -statusNumber.again),
      }),
      fc.record({ kind: fc.constant('turn') }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.integer({ min: 2, max: 5 }), runSteps),
      { numRuns: 200 },
    );
  });
});

type Step = { kind: string; records?: number; count?: number };

async function runSteps(steps: readonly Step[], capacity: number): Promise<void> {
  const wire = new Wire(capacity);
  const settled: number[] = [];
  let submitted = 0;
  let answered = 0;
  const answer = (count: number): void => {
    for (let left = count; left > 0; left--) {
      const open = wire.posted.filter(({ id }) => id % 2 === 0)[answered];
      if (open === undefined) return;
      answered++;
      wire.complete({ id: open.id });
    }
  };
  for (const step of steps) {
    if (step.kind === 'complete') answer(step.count ?? 0);
    else if (step.kind === 'answer') wire.answers.push(step.count ?? 1);
    else if (step.kind === 'turn') wire.turn();
    else {
      const tag = submitted++;
      void wire.submit(tag, step.records === 2 ? 2 : 1).then(() => settled.push(tag));
    }
    assert.ok(wire.line.inUse <= capacity);
  }
  while (answered < submitted) {
    wire.turn();
    answer(1);
  }
  await new Promise(setImmediate);
  const tags = wire.posted.map(({ tag }) => tag);
  assert.deepEqual(
    tags,
    tags.toSorted((a, b) => a - b),
  );
  assert.deepEqual(
    settled,
    Array.from({ length: submitted }, (_, tag) => tag),
  );
  assert.equal(wire.line.inUse, 0);
  assert.equal(wire.held, 0);
}
