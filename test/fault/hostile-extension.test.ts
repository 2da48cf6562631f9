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
  capabilities,
  type ExtensionRequest,
  extensionRequestBody,
  extensionSubs,
  immediateBody,
  opcodes,
  sendImmediateBody,
  type UntaggedFields,
} from '../support/iwarp.js';
import type { Descriptor } from '../support/scripted-peer.js';
import { type Forge, type Mode, modes, nothing, outcomes, Siege } from '../support/siege.js';

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

/** Immediate Data around any bytes. */
function valued(
  forge: Forge,
  body: Uint8Array,
  fields: Partial<UntaggedFields> = {},
  options: { readonly solicited?: boolean; readonly last?: boolean } = {},
): Uint8Array {
  const opcode = options.solicited === true ? opcodes.immediateSolicited : opcodes.immediate;
  const last = options.last ?? true;
  return forge.untagged(opcode, { queue: 0, sequence: 1, ...fields }, body, { last });
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
    name: 'immediate data that was not agreed on',
    cause: '0/2/6',
    on: extended,
    attempts: [
      (on, forge) => [framed(forge, flushOf(lentOf(on)), { queue: 0 })],
      (_on, forge) => [framed(forge, sendImmediateBody(9), { queue: 0 })],
      (_on, forge) => [valued(forge, immediateBody(9))],
      (_on, forge) => [valued(forge, immediateBody(9), {}, { solicited: true })],
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

/** A hello that names it; without own operations the end is the receives' alone. */
const agreed = { hello: capabilities.immediate, own: () => {}, ownFrames: 0 };

const immediates: readonly Attack[] = [
  {
    name: 'Immediate Data shorter than its eight bytes',
    cause: '2/0/3',
    on: extended,
    victim: agreed,
    attempts: [0, 1, 4, 7].flatMap((bytes) =>
      [false, true].map((solicited): Frames => (_on, forge) => [
        valued(forge, new Uint8Array(bytes), {}, { solicited }),
      ]),
    ),
  },
  {
    name: 'Immediate Data longer than its eight bytes',
    cause: '1/2/5',
    on: extended,
    victim: agreed,
    attempts: [9, 12, 64, 4096].map((bytes): Frames => (_on, forge) => [
      valued(forge, new Uint8Array(bytes)),
    ]),
  },
  {
    name: 'Immediate Data on a queue that is not that of Sends',
    cause: '1/2/1',
    on: extended,
    victim: agreed,
    attempts: [1, 2, 3, 4, 0xffff_ffff].map((queue): Frames => (_on, forge) => [
      valued(forge, immediateBody(1), { queue }),
    ]),
  },
  {
    name: 'Immediate Data of a wrong sequence',
    cause: '1/2/3',
    on: extended,
    victim: agreed,
    attempts: [0, 2, 0xffff_ffff].map((sequence): Frames => (_on, forge) => [
      valued(forge, immediateBody(1), { sequence }),
    ]),
  },
  {
    name: 'Immediate Data in pieces',
    cause: '1/2/4',
    on: extended,
    victim: agreed,
    attempts: [
      (_on, forge) => [valued(forge, immediateBody(1), { messageOffset: 8 })],
      (_on, forge) => [valued(forge, immediateBody(1), {}, { last: false })],
    ],
  },
  {
    name: 'Immediate Data inside a Send',
    cause: '0/2/6',
    on: extended,
    victim: agreed,
    attempts: [
      (on, forge) => {
        on.granted(on.sink, 32_768, value);
        return [forge.send(value, {}, { last: false }), valued(forge, immediateBody(1))];
      },
      (on, forge) => {
        on.granted(on.sink, 32_768, value);
        const body = sendImmediateBody(5, value);
        return [framed(forge, body, { queue: 0 }, false), valued(forge, immediateBody(1))];
      },
    ],
  },
  {
    name: 'a Send with immediate shorter than its value',
    cause: '2/0/3',
    on: extended,
    victim: agreed,
    attempts: [
      ...[0, 1, 4, 7].map((bytes): Frames => (_on, forge) => [
        framed(forge, sendImmediateBody(1).subarray(0, bytes), { queue: 0 }),
      ]),
      (_on, forge) => [framed(forge, sendImmediateBody(1).subarray(0, 4), { queue: 0 }, false)],
    ],
  },
  {
    name: 'a Send with immediate of a version that is not spoken',
    cause: '0/2/5',
    on: extended,
    victim: agreed,
    attempts: [0, 2, 255].map((version): Frames => (_on, forge) => [
      framed(forge, sendImmediateBody(1, nothing, { version }), { queue: 0 }),
    ]),
  },
  {
    name: 'another kind of the extension on the queue of Sends',
    cause: '0/2/6',
    on: extended,
    victim: agreed,
    attempts: [0, 1, 2, 4, 0x81, 0x83, 255].map((sub): Frames => (_on, forge) => [
      framed(forge, sendImmediateBody(1, value, { sub }), { queue: 0 }),
    ]),
  },
  {
    name: 'a Send with immediate longer than its receive',
    cause: '1/2/5',
    on: extended,
    victim: agreed,
    receive: 'length',
    attempts: [
      (_on, forge) => [framed(forge, sendImmediateBody(1, new Uint8Array(65)), { queue: 0 })],
      (_on, forge) => [framed(forge, sendImmediateBody(1, new Uint8Array(4096)), { queue: 0 })],
      (on, forge) => {
        const message = new Uint8Array(64).fill(0xbd);
        on.granted(on.sink, 32_768, message);
        return [
          framed(forge, sendImmediateBody(1, message), { queue: 0 }, false),
          framed(forge, new Uint8Array(1), { queue: 0, messageOffset: 72 }),
        ];
      },
    ],
  },
  {
    name: 'a Send with immediate that does not go on where it was',
    cause: '1/2/4',
    on: extended,
    victim: agreed,
    attempts: [0, 1, 8, 12, 20].map((messageOffset): Frames => (on, forge) => {
      on.granted(on.sink, 32_768, value);
      return [
        framed(forge, sendImmediateBody(1, value), { queue: 0 }, false),
        framed(forge, value, { queue: 0, messageOffset }),
      ];
    }),
  },
];

conform('immediate data behind what is refused', ({ provider, it }) => {
  if (provider !== 'iwarp') return;

  it('a Write that is refused takes the value behind it along', async (world) => {
    const siege = await Siege.open(world);
    for (const mode of modes.filter(extended)) {
      const victim = await siege.victim(mode, agreed);
      const { forge, ids, script } = victim;
      const fault = forge.write(siege.closed, 0, value);
      script.write(fault, valued(forge, immediateBody(1)));
      siege.checkTerminate(victim, await script.rest(), { cause: '1/1/0', fault });
      const rest = await siege.checkEnd(victim);
      assert.deepEqual(
        rest.map(({ id, status, operation, immediate }) => [id, status, operation, immediate]),
        ids.receives.map((id) => [id, 'flushed', 'receive', undefined]),
      );
    }
    siege.arena.check('after a refused Write');
    await siege.stillServes();
  });

  it('what is wrong behind a parked value is told with its own header', async (world) => {
    const siege = await Siege.open(world);
    for (const mode of modes.filter(extended)) {
      const victim = await siege.victim(mode, { ...agreed, receives: [] });
      const { connection, forge, ledger, script } = victim;
      const fault = valued(forge, new Uint8Array(9), { sequence: 3 });
      script.write(
        valued(forge, immediateBody(1)),
        framed(forge, sendImmediateBody(2), { queue: 0, sequence: 2 }),
        fault,
      );
      await siege.witness();
      for (let n = 0; n < 2; n++) {
        ledger.post('always', (id) => connection.postReceive({ length: 0, id }));
      }
      siege.checkTerminate(victim, await script.rest(), { cause: '1/2/5', fault });
      const rest = await siege.checkEnd(victim);
      assert.deepEqual(
        rest.map(({ status, operation, immediate }) => [status, operation, immediate]),
        [
          ['success', 'receive-write', 1],
          ['success', 'receive', 2],
        ],
      );
    }
    await siege.stillServes();
  });

  it('a value inside a Write has no length, and the one behind it has all of it', async (world) => {
    const siege = await Siege.open(world);
    const mode = { crc: false, extended: true };
    const victim = await siege.victim(mode, { ...agreed, receives: [64] });
    const { connection, forge, ledger, script } = victim;
    const body = new Uint8Array(64).fill(0xbd);
    siege.granted(siege.lent, 0, body);
    script.write(
      forge.write(siege.lent.descriptor, 0, body, { last: false }),
      valued(forge, immediateBody(1)),
    );
    const [completion] = await outcomes(victim, 1);
    assert.deepEqual([completion?.immediate, completion?.length], [1, 0]);
    script.write(forge.write(siege.lent.descriptor, 64, body));
    siege.granted(siege.lent, 64, body);
    ledger.post('always', (id) => connection.postReceive({ length: 0, id }));
    script.write(valued(forge, immediateBody(2), { sequence: 2 }));
    const [next] = await outcomes(victim, 1);
    assert.deepEqual([next?.immediate, next?.length], [2, 128], 'of the whole Write');
    for (let n = 0; n < 2; n++) {
      ledger.post('always', (id) => connection.postReceive({ length: 0, id }));
    }
    script.write(
      forge.write(siege.lent.descriptor, 0, body),
      forge.read(siege.lent.descriptor, 0),
      valued(forge, immediateBody(3), { sequence: 3 }),
      valued(forge, immediateBody(4), { sequence: 4 }),
    );
    const apart = await outcomes(victim, 2);
    assert.deepEqual(
      apart.map(({ immediate, length }) => [immediate, length]),
      [
        [3, 0],
        [4, 0],
      ],
      'a request stands between',
    );
    script.socket.end();
    await siege.checkEnd(victim, {}, 'closed');
    siege.arena.check('after a Write in pieces');
  });
});

assault('immediate data that breaks its rules', immediates);
assault('requests outside their grant', grants);
assault('malformed requests of the extension', layouts);
