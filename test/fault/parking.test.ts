// SPDX-License-Identifier: BSD-3-Clause
//
// A Send without a receive is parked, in a space of 16 messages and 64 KiB a connection. Requests
// behind it wait in order; answers to our own requests are taken until the space is full, and wait
// then, too, because the socket is not read. So whether an answer is taken tells whether the space
// is full.

import assert from 'node:assert/strict';
import { type Connection, type MemoryRegion, RemoteRegion } from 'rpma';
import { conform } from '../support/conform.js';
import { lastFor, until } from '../support/deadline.js';
import { encodeSetup, opcodes, plainSetup, taggedFrame, untaggedFrame } from '../support/iwarp.js';
import {
  type Descriptor,
  descriptorBytes,
  descriptorOf,
  ScriptedPeer,
} from '../support/scripted-peer.js';
import { localUsage, remoteUsage, takeOk, type World } from '../support/world.js';

/** Memory that exists only in the script. */
const imagined: Descriptor = { base: 0x1000n, lengthBytes: 4096n, stag: 0xabc1, usage: 0x39 };
const remote = RemoteRegion.fromDescriptor(descriptorBytes(imagined));

const parkedMessages = 16;
/** Four of these fit into the 64 KiB with all their headers, five do not without. */
const quarter = new Uint8Array(15 * 1024).fill(3);
const nothing = new Uint8Array(0);
/** Far more than a turn of the target takes; what is not here by then waits. */
const patienceMs = 80;

interface Ground {
  readonly script: ScriptedPeer;
  readonly connection: Connection;
  readonly box: MemoryRegion;
  readonly region: MemoryRegion;
  readonly lent: Descriptor;
}

/** A target without receives, and a scripted initiator. */
async function ground(world: World): Promise<Ground> {
  const peer = await world.peer();
  const box = await peer.allocate(1 << 20, { usage: localUsage });
  const region = await peer.allocate(1 << 18, { usage: remoteUsage });
  const connectionOptions = { receiveQueueSize: 64 };
  const endpoint = await peer.listen('127.0.0.1', 0);
  const script = await ScriptedPeer.dial(world.test, endpoint.port);
  script.write(encodeSetup(plainSetup('request')));
  const incoming = await endpoint.take({ timeoutMs: 5000, connection: connectionOptions });
  assert.ok(incoming !== null);
  const connection = incoming.accept();
  await script.setup();
  script.write(taggedFrame(opcodes.write, 1, 0n, nothing));
  await connection.whenEstablished();
  return { script, connection, box, region, lent: descriptorOf(region) };
}

/** The target reads from the script, which answers behind all that it sent before. */
async function answerIsTaken(on: Ground): Promise<boolean> {
  const { script, connection, box } = on;
  connection.postRead({ local: box, remote, length: 8, id: 1000 });
  script.answerRead(await script.readRequest(), new Uint8Array(8).fill(6));
  await lastFor(patienceMs);
  const done = connection.completionQueue.tryTake();
  if (done === null) return false;
  assert.deepEqual([done.id, done.ok], [1000, true]);
  return true;
}

/** Posts receives for so many messages and takes them, in order; other completions are given. */
async function receive(on: Ground, count: number, length: number) {
  const others = [];
  for (let id = 0; id < count; id++) {
    on.connection.postReceive({ local: on.box, localOffset: 4096, length, id });
    let done = await takeOk(on.connection.completionQueue);
    for (; done.operation !== 'receive'; done = await takeOk(on.connection.completionQueue)) {
      others.push(done.id);
    }
    assert.equal(done.id, id);
  }
  return others;
}

conform('parking', ({ provider, it }) => {
  if (provider !== 'iwarp') return;

  it('requests behind a parked Send wait, in order, for its receive', async (world) => {
    const on = await ground(world);
    const { script, region, lent } = on;
    script.send(nothing);
    script.rdmaWrite(lent, 0, Uint8Array.of(5));
    script.requestRead(lent, 0, 1);
    script.send(nothing);
    await lastFor(patienceMs);
    assert.equal(script.pendingBytes, 0, 'the Read is not answered');
    assert.equal(region.bytes[0], 0, 'the Write is not placed');
    await receive(on, 1, 0);
    const answer = await script.frame();
    assert.equal(answer.opcode, opcodes.readResponse);
    assert.deepEqual([...answer.payload], [5]);
    await receive(on, 1, 0);
  });

  it(`answers pass ${parkedMessages} parked messages`, async (world) => {
    const on = await ground(world);
    for (let n = 0; n < parkedMessages; n++) on.script.send(nothing);
    assert.equal(await answerIsTaken(on), true);
    await receive(on, parkedMessages, 0);
  });

  it('one message more, and they wait until a receive makes room', async (world) => {
    const on = await ground(world);
    for (let n = 0; n <= parkedMessages; n++) on.script.send(nothing);
    assert.equal(await answerIsTaken(on), false);
    assert.deepEqual(await receive(on, parkedMessages + 1, 0), [1000]);
  });

  it('Sends with Solicited Event give their places back', async (world) => {
    const on = await ground(world);
    const solicited = (sequence: number): void =>
      on.script.write(untaggedFrame(opcodes.sendSolicited, { queue: 0, sequence }, nothing));
    for (let n = 1; n <= 2 * parkedMessages; n++) {
      solicited(n);
      assert.equal(await answerIsTaken(on), true, `message ${n}`);
      await receive(on, 1, 0);
    }
  });

  it('answers pass 60 KiB of parked messages', async (world) => {
    const on = await ground(world);
    for (let n = 0; n < 4; n++) on.script.send(quarter);
    assert.equal(await answerIsTaken(on), true);
    await receive(on, 4, quarter.length);
    assert.equal(on.box.bytes[4096], 3);
  });

  it('they wait behind 75 KiB of them', async (world) => {
    const on = await ground(world);
    for (let n = 0; n < 5; n++) on.script.send(quarter);
    assert.equal(await answerIsTaken(on), false);
    const others = await receive(on, 5, quarter.length);
    if (others.length === 0) assert.equal((await takeOk(on.connection.completionQueue)).id, 1000);
  });

  it('Writes behind a parked message wait in the same space', async (world) => {
    for (const [count, taken] of [
      [4, true],
      [5, false],
    ] as const) {
      const on = await ground(world);
      on.script.send(nothing);
      for (let n = 0; n < count; n++) on.script.rdmaWrite(on.lent, n * quarter.length, quarter);
      assert.equal(await answerIsTaken(on), taken, `${count} Writes`);
      assert.equal(on.region.bytes[0], 0, 'none is placed');
      const others = await receive(on, 1, 0);
      if (!taken && others.length === 0) {
        assert.equal((await takeOk(on.connection.completionQueue)).id, 1000);
      }
      const end = count * quarter.length;
      await until(() => on.region.bytes[end - 1] === 3, 'the last Write is placed');
      assert.equal(on.region.bytes[end], 0);
    }
  });

  it(
    'a flood is left in the socket, and arrives whole once receives are posted',
    async (world) => {
      const on = await ground(world);
      const { script, connection } = on;
      const message = new Uint8Array(60_000);
      const count = 800; // more than the kernel buffers of both ends hold
      for (let n = 0; n < count; n++) script.send(message.fill(n));
      await lastFor(500);
      const left = script.socket.writableLength;
      assert.ok(left > 1 << 20, `${left} bytes are left`);
      await lastFor(300);
      assert.equal(script.socket.writableLength, left, 'nothing more is taken');
      assert.equal(connection.state, 'established');
      for (let id = 0; id < count; id++) {
        connection.postReceive({ local: on.box, length: message.length, id });
        const done = await takeOk(connection.completionQueue);
        assert.deepEqual([done.id, done.length], [id, message.length]);
        assert.equal(on.box.bytes[0], id & 0xff);
        assert.equal(on.box.bytes[message.length - 1], id & 0xff);
      }
    },
    { timeoutMs: 60_000 },
  );
});
