// SPDX-License-Identifier: BSD-3-Clause
//
// The bounds of a listener, each at its default and at a small value: pending set-ups, connections,
// requests that nobody fetched. What is over a bound is closed or waits, is counted, and the
// program is told of it, but never more often than five times a second.

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { Endpoint, EndpointLimits, IncomingRequest } from 'rpma';
import { conform, withCode } from '../support/conform.js';
import { lastFor, until, withDeadline } from '../support/deadline.js';
import { encodeSetup, plainSetup } from '../support/iwarp.js';
import { limits, nativeTest } from '../support/native.js';
import { wrongWrite } from '../support/offenders.js';
import { dial, isOpen, Reports } from '../support/strangers.js';
import type { World } from '../support/world.js';

const request = encodeSetup(plainSetup('request'));

async function listening(world: World, bounds?: EndpointLimits): Promise<Endpoint> {
  const peer = await world.peer();
  return peer.listen('127.0.0.1', 0, { limits: bounds });
}

/** One after the other, so that the newest is known. */
async function dialMany(
  world: World,
  { port }: Endpoint,
  count: number,
  first?: Uint8Array,
): Promise<Socket[]> {
  const sockets: Socket[] = [];
  for (let n = 0; n < count; n++) sockets.push(await dial(world, port, first));
  return sockets;
}

function counted(name: string): number {
  const value = { ...nativeTest().counters(), ...nativeTest().events() }[name];
  assert.ok(value !== undefined, name);
  return value;
}

/** Descriptors that this process may have. */
function descriptorsMax(): number {
  const line = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
  return Number(line?.[1] ?? 1024);
}

async function fetched(endpoint: Endpoint): Promise<IncomingRequest> {
  const incoming = await endpoint.take({ timeoutMs: 10_000 });
  assert.ok(incoming !== null, 'a request');
  return incoming;
}

conform('bounds of a listener', ({ provider, it }) => {
  if (provider !== 'iwarp') return;

  for (const [name, bounds, bound] of [
    ['by default', undefined, limits.pendingSetups],
    ['as an option', { pendingSetups: 5 }, 5],
  ] as const) {
    it(`${bound} set-ups are pending at most, ${name}; the newest are closed and counted`, async (world) => {
      const reports = new Reports(world);
      const endpoint = await listening(world, bounds);
      const before = counted('setups_refused');
      const kept = await dialMany(world, endpoint, bound);
      const over = await dialMany(world, endpoint, 20);
      await until(() => !over.some(isOpen), 'the newest are closed', 4000);
      assert.ok(kept.every(isOpen), 'those within the bound stay');
      assert.equal(counted('setups_refused') - before, over.length);
      // A place that becomes free is given to the next.
      kept[0]?.end(request);
      (await fetched(endpoint)).destroy();
      const [next] = await dialMany(world, endpoint, 1, request);
      assert.ok(next !== undefined);
      (await fetched(endpoint)).destroy();
      await until(() => reports.count('setup-refused') === over.length, 'all are told');
      const told = reports.newest('setup-refused');
      assert.equal(told.endpoint, endpoint);
      assert.equal(told.address, '127.0.0.1');
      withCode('LIMIT', { scope: 'endpoint' })(told.error);
      assert.match(told.error.message, /limits\.pendingSetups are pending/);
    });
  }

  for (const [name, bounds, bound] of [
    ['by default', undefined, limits.unfetchedRequests],
    ['as an option', { unfetchedRequests: 3 }, 3],
  ] as const) {
    it(`${bound} requests that nobody fetches, ${name}, stop the listener until one is`, async (world) => {
      const endpoint = await listening(world, bounds);
      const before = counted('requests');
      const more = 40;
      const sockets: Socket[] = [];
      for (let n = 1; n <= bound; n++) {
        sockets.push(await dial(world, endpoint.port, request));
        await until(() => counted('requests') - before === n, 'the request is whole');
      }
      sockets.push(...(await dialMany(world, endpoint, more, request)));
      await lastFor(300); // a listener that accepted would need a fraction of it
      assert.equal(counted('requests') - before, bound, 'it accepts no more');
      assert.ok(sockets.every(isOpen), 'TCP keeps those that came behind');
      for (let n = 0; n < bound + more; n++) (await fetched(endpoint)).destroy();
      assert.equal(endpoint.tryTake(), null);
    });
  }

  /** The bound is reached with requests that were fetched and not answered: they count. */
  const fill = async (world: World, endpoint: Endpoint, bound: number): Promise<void> => {
    const reports = new Reports(world);
    const before = counted('connections_refused');
    const held: IncomingRequest[] = [];
    for (let n = 0; n < bound; n++) {
      const socket = await dial(world, endpoint.port, request);
      held.push(await fetched(endpoint));
      assert.ok(isOpen(socket));
    }
    const over = await dialMany(world, endpoint, 3, request);
    await until(() => !over.some(isOpen), 'the newest are closed', 4000);
    assert.equal(endpoint.tryTake(), null);
    assert.equal(counted('connections_refused') - before, over.length);
    await until(() => reports.count('connection-refused') === over.length, 'all are told');
    assert.match(reports.newest('connection-refused').error.message, /limits\.connections/);
    // An end gives its place back.
    held.pop()?.destroy();
    await dial(world, endpoint.port, request);
    held.push(await fetched(endpoint));
    for (const each of held) each.destroy();
  };

  it('20 connections, as an option: the newest is refused, counted and told', async (world) => {
    await fill(world, await listening(world, { connections: 20 }), 20);
  });

  it(
    `${limits.connections} connections by default: the newest is refused, counted and told`,
    async (world) => {
      // Both ends are in this process, besides its own descriptors.
      const affordable = Math.floor((descriptorsMax() - 200) / 2);
      const bound = Math.min(limits.connections, affordable);
      const isWhole = bound === limits.connections;
      if (!isWhole) world.test.diagnostic(`RLIMIT_NOFILE allows ${bound} only`);
      await fill(
        world,
        await listening(world, isWhole ? undefined : { connections: bound }),
        bound,
      );
    },
    { timeoutMs: 90_000 },
  );

  it('a thousand refusals are told in a few messages, with their count', async (world) => {
    const reports = new Reports(world);
    const endpoint = await listening(world, { pendingSetups: 1 });
    const start = performance.now();
    const [first] = await dialMany(world, endpoint, 1);
    const over = await dialMany(world, endpoint, 1000);
    await until(() => !over.some(isOpen), 'the newest are closed', 4000);
    assert.ok(first !== undefined && isOpen(first));
    await until(() => reports.count('setup-refused') === over.length, 'all are told');
    const spans = (performance.now() - start) / limits.reportIntervalMs;
    const messages = reports.of('setup-refused').length;
    world.test.diagnostic(`${messages} messages in ${spans.toFixed(1)} intervals`);
    assert.ok(messages <= spans + 2, `${messages} messages in ${spans} intervals`);
    await lastFor(2 * limits.reportIntervalMs);
    assert.equal(reports.of('setup-refused').length, messages, 'nothing is told twice');
  });

  it('a subscriber that comes late misses what nobody listened to, and nothing later', async (world) => {
    const endpoint = await listening(world, { pendingSetups: 1 });
    await dialMany(world, endpoint, 1);
    const before = counted('setups_refused');
    await dial(world, endpoint.port);
    await until(() => counted('setups_refused') > before, 'the first refusal');
    await lastFor(2 * limits.reportIntervalMs);
    const reports = new Reports(world);
    await dial(world, endpoint.port);
    await until(() => reports.all.length > 0, 'the second is told');
    assert.equal(reports.newest('setup-refused').count, 1);
  });

  it(`the last moments of ${limits.lingeringSockets} rejected sockets are awaited, for a second`, async (world) => {
    const endpoint = await listening(world);
    const before = counted('sockets');
    const more = 40;
    const sockets: Socket[] = [];
    const held: IncomingRequest[] = [];
    for (let n = 0; n < limits.lingeringSockets + more; n++) {
      sockets.push(await dial(world, endpoint.port, request, '127.0.0.1', true));
      held.push(await fetched(endpoint));
    }
    // They hear the rejection and stay all the same: whoever is over the bound is not waited for.
    const replies = sockets.map((socket) => once(socket, 'data'));
    const start = performance.now();
    for (const each of held) each.reject();
    const ended: number[] = [];
    for (const [n, socket] of sockets.entries()) socket.once('end', () => void ended.push(n));
    await until(() => ended.length >= more, 'the newest end');
    const first = ended.slice(0, more);
    assert.ok(Math.min(...first) >= limits.lingeringSockets, `${first.join(' ')} end first`);
    await withDeadline(Promise.all(replies), 'every rejection arrives');
    await until(() => counted('sockets') === before, 'none is left');
    const elapsedMs = performance.now() - start;
    assert.ok(elapsedMs > 0.8 * limits.rejectLingerMs, `after ${elapsedMs} ms`);
  });

  it('protection errors from loopback slow nobody', async (world) => {
    const endpoint = await listening(world);
    const delayed = counted('setups_delayed');
    const errors = counted('protection_errors');
    for (let n = 1; n <= 20; n++) {
      await wrongWrite(world.test, endpoint);
      await until(() => counted('protection_errors') - errors === n, 'it is counted');
    }
    assert.equal(counted('setups_delayed'), delayed);
  });
});
