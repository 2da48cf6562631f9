// SPDX-License-Identifier: BSD-3-Clause
// flavour: test
//
// A worker that ends while a pool thread brings in pages of its own memory: the memory is there
// until that thread is done, and nothing native is left behind.

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { until, withDeadline } from '../support/deadline.js';
import { nativeTest } from '../support/native.js';

const program = new URL('./programs/adviser.js', import.meta.url);

describe('a worker that ends during advice', () => {
  it('waits for it, and leaves nothing behind', async (test) => {
    const before = nativeTest().counters();
    test.after(() => nativeTest().faultClear());
    nativeTest().faultSet('memory.advise', 1, 1, 0, 2000);
    const worker = new Worker(program);
    test.after(() => worker.terminate());
    await until(() => nativeTest().faultHits('memory.advise') === 1, 'it is under way', 30_000);
    const start = performance.now();
    await withDeadline(worker.terminate(), 'the worker ends', 30_000);
    assert.ok(performance.now() - start > 100, 'it waited');
    const after = nativeTest().counters();
    for (const name of ['regions', 'peers', 'handles', 'threads', 'descriptors']) {
      assert.equal(after[name], before[name], name);
    }
  });
});
