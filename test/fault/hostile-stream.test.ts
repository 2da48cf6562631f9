// SPDX-License-Identifier: BSD-3-Clause
//
// Streams that stop or turn where they must not: ends inside frames and messages, wrong bits under
// a checksum, frames at fault that had to wait, a region closed under a frame, and Terminates of
// the other side in both of their forms. Under the questions of test/support/siege.ts.

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import { MemoryUsage } from 'rpma';
import { manyConnections } from '../support/assault.js';
import { conform, withCode } from '../support/conform.js';
import { until, withDeadline } from '../support/deadline.js';
import {
  extensionRequestBody,
  extensionSubs,
  opcodes,
  terminateBody,
  terminateWords,
  expectedWords,
} from '../support/iwarp.js';
import { descriptorOf } from '../support/scripted-peer.js';
import {
  alive,
  type Forge,
  type Mode,
  modeName,
  modes,
  nothing,
  nothingLeft,
  Siege,
  type Verdict,
  type Victim,
} from '../support/siege.js';

const bytes = (length: number): Uint8Array => new Uint8Array(length).fill(0xbd);
const more = { last: false } as const;
const plainModes = modes.filter(({ extended }) => !extended);
const silent = { own: () => undefined, ownFrames: 0 } as const;

type Shape = (on: Siege, forge: Forge) => Uint8Array;

const shapes: Readonly<Record<string, Shape>> = {
  Write: ({ lent }, forge) => forge.write(lent.descriptor, 0, bytes(10)),
  Send: (_on, forge) => forge.send(bytes(10)),
  'Read Request': ({ lent }, forge) => forge.read(lent.descriptor, 8),
};

let baseline = '';

conform('streams that end', ({ provider, it }) => {
  if (provider !== 'iwarp') return;

  it('what an environment keeps for its life is there', async (world) => {
    await (await Siege.open(world)).stillServes();
    await world.end();
    baseline = alive();
  });

  for (const [name, shape] of Object.entries(shapes)) {
    for (const how of ['FIN', 'RST'] as const) {
      it(
        `${how} at every byte inside a ${name} loses the connection`,
        async (world) => {
          const siege = await Siege.open(world);
          // A reset does not care how the bytes before it are received.
          for (const mode of how === 'FIN' ? plainModes : plainModes.slice(0, 1)) {
            const whole = shape(siege, siege.forgeOf(mode));
            for (let length = 1; length < whole.length; length++) {
              const victim = await siege.victim(mode);
              victim.script.write(whole.subarray(0, length));
              if (how === 'FIN') victim.script.socket.end();
              else victim.script.socket.resetAndDestroy();
              await siege.witness();
              await siege.checkEnd(victim);
              siege.arena.check(`${how} behind byte ${length}`);
              siege.tried++;
            }
          }
          await siege.stillServes();
          world.test.diagnostic(`${siege.tried} cuts`);
        },
        manyConnections,
      );
    }
  }

  it('FIN between the segments of a message loses the connection', async (world) => {
    const siege = await Siege.open(world);
    for (const mode of modes) {
      for (const kind of ['Write', 'Send'] as const) {
        const victim = await siege.victim(mode);
        const { forge, script } = victim;
        if (kind === 'Write') {
          script.write(forge.write(siege.lent.descriptor, 0, bytes(8), more));
          siege.granted(siege.lent, 0, bytes(8));
        } else {
          script.write(forge.send(bytes(8), {}, more));
          siege.granted(siege.sink, 32_768, bytes(8));
        }
        script.socket.end();
        const rest = await siege.checkEnd(victim);
        assert.ok(rest.every((each) => !each.ok));
        siege.arena.check(`inside a ${kind}, ${modeName(mode)}`);
      }
    }
    await siege.stillServes();
  });

  it('FIN between messages is an orderly end', async (world) => {
    const siege = await Siege.open(world);
    for (const mode of modes) {
      const victim = await siege.victim(mode, silent);
      victim.script.write(victim.forge.write(siege.lent.descriptor, 0, bytes(8)));
      victim.script.socket.end();
      siege.granted(siege.lent, 0, bytes(8));
      await siege.checkEnd(victim, {}, 'closed');
      siege.arena.check('after an orderly end');
    }
  });
});

conform('wrong bits under a checksum', ({ provider, it }) => {
  if (provider !== 'iwarp') return;

  for (const [name, shape] of Object.entries(shapes)) {
    // A Read Request is long: one bit of each byte.
    const step = name === 'Read Request' ? 9 : 1;
    it(
      `every ${step === 1 ? 'bit' : 'byte'} of a ${name} is covered: Terminate 2/0/2`,
      async (world) => {
        const siege = await Siege.open(world);
        const mode = { crc: true, extended: name === 'Write' };
        const whole = shape(siege, siege.forgeOf(mode));
        // A length that grew makes the frame longer: there must be bytes to check it against.
        const filler = new Uint8Array(65_544);
        for (let bit = 0; bit < whole.length * 8; bit += step) {
          const victim = await siege.victim(mode);
          const wrong = Uint8Array.from(whole);
          wrong[bit >> 3] = (wrong[bit >> 3] ?? 0) ^ (1 << (bit & 7));
          const sent = bit < 16 ? [wrong, filler] : [wrong];
          await siege.strike(victim, sent, { cause: '2/0/2', fault: nothing });
        }
        await siege.stillServes();
        world.test.diagnostic(`${siege.tried} bits`);
      },
      manyConnections,
    );
  }
});

interface Late {
  readonly name: string;
  readonly cause: string;
  readonly frame: (on: Siege, forge: Forge) => Uint8Array;
  readonly on?: (mode: Mode) => boolean;
}

/** Faults that only come to light when the frame's turn has come. */
const late: readonly Late[] = [
  {
    name: 'a Write with an unknown key',
    cause: '1/1/0',
    frame: (_on, forge) => forge.tagged(opcodes.write, 77, 0n, bytes(8)),
  },
  {
    name: 'a Read with an unknown key',
    cause: '0/1/0',
    frame: ({ lent }, forge) => forge.read({ ...lent.descriptor, stag: 77 }, 8),
  },
  {
    name: 'a Send longer than its receive',
    cause: '1/2/5',
    frame: (_on, forge) => forge.send(bytes(65), { sequence: 2 }),
  },
  {
    name: 'a Send with Invalidate',
    cause: '0/1/9',
    frame: (_on, forge) =>
      forge.untagged(opcodes.sendInvalidate, { queue: 0, sequence: 2, invalidateStag: 5 }, nothing),
  },
  {
    name: 'a flush with an unknown key',
    cause: '0/1/0',
    on: ({ extended }) => extended,
    frame: (_on, forge) => {
      const where = { stag: 77, taggedOffset: 0n, lengthBytes: 8n };
      const body = extensionRequestBody({ sub: extensionSubs.flush, ...where });
      return forge.untagged(opcodes.extension, { queue: 1, sequence: 1 }, body);
    },
  },
];

conform('frames at fault that had to wait', ({ provider, it }) => {
  if (provider !== 'iwarp') return;

  for (const each of late) {
    it(`${each.name}, parked: Terminate ${each.cause} with its own header`, async (world) => {
      const siege = await Siege.open(world);
      for (const mode of modes.filter(each.on ?? (() => true))) {
        const victim = await siege.victim(mode, { ...silent, receives: [] });
        const { script, forge, ledger, connection } = victim;
        const fault = each.frame(siege, forge);
        // Behind it lies the half of another frame, whose header must not be taken for it.
        const half = forge.write(siege.lent.descriptor, 0, bytes(4000)).subarray(0, 2000);
        script.write(forge.send(nothing), fault, half);
        await siege.witness();
        assert.equal(connection.state, 'established', 'it waits');
        for (const length of [0, 64]) {
          const local = siege.sink.region;
          ledger.post('always', (id) => connection.postReceive({ local, length, id }));
        }
        const verdict: Verdict = { cause: each.cause, fault };
        siege.checkTerminate(victim, await script.rest(), verdict);
        await siege.checkEnd(victim);
        siege.arena.check('after a parked fault');
      }
    });
  }

  it('a Send that found no receive in time: Terminate 1/2/2 with its own header', async (world) => {
    const siege = await Siege.open(world);
    for (const mode of modes) {
      const victim = await siege.victim(mode, {
        receives: [],
        connection: { receiverNotReadyTimeoutMs: 150 },
      });
      const { script, forge } = victim;
      const fault = forge.send(bytes(100));
      const half = forge.write(siege.lent.descriptor, 0, bytes(4000)).subarray(0, 2000);
      script.write(fault, forge.write(siege.lent.descriptor, 0, bytes(8)), half);
      const [frames] = await Promise.all([script.rest(), siege.witness()]);
      siege.checkTerminate(victim, frames, { cause: '1/2/2', fault });
      await siege.checkEnd(victim);
      siege.arena.check('nothing behind it was placed');
    }
  });

  it('a region closed under a large Write: Terminate 1/1/0, and not a byte more', async (world) => {
    const siege = await Siege.open(world);
    const mode = { crc: false, extended: false };
    const part = 30_000;
    for (let round = 0; round < 5; round++) {
      const memory = new Uint8Array(64 * 1024).fill(0xa5);
      const usage = MemoryUsage.WriteDestination;
      const region = await siege.pair.targetPeer.register(memory, { usage });
      const victim = await siege.victim(mode);
      const { script, forge } = victim;
      const whole = forge.write(descriptorOf(region), 0, bytes(60_000));
      script.write(whole.subarray(0, part));
      // It is received in place as it comes; staged, nothing would be here before the end.
      await until(() => memory[part - 17] === 0xbd, 'the first part is placed');
      await region.close();
      const before = memory.slice();
      script.write(whole.subarray(part));
      const [frames] = await Promise.all([script.rest(), siege.witness()]);
      siege.checkTerminate(victim, frames, { cause: '1/1/0', fault: whole });
      await siege.checkEnd(victim);
      assert.deepEqual(memory, before, 'nothing is placed in a closed region');
      siege.arena.check('after a closed region');
    }
  });
});

interface Said {
  readonly cause: string;
  /** Of the oldest operation that has no outcome. */
  readonly status: string;
}

const said: readonly Said[] = [
  ...['0/0/0', '0/2/7', '0/2/8', '1/0/0'].map((cause) => ({ cause, status: 'remote-operation' })),
  ...['0/1/0', '0/1/1', '0/1/2', '0/1/3', '0/1/4', '0/1/9', '0/1/255'].map((cause) => {
    return { cause, status: 'remote-access' };
  }),
  ...['1/1/0', '1/1/1', '1/1/2', '1/1/3', '1/1/4'].map((cause) => {
    return { cause, status: 'remote-access' };
  }),
  ...['0/2/5', '0/2/6', '0/2/9', '0/2/255'].map((cause) => ({ cause, status: 'remote-invalid' })),
  ...['1/2/1', '1/2/3', '1/2/4', '1/2/5', '1/2/6'].map((cause) => {
    return { cause, status: 'remote-invalid' };
  }),
  { cause: '1/2/2', status: 'rnr-retry' },
  ...['2/0/1', '2/0/2', '2/0/3', '2/0/4'].map((cause) => ({ cause, status: 'provider' })),
];

/** The victim's own Read Request, as the frame that a Terminate blames. */
function blamed(victim: Victim): Uint8Array {
  const [request] = victim.requests;
  const { stag, sequence, payload } = request ?? assert.fail();
  assert.equal(stag, 0);
  return victim.forge.untagged(opcodes.readRequest, { queue: 1, sequence }, payload);
}

async function toldOf(siege: Siege, mode: Mode, frame: (victim: Victim) => Uint8Array) {
  const victim = await siege.victim(mode);
  const { script, connection, ledger } = victim;
  script.write(frame(victim));
  const [frames] = await Promise.all([script.rest(), siege.witness()]);
  assert.deepEqual(frames, [], 'nothing is sent behind a Terminate that came');
  assert.throws(() => connection.postSend({ length: 0 }), withCode('CLOSED'));
  assert.equal(ledger.failures, 0);
  const types: string[] = [];
  for await (const event of connection.events) types.push(event.type);
  assert.deepEqual(types, ['established', 'lost']);
  const [oldest = -1, next = -1] = victim.ids.posts;
  const rest = await siege.checkEnd(victim, { [next]: 'flushed' });
  siege.arena.check('after a Terminate that came');
  siege.tried++;
  return rest.find((each) => each.id === oldest)?.status;
}

conform('Terminates of the other side', ({ provider, it }) => {
  if (provider !== 'iwarp') return;

  for (const swapped of [false, true]) {
    const form = swapped ? "siw's nibble order" : 'the form of the standard';
    it(
      `in ${form} each cause is understood`,
      async (world) => {
        const siege = await Siege.open(world);
        for (const mode of plainModes) {
          for (const { cause, status } of said) {
            // Bare and swapped, these two read as each other; siw sends both with headers.
            const isMirrored = swapped && (cause === '0/1/0' || cause === '1/0/0');
            for (const withHeaders of isMirrored ? [true] : [false, true]) {
              const told = await toldOf(siege, mode, (victim) => {
                const fault = withHeaders ? blamed(victim) : undefined;
                const options = fault === undefined ? { swapped } : { swapped, fault };
                const body = terminateBody(cause, options);
                return victim.forge.untagged(opcodes.terminate, { queue: 2, sequence: 1 }, body);
              });
              const what = `${cause} ${withHeaders ? 'with' : 'without'} headers`;
              assert.equal(told, status, `${what}, ${modeName(mode)}`);
            }
          }
        }
        world.test.diagnostic(`${siege.tried} Terminates`);
        await siege.stillServes();
      },
      manyConnections,
    );
  }

  it('with a body of any kind it ends the connection, and no more', async (world) => {
    const siege = await Siege.open(world);
    const random = world.random(5301);
    for (let round = 0; round < 60; round++) {
      const mode = random.pick(modes);
      const body = random.bytes(random.pick([4, 5, 6, 23, 24, 51, 52, 53, 1000, 65_000]));
      const sequence = random.pick([1, 0, 2, 0xffff_ffff]);
      const last = random.below(2) === 0;
      const told = await toldOf(siege, mode, ({ forge }) =>
        forge.untagged(opcodes.terminate, { queue: 2, sequence }, body, { last }),
      );
      assert.notEqual(told, 'success');
    }
    await siege.stillServes();
  });

  it('inside an unfinished message of ours or theirs it ends the connection', async (world) => {
    const siege = await Siege.open(world);
    for (const mode of modes) {
      const victim = await siege.victim(mode);
      const { forge, script } = victim;
      siege.granted(siege.sink, 32_768, bytes(8));
      script.write(
        forge.send(bytes(8), {}, more),
        forge.untagged(opcodes.terminate, { queue: 2, sequence: 1 }, terminateBody('1/0/0')),
      );
      const [frames] = await Promise.all([script.rest(), siege.witness()]);
      assert.deepEqual(frames, []);
      const [oldest = -1] = victim.ids.posts;
      await siege.checkEnd(victim, { [oldest]: 'remote-operation' });
      siege.arena.check('after a Terminate inside a message');
    }
  });

  it('as first frame of a connection it ends it', async (world) => {
    const siege = await Siege.open(world);
    for (const mode of modes) {
      const { script, request } = await siege.stranger(mode);
      const connection = request.accept();
      await script.setup();
      const body = terminateBody('2/0/6');
      const forge = siege.forgeOf(mode);
      script.write(forge.untagged(opcodes.terminate, { queue: 2, sequence: 1 }, body));
      assert.deepEqual(await script.rest(), []);
      const end = await withDeadline(connection.whenClosed(), 'the end');
      assert.equal(end.type, 'lost');
      assert.match(end.error?.message ?? '', /inbound reads/);
      script.socket.destroy();
    }
  });
});

conform('first frames', ({ provider, it }) => {
  if (provider !== 'iwarp') return;

  it('a first frame at fault gets its Terminate too', async (world) => {
    const siege = await Siege.open(world);
    for (const mode of modes) {
      const { script, request } = await siege.stranger(mode);
      const connection = request.accept();
      await script.setup();
      const fault = siege.forgeOf(mode).untagged(0xc, { queue: 0, sequence: 1 }, bytes(8));
      script.write(fault);
      const [terminate, ...others] = await script.rest();
      assert.ok(terminate !== undefined && others.length === 0);
      assert.deepEqual(terminateWords(terminate), expectedWords('0/2/6', fault));
      if (mode.crc) assert.ok(terminate.crcIsRight);
      const end = await withDeadline(connection.whenClosed(), 'the end');
      assert.equal(end.type, 'lost');
      script.socket.destroy();
    }
  });

  it('a hello whose checksum is wrong: Terminate 2/0/2 with a right one', async (world) => {
    const siege = await Siege.open(world);
    const { script, request } = await siege.stranger({ crc: false, extended: true });
    const connection = request.accept();
    await script.setup();
    const hello = siege.forgeOf({ crc: true, extended: true }).hello(0xb);
    hello[18] = (hello[18] ?? 0) ^ 1;
    script.write(hello);
    const [terminate] = await script.rest();
    assert.ok(terminate !== undefined);
    assert.deepEqual(terminateWords(terminate), expectedWords('2/0/2', nothing));
    assert.ok(terminate.crcIsRight, 'both sides named the checksum');
    assert.equal((await withDeadline(connection.whenClosed(), 'the end')).type, 'lost');
    script.socket.destroy();
  });

  it('hostile streams leave nothing native behind', async () => {
    await nothingLeft(baseline);
  });
});
