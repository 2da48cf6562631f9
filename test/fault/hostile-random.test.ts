// SPDX-License-Identifier: BSD-3-Clause
//
// Random bytes, mutated frames and random cuts, all seeded: thousands of inputs behind a valid
// set-up. Random bytes place nothing; a mutated stream places at most what its valid frames were
// granted; a valid stream comes to the same under any cuts, staged or received in place.

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import { conform } from '../support/conform.js';
import { turn, withDeadline } from '../support/deadline.js';
import { decodeFrame, opcodes } from '../support/iwarp.js';
import { SeededRandom } from '../support/random.js';
import {
  alive,
  type Forge,
  type Mode,
  modeName,
  modes,
  nothingLeft,
  outcomes,
  Siege,
  type Victim,
} from '../support/siege.js';

const silent = { own: () => undefined, ownFrames: 0 } as const;

let baseline = '';

/** Sends to a victim and hangs up; it must end, with an outcome for everything. */
async function pelt(siege: Siege, victim: Victim, bytes: Uint8Array): Promise<'lost' | 'closed'> {
  const { script, connection, ledger } = victim;
  script.write(bytes);
  script.socket.end();
  const end = await withDeadline(connection.whenClosed(), 'the end of the victim');
  assert.ok(end.type === 'lost' || end.type === 'closed', end.type);
  for (;;) {
    const done = connection.completionQueue.tryTake();
    if (done === null) break;
    ledger.add(done);
  }
  ledger.audit();
  await script.ended();
  const answers = script.takePending();
  script.socket.destroy();
  checkAnswers(answers);
  siege.tried++;
  return end.type;
}

/** What came back is whole frames, and a Terminate is the last of them. */
function checkAnswers(answers: Uint8Array): void {
  const bytes = Buffer.from(answers);
  for (let at = 0; at < bytes.length;) {
    const total = ((2 + bytes.readUInt16BE(at) + 3) & ~3) + 4;
    assert.ok(at + total <= bytes.length, 'the stream ends behind a whole frame');
    const { opcode } = decodeFrame(bytes.subarray(at, at + total));
    at += total;
    if (opcode === opcodes.terminate) assert.equal(at, bytes.length, 'nothing behind a Terminate');
  }
}

/** A machine with much else to do tries fewer, but never so few. */
const longestMs = 20_000;
const leastInputs = 100;

/** Several victims at a time, since each costs round trips; tells how many there were. */
async function inParallel(count: number, lanes: number, run: (n: number) => Promise<void>) {
  const end = performance.now() + longestMs;
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count && (next < leastInputs || performance.now() < end)) await run(next++);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return next;
}

/** A valid conversation in the order in which its frames are to be sent, and what comes of it. */
interface Script {
  readonly frames: readonly Uint8Array[];
  readonly receives: readonly number[];
  readonly reads: number;
}

const receiveBytes = 4096;

function conversation(siege: Siege, forge: Forge, random: SeededRandom, steps: number): Script {
  const frames: Uint8Array[] = [];
  const receives: number[] = [];
  let reads = 0;
  for (let step = 0; step < steps; step++) {
    const kind = random.pick(['write', 'write', 'large write', 'send', 'read', 'empty'] as const);
    if (kind === 'write' || kind === 'large write') {
      const large = kind === 'large write';
      const length = large ? random.between(20_000, 65_521) : random.between(1, 300);
      const offset = random.below(siege.lent.length - 2 * length);
      const parts = large ? 1 : random.between(1, 3);
      for (let n = 0; n < parts; n++) {
        const bytes = random.bytes(length);
        const at = offset + (parts > 1 ? n * length : 0);
        if (at + length > siege.lent.length) break;
        const last = n === parts - 1 || at + 2 * length > siege.lent.length;
        siege.granted(siege.lent, at, bytes);
        frames.push(forge.write(siege.lent.descriptor, at, bytes, { last }));
        if (last) break;
      }
    } else if (kind === 'send' && receives.length < 4) {
      const sequence = receives.length + 1;
      const lengths = Array.from({ length: random.between(1, 3) }, () => random.between(1, 1000));
      let messageOffset = 0;
      lengths.forEach((length, n) => {
        const bytes = random.bytes(length);
        siege.granted(siege.sink, 32_768 + (sequence - 1) * 16_384 + messageOffset, bytes);
        const last = n === lengths.length - 1;
        frames.push(forge.send(bytes, { sequence, messageOffset }, { last }));
        messageOffset += length;
      });
      receives.push(messageOffset);
    } else if (kind === 'read' && reads < 16) {
      frames.push(forge.read(siege.readOnly.descriptor, random.below(4096), { sequence: ++reads }));
    } else {
      frames.push(forge.tagged(opcodes.write, random.next(), 5n, new Uint8Array(0)));
    }
  }
  return { frames, receives, reads };
}

/** Positions at which a stream is cut; some whole, some to single bytes, most at random. */
function* cuts(bytes: Uint8Array, random: SeededRandom): Generator<Uint8Array> {
  const style = random.pick(['bytes', 'small', 'large', 'mixed', 'mixed', 'whole'] as const);
  for (let at = 0; at < bytes.length;) {
    const tiny = style === 'bytes' && at % 65_536 < 200;
    const most = { bytes: 8000, small: 120, large: 40_000, mixed: 0, whole: bytes.length }[style];
    const limit = tiny ? 1 : most === 0 ? random.pick([1, 3, 20, 700, 17_000]) : most;
    const length = style === 'whole' ? limit : random.between(1, limit);
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

conform('random input', ({ provider, it }) => {
  if (provider !== 'iwarp') return;

  it('what an environment keeps for its life is there', async (world) => {
    await (await Siege.open(world)).stillServes();
    await world.end();
    baseline = alive();
  });

  it(
    'random bytes behind a valid set-up place nothing and end that connection alone',
    async (world) => {
      const siege = await Siege.open(world);
      const random = world.random(7001);
      const most = 2000;
      const ends = { lost: 0, closed: 0 };
      const count = await inParallel(most, 4, async (n) => {
        const mode = modes[n % modes.length] ?? assert.fail();
        const bytes = random.bytes(random.pick([4, 5, 20, 64, 300, 3000]));
        // Half of them with a plausible beginning, so that they come further.
        if (n % 2 === 0) bytes.set([0, random.between(12, 80), random.pick([0x41, 0xc1])]);
        if (n % 4 === 0) bytes[3] = 0x40 | random.below(16);
        const victim = await siege.victim(mode, n % 3 === 0 ? {} : silent);
        ends[await pelt(siege, victim, bytes)]++;
        if (n % 50 === 0) await siege.witness();
      });
      siege.arena.check('after random bytes');
      await siege.stillServes();
      const witness = `the witness waited at most ${siege.slowestWitnessMs.toFixed(1)} ms`;
      world.test.diagnostic(
        `${count} inputs: ${ends.lost} lost, ${ends.closed} closed; ${witness}`,
      );
    },
    { timeoutMs: 90_000 },
  );

  it(
    'mutated frames change nothing but what a peer may write',
    async (world) => {
      const siege = await Siege.open(world);
      const random = world.random(7002);
      const most = 1200;
      const ends = { lost: 0, closed: 0 };
      const { lent, writeOnly, sink } = siege;
      const count = await inParallel(most, 4, async (n) => {
        const mode = modes[n % modes.length] ?? assert.fail();
        const victim = await siege.victim(mode, {
          ...silent,
          receives: Array<number>(4).fill(4096),
        });
        const { frames } = conversation(siege, victim.forge, random, random.between(1, 6));
        const stream = Buffer.concat(frames);
        for (let changes = random.between(1, 3); changes > 0; changes--) {
          // Headers rather than payload, or little would come of it.
          const frame = random.below(frames.length);
          const start = frames.slice(0, frame).reduce((sum, each) => sum + each.length, 0);
          const at = start + random.below(Math.min(48, frames[frame]?.length ?? 1));
          stream[at] =
            random.below(2) === 0 ? random.below(256) : (stream[at] ?? 0) ^ (1 << random.below(8));
        }
        ends[await pelt(siege, victim, stream)]++;
        if (n % 50 === 0) await siege.witness();
      });
      // What may be written may hold anything now; everything else is as it was.
      siege.arena.forgive(lent, writeOnly, { offset: sink.offset + 32_768, length: 4 * 16_384 });
      siege.arena.check('after mutated frames');
      await siege.stillServes();
      world.test.diagnostic(`${count} streams: ${ends.lost} lost, ${ends.closed} closed`);
    },
    { timeoutMs: 90_000 },
  );

  it(
    'a valid stream comes to the same under any cuts, staged or received in place',
    async (world) => {
      const siege = await Siege.open(world);
      const seeds = world.random(7003);
      const most = 60;
      const end = performance.now() + longestMs;
      let pieces = 0;
      let rounds = 0;
      for (; rounds < most && (rounds < 5 || performance.now() < end); rounds++) {
        const seed = seeds.next();
        const results: unknown[] = [];
        for (const mode of modes) pieces += await playCut(siege, mode, seed, results);
        for (const result of results) assert.deepEqual(result, results[0], `seed ${seed}`);
        if (rounds % 10 === 0) await siege.witness();
      }
      await siege.stillServes();
      world.test.diagnostic(`${rounds} streams in ${modes.length} modes, ${pieces} pieces`);
    },
    { timeoutMs: 90_000 },
  );

  it('random input leaves nothing native behind', async () => {
    await nothingLeft(baseline);
  });
});

/** Sends one conversation in pieces and gives what came of it; both depend on the seed alone. */
async function playCut(
  siege: Siege,
  mode: Mode,
  seed: number,
  results: unknown[],
): Promise<number> {
  const random = new SeededRandom(seed);
  const receives = Array<number>(4).fill(receiveBytes);
  const victim = await siege.victim(mode, { ...silent, receives });
  const { script, forge } = victim;
  const said = conversation(siege, forge, random, 8);
  let pieces = 0;
  for (const piece of cuts(Buffer.concat(said.frames), random)) {
    script.write(piece);
    pieces++;
    // Now and then the target shall find a part only.
    if (pieces < 400 || pieces % 16 === 0) await turn();
  }
  const answers: number[] = [];
  for (let n = 0; n < said.reads; n++) {
    const { opcode, payload, last } = await script.frame();
    assert.deepEqual([opcode, last], [opcodes.readResponse, true]);
    assert.ok(payload.every((byte) => byte === 0xa5));
    answers.push(payload.length);
  }
  script.socket.end();
  const done = await outcomes(victim, said.receives.length);
  await siege.checkEnd(victim, {}, 'closed');
  const lengths = done.map((each) => each.length);
  assert.deepEqual(lengths, said.receives, modeName(mode));
  siege.arena.check(`seed ${seed}, ${modeName(mode)}`);
  results.push({ lengths, answers });
  return pieces;
}
