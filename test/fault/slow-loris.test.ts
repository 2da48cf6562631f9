// SPDX-License-Identifier: BSD-3-Clause
//
// Peers that are slow on purpose, by the dozen: in the set-up, in the middle of a frame, of a
// message, of an answer. Each holds at most the buffers of one connection, set-ups end at their
// time however busy they look, and everybody else is served all the while.

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import { MemoryUsage } from 'rpma';
import { conform } from '../support/conform.js';
import { lastFor, timed, withDeadline } from '../support/deadline.js';
import { encodeSetup, plainSetup } from '../support/iwarp.js';
import { descriptorOf, ScriptedPeer } from '../support/scripted-peer.js';
import {
  type Mode,
  modeName,
  nothing,
  nothingLeft,
  alive,
  Siege,
  type Victim,
} from '../support/siege.js';

const setupMs = 5000; // of the limits: how long a Request may take
const stagingBytes = 256 * 1024; // one buffer of a connection that has an unfinished frame
const parkedBytes = 64 * 1024;
const slackBytes = 32 << 20; // what the rest of the process may grow by meanwhile
const silent = { own: () => undefined, ownFrames: 0 } as const;
const bytes = (length: number): Uint8Array => new Uint8Array(length).fill(0xbd);
const staged: Mode = { crc: true, extended: false };
const inPlace: Mode = { crc: false, extended: false };

let baseline = '';

function residentBytes(): number {
  return process.memoryUsage.rss();
}

/** Sends one byte of each stream in turn, for so long; the witness is served between the rounds. */
async function trickle(
  siege: Siege,
  streams: readonly { readonly script: ScriptedPeer; readonly bytes: Uint8Array }[],
  options: { readonly everyMs: number; readonly forMs: number },
): Promise<number> {
  const end = performance.now() + options.forMs;
  let at = 0;
  for (; performance.now() < end; at++) {
    for (const { script, bytes } of streams) {
      if (!script.isEnded && at < bytes.length) script.write(bytes.subarray(at, at + 1));
    }
    await siege.witness();
    await lastFor(options.everyMs);
  }
  return at;
}

async function victims(siege: Siege, count: number, mode: Mode, receives: readonly number[] = []) {
  const made: Victim[] = [];
  for (let n = 0; n < count; n++) made.push(await siege.victim(mode, { ...silent, receives }));
  return made;
}

/** Ends them in order, each behind a whole frame. */
async function depart(siege: Siege, all: readonly Victim[]): Promise<void> {
  for (const victim of all) {
    victim.script.socket.end();
    await siege.checkEnd(victim, {}, 'closed');
  }
}

conform('slow peers', ({ provider, it }) => {
  if (provider !== 'iwarp') return;

  it('what an environment keeps for its life is there', async (world) => {
    await (await Siege.open(world)).stillServes();
    await world.end();
    baseline = alive();
  });

  it(
    'a Request at a byte a second, or ten, or none, ends at its time',
    async (world) => {
      const siege = await Siege.open(world);
      const request = encodeSetup(plainSetup('request', new Uint8Array(508)));
      const dial = () => ScriptedPeer.dial(world.test, siege.pair.endpoint.port);
      const slow = [];
      for (let n = 0; n < 30; n++) slow.push(await dial());
      const busy = [];
      for (let n = 0; n < 30; n++) busy.push(await dial());
      const ends = [...slow, ...busy].map((each) => timed(each.ended(setupMs + 5000)));
      const streams = (scripts: readonly ScriptedPeer[]) =>
        scripts.map((script) => ({ script, bytes: request }));
      const forMs = setupMs + 1500;
      const [elapsed] = await Promise.all([
        Promise.all(ends),
        trickle(siege, streams(slow.slice(0, 20)), { everyMs: 1000, forMs }),
        trickle(siege, streams(busy), { everyMs: 100, forMs }),
      ]);
      const times = elapsed.map((each) => each.elapsedMs);
      assert.ok(Math.min(...times) > setupMs - 1500, `the first after ${Math.min(...times)} ms`);
      assert.equal(siege.pair.endpoint.tryTake(), null);
      await siege.stillServes();
      const last = `the last ended after ${Math.max(...times).toFixed(0)} ms`;
      const witness = `the witness waited at most ${siege.slowestWitnessMs.toFixed(1)} ms`;
      world.test.diagnostic(`60 strangers; ${last}; ${witness}`);
    },
    { timeoutMs: 40_000 },
  );

  for (const mode of [staged, inPlace]) {
    it(`64 frames that never end cost their buffers, others nothing (${modeName(mode)})`, async (world) => {
      const siege = await Siege.open(world);
      const count = 64;
      const all = await victims(siege, count, mode);
      await siege.witness();
      const before = residentBytes();
      const frame = siege.forgeOf(mode).write(siege.lent.descriptor, 0, bytes(65_000));
      const begun = 50_000;
      for (const { script } of all) script.socket.write(frame.subarray(0, begun));
      const streams = all.map(({ script }) => ({ script, bytes: frame.subarray(begun, -100) }));
      const sent = await trickle(siege, streams, { everyMs: 20, forMs: 1500 });
      const grown = residentBytes() - before;
      const bound = count * stagingBytes + slackBytes;
      assert.ok(grown < bound, `${grown} bytes more, at most ${bound}`);
      if (mode.crc) siege.arena.check('nothing of an unverified frame is placed');
      for (const { connection } of all) assert.equal(connection.state, 'established');
      for (const { script } of all) script.socket.write(frame.subarray(begun + sent));
      siege.granted(siege.lent, 0, bytes(65_000));
      for (const { script } of all) {
        assert.equal((await script.read(siege.readOnly.descriptor, 0, 1))[0], 0xa5);
      }
      siege.arena.check('all of them came to their end');
      await depart(siege, all);
      const witness = `the witness waited at most ${siege.slowestWitnessMs.toFixed(1)} ms`;
      world.test.diagnostic(`${count} connections, ${grown} bytes more; ${witness}`);
    });
  }

  it('a message that never ends holds its receive, and the connection can be closed', async (world) => {
    const siege = await Siege.open(world);
    const all = await victims(siege, 16, staged, [64]);
    for (const { script, forge } of all) script.write(forge.send(bytes(8), {}, { last: false }));
    siege.granted(siege.sink, 32_768, bytes(8));
    await siege.witness();
    for (const victim of all) {
      // Requests inside the unfinished message are served.
      const { script, forge, connection } = victim;
      script.write(forge.write(siege.lent.descriptor, 0, bytes(8)));
      await siege.witness();
      const closing = withDeadline(connection.close({ timeoutMs: 100 }), 'it closes', 5000);
      await closing;
      for (;;) {
        const done = connection.completionQueue.tryTake();
        if (done === null) break;
        assert.equal(done.status, 'flushed');
        victim.ledger.add(done);
      }
      victim.ledger.audit();
      script.socket.destroy();
    }
    siege.granted(siege.lent, 0, bytes(8));
    siege.arena.check('after unfinished messages');
    await siege.stillServes();
  });

  it('a flood behind a message that waits costs the space of parked frames', async (world) => {
    const siege = await Siege.open(world);
    const count = 32;
    const all = await victims(siege, count, inPlace);
    const { forge } = all[0] ?? assert.fail();
    // One buffer for all of it: what the kernel does not take must not count as ours.
    const write = Buffer.from(forge.write(siege.lent.descriptor, 0, bytes(15_000)));
    await siege.witness();
    const before = residentBytes();
    for (const { script } of all) {
      script.write(forge.send(nothing));
      for (let n = 0; n < 1000; n++) script.socket.write(write);
    }
    await trickle(siege, [], { everyMs: 20, forMs: 1000 });
    const grown = residentBytes() - before;
    const bound = count * (parkedBytes + stagingBytes) + slackBytes;
    assert.ok(grown < bound, `${grown} bytes more, at most ${bound}`);
    siege.arena.check('nothing behind a parked message is placed');
    for (const { connection, script } of all) {
      assert.equal(connection.state, 'established');
      assert.ok(script.socket.writableLength > 0, 'the rest was left in the socket');
      connection.destroy();
      script.socket.destroy();
      await withDeadline(connection.whenClosed(), 'the end');
    }
    siege.arena.check('nor when it ends');
    await siege.stillServes();
    world.test.diagnostic(`${count} floods of 15 MB, ${grown} bytes more`);
  });

  it('answers that nobody takes cost no copies', async (world) => {
    const siege = await Siege.open(world);
    const large = await siege.pair.targetPeer.allocate(32 << 20, { usage: MemoryUsage.ReadSource });
    const all = await victims(siege, 16, inPlace);
    const from = descriptorOf(large);
    await siege.witness();
    const before = residentBytes();
    for (const { script, forge } of all) {
      script.socket.pause();
      for (let n = 1; n <= 32; n++) script.write(forge.read(from, 32 << 20, { sequence: n }));
    }
    await trickle(siege, [], { everyMs: 20, forMs: 1000 });
    const grown = residentBytes() - before;
    // The region's own pages count once they were read.
    const bound = (32 << 20) + all.length * stagingBytes + slackBytes;
    assert.ok(grown < bound, `${grown} bytes more, at most ${bound}`);
    for (const { connection, script, forge } of all) {
      assert.equal(connection.state, 'established');
      // What is being answered may be asked again by an honest peer; this is more than that.
      for (let n = 33; n <= 80; n++) script.write(forge.read(from, 32 << 20, { sequence: n }));
      assert.equal((await withDeadline(connection.whenClosed(), 'too many')).type, 'lost');
      script.socket.resume();
      assert.equal(await script.terminate(), '1/2/2');
      script.socket.destroy();
      await withDeadline(connection.whenClosed(), 'the end');
    }
    await siege.stillServes();
    world.test.diagnostic(`${all.length} connections, 1 GiB due to each, ${grown} bytes more`);
  });

  it('slow peers leave nothing native behind', async () => {
    await nothingLeft(baseline);
  });
});
