// SPDX-License-Identifier: BSD-3-Clause
//
// What every waitable has in common: take, takeSync, tryTake and `for await`, over a source that
// the test fills by hand.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { KeepAlive } from '../../lib/internal/keep-alive.js';
import { SourceCore, type SourceEnvironment } from '../../lib/internal/source.js';

class Fake {
  readonly items: number[] = [];
  readonly core: SourceCore<number>;
  readonly postponed: (() => void)[] = [];
  isMainThread = true;
  ended = false;
  armed = 0;
  held = 0;
  slices = 0;
  /** What a slice of a synchronous wait brings. */
  onSlice: () => void = () => undefined;
  /** arm() says "something is there" so many times, though nothing is. */
  lies = 0;

  constructor() {
    const keepAlive = new KeepAlive({
      hold: () => void this.held++,
      release: () => void this.held--,
    });
    const environment: SourceEnvironment = {
      isMainThread: true,
      driveOnce: () => {
        this.slices++;
        this.onSlice();
      },
      later: (callback) => void this.postponed.push(callback),
    };
    Object.defineProperty(environment, 'isMainThread', { get: () => this.isMainThread });
    const hooks = {
      name: 'fake',
      next: () => this.items.shift() ?? null,
      ended: () => this.ended,
      arm: () => this.#arm(),
    };
    this.core = new SourceCore<number>(hooks, keepAlive, environment);
  }

  give(...items: number[]): void {
    this.items.push(...items);
    this.core.ready();
  }

  end(): void {
    this.ended = true;
    this.core.ready();
  }

  #arm(): boolean {
    if (this.lies > 0) {
      this.lies--;
      return false;
    }
    this.armed++;
    return true;
  }
}

async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol('pending');
  await new Promise(setImmediate);
  return (await Promise.race([promise, Promise.resolve(pending)])) === pending;
}

const busy = { code: 'ERR_RPMA_BUSY' };

describe('take()', () => {
  test('gives what is there without arming', async () => {
    const fake = new Fake();
    fake.items.push(1);
    assert.equal(await fake.core.take(), 1);
    assert.equal(fake.armed, 0);
  });

  test('waits, in order, and keeps the process alive meanwhile', async () => {
    const fake = new Fake();
    const waits = [fake.core.take(), fake.core.take(), fake.core.take()] as const;
    assert.equal(fake.held, 1);
    fake.give(1, 2);
    assert.deepEqual(await Promise.all(waits.slice(0, 2)), [1, 2]);
    assert.ok(await isPending(waits[2]));
    fake.end();
    assert.equal(await waits[2], null);
    assert.equal(fake.held, 0);
  });

  test('null once ended; what was left comes first', async () => {
    const fake = new Fake();
    fake.items.push(1);
    fake.ended = true;
    assert.equal(await fake.core.take(), 1);
    assert.equal(await fake.core.take(), null);
  });

  test('null at the deadline, at once for 0', async () => {
    const fake = new Fake();
    assert.equal(await fake.core.take({ timeoutMs: 0 }), null);
    const alive = new Promise((resolve) => setImmediate(resolve));
    const waiting = fake.core.take({ timeoutMs: 1 });
    await alive;
    // The deadline alone does not keep the process alive; a referenced wait stands in for the
    // addon's.
    const port = new MessageChannel();
    port.port1.on('message', () => undefined);
    assert.equal(await waiting, null);
    port.port1.close();
    assert.equal(fake.held, 0);
  });

  test('a signal ends it with its reason as the cause', async () => {
    const fake = new Fake();
    const controller = new AbortController();
    const waiting = fake.core.take({ signal: controller.signal });
    const reason = new Error('enough');
    controller.abort(reason);
    await assert.rejects(waiting, { name: 'AbortError', code: 'ERR_RPMA_ABORTED', cause: reason });
    await assert.rejects(fake.core.take({ signal: controller.signal }), {
      code: 'ERR_RPMA_ABORTED',
    });
    fake.give(1);
    assert.equal(fake.core.tryTake(), 1);
  });

  test('bad options reject', async () => {
    const fake = new Fake();
    await assert.rejects(fake.core.take({ timeoutMs: -1 }), { code: 'ERR_RPMA_OUT_OF_RANGE' });
    await assert.rejects(fake.core.take(5 as never), { code: 'ERR_RPMA_INVALID_ARG_TYPE' });
  });

  test('at most 1024 wait', async () => {
    const fake = new Fake();
    const waits = Array.from({ length: 1024 }, () => fake.core.take());
    await assert.rejects(fake.core.take(), { code: 'ERR_RPMA_AGAIN', retryable: true });
    fake.end();
    assert.ok((await Promise.all(waits)).every((item) => item === null));
  });

  test('arming that says "there is something" without end becomes a later turn, not a loop', async () => {
    const fake = new Fake();
    fake.lies = 100;
    const waiting = fake.core.take();
    assert.equal(fake.postponed.length, 1);
    fake.items.push(7);
    fake.postponed.shift()?.();
    assert.equal(await waiting, 7);
  });

  test('after 64 that were served at once the loop has a turn, and nobody overtakes', async () => {
    const fake = new Fake();
    for (let n = 1; n <= 66; n++) fake.items.push(n);
    for (let n = 1; n < 64; n++) assert.equal(await fake.core.take(), n);
    assert.equal(fake.postponed.length, 0);
    const order: (number | null)[] = [];
    const waits = [fake.core.take(), fake.core.take()].map((wait) =>
      wait.then((value) => order.push(value)),
    );
    const atOnce = fake.core.take({ timeoutMs: 0 });
    assert.equal(await atOnce, 64, 'who does not wait takes what is there');
    assert.deepEqual([order.length, fake.postponed.length, fake.held], [0, 1, 1]);
    fake.postponed.shift()?.();
    await Promise.all(waits);
    assert.deepEqual(order, [65, 66]);
    assert.equal(fake.held, 0);
  });

  test('a wait in between counts as a turn', async () => {
    const fake = new Fake();
    for (let round = 0; round < 3; round++) {
      for (let n = 0; n < 60; n++) fake.items.push(n);
      for (let n = 0; n < 60; n++) await fake.core.take();
      const waiting = fake.core.take();
      fake.give(round);
      assert.equal(await waiting, round);
    }
    assert.equal(fake.postponed.length, 0);
  });

  test('an error of the source reaches one wait, the next goes on', async () => {
    const fake = new Fake();
    let calls = 0;
    const broken = fake.core.take(undefined, () => {
      if (calls++ === 0) return null;
      throw new Error('broken');
    });
    const good = fake.core.take();
    fake.give(1);
    await assert.rejects(broken, /broken/);
    assert.equal(await good, 1);
  });
});

describe('takeSync()', () => {
  test('drives in slices until something comes', () => {
    const fake = new Fake();
    fake.onSlice = () => {
      if (fake.slices === 3) fake.items.push(9);
    };
    assert.equal(fake.core.takeSync(60_000), 9);
    assert.equal(fake.slices, 3);
  });

  test('null at the deadline and once ended', () => {
    const fake = new Fake();
    assert.equal(fake.core.takeSync(0), null);
    assert.equal(fake.slices, 0);
    fake.onSlice = () => {
      fake.ended = true;
    };
    assert.equal(fake.core.takeSync(60_000), null);
  });

  test('the bound is a number; endless only in a worker', () => {
    const fake = new Fake();
    const range = { name: 'RangeError', code: 'ERR_RPMA_OUT_OF_RANGE' };
    for (const wrong of [-1, NaN, 2 ** 31, Infinity]) {
      assert.throws(() => fake.core.takeSync(wrong), range);
    }
    assert.throws(() => fake.core.takeSync(undefined as never), {
      code: 'ERR_RPMA_INVALID_ARG_TYPE',
    });
    fake.isMainThread = false;
    fake.items.push(1);
    assert.equal(fake.core.takeSync(Infinity), 1);
  });
});

describe('for await', () => {
  test('yields everything and ends with the source', async () => {
    const fake = new Fake();
    const seen: number[] = [];
    const loop = (async () => {
      for await (const item of fake.core.iterate()) seen.push(item);
    })();
    fake.give(1, 2);
    await new Promise(setImmediate);
    fake.give(3);
    await new Promise(setImmediate);
    fake.end();
    await loop;
    assert.deepEqual(seen, [1, 2, 3]);
    assert.equal(fake.held, 0);
  });

  test('break loses nothing, and another loop may follow', async () => {
    const fake = new Fake();
    fake.items.push(1, 2, 3);
    for await (const item of fake.core.iterate()) {
      assert.equal(item, 1);
      break;
    }
    for await (const item of fake.core.iterate()) {
      assert.equal(item, 2);
      break;
    }
    assert.equal(fake.core.tryTake(), 3);
  });

  test('a second consumer is told that the first one waits', async () => {
    const fake = new Fake();
    const first = fake.core.iterate();
    const second = fake.core.iterate();
    const waiting = first.next();
    await assert.rejects(second.next(), busy);
    await assert.rejects(fake.core.take(), busy);
    assert.throws(() => fake.core.takeSync(1), busy);
    fake.give(1);
    assert.deepEqual(await waiting, { done: false, value: 1 });
    await first.return?.();
    fake.items.push(2);
    assert.deepEqual(await second.next(), { done: false, value: 2 });
  });

  test('the body of the loop may take', async () => {
    const fake = new Fake();
    fake.items.push(1, 2);
    for await (const item of fake.core.iterate()) {
      assert.equal(item, 1);
      assert.equal(await fake.core.take(), 2);
      break;
    }
  });

  test('return() ends a pending next()', async () => {
    const fake = new Fake();
    const iterator = fake.core.iterate();
    const waiting = iterator.next();
    await iterator.return?.();
    assert.deepEqual(await waiting, { done: true, value: undefined });
  });
});
