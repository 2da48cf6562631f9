// SPDX-License-Identifier: BSD-3-Clause
//
// What the system refuses to descriptors and Epolls: each refusal is an error of the library that
// names errno and system call, nothing is left of what was begun, and the same call succeeds when
// it is tried again. Interrupted calls are nobody's business.

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import type { TestContext } from 'node:test';
import { Epoll } from 'rpma';
import { conform, withCode } from '../support/conform.js';
import { isReadable } from '../support/descriptors.js';
import { withDeadline } from '../support/deadline.js';
import { nativeTest } from '../support/native.js';

const { EINTR, EMFILE, ENOSPC } = constants.errno;

/** The point's next hits fail. */
function failNext(context: TestContext, point: string, errno: number, count: number = 1): void {
  nativeTest().faultSet(point, 1, count, errno, 0);
  context.after(() => nativeTest().faultClear());
}

function descriptors(): number {
  return nativeTest().counters()['descriptors'] ?? -1;
}

conform('a refusal to waiting', ({ it }) => {
  it('of a descriptor: every source says so, and has one when it is asked again', async (world) => {
    const options = { sharedCompletionChannel: true };
    const { endpoint, initiator, target } = await world.pair({ initiator: options });
    const channel = initiator.completionChannel;
    assert.ok(channel !== null);
    for (const source of [endpoint, initiator.events, target.completionQueue, channel]) {
      const before = descriptors();
      failNext(world.test, 'rma.eventfd', EMFILE);
      const refused = withCode('LIMIT', { errno: -EMFILE, syscall: 'eventfd' });
      assert.throws(() => source.fd, refused);
      assert.equal(descriptors(), before);
      assert.ok(source.fd > 2);
      assert.equal(descriptors(), before + 1);
    }
  });

  it('of an Epoll: none is made', (world) => {
    const before = descriptors();
    failNext(world.test, 'addon.epoll-set', EMFILE);
    const refused = withCode('LIMIT', { errno: -EMFILE, syscall: 'epoll_create1' });
    assert.throws(() => new Epoll(), refused);
    assert.equal(descriptors(), before);
    new Epoll().close();
    assert.equal(descriptors(), before);
  });

  it('of a place in an Epoll: it is as before', async (world) => {
    const { endpoint, initiator } = await world.pair();
    using epoll = new Epoll<string>();
    epoll.add(initiator.events, 'before');
    const refused = withCode('PROVIDER', { errno: -ENOSPC, syscall: 'epoll_ctl' });
    failNext(world.test, 'addon.epoll-set-ctl', ENOSPC);
    assert.throws(() => epoll.add(endpoint, 'endpoint'), refused);
    failNext(world.test, 'addon.epoll-set-ctl', ENOSPC);
    assert.throws(() => epoll.modify(initiator.events, 'after'), refused);
    assert.equal(epoll.size, 1);
    assert.deepEqual(
      epoll.waitSync(15_000).map(({ data }) => data),
      ['before'],
    );
    epoll.add(endpoint, 'endpoint').modify(initiator.events, 'after');
    assert.deepEqual(
      epoll.waitSync(0).map(({ data }) => data),
      ['after'],
    );
  });

  it('of a place in the loop: the wait says so, and the next one waits', async (world) => {
    const { initiator } = await world.pair();
    using epoll = new Epoll<string>();
    epoll.add(initiator.completionQueue, 'queue');
    failNext(world.test, 'addon.epoll-set-join', ENOSPC);
    await assert.rejects(
      epoll.take(),
      withCode('PROVIDER', { errno: -ENOSPC, syscall: 'epoll_ctl' }),
    );
    const taking = epoll.take();
    initiator.postWrite({ length: 0 });
    assert.equal((await withDeadline(taking, 'the queue'))?.data, 'queue');
  });

  it('interrupted calls are repeated', async (world) => {
    const { initiator } = await world.pair();
    using epoll = new Epoll<string>();
    epoll.add(initiator.completionQueue, 'queue');
    for (const point of ['addon.epoll-set-wait', 'addon.epoll-set-poll', 'rma.eventfd-write']) {
      failNext(world.test, point, EINTR, 3);
      initiator.postWrite({ length: 0 });
      assert.equal(epoll.waitSync(15_000)[0]?.data, 'queue', point);
      while (initiator.completionQueue.poll().length > 0);
    }
    failNext(world.test, 'rma.eventfd-read', EINTR, 3);
    initiator.postWrite({ length: 0 });
    assert.ok(isReadable(initiator.completionQueue.fd, 15_000));
    while (initiator.completionQueue.poll().length > 0);
    assert.equal(isReadable(initiator.completionQueue.fd), false);
  });
});
