// SPDX-License-Identifier: BSD-3-Clause
//
// An accepted peer that breaks the rules of frames, Writes, Reads and messages. Every attack is
// tried on a plain and on an extended connection, with and without checksums; what must come of
// each is in test/support/siege.ts. docs/internals/hostile-bytes.md lists them all.

import '../support/test-flavour.js';
import { assault, type Attack, type Frames } from '../support/assault.js';
import { opcodes, rawFrame } from '../support/iwarp.js';
import { type Descriptor } from '../support/scripted-peer.js';
import { type Forge, nothing } from '../support/siege.js';

const bytes = (length: number): Uint8Array => new Uint8Array(length).fill(0xbd);
const more = { last: false } as const;
const wrap = 2n ** 64n;

function moved(from: Descriptor, by: bigint): Descriptor {
  return { ...from, base: from.base + by };
}

function keyed(from: Descriptor, stag: number): Descriptor {
  return { ...from, stag };
}

/** A frame of so many bytes of ULPDU, which begins like one of this kind. */
function short(control: readonly [number, number], lengthBytes: number): Frames {
  return (_on, { crc }) => [
    rawFrame(Uint8Array.from([...control, ...bytes(70)]).subarray(0, lengthBytes), crc),
  ];
}

/** Every length below the shortest that holds the headers. */
function tooShort(control: readonly [number, number], shortest: number): Frames[] {
  return Array.from({ length: shortest }, (_, lengthBytes) => short(control, lengthBytes));
}

const body = (length: number) => new Uint8Array(length);

function withControl(tagged: boolean, control: readonly [number, number]): Frames {
  return ({ lent }, forge) => [
    tagged
      ? forge.write(lent.descriptor, 0, bytes(8), { control })
      : forge.send(bytes(8), {}, { control }),
  ];
}

/** An opcode in a frame that is whole, in both classes; big enough for each opcode's header. */
function opcode(code: number, ...classes: readonly ('tagged' | 'untagged')[]): Frames[] {
  return classes.map((each): Frames => ({ lent }, forge) => [
    each === 'tagged'
      ? forge.tagged(code, lent.descriptor.stag, lent.descriptor.base, bytes(40))
      : forge.untagged(code, { queue: 0, sequence: 1 }, bytes(40)),
  ]);
}

const framing: readonly Attack[] = [
  {
    name: 'a tagged frame shorter than its header',
    cause: '2/0/3',
    attempts: [...tooShort([0xc1, 0x40], 14), ...tooShort([0xc1, 0x42], 14)],
  },
  {
    name: 'an untagged frame shorter than its header',
    cause: '2/0/3',
    attempts: tooShort([0x41, 0x43], 18),
  },
  {
    name: 'a Read Request shorter than its header',
    cause: '2/0/3',
    attempts: tooShort([0x41, 0x41], 46),
  },
  {
    name: 'a Terminate shorter than its header',
    cause: '2/0/3',
    attempts: tooShort([0x41, 0x47], 22),
  },
  {
    name: 'another version of DDP, tagged',
    cause: '1/1/4',
    attempts: [0xc0, 0xc2, 0xc3].map((ddp) => withControl(true, [ddp, 0x40])),
  },
  {
    name: 'another version of DDP, untagged',
    cause: '1/2/6',
    attempts: [0x40, 0x42, 0x43].map((ddp) => withControl(false, [ddp, 0x43])),
  },
  {
    name: 'another version of RDMAP',
    cause: '0/2/5',
    attempts: [
      ...[0x00, 0x80, 0xc0].map((rdmap) => withControl(true, [0xc1, rdmap])),
      ...[0x03, 0x83, 0xc3].map((rdmap) => withControl(false, [0x41, rdmap])),
    ],
  },
  {
    name: 'an unassigned opcode',
    cause: '0/2/6',
    attempts: [8, 9, 10, 11, 12, 13, 14].flatMap((code) => opcode(code, 'tagged', 'untagged')),
  },
  {
    name: 'an opcode of the extension without an agreement',
    cause: '0/2/6',
    on: ({ extended }) => !extended,
    attempts: [
      ...opcode(opcodes.extension, 'tagged', 'untagged'),
      (_on, forge) => [forge.untagged(opcodes.extension, { queue: 1, sequence: 1 }, body(32))],
      (_on, forge) => [forge.untagged(opcodes.extension, { queue: 3, sequence: 1 }, body(12))],
    ],
  },
  {
    name: 'a tagged message that says it is untagged, and the reverse',
    cause: '0/2/6',
    attempts: [
      ...[opcodes.write, opcodes.readResponse].flatMap((code) => opcode(code, 'untagged')),
      ...[1, 3, 4, 5, 6, 7].flatMap((code) => opcode(code, 'tagged')),
    ],
  },
];

const write = (to: (on: Parameters<Frames>[0]) => Descriptor, length = 8): Frames => {
  return (on, forge) => [forge.write(to(on), 0, bytes(length))];
};

/** A valid first segment of a Write, which is placed, and what follows it. */
function afterFirst(second: (lent: Descriptor, forge: Forge) => Uint8Array[]): Frames {
  return (on, forge) => {
    on.granted(on.lent, 0, bytes(8));
    const first = forge.write(on.lent.descriptor, 0, bytes(8), more);
    return [first, ...second(on.lent.descriptor, forge)];
  };
}

const writes: readonly Attack[] = [
  {
    name: 'a Write with an unknown key',
    cause: '1/1/0',
    attempts: [0, 1, 0xffffffff].map((stag) => write(({ lent }) => keyed(lent.descriptor, stag))),
  },
  {
    name: 'a Write with one wrong bit in its key',
    cause: '1/1/0',
    attempts: Array.from({ length: 32 }, (_, bit) =>
      write(({ lent }) => keyed(lent.descriptor, (lent.descriptor.stag ^ (1 << bit)) >>> 0)),
    ),
  },
  {
    name: 'a Write to a region that is closed',
    cause: '1/1/0',
    attempts: [write(({ closed }) => closed)],
  },
  {
    name: 'a Write to a region of another connection',
    cause: '1/1/2',
    attempts: [write(({ bound }) => bound.descriptor)],
  },
  {
    name: 'a Write without the right',
    cause: '1/1/0',
    attempts: [write(({ readOnly }) => readOnly.descriptor)],
  },
  {
    name: 'a Write to memory for local use',
    cause: '1/1/0',
    attempts: [write(({ sink }) => sink.descriptor)],
  },
  {
    name: 'a Write to the sink of a Read',
    cause: '1/1/0',
    attempts: [
      (_on, forge, { requests }) => {
        const [read] = requests;
        const sink = Buffer.from(read?.payload ?? nothing);
        const at = { stag: sink.readUInt32BE(0), base: sink.readBigUInt64BE(4) };
        return [forge.tagged(opcodes.write, at.stag, at.base, bytes(8))];
      },
    ],
  },
  {
    name: 'a Write outside its region',
    cause: '1/1/1',
    attempts: [-1n, -8n, -4096n].flatMap((by) => [
      write(({ lent }) => moved(lent.descriptor, by)),
      write(({ lent }) => moved(lent.descriptor, lent.descriptor.lengthBytes + by + 1n), 4104),
    ]),
  },
  {
    name: 'a Write one byte beyond its region',
    cause: '1/1/1',
    attempts: [
      write(({ lent }) => moved(lent.descriptor, lent.descriptor.lengthBytes - 7n)),
      write(({ lent }) => moved(lent.descriptor, lent.descriptor.lengthBytes), 1),
      write(({ writeOnly }) => writeOnly.descriptor, 4097),
    ],
  },
  {
    name: 'a Write whose frame is larger than its region',
    cause: '1/1/1',
    attempts: [write(({ writeOnly }) => writeOnly.descriptor, 65_521)],
  },
  {
    name: 'a Write to another base',
    cause: '1/1/1',
    attempts: [
      write(({ lent }) => ({ ...lent.descriptor, base: 0n })),
      write(({ lent, readOnly }) => ({ ...lent.descriptor, base: readOnly.descriptor.base })),
      write(({ lent }) => moved(lent.descriptor, 1n << 32n)),
      write(({ lent }) => moved(lent.descriptor, 1n << 63n)),
    ],
  },
  {
    name: 'a Write whose range wraps',
    cause: '1/1/3',
    attempts: [
      write(({ lent }) => ({ ...lent.descriptor, base: wrap - 4n })),
      write(({ lent }) => ({ ...lent.descriptor, base: wrap - 1n })),
      write(({ lent }) => ({ ...lent.descriptor, base: wrap - 65_000n }), 65_521),
    ],
  },
  {
    name: 'a segment of a Write that does not continue the one before',
    cause: '1/1/1',
    attempts: [
      afterFirst((lent, forge) => [forge.write(lent, 100, bytes(8))]),
      afterFirst((lent, forge) => [forge.write(lent, 0, bytes(8))]),
      afterFirst((lent, forge) => [forge.write(lent, 4, bytes(8))]),
      afterFirst((lent, forge) => [forge.write(lent, 12, nothing)]),
    ],
  },
  {
    name: 'a segment of a Write with another key',
    cause: '1/1/0',
    attempts: [
      (on, forge) => {
        on.granted(on.lent, 0, bytes(8));
        const first = forge.write(on.lent.descriptor, 0, bytes(8), more);
        return [
          first,
          forge.write(keyed(on.lent.descriptor, on.writeOnly.descriptor.stag), 8, bytes(8)),
        ];
      },
    ],
  },
  {
    name: 'a second segment that leaves the region',
    cause: '1/1/1',
    attempts: [
      (on, forge) => {
        on.granted(on.writeOnly, 0, bytes(4096));
        const first = forge.write(on.writeOnly.descriptor, 0, bytes(4096), more);
        return [first, forge.write(on.writeOnly.descriptor, 4096, bytes(1))];
      },
    ],
  },
  {
    name: 'an empty segment that is not the last of a Write',
    cause: '1/1/1',
    attempts: [
      ({ lent }, forge) => [forge.write(lent.descriptor, 0, nothing, more)],
      afterFirst((lent, forge) => [forge.write(lent, 8, nothing, more)]),
    ],
  },
  {
    name: 'a Read Response inside a Write',
    cause: '0/2/6',
    attempts: [
      (on, forge, { requests }) => {
        on.granted(on.lent, 0, bytes(8));
        const sink = Buffer.from(requests[0]?.payload ?? nothing);
        const first = forge.write(on.lent.descriptor, 0, bytes(8), more);
        const { readResponse } = opcodes;
        const at = [sink.readUInt32BE(0), sink.readBigUInt64BE(4)] as const;
        return [first, forge.tagged(readResponse, ...at, bytes(64))];
      },
    ],
  },
];

/** Reads a descriptor, whole or in part. */
function read(
  from: (on: Parameters<Frames>[0]) => Descriptor,
  length = 8,
  fields: Parameters<Forge['read']>[2] = {},
  options: Parameters<Forge['read']>[3] = {},
): Frames {
  return (on, forge) => [forge.read(from(on), length, fields, options)];
}

const lentOf: (on: Parameters<Frames>[0]) => Descriptor = ({ lent }) => lent.descriptor;

const reads: readonly Attack[] = [
  {
    name: 'a Read with an unknown key',
    cause: '0/1/0',
    attempts: [
      read((on) => keyed(lentOf(on), 77)),
      read((on) => keyed(lentOf(on), (lentOf(on).stag ^ 1) >>> 0)),
      read((on) => keyed(lentOf(on), (lentOf(on).stag ^ 0x8000) >>> 0)),
    ],
  },
  {
    name: 'a Read from a region that is closed',
    cause: '0/1/0',
    attempts: [read(({ closed }) => closed)],
  },
  {
    name: 'a Read outside its region',
    cause: '0/1/1',
    attempts: [
      read((on) => moved(lentOf(on), -1n)),
      read((on) => moved(lentOf(on), lentOf(on).lengthBytes - 7n)),
      read((on) => moved(lentOf(on), lentOf(on).lengthBytes), 1),
      read((on) => ({ ...lentOf(on), base: 0n })),
      read(lentOf, 160 * 1024 + 1),
    ],
  },
  {
    name: 'a Read of 4 GiB',
    cause: '0/1/1',
    // Where the base is so high that the range wraps it would be 0/1/4: never so near the end.
    attempts: [read(lentOf, 0xffff_ffff)],
  },
  {
    name: 'a Read whose range wraps',
    cause: '0/1/4',
    attempts: [
      read((on) => ({ ...lentOf(on), base: wrap - 4n })),
      read((on) => ({ ...lentOf(on), base: wrap - 1n })),
      read((on) => ({ ...lentOf(on), base: wrap - 4n }), 0xffff_ffff),
    ],
  },
  {
    name: 'a Read whose answer would wrap',
    cause: '0/1/4',
    attempts: [
      read(lentOf, 8, { sinkOffset: wrap - 4n }),
      read(lentOf, 160 * 1024, { sinkOffset: wrap - 65_536n }),
    ],
  },
  {
    name: 'a Read without the right',
    cause: '0/1/2',
    attempts: [read(({ writeOnly }) => writeOnly.descriptor), read(({ sink }) => sink.descriptor)],
  },
  {
    name: 'a Read from a region of another connection',
    cause: '0/1/3',
    attempts: [read(({ bound }) => bound.descriptor)],
  },
  {
    name: 'a Read Request on another queue',
    cause: '1/2/1',
    attempts: [0, 2, 3, 4, 0xffff_ffff].map((queue) => read(lentOf, 8, { queue })),
  },
  {
    name: 'a Read Request of a wrong sequence',
    cause: '1/2/3',
    attempts: [0, 2, 0xffff_ffff].map((sequence) => read(lentOf, 8, { sequence })),
  },
  {
    name: 'a Read Request that is no whole message',
    cause: '1/2/4',
    attempts: [
      read(lentOf, 8, { messageOffset: 4 }),
      read(lentOf, 8, { messageOffset: 0xffff_fffc }),
      read(lentOf, 8, {}, more),
    ],
  },
  {
    name: 'a Read Request with bytes behind it',
    cause: '1/2/5',
    attempts: [1, 4, 1000].map((tail) => read(lentOf, 8, { tail })),
  },
  {
    name: 'a Read Request again',
    cause: '1/2/3',
    attempts: [
      (on, forge) => {
        const first = forge.read(on.lent.descriptor, 8);
        return [first, first];
      },
    ],
  },
];

/** The first segment of a Send, which is placed, and what follows it. */
function inSend(second: (forge: Forge, on: Parameters<Frames>[0]) => Uint8Array): Frames {
  return (on, forge) => {
    on.granted(on.sink, 32_768, bytes(8));
    return [forge.send(bytes(8), {}, more), second(forge, on)];
  };
}

const messages: readonly Attack[] = [
  {
    name: 'a Send on another queue',
    cause: '1/2/1',
    attempts: [1, 2, 3, 4, 0xffff_ffff].map((queue): Frames => (_on, forge) => [
      forge.send(nothing, { queue }),
    ]),
  },
  {
    name: 'a Send of a wrong sequence',
    cause: '1/2/3',
    attempts: [0, 2, 9, 0xffff_ffff].map((sequence): Frames => (_on, forge) => [
      forge.send(nothing, { sequence }),
    ]),
  },
  {
    name: 'a Send that does not begin at 0',
    cause: '1/2/4',
    attempts: [1, 4, 0xffff_ffff].map((messageOffset): Frames => (_on, forge) => [
      forge.send(bytes(4), { messageOffset }),
    ]),
  },
  {
    name: 'a Send longer than its receive',
    cause: '1/2/5',
    receive: 'length',
    attempts: [65, 66, 4096, 65_517].map((length): Frames => (_on, forge) => [
      forge.send(bytes(length)),
    ]),
  },
  {
    name: 'a Send whose second segment is longer than what is left',
    cause: '1/2/5',
    receive: 'length',
    attempts: [
      inSend((forge) => forge.send(bytes(57), { messageOffset: 8 })),
      inSend((forge) => forge.send(bytes(57), { messageOffset: 8 }, more)),
      inSend((forge) => forge.send(bytes(65_512), { messageOffset: 8 })),
    ],
  },
  {
    name: 'a segment of a Send that does not continue the one before',
    cause: '1/2/4',
    attempts: [0, 4, 12, 0xffff_fff8].map((messageOffset) =>
      inSend((forge) => forge.send(bytes(8), { messageOffset })),
    ),
  },
  {
    name: 'a segment of a Send with another sequence',
    cause: '1/2/3',
    attempts: [2, 0].map((sequence) =>
      inSend((forge) => forge.send(bytes(8), { messageOffset: 8, sequence })),
    ),
  },
  {
    name: 'a Read Request inside a Send',
    cause: '0/2/6',
    attempts: [inSend((forge, { lent }) => forge.read(lent.descriptor, 8))],
  },
  {
    name: 'another kind of Send inside a Send',
    cause: '0/2/6',
    attempts: [4, 5, 6].map((code) =>
      inSend((forge) =>
        forge.untagged(code, { queue: 0, sequence: 1, messageOffset: 8 }, bytes(8)),
      ),
    ),
  },
  {
    name: 'an empty segment that is not the last of a Send',
    cause: '1/2/4',
    attempts: [
      (_on, forge) => [forge.send(nothing, {}, more)],
      inSend((forge) => forge.send(nothing, { messageOffset: 8 }, more)),
    ],
  },
  {
    name: 'a Send with Invalidate',
    cause: '0/1/9',
    attempts: [opcodes.sendInvalidate, opcodes.sendSolicitedInvalidate].flatMap((code) =>
      [0, 77, null].map((stag): Frames => ({ lent }, forge) => {
        const invalidateStag = stag ?? lent.descriptor.stag;
        return [forge.untagged(code, { queue: 0, sequence: 1, invalidateStag }, nothing)];
      }),
    ),
  },
  {
    name: 'a Terminate on another queue',
    cause: '1/2/1',
    attempts: [0, 1, 3].map((queue): Frames => (_on, forge) => [
      forge.untagged(opcodes.terminate, { queue, sequence: 1 }, bytes(4)),
    ]),
  },
];

assault('hostile frames', framing);
assault('hostile Writes', writes);
assault('hostile Reads', reads);
assault('hostile messages', messages);
