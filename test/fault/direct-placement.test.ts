// SPDX-License-Identifier: BSD-3-Clause
//
// Large frames without a checksum are received straight into the memory that they name. A target
// with directWriteToPmem persists those bytes too before a later Read Response leaves.

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { conform } from '../support/conform.js';
import { lastFor } from '../support/deadline.js';
import { encodeSetup, opcodes, plainSetup, taggedFrame } from '../support/iwarp.js';
import { OracleFile } from '../support/native.js';
import { type Descriptor, descriptorOf, ScriptedPeer } from '../support/scripted-peer.js';
import { durableUsage, type World } from '../support/world.js';

const sizeBytes = 1 << 18;
const payloadBytes = 65_504; // with its header the longest frame of 64 KiB

async function ground(world: World) {
  const peer = await world.peer({ directWriteToPmem: true });
  const path = join(await world.folder(), 'oracle.pmem');
  const oracle = await OracleFile.map(path, { create: true, sizeBytes });
  world.keep(oracle.file);
  const lent = descriptorOf(await peer.register(oracle.file, { usage: durableUsage }));
  const endpoint = await peer.listen('127.0.0.1', 0);
  const script = await ScriptedPeer.dial(world.test, endpoint.port);
  script.write(encodeSetup(plainSetup('request')));
  const incoming = await endpoint.take({ timeoutMs: 5000 });
  assert.ok(incoming !== null);
  const connection = incoming.accept();
  await script.setup();
  // The first frame of a connection is always staged.
  script.write(taggedFrame(opcodes.write, 1, 0n, new Uint8Array(0)));
  await connection.whenEstablished();
  return { script, oracle, lent };
}

/**
 * A Write in two parts, the first of them short: the rest is not here yet when the header is seen,
 * so it is received in place.
 */
async function writeInParts(script: ScriptedPeer, to: Descriptor, offset: number, fill: number) {
  const payload = new Uint8Array(payloadBytes).fill(fill);
  const frame = taggedFrame(opcodes.write, to.stag, to.base + BigInt(offset), payload);
  script.write(frame.subarray(0, 2000));
  await lastFor(30); // the first part is a segment of its own, and taken by itself
  script.write(frame.subarray(2000, 40_000));
  await lastFor(5);
  script.write(frame.subarray(40_000));
}

conform('direct placement', ({ provider, it }) => {
  if (provider !== 'iwarp') return;

  it('directWriteToPmem: it is persisted before a later Read Response leaves', async (world) => {
    const { script, oracle, lent } = await ground(world);
    for (let round = 1; round <= 4; round++) {
      await writeInParts(script, lent, 100, round);
      await writeInParts(script, lent, 150_000, round);
      const answer = await script.read(lent, 100, 8);
      const copy = oracle.copy();
      assert.ok(answer.every((byte) => byte === round));
      for (const offset of [100, 150_000]) {
        const range = copy.subarray(offset, offset + payloadBytes);
        assert.ok(
          range.every((byte) => byte === round),
          `round ${round}: the bytes at ${offset} were persisted`,
        );
      }
    }
    const { persists } = oracle;
    await script.read(lent, 0, 8);
    assert.equal(oracle.persists, persists, 'nothing written, nothing persisted');
  });

  it('control: before that Read nothing of it is persisted', async (world) => {
    const { script, oracle, lent } = await ground(world);
    await writeInParts(script, lent, 0, 9);
    while (oracle.file.bytes[payloadBytes - 1] !== 9) await lastFor(1);
    assert.equal(oracle.persists, 0);
    await script.read(lent, 0, 8);
    assert.ok(oracle.persists > 0);
  });
});
