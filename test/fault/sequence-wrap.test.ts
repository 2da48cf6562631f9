// SPDX-License-Identifier: BSD-3-Clause
//
// Message sequence numbers wrap from 2^32 - 1 to 0, on each queue and in both directions. Here both
// sides begin shortly before the wrap; nothing else of a connection differs.

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import { RemoteRegion } from 'rpma';
import { conform } from '../support/conform.js';
import { opcodes, type Segment } from '../support/iwarp.js';
import { nativeTest } from '../support/native.js';
import { modes, nothing, Siege } from '../support/siege.js';
import { tappedPair } from '../support/wiretap.js';
import { remoteUsage, takeAll, type World } from '../support/world.js';

const first = 0xffff_fffd;
const wrapped = [first, 0xffff_fffe, 0xffff_ffff, 0, 1, 2, 3, 4] as const;

function beginBeforeWrap(world: World): void {
  nativeTest().switchSet('iwarp.sequence-before-wrap', true);
  world.after(() => nativeTest().switchSet('iwarp.sequence-before-wrap', false));
}

function sequences(frames: readonly Segment[], queue: number): readonly number[] {
  return frames.filter((each) => !each.tagged && each.queue === queue).map((each) => each.sequence);
}

conform('sequence numbers', ({ provider, it }) => {
  if (provider !== 'iwarp') return;

  it('wrap to 0 on every queue, in both directions', async (world) => {
    beginBeforeWrap(world);
    const on = await tappedPair(world);
    const { initiator, target } = on;
    const count = wrapped.length;
    for (const [from, to] of [
      [initiator, target],
      [target, initiator],
    ] as const) {
      for (let id = 0; id < count; id++) {
        to.postReceive({ length: 0, id });
        from.postSend({ length: 0, id });
        from.postRead({ length: 0, id });
        const done = await takeAll(from.completionQueue, 2);
        assert.ok(done.every((each) => each.ok));
        assert.ok((await takeAll(to.completionQueue, 1))[0]?.ok);
      }
    }
    for (const direction of ['from-initiator', 'from-target'] as const) {
      const frames = on.tap.frames(direction);
      assert.deepEqual(sequences(frames, 0), wrapped, `Sends ${direction}`);
      assert.deepEqual(sequences(frames, 1), wrapped, `requests ${direction}`);
    }
  });

  it('wrap to 0 in answers of the extension', async (world) => {
    beginBeforeWrap(world);
    const on = await tappedPair(world);
    const lent = await on.targetPeer.allocate(64, { usage: remoteUsage });
    const remote = RemoteRegion.fromDescriptor(lent.toDescriptor());
    for (let id = 0; id < wrapped.length; id++) {
      on.initiator.postFlush({ remote, length: 8, type: 'visibility', id });
      assert.ok((await takeAll(on.initiator.completionQueue, 1))[0]?.ok);
    }
    assert.deepEqual(sequences(on.tap.frames('from-initiator'), 1), wrapped);
    assert.deepEqual(sequences(on.tap.frames('from-target'), 3), wrapped);
  });

  it('behind the last one only 0 is right: Terminate 1/2/3', async (world) => {
    const siege = await Siege.open(world);
    beginBeforeWrap(world);
    for (const mode of modes) {
      for (const sequence of [1, 0xffff_ffff, 0x8000_0000]) {
        const receives = [0, 0, 0, 0];
        const victim = await siege.victim(mode, { receives });
        const { forge } = victim;
        const before = [first, 0xffff_fffe, 0xffff_ffff].map((each) => {
          return forge.send(nothing, { sequence: each });
        });
        const fault = forge.send(nothing, { sequence });
        await siege.strike(victim, [...before, fault], { cause: '1/2/3', fault });
      }
      const victim = await siege.victim(mode, { own: () => undefined, ownFrames: 0 });
      const { forge, script } = victim;
      for (const sequence of wrapped) {
        script.write(forge.read(siege.readOnly.descriptor, 1, { sequence }));
        assert.equal((await script.frame()).opcode, opcodes.readResponse);
      }
      script.socket.end();
      await siege.checkEnd(victim, {}, 'closed');
    }
  });
});
