// SPDX-License-Identifier: BSD-3-Clause
//
// Requests of the extension that break its rules, on connections that agreed on it: flushes and
// atomic writes outside their grant, of another size, version or kind, and more of them than were
// agreed on. Under the questions of test/support/siege.ts.

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import { assault, type Attack, type Frames } from '../support/assault.js';
import { conform } from '../support/conform.js';
import {
  type ExtensionRequest,
  extensionRequestBody,
  extensionSubs,
  opcodes,
  type UntaggedFields,
} from '../support/iwarp.js';
import type { Descriptor } from '../support/scripted-peer.js';
import { type Forge, type Mode, modes, nothing, Siege } from '../support/siege.js';

type On = Parameters<Frames>[0];
type Change = Partial<ExtensionRequest>;
type Place = (on: On) => Descriptor;

const wrap = 2n ** 64n;
const value = new Uint8Array(8).fill(0xbd);
const extended = (mode: Mode): boolean => mode.extended;
const lentOf: Place = ({ lent }) => lent.descriptor;
const { flush, atomicWrite } = extensionSubs;

function framed(forge: Forge, body: Uint8Array, fields: Partial<UntaggedFields> = {}, last = true) {
  const where = { queue: 1, sequence: 1, ...fields };
  return forge.untagged(opcodes.extension, where, body, { last });
}

function flushOf(at: Descriptor, change: Change = {}): Uint8Array {
  const { stag, base } = at;
  const whole = { sub: flush, stag, taggedOffset: base, lengthBytes: 64n };
  return extensionRequestBody({ ...whole, ...change });
}

function atomicOf(at: Descriptor, change: Change = {}): Uint8Array {
  const { stag, base } = at;
  const whole = { sub: atomicWrite, stag, taggedOffset: base, lengthBytes: 8n, value };
  return extensionRequestBody({ ...whole, ...change });
}

const kinds = [flushOf, atomicOf] as const;

/** A flush and an atomic write of the same wrong place. */
function both(place: Place, change: Change = {}): Frames[] {
  return kinds.map((kind): Frames => (on, forge) => [framed(forge, kind(place(on), change))]);
}

function only(kind: (typeof kinds)[number], place: Place, change: Change = {}): Frames {
  return (on, forge) => [framed(forge, kind(place(on), change))];
}

function moved(place: Place, by: (from: Descriptor) => bigint): Place {
  return (on) => {
    const from = place(on);
    return { ...from, base: by(from) };
  };
}

const grants: readonly Attack[] = [
  {
    name: 'a flush or atomic write with an unknown key',
    cause: '0/1/0',
    on: extended,
    attempts: [
      ...both((on) => ({ ...lentOf(on), stag: 77 })),
      ...both((on) => ({ ...lentOf(on), stag: (lentOf(on).stag ^ 1) >>> 0 })),
      ...both(({ closed }) => closed),
    ],
  },
  {
    name: 'a flush or atomic write outside its region',
    cause: '0/1/1',
    on: extended,
    attempts: [
      ...both(moved(lentOf, ({ base }) => base - 8n)),
      ...both(moved(lentOf, ({ base, lengthBytes }) => base + lengthBytes)),
      ...both(moved(lentOf, () => 0n)),
      ...both(moved(lentOf, () => wrap - 72n)),
      only(
        flushOf,
        moved(lentOf, ({ base, lengthBytes }) => base + lengthBytes - 63n),
      ),
      only(flushOf, lentOf, { lengthBytes: 160n * 1024n + 1n }),
    ],
  },
  {
    name: 'a flush whose range wraps',
    cause: '0/1/4',
    on: extended,
    attempts: [
      only(
        flushOf,
        moved(lentOf, () => wrap - 8n),
      ),
      only(
        flushOf,
        moved(lentOf, () => wrap - 64n),
      ),
      only(flushOf, lentOf, { lengthBytes: wrap - 1n }),
    ],
  },
  {
    name: 'a flush or atomic write without the right',
    cause: '0/1/2',
    on: extended,
    attempts: [
      ...both(({ readOnly }) => readOnly.descriptor),
      ...both(({ sink }) => sink.descriptor),
      only(flushOf, ({ writeOnly }) => writeOnly.descriptor),
      only(flushOf, lentOf, { type: 1 }), // persistent; only visibility was granted
    ],
  },
  {
    name: 'a flush or atomic write of a region of another connection',
    cause: '0/1/3',
    on: extended,
    attempts: both(({ bound }) => bound.descriptor),
  },
];

/** Bodies in the right place, but wrong; as a flush and as an atomic write. */
function bodies(change: (body: Uint8Array) => Uint8Array): Frames[] {
  return kinds.map((kind): Frames => (on, forge) => [framed(forge, change(kind(lentOf(on))))]);
}

function grown(by: number): Frames[] {
  return bodies((body) => Uint8Array.from(Buffer.concat([body, new Uint8Array(by)])));
}

const layouts: readonly Attack[] = [
  {
    name: 'a request of the extension that is too short',
    cause: '2/0/3',
    on: extended,
    attempts: [
      ...[0, 1, 3, 4, 16, 31].flatMap((length) => bodies((body) => body.subarray(0, length))),
      only(flushOf, lentOf, { sub: atomicWrite }), // a flush's body under the other name
    ],
  },
  {
    name: 'a request of the extension that is too long',
    cause: '1/2/5',
    on: extended,
    attempts: [...[1, 4, 60_000].flatMap(grown), only(atomicOf, lentOf, { sub: flush })],
  },
  {
    name: 'another version of the extension',
    cause: '0/2/5',
    on: extended,
    attempts: [0, 2, 255].flatMap((version) => both(lentOf, { version })),
  },
  {
    name: 'an unknown sub-operation',
    cause: '0/2/6',
    on: extended,
    attempts: [0, 3, 4, 0x7f, 0x81, 0x82, 255].flatMap((sub) => both(lentOf, { sub })),
  },
  {
    name: 'a flush of an unknown type',
    cause: '0/2/255',
    on: extended,
    attempts: [2, 3, 255].map((type) => only(flushOf, lentOf, { type })),
  },
  {
    name: 'an atomic write that is not aligned',
    cause: '0/2/7',
    on: extended,
    attempts: [1n, 2n, 4n, 7n].map((by) =>
      only(
        atomicOf,
        moved(lentOf, ({ base }) => base + by),
      ),
    ),
  },
  {
    name: 'an atomic write of another length',
    cause: '0/2/7',
    on: extended,
    attempts: [0n, 7n, 16n, wrap - 8n].map((lengthBytes) => {
      return only(atomicOf, lentOf, { lengthBytes });
    }),
  },
  {
    name: 'a request of the extension that is no whole message',
    cause: '1/2/4',
    on: extended,
    attempts: kinds.flatMap((kind): Frames[] => [
      (on, forge) => [framed(forge, kind(lentOf(on)), { messageOffset: 8 })],
      (on, forge) => [framed(forge, kind(lentOf(on)), {}, false)],
      (_on, forge) => [framed(forge, nothing, {}, false)],
    ]),
  },
  {
    name: 'a request of the extension of a wrong sequence',
    cause: '1/2/3',
    on: extended,
    attempts: [0, 2, 0xffff_ffff].flatMap((sequence) =>
      kinds.map((kind): Frames => (on, forge) => [framed(forge, kind(lentOf(on)), { sequence })]),
    ),
  },
  {
    name: 'a request of the extension on a queue of nobody',
    cause: '1/2/1',
    on: extended,
    attempts: [2, 4, 0xffff_ffff].map((queue): Frames => (on, forge) => [
      framed(forge, flushOf(lentOf(on)), { queue }),
    ]),
  },
  {
    name: 'a Send with immediate, which this version does not speak',
    cause: '0/2/6',
    on: extended,
    attempts: [
      (on, forge) => [framed(forge, flushOf(lentOf(on)), { queue: 0 })],
      (_on, forge) => [framed(forge, Uint8Array.of(3, 1, 0, 0, 0, 0, 0, 9), { queue: 0 })],
      (_on, forge) => [
        forge.untagged(opcodes.immediate, { queue: 0, sequence: 1 }, new Uint8Array(8)),
      ],
    ],
  },
  {
    name: 'a request of the extension inside a Send',
    cause: '0/2/6',
    on: extended,
    attempts: [
      (on, forge) => {
        on.granted(on.sink, 32_768, value);
        return [forge.send(value, {}, { last: false }), framed(forge, flushOf(lentOf(on)))];
      },
    ],
  },
];

conform('more requests than were agreed on', ({ provider, it }) => {
  if (provider !== 'iwarp') return;
  const agreed = 32;

  const request = (kind: string, forge: Forge, { lent }: Siege, sequence: number): Uint8Array => {
    if (kind === 'read') return forge.read(lent.descriptor, 8, { sequence });
    const body = kind === 'flush' ? flushOf(lent.descriptor) : atomicOf(lent.descriptor);
    return framed(forge, body, { sequence });
  };

  for (const kind of ['read', 'flush', 'atomic write']) {
    for (const mode of modes.filter((each) => each.extended || kind === 'read')) {
      const where = `${mode.extended ? 'extended' : 'plain'}, CRC ${mode.crc ? 'on' : 'off'}`;
      it(`${agreed} of kind ${kind} are served, one more is answered by Terminate 1/2/2 (${where})`, async (world) => {
        const siege = await Siege.open(world);
        for (const count of [agreed, agreed + 1]) {
          const options = { receives: [], own: () => {}, ownFrames: 0 };
          const victim = await siege.victim(mode, options);
          const { forge, script, connection } = victim;
          // Behind a Send without a receive they wait, and come to be served all at once.
          const frames = Array.from({ length: count }, (_, n) =>
            request(kind, forge, siege, n + 1),
          );
          script.write(forge.send(nothing), ...frames);
          await siege.witness();
          victim.ledger.post('always', (id) => connection.postReceive({ length: 0, id }));
          if (count === agreed) {
            for (let n = 0; n < count; n++) {
              const { opcode, last } = await script.frame();
              assert.ok(opcode === opcodes.readResponse || opcode === opcodes.extension);
              assert.ok(last);
            }
            script.socket.end();
            await siege.checkEnd(victim, {}, 'closed');
          } else {
            const fault = frames.at(-1) ?? nothing;
            siege.checkTerminate(victim, await script.rest(), { cause: '1/2/2', fault });
            await siege.checkEnd(victim);
          }
          // Those that were agreed on may have been carried out before the end.
          const { region } = siege.lent;
          const isStored = siege.arena.bytes[siege.lent.offset] === value[0];
          assert.ok(isStored || count > agreed || kind !== 'atomic write');
          if (kind === 'atomic write' && isStored) siege.granted(siege.lent, 0, value);
          assert.equal(region.inFlight, 0);
          siege.arena.check(`after ${count} of kind ${kind}`);
        }
        await siege.stillServes();
      });
    }
  }
});

assault('requests outside their grant', grants);
assault('malformed requests of the extension', layouts);
