// SPDX-License-Identifier: BSD-3-Clause
//
// A listener that is refused a descriptor or memory pauses for a tenth of a second, then accepts
// what waited meanwhile.

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { conform } from '../support/conform.js';
import { timed } from '../support/deadline.js';
import { nativeTest } from '../support/native.js';

const { EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNABORTED } = constants.errno;
const pauseMs = 100;

conform('accept', ({ provider, it }) => {
  if (provider !== 'iwarp') return;

  for (const [name, errno] of Object.entries({ EMFILE, ENFILE, ENOBUFS, ENOMEM })) {
    it(`${name} pauses the listener; the pending connection is accepted afterwards`, async (world) => {
      const pair = await world.pair();
      world.after(() => nativeTest().faultClear());
      nativeTest().faultSet('iwarp.accept', 1, 1, errno, 0);
      const { value, elapsedMs } = await timed(world.again(pair));
      assert.ok(elapsedMs > 0.8 * pauseMs, `after ${elapsedMs} ms`);
      assert.ok(elapsedMs < 10 * pauseMs, `after ${elapsedMs} ms`);
      assert.equal(value.target.state, 'established');
      const { elapsedMs: next } = await timed(world.again(pair));
      assert.ok(next < 0.8 * pauseMs, `the next one after ${next} ms`);
    });
  }

  it('as long as it is refused it tries ten times a second, no more', async (world) => {
    const pair = await world.pair();
    const refusals = 4;
    world.after(() => nativeTest().faultClear());
    nativeTest().faultSet('iwarp.accept', 1, refusals, EMFILE, 0);
    const { elapsedMs } = await timed(world.again(pair));
    assert.ok(elapsedMs > 0.8 * refusals * pauseMs, `after ${elapsedMs} ms`);
    // What was refused, then the connection and the end of the backlog.
    assert.equal(nativeTest().faultHits('iwarp.accept'), refusals + 2);
    assert.equal(pair.initiator.state, 'established');
  });

  it('a connection that died in the backlog holds up nobody', async (world) => {
    const pair = await world.pair();
    world.after(() => nativeTest().faultClear());
    nativeTest().faultSet('iwarp.accept', 1, 1, ECONNABORTED, 0);
    const { elapsedMs } = await timed(world.again(pair));
    assert.ok(elapsedMs < 0.8 * pauseMs, `after ${elapsedMs} ms`);
  });
});
