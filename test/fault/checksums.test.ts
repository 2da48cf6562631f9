// SPDX-License-Identifier: BSD-3-Clause
//
// Checksums between our own kind, seen from the wire between the two ends: on unless either side
// turned them off, in both directions, and a damaged frame ends the connection before a byte of it
// is placed.

import assert from 'node:assert/strict';
import { RemoteRegion } from 'rpma';
import { conform } from '../support/conform.js';
import { withDeadline } from '../support/deadline.js';
import { opcodes, type Segment, terminateCause } from '../support/iwarp.js';
import { type Direction, type Tapped, tappedPair } from '../support/wiretap.js';
import { localUsage, remoteUsage, takeAll, takeOk, type World } from '../support/world.js';

const sizeBytes = 300_000; // several of the largest frames
const directions: readonly Direction[] = ['from-initiator', 'from-target'];

async function memories(on: Tapped) {
  const local = await on.initiatorPeer.allocate(sizeBytes, { usage: localUsage });
  const lent = await on.targetPeer.allocate(sizeBytes, { usage: remoteUsage });
  return { local, lent, remote: RemoteRegion.fromDescriptor(lent.toDescriptor()) };
}

/** Every kind of frame in both directions; gives all that passed, the hello and answers too. */
async function traffic(world: World, on: Tapped): Promise<readonly Segment[]> {
  const { local, lent, remote } = await memories(on);
  const bytes = world.random(61).fill(local.bytes).slice();
  on.target.postReceive({ length: 0, id: 1 });
  on.initiator.postReceive({ length: 0, id: 2 });
  on.initiator.postWrite({ local, remote, length: sizeBytes, id: 3 });
  on.initiator.postFlush({ remote, length: sizeBytes, type: 'visibility', id: 4 });
  await takeAll(on.initiator.completionQueue, 2);
  assert.equal(Buffer.compare(lent.bytes, bytes), 0, 'all of it arrived');
  local.bytes.fill(0);
  on.initiator.postRead({ local, remote, length: sizeBytes, id: 5 });
  await takeOk(on.initiator.completionQueue);
  assert.equal(Buffer.compare(local.bytes, bytes), 0, 'and came back');
  on.initiator.postAtomicWrite({ remote, value: 7n, id: 6 });
  on.initiator.postSend({ length: 0, id: 7 });
  on.target.postSend({ length: 0, id: 8 });
  const done = await takeAll(on.initiator.completionQueue, 3);
  assert.ok(done.every((each) => each.ok));
  await takeAll(on.target.completionQueue, 2);
  const frames = directions.flatMap((direction) => on.tap.frames(direction));
  const seen = new Set(frames.map((each) => each.opcode));
  const { write, readRequest, readResponse, send, extension } = opcodes;
  for (const opcode of [write, readRequest, readResponse, send, extension]) {
    assert.ok(seen.has(opcode), `a frame of opcode ${opcode}`);
  }
  return frames;
}

conform('checksums between our own kind', ({ provider, it }) => {
  if (provider !== 'iwarp') return;

  it('are right in every frame of both directions by default', async (world) => {
    const frames = await traffic(world, await tappedPair(world));
    for (const { opcode, crcField, crcIsRight } of frames) {
      assert.notEqual(crcField, 0, `a checksum in opcode ${opcode}`);
      assert.ok(crcIsRight, `the checksum of opcode ${opcode}`);
    }
  });

  for (const side of ['initiator', 'target'] as const) {
    it(`are zero when the ${side} turned them off`, async (world) => {
      const frames = await traffic(world, await tappedPair(world, { [side]: { crc: false } }));
      for (const { opcode, crcField } of frames) {
        assert.equal(crcField, 0, `no checksum in opcode ${opcode}`);
      }
    });
  }

  for (const length of [64, 65_000]) {
    it(`a Write of ${length} bytes with one wrong bit ends the connection and is not placed`, async (world) => {
      const on = await tappedPair(world);
      const { local, lent, remote } = await memories(on);
      local.bytes.fill(0xff);
      on.tap.tamper = (direction, { opcode }, bytes) => {
        if (direction !== 'from-initiator' || opcode !== opcodes.write) return;
        bytes[40] = (bytes[40] ?? 0) ^ 0x10;
      };
      on.initiator.postWrite({ local, remote, length, id: 1 });
      on.initiator.postFlush({ remote, length, type: 'visibility', id: 2 });
      const done = await takeAll(on.initiator.completionQueue, 2);
      assert.equal(done[1]?.ok, false);
      const ends = Promise.all([on.initiator.whenClosed(), on.target.whenClosed()]);
      const types = (await withDeadline(ends, 'the end')).map((each) => each.type);
      assert.deepEqual(types, ['lost', 'lost']);
      assert.ok(
        lent.bytes.every((byte) => byte === 0),
        'not a byte of it is placed',
      );
      const last = on.tap.frames('from-target').at(-1);
      assert.ok(last !== undefined);
      assert.equal(terminateCause(last), '2/0/2');
      assert.equal(on.targetPeer.statistics()['checksumErrors'], 1);
    });
  }

  it('a Read Response with one wrong bit fails the read and is not placed', async (world) => {
    const on = await tappedPair(world);
    const { local, lent, remote } = await memories(on);
    lent.bytes.fill(0xee);
    on.initiator.postRead({ local, remote, length: 512, id: 1 });
    await takeOk(on.initiator.completionQueue);
    local.bytes.fill(0);
    on.tap.tamper = (_direction, { opcode }, bytes) => {
      if (opcode === opcodes.readResponse) bytes[40] = (bytes[40] ?? 0) ^ 0x10;
    };
    on.initiator.postRead({ local, remote, length: 512, id: 2 });
    const [refused] = await takeAll(on.initiator.completionQueue, 1);
    assert.equal(refused?.ok, false);
    assert.equal((await withDeadline(on.initiator.whenClosed(), 'the end')).type, 'lost');
    assert.ok(
      local.bytes.every((byte) => byte === 0),
      'not a byte of it is placed',
    );
  });
});
