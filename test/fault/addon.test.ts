// SPDX-License-Identifier: BSD-3-Clause
//
// What Node or the system refuses to the addon itself: each refusal is an error of the library, and
// the same call succeeds when it is tried again.

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { isRpmaError, MemoryUsage, Peer, PmemFile } from 'rpma';
import { conform, withCode } from '../support/conform.js';
import { nativeTest } from '../support/native.js';
import { takeOk } from '../support/world.js';

const { EMFILE, ENOMEM } = constants.errno;

/** The point's next hit fails. */
function failNext(context: TestContext, point: string, errno: number = ENOMEM): void {
  nativeTest().faultSet(point, 1, 1, errno, 0);
  context.after(() => nativeTest().faultClear());
}

// These come first: they need a thread on which the library has not started.
for (const [point, code, errno] of [
  ['addon.cleanup-hook', 'ERR_RPMA_NO_MEMORY', ENOMEM],
  ['addon.reference', 'ERR_RPMA_NO_MEMORY', ENOMEM],
  ['addon.async-init', 'ERR_RPMA_NO_MEMORY', ENOMEM],
  ['addon.epoll_create1', 'ERR_RPMA_LIMIT', EMFILE],
  ['addon.eventfd', 'ERR_RPMA_LIMIT', EMFILE],
  ['addon.epoll_ctl', 'ERR_RPMA_NO_MEMORY', ENOMEM],
  ['addon.uv_poll_init', 'ERR_RPMA_NO_MEMORY', ENOMEM],
] as const) {
  test(`the start without ${point} fails as an error of the library`, async (context) => {
    failNext(context, point, errno);
    await assert.rejects(
      Peer.open({ localAddress: '127.0.0.1' }),
      (error) => isRpmaError(error) && error.code === code,
    );
  });
}

test('a start that failed may be tried again', async () => {
  const peer = await Peer.open({ localAddress: '127.0.0.1' });
  await peer.close();
});

conform('a refusal to the addon', ({ it }) => {
  it('of a promise: map() fails, and maps when tried again', async (world) => {
    const path = join(await world.folder(), 'file.pmem');
    const options = { create: true, sizeBytes: 4096 };
    failNext(world.test, 'addon.promise');
    await assert.rejects(PmemFile.map(path, options), withCode('NO_MEMORY'));
    const file = await PmemFile.map(path, options);
    failNext(world.test, 'addon.promise');
    await assert.rejects(file.persist(0, 4096), withCode('NO_MEMORY'));
    await file.persist(0, 4096);
    failNext(world.test, 'addon.promise');
    await assert.rejects(file.unmap(), withCode('NO_MEMORY'));
    await file.unmap();
  });

  it('of a promise: close() of a region tells it, and the region ends', async (world) => {
    const peer = await world.peer();
    const region = await peer.allocate(4096, { usage: MemoryUsage.ReadSource });
    const before = nativeTest().counters()['regions'] ?? 0;
    failNext(world.test, 'addon.promise');
    await assert.rejects(region.close(), withCode('NO_MEMORY'));
    assert.equal(nativeTest().counters()['regions'], before - 1);
  });

  it('of a pool thread: map() fails, and maps when tried again', async (world) => {
    const path = join(await world.folder(), 'file.pmem');
    const options = { create: true, sizeBytes: 4096 };
    for (const point of ['addon.async-work', 'addon.queue-work']) {
      failNext(world.test, point);
      await assert.rejects(PmemFile.map(path, options), withCode('LIMIT'));
    }
    await (await PmemFile.map(path, options)).unmap();
  });

  it('of a view: the region has one when asked again', async (world) => {
    const peer = await world.peer();
    const region = await peer.allocate(4096, { usage: MemoryUsage.ReadSource });
    for (const [offset, point] of ['addon.external-arraybuffer', 'addon.reference'].entries()) {
      failNext(world.test, point);
      assert.throws(() => region.view(offset, 64), withCode('NO_MEMORY'));
      assert.equal(region.view(offset, 64).length, 64);
    }
  });

  for (const point of ['addon.handle-scope', 'addon.callback-scope']) {
    it(`of ${point}: what is ready is told by the next turn`, async (world) => {
      const pair = await world.pair();
      const local = await world.local(pair);
      const { remote } = await world.lend(pair);
      failNext(world.test, point);
      // A read may complete without a wake-up; some need one, the first of which meets the fault.
      for (let reads = 0; nativeTest().faultHits(point) < 2; reads++) {
        assert.ok(reads < 1000, `${point} was not reached`);
        pair.initiator.postRead({ local, remote, length: 4096 });
        await takeOk(pair.initiator.completionQueue);
      }
    });
  }
});
