// SPDX-License-Identifier: BSD-3-Clause
//
// Who breaks memory protection again and again is let in more and more slowly: its set-ups wait,
// longer each time, and count as pending meanwhile. No other address waits. The figures, forgetting
// and the table's bound are native/test/iwarp_slowed_addresses_test.cc.

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import { Child, type Message } from '../support/child.js';
import { conform } from '../support/conform.js';
import { inNamespace, namespaceRefusal, type Refused } from '../support/namespaces.js';
import { limits } from '../support/native.js';
import type { Slowed } from './programs/namespace-slowed.js';

const offenders = new URL('./programs/namespace-slowed.js', import.meta.url);

conform('slowed addresses', ({ provider, it }) => {
  if (provider !== 'iwarp') return;

  it(
    'an address with protection errors waits before it is let in, and no other does',
    async (world) => {
      const child = Child.start(world.test, offenders, [], { prefix: inNamespace });
      const told = await child.expectAny<Slowed | Refused | Message>(30_000);
      if (told.kind === 'refused') return world.test.skip((told as Refused).reason);
      const slowed = told as Slowed;
      const rounded = slowed.repliesMs.map((each) => Math.round(each));
      world.test.diagnostic(`ms from Request to Reply: ${rounded.join(' ')}`);
      // On a slow machine one step may be forgotten meanwhile: half of the delay then.
      const forgiven = limits.slowedErrorsForgiven + 1;
      for (const [n, repliedMs] of slowed.repliesMs.entries()) {
        if (n < forgiven) continue;
        const leastMs = (limits.slowedStepMs << (n - forgiven)) / 2 - 5;
        assert.ok(repliedMs >= leastMs, `offence ${n + 1} after ${repliedMs} ms`);
      }
      assert.equal(slowed.address, '10.89.0.2');
      assert.equal(slowed.told, slowed.repliesMs.length - forgiven + 2);
    },
    { skip: namespaceRefusal(), timeoutMs: 45_000 },
  );
});
