// SPDX-License-Identifier: BSD-3-Clause
//
// A host that vanishes: no FIN, no RST, just silence. What is outstanding ends within one and a
// half times deadPeerTimeoutMs. A living peer whose window is closed is no dead one.

import assert from 'node:assert/strict';
import { Child, type Message } from '../support/child.js';
import { conform } from '../support/conform.js';
import { lastFor, until } from '../support/deadline.js';
import { inNamespace, namespaceRefusal, type Refused } from '../support/namespaces.js';
import { localUsage, takeOk } from '../support/world.js';
import type { Outcome } from './programs/namespace-host.js';

const program = new URL('./programs/namespace-host.js', import.meta.url);

conform('vanished host', ({ provider, it }) => {
  const skip = provider === 'iwarp' ? namespaceRefusal() : 'the cable is a TCP one';
  const deadPeerTimeoutMs = 2000;

  for (const load of ['busy', 'idle'] as const) {
    it(
      `everything outstanding ends in time (${load})`,
      async (world) => {
        const args = [String(deadPeerTimeoutMs), load];
        const env = { RPMA_PROVIDER: provider };
        const host = Child.start(world.test, program, args, { prefix: inNamespace, env });
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
        const [oldest, ...later] = outcome.failures;
        assert.equal(oldest, load === 'busy' ? 'retry' : undefined, 'the oldest has the cause');
        assert.ok(
          later.every((status) => status === 'flushed'),
          later.join(),
        );
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
      const count = 60; // MiB: more than the kernel buffers of both ends hold
      for (let id = 0; id < count; id++) pair.initiator.postSend({ local, length: 1 << 20, id });
      await lastFor(500);
      const queue = pair.initiator.completionQueue;
      const sent = queue.poll(64).length;
      assert.ok(sent < count, `${sent} of ${count} sends are in the buffers between`);
      await lastFor(3 * bound + 200);
      assert.equal(pair.initiator.state, 'established');
      assert.equal(pair.target.state, 'established');
      assert.equal(queue.poll(64).length, 0, 'nothing moved all that time');
      for (let n = 0; n < count; n++) {
        await until(() => pair.target.receiveQueueFree > 0, 'a free receive');
        pair.target.postReceive({ local: box, length: 1 << 20, id: n });
        assert.equal((await takeOk(pair.target.completionQueue)).id, n);
      }
      for (let id = sent; id < count; id++) assert.equal((await takeOk(queue)).id, id);
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
