// SPDX-License-Identifier: BSD-3-Clause
//
// 1,000 connections at once to one server process on one JavaScript thread, each with a write, a
// flush and a ping-pong, every byte looked at and no failure; in both tiers. Client and server are
// processes of their own. Time, memory and descriptors are printed, not judged, but for what must
// be given back.

import assert from 'node:assert/strict';
import { Child } from '../support/child.js';
import { conform } from '../support/conform.js';
import { withDeadline } from '../support/deadline.js';
import type { World } from '../support/world.js';
import {
  type Closed,
  type Connected,
  type Count,
  descriptorLimit,
  type Held,
  type Ready,
  type Tier,
  type Worked,
} from './programs/crowd.js';

const connections = 1000;
const rounds = 3;
const deadlineMs = 60_000;

const shown = ({ rssMiB, descriptors, threads }: Held): string =>
  `${rssMiB} MiB, ${descriptors} descriptors, ${threads} threads`;

async function withThousand(world: World, provider: string, tier: Tier): Promise<void> {
  const { test } = world;
  const limit = descriptorLimit();
  if (limit < connections + 100) {
    test.skip(
      `a process may open ${limit} files here, and ${connections} connections need ` +
        `${connections + 100}: raise the limit (ulimit -Hn)`,
    );
    return;
  }
  const program = (name: string): URL => new URL(`./programs/crowd-${name}.js`, import.meta.url);
  const server = Child.start(test, program('server'), [provider, tier, `${connections}`]);
  const { port } = await server.expect<Ready>('ready');
  const ask = async (): Promise<Count> => {
    server.send({ kind: 'count' });
    return server.expect<Count>('count');
  };
  const before = await ask();
  const client = Child.start(test, program('client'), [
    provider,
    tier,
    ...[connections, rounds, port].map(String),
  ]);
  const connected = await client.expect<Connected>('connected', deadlineMs);
  const full = await ask();
  test.diagnostic(`${tier}: connected in ${connected.ms} ms`);
  test.diagnostic(`server before: ${shown(before)}; with ${connections}: ${shown(full)}`);
  test.diagnostic(`client with ${connections}: ${shown(connected)}`);

  client.send({ kind: 'work' });
  const worked = await client.expect<Worked>('worked', deadlineMs);
  const each = (worked.ms * 1000) / (connections * rounds);
  test.diagnostic(
    `write + flush + ping-pong on each, ${rounds} rounds: ${worked.ms} ms, ${each.toFixed(0)} us each`,
  );
  const after = await ask();
  assert.deepEqual([worked.wrong, after.wrong], [[], []]);
  assert.deepEqual([worked.answers, after.echoes], [connections * rounds, connections * rounds]);
  assert.deepEqual([after.established, after.ended], [connections, {}]);
  assert.equal(after.threads, before.threads, 'a connection costs no thread');
  assert.ok(after.descriptors - before.descriptors <= connections + 10, shown(after));

  client.send({ kind: 'close' });
  const closed = await client.expect<Closed>('closed', deadlineMs);
  let last = await ask();
  const end = performance.now() + deadlineMs;
  while ((last.ended['closed'] ?? 0) < connections && performance.now() < end) last = await ask();
  test.diagnostic(`closed in ${closed.ms} ms; server after: ${shown(last)}`);
  assert.deepEqual([last.ended, last.wrong], [{ closed: connections }, []]);
  assert.ok(last.descriptors <= before.descriptors + 1, `${shown(before)}, later ${shown(last)}`);
  for (const child of [client, server]) {
    child.process.stdin?.end();
    const { code, signal } = await withDeadline(child.ended, 'the end of a process');
    assert.deepEqual([code, signal], [0, null], child.stderr);
  }
}

conform('a thousand connections', ({ provider, it }) => {
  for (const tier of ['verbs', 'promise'] as const) {
    it(
      `each writes, flushes and plays ping-pong in the ${tier} tier`,
      (world) => withThousand(world, provider, tier),
      { timeoutMs: 3 * deadlineMs },
    );
  }
});
