// SPDX-License-Identifier: BSD-3-Clause
//
// What an accepted peer can pin by doing nothing: it stops in the middle of a frame, or asks for
// answers and does not read them. Each stalled connection keeps a staging buffer; large ones are
// lent to a limited number of connections, the others get by with small ones.

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { RemoteRegion } from 'rpma';
import { Child, fromHex } from '../support/child.js';
import { conform } from '../support/conform.js';
import { lastFor } from '../support/deadline.js';
import {
  encodeSetup,
  opcodes,
  plainSetup,
  readRequestBody,
  setupFlags,
  taggedFrame,
  untaggedFrame,
} from '../support/iwarp.js';
import { limits } from '../support/native.js';
import { localUsage, type World } from '../support/world.js';
import type { Measured } from './programs/crowd.js';
import type { Listening } from './programs/target.js';

const crowd = new URL('./programs/crowd.js', import.meta.url);
const count = 1000;
const mebibyte = 1 << 20;

interface Crowd {
  readonly child: Child;
  readonly port: number;
  readonly descriptor: string;
  readonly stag: number;
  readonly base: bigint;
  readonly sockets: readonly Socket[];
}

async function measure(child: Child): Promise<Measured> {
  child.send({ kind: 'measure' });
  return child.expect<Measured>('measured', 20_000);
}

/** A target in a process of its own, and so many plain connections with CRC to it. */
async function gather(world: World): Promise<Crowd> {
  const child = Child.start(world.test, crowd);
  const { port, descriptor } = await child.expect<Listening>('listening');
  const bytes = Buffer.from(fromHex(descriptor));
  const plain = plainSetup('request');
  const request = encodeSetup({ ...plain, flags: plain.flags | setupFlags.crc });
  const first = taggedFrame(opcodes.write, 1, 0n, new Uint8Array(0), { crc: true });
  const sockets: Socket[] = [];
  world.test.after(() => sockets.forEach((socket) => void socket.destroy()));
  for (let n = 0; n < count; n++) {
    const socket = connect({ port, host: '127.0.0.1' });
    sockets.push(socket);
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    // Nothing but the Reply is ever read: what comes behind it stays in the kernel.
    await new Promise((resolve) => {
      socket.once('connect', () => socket.write(request));
      socket.once('data', resolve);
    });
    socket.pause();
    socket.write(first);
  }
  for (let state = await measure(child); state.established < count; state = await measure(child));
  const [stag, base] = [bytes.readUInt32LE(16), bytes.readBigUInt64LE(0)];
  return { child, port, descriptor, stag, base, sockets };
}

/** Measures until nothing changes any more. */
async function settled(child: Child): Promise<Measured> {
  for (let before = await measure(child); ;) {
    await lastFor(250); // longer than any turn of the target
    const now = await measure(child);
    if (now.stagingBytes === before.stagingBytes && now.rssBytes <= before.rssBytes + mebibyte / 4)
      return now;
    before = now;
  }
}

/** With what is left an honest connection still works. */
async function stillWorks(world: World, { port, descriptor }: Crowd): Promise<void> {
  const peer = await world.peer();
  const connection = await peer.connect('127.0.0.1', port);
  const remote = RemoteRegion.fromDescriptor(fromHex(descriptor));
  const local = await peer.allocate(2 * mebibyte, { usage: localUsage });
  const written = world.random(41).bytes(mebibyte);
  local.bytes.set(written);
  const end = mebibyte - 3;
  await connection.write({ local, remote, length: end });
  await connection.write({ local, localOffset: end, remote, remoteOffset: end, length: 3 });
  await connection.read({ local, localOffset: mebibyte, remote, length: mebibyte });
  assert.ok(Buffer.from(local.bytes.subarray(mebibyte)).equals(written), 'what came back');
}

/** What `count` stalled connections took of the target. */
async function stall(world: World, bytes: (crowd: Crowd) => Uint8Array): Promise<Measured> {
  const gathered = await gather(world);
  const before = await settled(gathered.child);
  const sent = bytes(gathered);
  for (const socket of gathered.sockets) socket.write(sent);
  const after = await settled(gathered.child);
  const rssBytes = after.rssBytes - before.rssBytes;
  const stagingBytes = after.stagingBytes - before.stagingBytes;
  const told = `${count} connections: RSS + ${(rssBytes / mebibyte).toFixed(0)} MiB`;
  world.test.diagnostic(`${told}, lent ${(stagingBytes / mebibyte).toFixed(0)} MiB`);
  await stillWorks(world, gathered);
  for (const socket of gathered.sockets) socket.destroy();
  const later = await settled(gathered.child);
  assert.equal(later.stagingBytes, 0, 'all is given back');
  return { ...after, rssBytes, stagingBytes };
}

const large = limits.stagingBuffers * limits.stagingBytes;
const slackBytes = 32 * mebibyte;

conform('memory of stalled connections', ({ provider, it }) => {
  if (provider !== 'iwarp') return;

  it(
    'a frame that never ends keeps a large buffer of a few connections, a small one of the others',
    async (world) => {
      const most = large + count * limits.stagingReceiveBytesLeast;
      const { rssBytes, stagingBytes } = await stall(world, ({ stag, base }) => {
        const payload = new Uint8Array(60_000);
        const frame = taggedFrame(opcodes.write, stag, base, payload, { crc: true });
        // Whole frames before the cut one, so that every page of a large buffer is touched.
        return Buffer.concat([...Array<Uint8Array>(8).fill(frame), frame.subarray(0, -8)]);
      });
      assert.ok(stagingBytes > count * 1000, 'each holds a buffer');
      assert.ok(stagingBytes <= most, `${stagingBytes} bytes are lent, ${most} at most`);
      assert.ok(rssBytes <= most + slackBytes, `RSS grew by ${rssBytes} bytes`);
    },
    { timeoutMs: 90_000 },
  );

  it(
    'answers that are not read keep a large buffer of a few connections, a small one of the others',
    async (world) => {
      const most = large + count * limits.stagingSendBytesLeast;
      const { rssBytes, stagingBytes } = await stall(world, ({ stag, base }) => {
        const frames = Array.from({ length: 16 }, (_, n) => {
          const read = { sinkStag: 7, sinkOffset: 0n, lengthBytes: mebibyte };
          const body = readRequestBody({ ...read, sourceStag: stag, sourceOffset: base });
          const fields = { queue: 1, sequence: n + 1 };
          return untaggedFrame(opcodes.readRequest, fields, body, { crc: true });
        });
        return Buffer.concat(frames);
      });
      assert.ok(stagingBytes > count * 1000, 'each holds a buffer');
      assert.ok(stagingBytes <= most, `${stagingBytes} bytes are lent, ${most} at most`);
      assert.ok(rssBytes <= most + slackBytes, `RSS grew by ${rssBytes} bytes`);
    },
    { timeoutMs: 90_000 },
  );
});
