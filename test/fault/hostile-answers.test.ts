// SPDX-License-Identifier: BSD-3-Clause
//
// Answers that break the rules: Read Responses and answers of the extension that nobody asked for,
// that come in another order, place, length or key, or that say what no answer says. The sink of
// the read and its neighbours keep every byte that a valid segment did not bring. The victim has
// accepted; both sides of a connection that is up run the same code.

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import type { Connection, MemoryRegion } from 'rpma';
import { assault, type Attack, type Frames } from '../support/assault.js';
import { conform } from '../support/conform.js';
import { withDeadline } from '../support/deadline.js';
import {
  type ExtensionAnswer,
  extensionAnswerBody,
  extensionId,
  extensionSubs,
  type FrameOptions,
  opcodes,
  type UntaggedFields,
} from '../support/iwarp.js';
import type { Ledger } from '../support/ledger.js';
import {
  type Forge,
  imaginedRemote,
  type Mode,
  modeName,
  modes,
  nothing,
  Siege,
  type Victim,
  type VictimOptions,
} from '../support/siege.js';

const bytes = (length: number): Uint8Array => new Uint8Array(length).fill(0xbd);
const more = { last: false } as const;
const extended = (mode: Mode): boolean => mode.extended;

interface Sink {
  readonly stag: number;
  readonly offset: bigint;
}

/** Where the n-th outstanding Read wants its bytes. */
function sinkOf(victim: Victim, n: number): Sink {
  const body = Buffer.from(victim.requests[n]?.payload ?? assert.fail('a Read Request'));
  return { stag: body.readUInt32BE(0), offset: body.readBigUInt64BE(4) };
}

interface Piece {
  readonly of?: number;
  readonly at?: number;
  readonly key?: number;
  readonly length?: number;
  readonly options?: FrameOptions;
}

/** A segment of an answer; by default the whole and right answer to the first Read. */
function piece(victim: Victim, { of = 0, at = 0, key = 0, length = 64, options }: Piece) {
  const { stag, offset } = sinkOf(victim, of);
  const to = BigInt.asUintN(64, offset + BigInt(at));
  const { readResponse } = opcodes;
  return victim.forge.tagged(readResponse, (stag ^ key) >>> 0, to, bytes(length), options);
}

function answer(change: Piece): Frames {
  return (_on, _forge, victim) => [piece(victim, change)];
}

/** The first half of the first answer, which is placed, and what follows it. */
function afterHalf(change: Piece): Frames {
  return (on, _forge, victim) => {
    on.granted(on.sink, 0, bytes(32));
    return [piece(victim, { length: 32, options: more }), piece(victim, change)];
  };
}

function ownRead(length: number): VictimOptions {
  return {
    own: (connection, local, ledger) => {
      ledger.post('always', (id) =>
        connection.postRead({ local, remote: imaginedRemote, length, id }),
      );
    },
    ownFrames: 1,
  };
}

const silent: VictimOptions = { own: () => undefined, ownFrames: 0 };

const responses: readonly Attack[] = [
  {
    name: 'a Read Response to nothing',
    cause: '1/0/0',
    victim: silent,
    attempts: [
      ({ lent }, forge) => {
        const { stag, base } = lent.descriptor;
        return [forge.tagged(opcodes.readResponse, stag, base, bytes(8))];
      },
      (_on, forge) => [forge.tagged(opcodes.readResponse, 0, 0n, nothing)],
    ],
  },
  {
    name: 'a Read Response again',
    cause: '1/0/0',
    victim: ownRead(64),
    own: 'success',
    attempts: [
      (on, _forge, victim) => {
        on.granted(on.sink, 0, bytes(64));
        return [piece(victim, {}), piece(victim, {})];
      },
    ],
  },
  {
    name: 'a Read Response with another key',
    cause: '1/1/0',
    attempts: [
      ...[1, 0x100, 0x8000_0000].map((key) => answer({ key })),
      ({ sink }, forge) => {
        const { stag, base } = sink.descriptor;
        return [forge.tagged(opcodes.readResponse, stag, base, bytes(64))];
      },
      answer({ of: 1 }), // of a Read whose turn it is not
      afterHalf({ at: 32, length: 32, key: 1 }),
    ],
  },
  {
    name: 'a Read Response at another place',
    cause: '1/1/1',
    attempts: [
      ...[-1, 1, 4, 64, 1 << 30].map((at) => answer({ at })),
      ...[0, 31, 33, 36, 64].map((at) => afterHalf({ at, length: 32 })),
    ],
  },
  {
    name: 'a Read Response that is too long',
    cause: '1/1/1',
    attempts: [
      ...[65, 68, 4096, 65_521].map((length) => answer({ length })),
      answer({ length: 68, options: more }),
      afterHalf({ at: 32, length: 33 }),
      afterHalf({ at: 32, length: 65_000, options: more }),
    ],
  },
  {
    name: 'a Read Response that ends early',
    cause: '1/1/1',
    attempts: [
      ...[0, 1, 32, 63].map((length) => answer({ length })),
      afterHalf({ at: 32, length: 31 }),
      afterHalf({ at: 32, length: 0 }),
    ],
  },
  {
    name: 'a Read Response that does not end',
    cause: '1/1/1',
    attempts: [
      answer({ options: more }),
      answer({ length: 0, options: more }),
      afterHalf({ at: 32, length: 32, options: more }),
      afterHalf({ at: 32, length: 0, options: more }),
    ],
  },
  {
    name: 'bytes in answer to a Read of nothing',
    cause: '1/1/1',
    victim: ownRead(0),
    attempts: [answer({ length: 1 }), answer({ length: 64 })],
  },
  {
    name: 'a Write inside a Read Response',
    cause: '0/2/6',
    attempts: [
      (on, forge, victim) => {
        on.granted(on.sink, 0, bytes(32));
        const first = piece(victim, { length: 32, options: more });
        return [first, forge.write(on.lent.descriptor, 0, bytes(8))];
      },
    ],
  },
];

/** One flush, atomic write or read of the victim's own, whose answer is due. */
function own(kind: 'flush' | 'atomic write' | 'read'): VictimOptions {
  const remote = imaginedRemote;
  return {
    own: (connection: Connection, local: MemoryRegion, ledger: Ledger) => {
      ledger.post('always', (id) => {
        if (kind === 'read') connection.postRead({ local, remote, length: 64, id });
        else if (kind === 'atomic write') connection.postAtomicWrite({ remote, value: 1n, id });
        else connection.postFlush({ remote, length: 64, type: 'visibility', id });
      });
    },
    ownFrames: 1,
  };
}

function framed(forge: Forge, body: Uint8Array, fields: Partial<UntaggedFields> = {}, last = true) {
  const where = { queue: 3, sequence: 1, ...fields };
  return forge.untagged(opcodes.extension, where, body, { last });
}

/** The right answer to the victim's flush, changed. */
function answered(
  change: Partial<ExtensionAnswer>,
  fields: Partial<UntaggedFields> = {},
  shape: (body: Uint8Array) => Uint8Array = (body) => body,
  last = true,
): Frames {
  return (_on, forge, { requests }) => {
    const [request] = requests;
    const id = request?.opcode === opcodes.extension ? extensionId(request) : 7;
    const body = extensionAnswerBody({ sub: extensionSubs.flushAnswer, id, ...change });
    return [framed(forge, shape(body), fields, last)];
  };
}

const flush = own('flush');
const { flushAnswer, atomicAnswer } = extensionSubs;

const answers: readonly Attack[] = [
  {
    name: 'an answer of the extension to nothing',
    cause: '0/2/255',
    on: extended,
    victim: silent,
    attempts: [answered({}), answered({ sub: atomicAnswer })],
  },
  {
    name: 'an answer with another id',
    cause: '0/2/255',
    on: extended,
    victim: flush,
    attempts: [1, 0x100, 0x8000_0000].map((wrongBit) =>
      answered({}, {}, (body) => {
        const other = Buffer.from(body);
        other.writeUInt32BE((other.readUInt32BE(4) ^ wrongBit) >>> 0, 4);
        return other;
      }),
    ),
  },
  {
    name: 'an answer to another kind of request',
    cause: '0/2/255',
    on: extended,
    victim: flush,
    attempts: [answered({ sub: atomicAnswer })],
  },
  {
    name: "an atomic write's request answered as a flush",
    cause: '0/2/255',
    on: extended,
    victim: own('atomic write'),
    attempts: [answered({ sub: flushAnswer })],
  },
  {
    name: 'an answer of the extension to a Read',
    cause: '0/2/255',
    on: extended,
    victim: own('read'),
    attempts: [answered({}), answered({ sub: atomicAnswer })],
  },
  {
    name: 'a Read Response to a flush of the extension',
    cause: '1/0/0',
    on: extended,
    victim: flush,
    attempts: [(_on, forge) => [forge.tagged(opcodes.readResponse, 1, 0n, bytes(8))]],
  },
  {
    name: 'an answer with an unknown durability',
    cause: '0/2/255',
    on: extended,
    victim: flush,
    attempts: [4, 255].map((durability) => answered({ durability })),
  },
  {
    name: 'an answer of another version',
    cause: '0/2/5',
    on: extended,
    victim: flush,
    attempts: [0, 2, 255].map((version) => answered({ version })),
  },
  {
    name: 'an answer of an unknown kind',
    cause: '0/2/6',
    on: extended,
    victim: flush,
    attempts: [0, 1, 2, 0x80, 0x83, 255].map((sub) => answered({ sub })),
  },
  {
    name: 'an answer that is too short',
    cause: '2/0/3',
    on: extended,
    victim: flush,
    attempts: [0, 3, 4, 11].map((length) => answered({}, {}, (body) => body.subarray(0, length))),
  },
  {
    name: 'an answer that is too long',
    cause: '1/2/5',
    on: extended,
    victim: flush,
    attempts: [13, 16, 60_000].map((length) =>
      answered({}, {}, (body) => {
        const long = new Uint8Array(length);
        long.set(body);
        return long;
      }),
    ),
  },
  {
    name: 'an answer that is no whole message',
    cause: '1/2/4',
    on: extended,
    victim: flush,
    attempts: [
      answered({}, { messageOffset: 12 }),
      answered({}, {}, (body) => body, false),
      answered({}, {}, () => nothing, false),
    ],
  },
  {
    name: 'an answer of a wrong sequence',
    cause: '1/2/3',
    on: extended,
    victim: flush,
    attempts: [0, 2, 0xffff_ffff].map((sequence) => answered({}, { sequence })),
  },
];

conform('answers that say that it failed', ({ provider, it }) => {
  if (provider !== 'iwarp') return;
  const said: readonly (readonly [number, string])[] = [
    [1, 'remote-access'],
    [2, 'remote-invalid'],
    [3, 'remote-operation'],
    [4, 'remote-operation'],
    [255, 'remote-operation'],
  ];
  it('end the connection, and their operation has that status', async (world) => {
    const siege = await Siege.open(world);
    for (const mode of modes.filter(extended)) {
      for (const [status, word] of said) {
        const victim = await siege.victim(mode, flush);
        const [request] = victim.requests;
        assert.ok(request !== undefined);
        const id = extensionId(request);
        const body = extensionAnswerBody({ sub: flushAnswer, id, status, errno: 5 });
        victim.script.write(framed(victim.forge, body));
        await siege.witness();
        const [post] = victim.ids.posts;
        const rest = await siege.checkEnd(victim, { [post ?? -1]: word });
        const failed = rest.find((each) => each.id === post);
        assert.equal(failed?.providerError, 5, `${modeName(mode)}: errno of the other side`);
        siege.arena.check(`after status ${status}`);
      }
    }
    await siege.stillServes();
  });
});

conform('a Read that is answered as it should be', ({ provider, it }) => {
  if (provider !== 'iwarp') return;
  it('control: in pieces it completes, and the next one too', async (world) => {
    const siege = await Siege.open(world);
    for (const mode of modes) {
      const victim = await siege.victim(mode);
      const { script, connection, ledger } = victim;
      script.write(
        piece(victim, { length: 32, options: more }),
        piece(victim, { at: 32, length: 32 }),
        piece(victim, { of: 1, length: 64 }),
      );
      for (let n = 0; n < 2; n++) {
        const done = await withDeadline(connection.completionQueue.take(), 'a read');
        assert.ok(done?.ok, modeName(mode));
        ledger.add(done);
      }
      siege.granted(siege.sink, 0, bytes(128));
      script.socket.end();
      await siege.checkEnd(victim, {}, 'closed');
      siege.arena.check('after right answers');
    }
  });
});

assault('hostile Read Responses', responses);
assault('hostile answers of the extension', answers);
