// SPDX-License-Identifier: BSD-3-Clause
//
// A host that vanishes: no FIN, no RST, just silence. What is outstanding ends within one and a
// half times deadPeerTimeoutMs. A living peer whose window is closed is no dead one.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { Child, type Message } from '../support/child.js';
import { conform } from '../support/conform.js';
import { lastFor, until } from '../support/deadline.js';
import { localUsage, takeOk } from '../support/world.js';
import type { Outcome, Refused } from './programs/namespace-host.js';

const program = new URL('./programs/namespace-host.js', import.meta.url);
const isRoot = process.getuid?.() === 0;
const unshare = isRoot ? ['unshare', '-n'] : ['unshare', '-Urn'];

/** Why this machine cannot make network namespaces, or false. */
function refusal(): string | false {
  for (const tool of ['ip', 'nsenter', 'unshare']) {
    if (spawnSync(tool, ['-V']).error !== undefined) return `no ${tool} (iproute2, util-linux)`;
  }
  const [command = 'unshare', ...args] = unshare;
  const tried = spawnSync(command, [...args, 'ip', 'link', 'set', 'lo', 'up']);
  if (tried.status !== 0) return `no network namespaces: ${tried.stderr.toString().trim()}`;
  return false;
}

conform('vanished host', ({ provider, it }) => {
  const skip = provider === 'iwarp' ? refusal() : 'the cable is a TCP one';
  const deadPeerTimeoutMs = 2000;

  for (const load of ['busy', 'idle'] as const) {
    it(
      `everything outstanding ends in time (${load})`,
      async (world) => {
        const args = [String(deadPeerTimeoutMs), load];
        const env = { RPMA_PROVIDER: provider };
        const host = Child.start(world.test, program, args, { prefix: unshare, env });
        const told = await host.expectAny<Outcome | Refused | Message>(40_000);
        if (told.kind === 'refused') {
          world.test.skip((told as Refused).reason);
          return;
        }
        assert.equal(told.kind, 'outcome');
        const outcome = told as Outcome;
        const bound = 1.5 * deadPeerTimeoutMs;
        assert.ok(outcome.endMs <= bound, `the initiator's end came after ${outcome.endMs} ms`);
        assert.ok(outcome.targetMs <= bound, `the target's end came after ${outcome.targetMs} ms`);
        assert.equal(outcome.type, 'lost');
        assert.equal(outcome.targetType, 'lost');
        assert.equal(outcome.ids.length, outcome.posted);
        assert.equal(new Set(outcome.ids).size, outcome.posted);
      },
      { skip, timeoutMs: 60_000 },
    );
  }

  it(
    'a full parking space outlives three times the bound',
    async (world) => {
      const bound = 1000;
      const options = { deadPeerTimeoutMs: bound, sendQueueSize: 64, receiveQueueSize: 64 };
      const pair = await world.pair({ initiator: options, target: options });
      const local = await world.local(pair, 1 << 20);
      const box = await pair.targetPeer.allocate(1 << 20, { usage: localUsage });
      for (let id = 0; id < 40; id++) pair.initiator.postSend({ local, length: 1 << 20, id });
      const start = performance.now();
      await lastFor(3 * bound + 200);
      assert.ok(performance.now() - start >= 3 * bound);
      assert.equal(pair.initiator.state, 'established');
      assert.equal(pair.target.state, 'established');
      assert.ok(pair.initiator.sendQueueFree < 64, 'sends are held back');
      for (let n = 0; n < 40; n++) {
        await until(() => pair.target.receiveQueueFree > 0, 'a free receive');
        pair.target.postReceive({ local: box, length: 1 << 20, id: n });
        assert.equal((await takeOk(pair.target.completionQueue)).id, n);
      }
    },
    { timeoutMs: 60_000 },
  );

  it(
    'an idle connection outlives the bound many times',
    async (world) => {
      const options = { deadPeerTimeoutMs: 500 };
      const pair = await world.pair({ initiator: options, target: options });
      await lastFor(2500);
      pair.initiator.postWrite({ length: 0, id: 1 });
      assert.equal((await takeOk(pair.initiator.completionQueue)).id, 1);
      assert.equal(pair.target.state, 'established');
    },
    { timeoutMs: 30_000 },
  );
});
