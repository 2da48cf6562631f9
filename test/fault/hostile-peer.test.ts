// SPDX-License-Identifier: BSD-3-Clause
//
// An accepted peer that breaks the rules: every wrong frame ends its own connection with the
// Terminate that the standards name, places no byte, and leaves everybody else alone.

import assert from 'node:assert/strict';
import { type MemoryRegion, MemoryUsage } from 'rpma';
import { conform } from '../support/conform.js';
import { withDeadline } from '../support/deadline.js';
import {
  encodeSetup,
  opcodes,
  plainSetup,
  readRequestBody,
  setupFlags,
  taggedFrame,
  untaggedFrame,
} from '../support/iwarp.js';
import { type Descriptor, descriptorOf, ScriptedPeer } from '../support/scripted-peer.js';
import { type Pair, remoteUsage, takeOk, type World } from '../support/world.js';

interface Ground {
  readonly pair: Pair;
  readonly region: MemoryRegion;
  readonly lent: Descriptor;
  readonly readOnly: Descriptor;
}

/** A target with a well-behaved connection, memory, and room for strangers. */
async function ground(world: World): Promise<Ground> {
  const pair = await world.pair();
  const region = await pair.targetPeer.allocate(4096, { usage: remoteUsage });
  const readOnly = await pair.targetPeer.allocate(4096, { usage: MemoryUsage.ReadSource });
  return { pair, region, lent: descriptorOf(region), readOnly: descriptorOf(readOnly) };
}

async function stranger(world: World, on: Ground, crc: boolean = false) {
  const script = await ScriptedPeer.dial(world.test, on.pair.endpoint.port);
  const flags = setupFlags.enhanced | (crc ? setupFlags.crc : 0);
  script.write(encodeSetup({ ...plainSetup('request'), flags }));
  const request = await on.pair.endpoint.take({ timeoutMs: 5000 });
  assert.ok(request !== null);
  for (let id = 0; id < 4; id++) request.postReceive({ length: 0, id });
  const connection = request.accept({});
  await script.setup();
  return { script, connection };
}

const bytes = (length: number): Uint8Array => new Uint8Array(length).fill(0xbd);

function sendFrame(fields: Partial<{ queue: number; sequence: number; messageOffset: number }>) {
  return untaggedFrame(opcodes.send, { queue: 0, sequence: 1, ...fields }, new Uint8Array(0));
}

function readFrame(from: Descriptor, lengthBytes: number, sequence: number = 1): Uint8Array {
  const body = readRequestBody({
    sinkStag: 1,
    sinkOffset: 0n,
    lengthBytes,
    sourceStag: from.stag,
    sourceOffset: from.base,
  });
  return untaggedFrame(opcodes.readRequest, { queue: 1, sequence }, body);
}

type Attack = (on: Ground) => Uint8Array[];

/** By the Terminate that must answer (layer/type/code): several where there is a choice. */
const attacks: readonly (readonly [string, readonly string[], Attack])[] = [
  [
    'a write with an unknown tag',
    ['1/1/0'],
    ({ lent }) => [taggedFrame(opcodes.write, lent.stag ^ 0x100, lent.base, bytes(8))],
  ],
  [
    'a write with a wrong key byte',
    ['1/1/0'],
    ({ lent }) => [taggedFrame(opcodes.write, lent.stag ^ 1, lent.base, bytes(8))],
  ],
  [
    'a write one byte before the region',
    ['1/1/1'],
    ({ lent }) => [taggedFrame(opcodes.write, lent.stag, lent.base - 1n, bytes(8))],
  ],
  [
    'a write one byte beyond the region',
    ['1/1/1'],
    ({ lent }) => [taggedFrame(opcodes.write, lent.stag, lent.base + 4089n, bytes(8))],
  ],
  [
    'a write whose range wraps',
    ['1/1/3', '1/1/1'],
    ({ lent }) => [taggedFrame(opcodes.write, lent.stag, 2n ** 64n - 4n, bytes(8))],
  ],
  [
    'a write without the right',
    ['1/1/0', '0/1/2'],
    ({ readOnly }) => [taggedFrame(opcodes.write, readOnly.stag, readOnly.base, bytes(8))],
  ],
  [
    'a write whose second segment does not continue the first',
    ['1/1/1'],
    ({ lent }) => [
      taggedFrame(opcodes.write, lent.stag, lent.base, bytes(8), { last: false }),
      taggedFrame(opcodes.write, lent.stag, lent.base + 100n, bytes(8)),
    ],
  ],
  [
    'an empty segment that is not the last',
    ['1/1/1', '0/2/6'],
    ({ lent }) => [taggedFrame(opcodes.write, lent.stag, lent.base, bytes(0), { last: false })],
  ],
  ['a read with an unknown tag', ['0/1/0'], ({ lent }) => [readFrame({ ...lent, stag: 77 }, 8)]],
  [
    'a read beyond the region',
    ['0/1/1'],
    ({ lent }) => [readFrame({ ...lent, base: lent.base + 4090n }, 8)],
  ],
  [
    'a read whose range wraps',
    ['0/1/4', '0/1/1'],
    ({ lent }) => [readFrame({ ...lent, base: 2n ** 64n - 4n }, 8)],
  ],
  ['a read of a wrong sequence', ['1/2/3'], ({ lent }) => [readFrame(lent, 8, 2)]],
  [
    'a read request on another queue',
    ['1/2/1'],
    ({ lent }) => [
      untaggedFrame(
        opcodes.readRequest,
        { queue: 0, sequence: 1 },
        readFrame(lent, 8).slice(20, 48),
      ),
    ],
  ],
  [
    'a read response to nothing',
    ['1/0/0', '0/2/6', '1/1/0'],
    ({ lent }) => [taggedFrame(opcodes.readResponse, lent.stag, lent.base, bytes(8))],
  ],
  ['a send on an unknown queue', ['1/2/1'], () => [sendFrame({ queue: 3 })]],
  ['a send of a wrong sequence', ['1/2/3'], () => [sendFrame({ sequence: 9 })]],
  ['a send that does not begin at 0', ['1/2/4'], () => [sendFrame({ messageOffset: 4 })]],
  [
    'a send longer than its receive',
    ['1/2/5'],
    () => [untaggedFrame(opcodes.send, { queue: 0, sequence: 1 }, bytes(1))],
  ],
  [
    'a send with invalidate',
    ['0/1/9'],
    ({ lent }) => [
      untaggedFrame(
        opcodes.sendInvalidate,
        { queue: 0, sequence: 1, invalidateStag: lent.stag },
        new Uint8Array(0),
      ),
    ],
  ],
  [
    'an opcode of the extension without an agreement',
    ['0/2/6'],
    () => [untaggedFrame(opcodes.extension, { queue: 1, sequence: 1 }, bytes(32))],
  ],
  [
    'an unassigned opcode',
    ['0/2/6'],
    () => [untaggedFrame(0xc, { queue: 0, sequence: 1 }, bytes(8))],
  ],
  [
    'a write that says it is untagged',
    ['0/2/6'],
    () => [untaggedFrame(opcodes.write, { queue: 0, sequence: 1 }, bytes(8))],
  ],
  [
    'another version of DDP',
    ['1/1/4'],
    ({ lent }) => [
      taggedFrame(opcodes.write, lent.stag, lent.base, bytes(8), { control: [0xc2, 0x40] }),
    ],
  ],
  [
    'another version of RDMAP',
    ['0/2/5'],
    ({ lent }) => [
      taggedFrame(opcodes.write, lent.stag, lent.base, bytes(8), { control: [0xc1, 0x00] }),
    ],
  ],
  [
    'a frame shorter than its header',
    ['2/0/3'],
    () => [Uint8Array.from([0, 5, 0xc1, 0x40, 0, 0, 0, 0, 0, 0, 0, 0])],
  ],
];

conform('hostile peer', ({ provider, it }) => {
  if (provider !== 'iwarp') return;

  for (const [name, causes, attack] of attacks) {
    it(`${name} is answered by Terminate ${causes.join(' or ')}`, async (world) => {
      const on = await ground(world);
      const { script, connection } = await stranger(world, on);
      const harmless = taggedFrame(opcodes.write, 1, 0n, new Uint8Array(0));
      script.write(harmless, ...attack(on));
      const cause = await script.terminate();
      assert.ok(causes.includes(cause), `Terminate ${cause}`);
      script.socket.end();
      await script.ended();
      await withDeadline(connection.whenClosed(), 'the end of that connection');
      const placed = name.includes('second segment')
        ? on.region.bytes.subarray(8)
        : on.region.bytes;
      assert.ok(
        placed.every((byte) => byte === 0),
        'nothing was placed',
      );
      on.pair.initiator.postWrite({ length: 0, id: 1 });
      on.pair.initiator.postRead({ length: 0, id: 2 });
      assert.equal((await takeOk(on.pair.initiator.completionQueue)).id, 1);
      assert.equal((await takeOk(on.pair.initiator.completionQueue)).id, 2);
    });
  }

  it('a first frame that is wrong gets its Terminate too', async (world) => {
    const on = await ground(world);
    const { script } = await stranger(world, on);
    script.write(untaggedFrame(0xc, { queue: 0, sequence: 1 }, bytes(8)));
    assert.equal(await script.terminate(), '0/2/6');
  });

  it('a damaged frame under CRC is answered by Terminate 2/0/2, and not placed', async (world) => {
    const on = await ground(world);
    const { script } = await stranger(world, on, true);
    const frame = taggedFrame(opcodes.write, on.lent.stag, on.lent.base, bytes(64), { crc: true });
    frame[30] = (frame[30] ?? 0) ^ 1;
    const whole = taggedFrame(opcodes.write, 1, 0n, new Uint8Array(0), { crc: true });
    script.write(whole, frame);
    assert.equal(await script.terminate(), '2/0/2');
    assert.ok(on.region.bytes.every((byte) => byte === 0));
  });

  it('more reads than were agreed on are answered by Terminate', async (world) => {
    const on = await ground(world);
    const size = 1 << 20;
    const large = await on.pair.targetPeer.allocate(size, { usage: remoteUsage });
    const { script, connection } = await stranger(world, on);
    script.socket.pause(); // the answers pile up over there
    const reads = Array.from({ length: 40 }, (_, n) => readFrame(descriptorOf(large), size, n + 1));
    script.write(...reads);
    await withDeadline(connection.whenClosed(), 'the end of that connection');
    script.socket.resume();
    const cause = await script.terminate();
    assert.ok(['1/2/2', '0/2/7'].includes(cause), `Terminate ${cause}`);
  });

  it('the end of the stream inside a frame loses the connection', async (world) => {
    const on = await ground(world);
    const { script, connection } = await stranger(world, on);
    const frame = taggedFrame(opcodes.write, on.lent.stag, on.lent.base, bytes(64));
    script.write(sendFrame({}), frame.subarray(0, 40));
    await takeOk(connection.completionQueue);
    script.socket.end();
    const end = await withDeadline(connection.whenClosed(), 'the end');
    assert.equal(end.type, 'lost');
  });

  it('frames cut anywhere arrive whole', async (world) => {
    const on = await ground(world);
    const { script } = await stranger(world, on);
    for (const byte of taggedFrame(opcodes.write, on.lent.stag, on.lent.base, bytes(40))) {
      script.write(Uint8Array.of(byte));
    }
    assert.deepEqual(await script.read(on.lent, 0, 41), Uint8Array.from([...bytes(40), 0]));
  });

  it('random bytes in place of frames end that connection alone', async (world) => {
    const on = await ground(world);
    const random = world.random(91);
    for (let round = 0; round < 60; round++) {
      const { script, connection } = await stranger(world, on);
      script.write(random.bytes(random.between(20, 3000)));
      script.socket.end();
      await withDeadline(connection.whenClosed(), 'the end of that connection');
      assert.ok(on.region.bytes.every((byte) => byte === 0));
    }
    on.pair.initiator.postRead({ length: 0, id: 3 });
    assert.equal((await takeOk(on.pair.initiator.completionQueue)).id, 3);
  });
});
