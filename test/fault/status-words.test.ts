// SPDX-License-Identifier: BSD-3-Clause
//
// What an operation is told when the other side, or its storage, is at fault: the oldest one
// carries the cause, those behind it are flushed. (A host that vanished: vanished-host.test.ts.)

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { join } from 'node:path';
import { PmemFile } from 'rpma';
import { conform, withCode } from '../support/conform.js';
import { timed, withDeadline } from '../support/deadline.js';
import { nativeTest } from '../support/native.js';
import { takeAll, takeOk } from '../support/world.js';

const { EIO } = constants.errno;
const sizeBytes = 65_536;

conform('status words', ({ it }) => {
  it('behind a Send that found no receive in time: rnr-retry, then flushed', async (world) => {
    const pair = await world.pair({ target: { receiverNotReadyTimeoutMs: 400 } });
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    const { initiator } = pair;
    initiator.postSend({ length: 0, id: 1 });
    assert.equal((await takeOk(initiator.completionQueue)).id, 1);
    initiator.postRead({ local, remote, length: 8, id: 2 });
    initiator.postFlush({ remote, length: 8, type: 'visibility', id: 3 });
    const { value: done, elapsedMs } = await timed(takeAll(initiator.completionQueue, 2));
    assert.deepEqual(
      done.map((each) => [each.id, each.status]),
      [
        [2, 'rnr-retry'],
        [3, 'flushed'],
      ],
    );
    assert.ok(elapsedMs > 200 && elapsedMs < 3000, `after ${elapsedMs} ms`);
    const ends = Promise.all([initiator.whenClosed(), pair.target.whenClosed()]);
    const types = (await withDeadline(ends, 'the end')).map((each) => each.type);
    assert.deepEqual(types, ['lost', 'lost']);
  });

  it('the same in the promise tier', async (world) => {
    const pair = await world.pair({ target: { receiverNotReadyTimeoutMs: 400 } });
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    await pair.initiator.send({ length: 0 });
    const range = { local, remote, length: 8 };
    const first = assert.rejects(pair.initiator.read(range), withCode('WC_RNR_RETRY'));
    const second = assert.rejects(pair.initiator.read(range), withCode('WC_FLUSHED'));
    await withDeadline(Promise.all([first, second]), 'both outcomes', 5000);
  });

  it('a persist that fails: remote-operation with its errno, until the file is mapped anew', async (world) => {
    const path = join(await world.folder(), 'memory.pmem');
    const file = await PmemFile.map(path, { create: true, sizeBytes });
    const pair = await world.pair();
    const { region, remote } = await world.lendFile(pair, file);
    const range = { remote, length: 4096 };
    const flush = { ...range, type: 'persistent' as const };
    world.after(() => nativeTest().faultClear());
    nativeTest().faultSet('memory.msync', 1, 1, EIO, 100); // both flushes are posted by then
    pair.initiator.postFlush({ ...flush, id: 1 });
    pair.initiator.postFlush({ ...flush, type: 'visibility', id: 2 });
    const done = await takeAll(pair.initiator.completionQueue, 2);
    assert.deepEqual(
      done.map((each) => [each.id, each.status]),
      [
        [1, 'remote-operation'],
        [2, 'flushed'],
      ],
    );
    assert.equal(done[0]?.providerError, EIO);
    assert.equal(done[0]?.durability, undefined);
    const ends = Promise.all([pair.initiator.whenClosed(), pair.target.whenClosed()]);
    const [end] = await withDeadline(ends, 'the end of both');
    assert.equal(end.type, 'lost');

    // The kernel tells of a failed write-back once; we do not believe the success after it.
    const failed = withCode('WC_REMOTE_OPERATION', { errno: -EIO });
    const second = await world.again(pair);
    await assert.rejects(second.initiator.flush(flush), failed);
    assert.equal(nativeTest().faultHits('memory.msync'), 1, 'nothing is tried again');
    await assert.rejects(file.persist(0, 16), (error: { errno?: number }) => error.errno === -EIO);
    await region.close();
    await file.unmap();

    const anew = world.keep(await PmemFile.map(path));
    const third = await world.again(pair);
    const lent = await world.lendFile(pair, anew);
    const healed = await third.initiator.flush({ ...flush, remote: lent.remote });
    assert.equal(healed.durability, 'persisted');
  });
});
