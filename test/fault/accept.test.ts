// SPDX-License-Identifier: BSD-3-Clause
//
// A listener that is refused a descriptor or memory pauses for a tenth of a second, then accepts
// what waited meanwhile.

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { Child } from '../support/child.js';
import { conform, withCode } from '../support/conform.js';
import { lastFor, timed, until, withDeadline } from '../support/deadline.js';
import { limits, nativeTest } from '../support/native.js';
import { Reports } from '../support/strangers.js';
import type { Told } from './programs/few-descriptors.js';
import type { Listening } from './programs/target.js';

const { EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNABORTED } = constants.errno;
const pauseMs = 100;
const fewDescriptors = new URL('./programs/few-descriptors.js', import.meta.url);

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

  it('a pause is told on rpma:error, with what the system said', async (world) => {
    const reports = new Reports(world);
    const pair = await world.pair();
    const before = nativeTest().events()['accept_pauses'] ?? 0;
    world.after(() => nativeTest().faultClear());
    nativeTest().faultSet('iwarp.accept', 1, 1, EMFILE, 0);
    await world.again(pair);
    await until(() => reports.all.length > 0, 'it is told');
    const { kind, endpoint, count, address, error } = reports.newest('accept-paused');
    assert.deepEqual([kind, count, address], ['accept-paused', 1, null]);
    assert.equal(endpoint, pair.endpoint);
    withCode('LIMIT', { scope: 'endpoint', syscall: 'accept4', errno: -EMFILE })(error);
    assert.equal((nativeTest().events()['accept_pauses'] ?? 0) - before, 1);
  });

  it('a process without descriptors says so, and goes on by itself when it has some', async (world) => {
    // Hard and soft: Node raises the soft limit by itself.
    const prefix = ['sh', '-c', 'ulimit -n 80 && exec "$0" "$@"'];
    const child = Child.start(world.test, fewDescriptors, [], { prefix });
    const { port } = await child.expect<Listening>('listening');
    child.send({ kind: 'exhaust' });
    await child.expect('exhausted');
    const peer = await world.peer();
    const dialling = peer.connect('127.0.0.1', port);
    const start = performance.now();
    let pauses = 0;
    while (pauses < 5) {
      const told = await child.expect<Told>('told');
      assert.equal(told.what, 'accept-paused');
      assert.deepEqual([told.code, told.errno], ['ERR_RPMA_LIMIT', -EMFILE]);
      pauses += told.count;
    }
    const elapsedMs = performance.now() - start;
    assert.ok(elapsedMs > 3 * pauseMs, `${pauses} pauses in ${elapsedMs} ms`);
    child.send({ kind: 'free' });
    await withDeadline(dialling, 'the connection that waited in the backlog');
    // Pauses before the descriptors were free may still have been on their way.
    for (let kind = ''; kind !== 'established';) {
      ({ kind } = await child.expectAny(10_000));
      assert.ok(['told', 'freed', 'established'].includes(kind), kind);
    }
  });

  it('pauses are told at most five times a second', async (world) => {
    const reports = new Reports(world);
    const pair = await world.pair();
    world.after(() => nativeTest().faultClear());
    const refusals = 12;
    nativeTest().faultSet('iwarp.accept', 1, refusals, EMFILE, 0);
    const { elapsedMs } = await timed(world.again(pair));
    await until(() => reports.count('accept-paused') === refusals, 'every pause is told');
    await lastFor(limits.reportIntervalMs);
    const messages = reports.of('accept-paused').length;
    assert.ok(messages <= elapsedMs / limits.reportIntervalMs + 2, `${messages} messages`);
  });

  it('a connection that died in the backlog holds up nobody', async (world) => {
    const pair = await world.pair();
    world.after(() => nativeTest().faultClear());
    nativeTest().faultSet('iwarp.accept', 1, 1, ECONNABORTED, 0);
    const { elapsedMs } = await timed(world.again(pair));
    assert.ok(elapsedMs < 0.8 * pauseMs, `after ${elapsedMs} ms`);
  });
});
