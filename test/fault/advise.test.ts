// SPDX-License-Identifier: BSD-3-Clause
//
// Advice that takes long, that the system refuses, and that an old kernel does not know.

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { MemoryUsage } from 'rpma';
import { log } from 'rpma/diagnostics';
import { argumentError, conform, withCode } from '../support/conform.js';
import { until } from '../support/deadline.js';
import { nativeTest } from '../support/native.js';

const usage = MemoryUsage.ReadSource;
const { errno } = constants;

conform('advice', ({ it }) => {
  it('holds its region: close() waits for it', async (world) => {
    const peer = await world.peer();
    const region = await peer.allocate(64 << 20, { usage });
    world.after(() => nativeTest().faultClear());
    nativeTest().faultSet('memory.advise', 1, 1, 0, 300);
    const advised = region.advise({ kind: 'prefetch', flush: true });
    await until(() => nativeTest().faultHits('memory.advise') === 1, 'it is under way');
    assert.equal(region.inFlight, 1);
    let isDone = false;
    const outcome = assert.rejects(advised, withCode('CLOSED')).then(() => (isDone = true));
    const closed = region.close();
    await until(() => isDone, 'it ends early');
    await closed;
    await outcome;
    // One slice of four: the others were not begun once the region was closed.
    assert.equal(nativeTest().faultHits('memory.advise'), 1);
  });

  it('that the system refuses says so as librpma does', async (world) => {
    const peer = await world.peer();
    const region = await peer.allocate(8192, { usage });
    world.after(() => nativeTest().faultClear());
    const refused = (error: number) => {
      nativeTest().faultSet('memory.advise', 1, 1, error, 0);
      return region.advise({ kind: 'prefetch', flush: true });
    };
    const value = argumentError('TypeError', 'INVALID_ARG_VALUE');
    await assert.rejects(refused(errno.EOPNOTSUPP), withCode('NOT_SUPPORTED'));
    await assert.rejects(refused(errno.EFAULT), value);
    await assert.rejects(refused(errno.EINVAL), value);
    await assert.rejects(refused(errno.EIO), withCode('PROVIDER', { errno: -errno.EIO }));
    await region.advise({ kind: 'prefetch', flush: true });
    assert.equal(region.inFlight, 0);
  });

  it('that nobody waits for is logged when it fails', async (world) => {
    const peer = await world.peer();
    const region = await peer.allocate(8192, { usage });
    const lines: string[] = [];
    log.setSink(({ level, message }) => lines.push(`${level} ${message}`));
    world.after(() => {
      log.setSink(null);
      nativeTest().faultClear();
    });
    nativeTest().faultSet('memory.advise', 1, 1, errno.EIO, 0);
    await region.advise({ kind: 'prefetch' });
    await until(() => lines.length > 0, 'the failure is logged');
    assert.deepEqual(lines, ['warning advice failed: madvise: EIO (5): the provider failed']);
  });

  it('works on a kernel that cannot populate', async (world) => {
    const peer = await world.peer();
    const file = await world.file(1 << 20);
    const region = await peer.register(file, { usage });
    world.after(() => nativeTest().faultClear());
    nativeTest().faultSet('memory.advise-probe', 1, 1_000, errno.EINVAL, 0);
    for (const kind of ['prefetch', 'prefetch-write'] as const) {
      await region.advise({ kind, flush: true });
    }
    assert.equal(nativeTest().faultHits('memory.advise-probe'), 2);
    assert.equal(nativeTest().faultHits('memory.advise'), 0);
  });

  it('that finds no thread is refused, and holds nothing', async (world) => {
    const peer = await world.peer();
    const region = await peer.allocate(8192, { usage });
    world.after(() => nativeTest().faultClear());
    for (const point of ['addon.async-work', 'addon.queue-work']) {
      for (const flush of [false, true]) {
        nativeTest().faultSet(point, 1, 1, errno.ENOMEM, 0);
        await assert.rejects(region.advise({ kind: 'prefetch', flush }), withCode('LIMIT'));
        assert.equal(region.inFlight, 0);
      }
    }
    nativeTest().faultSet('addon.promise', 1, 1, errno.ENOMEM, 0);
    await assert.rejects(region.advise({ kind: 'prefetch' }), withCode('NO_MEMORY'));
    assert.equal(region.inFlight, 0);
  });
});
