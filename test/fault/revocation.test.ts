// SPDX-License-Identifier: BSD-3-Clause
//
// Closing a region that answers still use: a peer that does not take its answer within the grace
// time loses its connection, and everybody else keeps theirs.

import assert from 'node:assert/strict';
import { conform } from '../support/conform.js';
import { lastFor, timed, withDeadline } from '../support/deadline.js';
import { encodeSetup, opcodes, plainSetup } from '../support/iwarp.js';
import { descriptorOf, ScriptedPeer } from '../support/scripted-peer.js';
import { remoteUsage, takeOk, type World } from '../support/world.js';

const sizeBytes = 1 << 26; // more than the kernel buffers of both ends hold

/** A scripted peer that asks for a whole region and does not read the answer. */
async function reluctant(world: World) {
  const pair = await world.pair();
  const region = await pair.targetPeer.allocate(sizeBytes, { usage: remoteUsage });
  const script = await ScriptedPeer.dial(world.test, pair.endpoint.port);
  script.write(encodeSetup(plainSetup('request')));
  const request = await pair.endpoint.take({ timeoutMs: 5000 });
  assert.ok(request !== null);
  const connection = request.accept();
  await script.setup();
  script.requestRead(descriptorOf(region), 0, sizeBytes);
  await connection.whenEstablished();
  assert.equal((await script.frame()).opcode, opcodes.readResponse);
  script.socket.pause();
  await lastFor(200); // until nothing more fits into the buffers between
  return { pair, region, script, connection };
}

conform('revocation', ({ provider, it }) => {
  if (provider !== 'iwarp') return;

  it('a peer that does not take its answer in a second loses its connection', async (world) => {
    const { pair, region, connection } = await reluctant(world);
    assert.equal(connection.state, 'established');
    const closing = withDeadline(region.close(), 'the region closes');
    const { elapsedMs } = await timed(closing);
    assert.ok(elapsedMs > 800 && elapsedMs < 3000, `closed after ${elapsedMs} ms`);
    const end = await withDeadline(connection.whenClosed(), 'the end of that connection', 1000);
    assert.equal(end.type, 'lost');
    pair.initiator.postRead({ length: 0, id: 1 });
    assert.equal((await takeOk(pair.initiator.completionQueue)).id, 1);
  });

  it('a peer that takes it within that time keeps it', async (world) => {
    const { region, script, connection } = await reluctant(world);
    const closing = timed(withDeadline(region.close(), 'the region closes'));
    await lastFor(200);
    let received = 0;
    script.socket.removeAllListeners('data'); // the script would keep all of it
    script.socket.on('data', (bytes: Buffer) => {
      received += bytes.length;
    });
    script.socket.resume();
    const { elapsedMs } = await closing;
    assert.ok(elapsedMs >= 150, `closed after ${elapsedMs} ms`);
    await lastFor(1000); // beyond the grace time
    assert.equal(connection.state, 'established');
    assert.ok(received > sizeBytes / 2, `${received} bytes of the answer`);
  });
});
