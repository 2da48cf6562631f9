// SPDX-License-Identifier: BSD-3-Clause
//
// Frames that are strange and right: they must be taken as the standards say. Segments of every
// size, reserved bits, pads and unchecked fields that are not zero, tagged messages inside untagged
// ones, frames without bytes, and the last byte of everything that was granted.

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import { conform } from '../support/conform.js';
import { opcodes } from '../support/iwarp.js';
import type { Descriptor } from '../support/scripted-peer.js';
import {
  alive,
  modeName,
  modes,
  nothing,
  nothingLeft,
  outcomes,
  Siege,
  type Victim,
  type VictimOptions,
} from '../support/siege.js';

const bytes = (length: number, value = 0xbd): Uint8Array => new Uint8Array(length).fill(value);
const more = { last: false } as const;
const silent: VictimOptions = { own: () => undefined, ownFrames: 0 };
const nowhere: Descriptor = { base: 0xdead_0000n, lengthBytes: 0n, stag: 0x1234_5678, usage: 0 };

let baseline = '';

/** In every mode: sends, then reads a byte, whose answer says that all before it was taken. */
async function taken(
  siege: Siege,
  options: VictimOptions,
  send: (victim: Victim) => readonly Uint8Array[],
  then: (victim: Victim) => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  for (const mode of modes) {
    const victim = await siege.victim(mode, { ...silent, ...options });
    const { script, connection } = victim;
    script.write(...send(victim));
    const { descriptor } = siege.readOnly;
    assert.deepEqual([...(await script.read(descriptor, 0, 1))], [0xa5], modeName(mode));
    assert.equal(connection.state, 'established');
    await then(victim);
    siege.arena.check(modeName(mode));
    script.socket.end();
    await siege.checkEnd(victim, {}, 'closed');
  }
}

conform('unusual frames', ({ provider, it }) => {
  if (provider !== 'iwarp') return;

  it('what an environment keeps for its life is there', async (world) => {
    await (await Siege.open(world)).stillServes();
    await world.end();
    baseline = alive();
  });

  it('a Write that fills its region, and one byte at both ends', async (world) => {
    const siege = await Siege.open(world);
    const { descriptor, length } = siege.writeOnly;
    await taken(siege, {}, ({ forge }) => {
      siege.granted(siege.writeOnly, 0, bytes(length, 1));
      siege.granted(siege.writeOnly, 0, bytes(1, 2));
      siege.granted(siege.writeOnly, length - 1, bytes(1, 3));
      return [
        forge.write(descriptor, 0, bytes(length, 1)),
        forge.write(descriptor, 0, bytes(1, 2)),
        forge.write(descriptor, length - 1, bytes(1, 3)),
      ];
    });
  });

  it('a Write of nothing, wherever it says it goes', async (world) => {
    const siege = await Siege.open(world);
    await taken(siege, {}, ({ forge }) => [
      forge.write(nowhere, 0, nothing),
      forge.tagged(opcodes.write, 0, 2n ** 64n - 1n, nothing),
      forge.write(siege.readOnly.descriptor, 5000, nothing),
    ]);
  });

  it('a Read of nothing, wherever it says it comes from', async (world) => {
    const siege = await Siege.open(world);
    for (const mode of modes) {
      const { script, forge } = await siege.victim(mode, silent);
      script.write(forge.read(nowhere, 0, { sinkOffset: 2n ** 64n - 1n }));
      const answer = await script.frame();
      assert.deepEqual([answer.opcode, answer.payload.length], [opcodes.readResponse, 0]);
      assert.deepEqual(
        [answer.stag, answer.taggedOffset, answer.last],
        [0x51, 2n ** 64n - 1n, true],
      );
      script.socket.end();
    }
  });

  it('reserved bits in the control bytes say nothing', async (world) => {
    const siege = await Siege.open(world);
    await taken(
      siege,
      {},
      ({ forge }) => {
        siege.granted(siege.lent, 0, bytes(8));
        siege.granted(siege.sink, 32_768, bytes(4));
        return [
          forge.write(siege.lent.descriptor, 0, bytes(8), { control: [0xc1 | 0x3c, 0x40 | 0x30] }),
          forge.send(bytes(4), {}, { control: [0x41 | 0x3c, 0x43 | 0x30] }),
        ];
      },
      async (victim) => {
        assert.equal((await outcomes(victim, 1))[0]?.length, 4);
      },
    );
  });

  it('a checksum that was not agreed on, and pads that are not zero', async (world) => {
    const siege = await Siege.open(world);
    const victim = await siege.victim({ crc: false, extended: false }, silent);
    const { script, forge } = victim;
    for (const length of [1, 2, 3, 4, 5, 6, 7, 8, 9]) {
      const frame = Uint8Array.from(forge.write(siege.lent.descriptor, length * 16, bytes(length)));
      frame.fill(0xee, 16 + length); // pad and checksum
      siege.granted(siege.lent, length * 16, bytes(length));
      script.write(frame);
    }
    await script.read(siege.readOnly.descriptor, 0, 1);
    siege.arena.check('all were placed, and no pad was');
    script.socket.end();
    await siege.checkEnd(victim, {}, 'closed');
  });

  it('the longest frame that the length field can say', async (world) => {
    const siege = await Siege.open(world);
    await taken(
      siege,
      { receives: [65_517] },
      ({ forge }) => {
        siege.granted(siege.lent, 1, bytes(65_521, 6));
        siege.granted(siege.sink, 32_768, bytes(65_517, 7));
        return [
          forge.write(siege.lent.descriptor, 1, bytes(65_521, 6)),
          forge.send(bytes(65_517, 7)),
        ];
      },
      async (victim) => {
        assert.equal((await outcomes(victim, 1))[0]?.length, 65_517);
      },
    );
  });

  it('many frames in one segment of TCP', async (world) => {
    const siege = await Siege.open(world);
    await taken(siege, {}, ({ forge }) => {
      const count = 800;
      siege.granted(siege.lent, 0, bytes(count * 8));
      return [
        Buffer.concat(
          Array.from({ length: count }, (_, n) =>
            forge.write(siege.lent.descriptor, n * 8, bytes(8)),
          ),
        ),
      ];
    });
  });

  it('a Send in segments of every length, and one of nothing', async (world) => {
    const siege = await Siege.open(world);
    const lengths = [1, 2, 3, 4, 5, 17, 32]; // 64 in all
    await taken(
      siege,
      { receives: [64, 0, 64] },
      ({ forge }) => {
        siege.granted(siege.sink, 32_768, bytes(64, 4));
        const frames = [];
        let messageOffset = 0;
        for (const length of lengths) {
          const last = messageOffset + length === 64;
          frames.push(forge.send(bytes(length, 4), { messageOffset }, { last }));
          messageOffset += length;
        }
        frames.push(forge.send(nothing, { sequence: 2 }));
        frames.push(forge.send(nothing, { sequence: 3 }));
        return frames;
      },
      async (victim) => {
        const done = await outcomes(victim, 3);
        assert.deepEqual(
          done.map((each) => [each.ok, each.length]),
          [
            [true, 64],
            [true, 0],
            [true, 0],
          ],
        );
      },
    );
  });

  it('a Send whose last segment is empty', async (world) => {
    const siege = await Siege.open(world);
    await taken(
      siege,
      {},
      ({ forge }) => {
        siege.granted(siege.sink, 32_768, bytes(8));
        return [forge.send(bytes(8), {}, more), forge.send(nothing, { messageOffset: 8 })];
      },
      async (victim) => {
        assert.equal((await outcomes(victim, 1))[0]?.length, 8);
      },
    );
  });

  it('Writes and Read Responses inside a Send', async (world) => {
    const siege = await Siege.open(world);
    await taken(
      siege,
      {},
      ({ forge }) => {
        const { descriptor } = siege.lent;
        siege.granted(siege.sink, 32_768, bytes(16));
        siege.granted(siege.lent, 0, bytes(32, 1));
        return [
          forge.send(bytes(4), {}, more),
          forge.write(descriptor, 0, bytes(8, 1), more),
          forge.send(bytes(4), { messageOffset: 4 }, more),
          forge.write(descriptor, 8, bytes(8, 1)),
          forge.write(descriptor, 16, bytes(8, 1), more),
          forge.send(bytes(8), { messageOffset: 8 }),
          forge.write(descriptor, 24, bytes(8, 1)),
        ];
      },
      async (victim) => {
        assert.equal((await outcomes(victim, 1))[0]?.length, 16);
      },
    );
  });

  it('answers come in the order of the Reads, with the sink that each named', async (world) => {
    const siege = await Siege.open(world);
    for (const mode of modes) {
      const victim = await siege.victim(mode, silent);
      const { script, forge } = victim;
      const lengths = [1, 70_000, 0, 4096, 8, 65_536, 3];
      lengths.forEach((length, n) => {
        const fields = { sequence: n + 1, sinkOffset: BigInt(n) << 40n };
        script.write(forge.read(siege.lent.descriptor, length, fields));
      });
      for (const [n, length] of lengths.entries()) {
        for (let got = 0, isLast = false; !isLast;) {
          const { opcode, stag, taggedOffset, payload, last } = await script.frame();
          assert.deepEqual([opcode, stag], [opcodes.readResponse, 0x51]);
          assert.equal(taggedOffset, (BigInt(n) << 40n) + BigInt(got));
          got += payload.length;
          isLast = last;
          if (last) assert.equal(got, length, `Read ${n}`);
        }
      }
      script.socket.end();
      await siege.checkEnd(victim, {}, 'closed');
    }
  });

  it('unusual frames leave nothing native behind', async () => {
    await nothingLeft(baseline);
  });
});
