// SPDX-License-Identifier: BSD-3-Clause
//
// Order: completions of each queue come in the order of the posts, whatever the operations are.

import assert from 'node:assert/strict';
import { type Completion, type MemoryRegion, type RemoteRegion } from 'rpma';
import { conform } from '../support/conform.js';
import type { SeededRandom } from '../support/random.js';
import { type Pair, takeAll, takeOk, type World } from '../support/world.js';

interface Mix {
  readonly pair: Pair;
  readonly local: MemoryRegion;
  readonly remote: RemoteRegion;
  readonly random: SeededRandom;
}

async function mixed(world: World, seed: number): Promise<Mix> {
  const options = { sendQueueSize: 64, receiveQueueSize: 64 };
  const pair = await world.pair({ initiator: options, target: options });
  const local = await world.local(pair, 1 << 17);
  const file = await world.file(1 << 17);
  const { remote } = await world.lendFile(pair, file);
  return { pair, local, remote, random: world.random(seed) };
}

/** Posts one operation of a random kind and size. */
function postAny(mix: Mix, id: number, completion: 'always' | 'on-error'): string {
  const { local, remote, random } = mix;
  const { initiator } = mix.pair;
  const length = random.pick([0, 1, 8, 100, 5000, 70_000]);
  const options = { id, completion };
  const kind = random.pick(['read', 'write', 'atomic-write', 'flush', 'send'] as const);
  if (kind === 'read') initiator.postRead({ local, remote, length, ...options });
  else if (kind === 'write') initiator.postWrite({ local, remote, length, ...options });
  else if (kind === 'atomic-write') initiator.postAtomicWrite({ remote, value: 5n, ...options });
  else if (kind === 'send') initiator.postSend({ length: 0, ...options });
  else {
    const type = random.pick(['visibility', 'persistent'] as const);
    initiator.postFlush({ remote, length, type, ...options });
  }
  return kind;
}

conform('ordering', ({ it }) => {
  it('a read completes before the write and the send that were posted after it', async (world) => {
    const { pair, local, remote } = await mixed(world, 51);
    pair.target.postReceive({ length: 0 });
    pair.initiator.postRead({ local, remote, length: 1 << 17, id: 1 });
    pair.initiator.postWrite({ length: 0, id: 2 });
    pair.initiator.postSend({ length: 0, id: 3 });
    const done = await takeAll(pair.initiator.completionQueue, 3);
    assert.deepEqual(
      done.map((each) => [each.id, each.operation]),
      [
        [1, 'read'],
        [2, 'write'],
        [3, 'send'],
      ],
    );
  });

  it('a random mix completes in post order, once each, named as posted', async (world) => {
    const mix = await mixed(world, 52);
    const { initiator, target } = mix.pair;
    const kinds: string[] = [];
    const done: Completion[] = [];
    let received = 0;
    while (done.length < 1500) {
      while (kinds.length < 1500 && initiator.sendQueueFree > 0) {
        if (target.receiveQueueFree === 0) break;
        const kind = postAny(mix, kinds.length, 'always');
        if (kind === 'send') target.postReceive({ length: 0, id: kinds.length });
        kinds.push(kind);
      }
      done.push(await takeOk(initiator.completionQueue));
      received += target.completionQueue.poll(64).length;
    }
    assert.deepEqual(
      done.map((each) => [each.id, each.operation]),
      kinds.map((kind, id) => [id, kind]),
    );
    const sends = kinds.filter((kind) => kind === 'send').length;
    await takeAll(target.completionQueue, sends - received);
  });

  it('on-error operations leave no gap in the order of the others', async (world) => {
    const mix = await mixed(world, 53);
    const { initiator, target } = mix.pair;
    const wanted: number[] = [];
    const seen: number[] = [];
    for (let id = 0; id < 1000; id++) {
      while (initiator.sendQueueFree === 0 || target.receiveQueueFree === 0) {
        seen.push((await takeOk(initiator.completionQueue)).id);
        target.completionQueue.poll(64);
      }
      const always = id % 10 === 9 || mix.random.below(4) === 0;
      const kind = postAny(mix, id, always ? 'always' : 'on-error');
      if (kind === 'send') target.postReceive({ length: 0 });
      if (always) wanted.push(id);
      if (seen.length + initiator.sendQueueFree < 32) target.completionQueue.poll(64);
    }
    while (seen.length < wanted.length) seen.push((await takeOk(initiator.completionQueue)).id);
    assert.deepEqual(seen, wanted);
    assert.equal(initiator.completionQueue.tryTake(), null);
  });

  it('a success says that every earlier operation of the connection is done', async (world) => {
    const { pair, local, remote } = await mixed(world, 54);
    for (let round = 0; round < 100; round++) {
      local.bytes.fill(round, 0, 64);
      pair.initiator.postWrite({ local, remote, length: 64, completion: 'on-error' });
      const back = { local, localOffset: 64, remote, length: 64 };
      pair.initiator.postRead({ ...back, completion: 'on-error' });
      pair.initiator.postWrite({ length: 0, id: round });
      assert.equal((await takeOk(pair.initiator.completionQueue)).id, round);
      assert.ok(local.bytes.subarray(64, 128).every((byte) => byte === round));
    }
  });

  it('receives complete in the order of their posts', async (world) => {
    const { pair } = await mixed(world, 55);
    for (let id = 0; id < 64; id++) pair.target.postReceive({ length: 0, id });
    for (let id = 0; id < 64; id++) {
      pair.initiator.postSend({ length: 0, completion: 'on-error' });
    }
    const received = await takeAll(pair.target.completionQueue, 64);
    assert.deepEqual(
      received.map((each) => each.id),
      Array.from({ length: 64 }, (_, id) => id),
    );
  });
});
