// SPDX-License-Identifier: BSD-3-Clause
//
// The servers of examples 06 and 06scch when more clients come than they have slots, when clients
// say nonsense or leave in the middle, and when nobody comes. The clients that hold a slot are
// scripts: they never answer the server's read.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { isRpmaError, MemoryUsage, Peer } from 'rpma';
import { packCommonData } from '../../examples/common/common-data.js';
import { nameBytes, nameOf, readName, writeName } from '../../examples/common/names.js';
import { withDeadline } from '../support/deadline.js';
import { encodeSetup, opcodes, plainSetup } from '../support/iwarp.js';
import { descriptorBytes, ScriptedPeer } from '../support/scripted-peer.js';
import { portOf } from './example-runs.js';
import { compiledRoot, Program } from './support.js';

const slots = 10;
const servers = [
  ['06-multiple-connections', 'server'],
  ['06-multiple-connections', 'server-workers'],
  ['06scch-multiple-connections', 'server'],
] as const;

async function start(test: TestContext, example: string, program: string, ...rest: string[]) {
  const file = join(compiledRoot, 'examples', example, `${program}.js`);
  const server = new Program(file, ['127.0.0.1', '0', ...rest], compiledRoot);
  test.after(() => server.kill());
  return { server, port: Number(await portOf(server)) };
}

/** A client that is admitted, lends memory that it does not have, and never answers. */
async function holdSlot(test: TestContext, port: number): Promise<ScriptedPeer> {
  const made = { base: 0x10000n, lengthBytes: 32n, stag: 0x100, usage: MemoryUsage.ReadSource };
  const peer = await ScriptedPeer.dial(test, port);
  await peer.request(plainSetup('request', packCommonData(0, descriptorBytes(made))));
  assert.equal((await peer.frame(15_000)).opcode, opcodes.readRequest);
  return peer;
}

/** A client as it should be: whether it was let in, and then has left. */
async function introduce(port: number, name: string): Promise<boolean> {
  await using peer = await Peer.open({ remoteAddress: '127.0.0.1' });
  await using region = await peer.allocate(nameBytes, { usage: MemoryUsage.ReadSource });
  writeName(region.bytes, name);
  try {
    const privateData = packCommonData(0, region.toDescriptor());
    const connection = await peer.connect('127.0.0.1', port, { privateData });
    const { type } = await withDeadline(connection.whenClosed(), 'the server disconnects');
    assert.equal(type, 'closed');
    return true;
  } catch (error) {
    if (isRpmaError(error) && error.code === 'ERR_RPMA_REJECTED') return false;
    throw error;
  }
}

describe('a server of many clients', () => {
  for (const [example, program] of servers) {
    test(`${example} ${program}: rejects when its ten slots are busy, and then goes on`, async (context) => {
      const { server, port } = await start(context, example, program, String(slots + 1));
      const holders = await Promise.all(
        Array.from({ length: slots }, () => holdSlot(context, port)),
      );
      assert.equal(await introduce(port, 'Andy'), false);
      holders.pop()?.socket.destroy();
      // The server hears of it when it hears of it.
      const end = performance.now() + 15_000;
      let admitted = false;
      while (!admitted && performance.now() < end) admitted = await introduce(port, 'Chet');
      assert.ok(admitted, 'a slot became free');
      for (const { socket } of holders) socket.destroy();
      const { code, stdout, stderr } = await server.end();
      assert.match(stdout, /\nToday I have got in touch with:\n- Chet\n$/);
      // Ten clients left before their names were read.
      assert.equal(code, 1);
      assert.match(stderr, /^All slots are busy: a client was rejected\.$/m);
      assert.match(stderr, /^failed: ERR_RPMA_\w+: /m);
    });

    test(`${example} ${program}: serves on after clients that say nonsense`, async (context) => {
      const { server, port } = await start(context, example, program, '3');
      for (const data of [new Uint8Array(3), new Uint8Array(28).fill(0xff)]) {
        const peer = await ScriptedPeer.dial(context, port);
        peer.write(encodeSetup(plainSetup('request', data)));
        await peer.ended(15_000);
      }
      assert.equal(await introduce(port, 'Derek'), true);
      const { code, stdout, stderr } = await server.end();
      assert.match(stdout, /- Derek\n$/);
      assert.equal(code, 1);
      assert.match(stderr, /^failed: .*private data/m);
    });
  }

  test('without clients it ends after 15 s of silence, as the C program', async (context) => {
    const { server } = await start(context, '06-multiple-connections', 'server');
    const { code, stderr } = await server.end();
    assert.equal(stderr, 'Server timed out.\n');
    assert.equal(code, 0);
  });
});

describe('a name in 32 bytes', () => {
  test('ends with a zero byte, and is read up to it', () => {
    const bytes = new Uint8Array(nameBytes).fill(7);
    writeName(bytes, 'Xiaoyan');
    assert.equal(readName(bytes), 'Xiaoyan');
    assert.ok(bytes.subarray(7).every((byte) => byte === 0));
    writeName(bytes, 'x'.repeat(40));
    assert.equal(readName(bytes).length, nameBytes - 1);
    assert.equal(readName(bytes.fill(0x61)).length, nameBytes, 'without an end');
  });

  test('is one of twelve, by the seed', () => {
    assert.equal(new Set(Array.from({ length: 24 }, (_, seed) => nameOf(BigInt(seed)))).size, 12);
    assert.equal(nameOf(2n ** 64n - 1n), nameOf(3n));
  });
});
