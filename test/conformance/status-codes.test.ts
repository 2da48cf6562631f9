// SPDX-License-Identifier: BSD-3-Clause
//
// Statuses that no other conformance test produces: what an operation completes with, and what the
// connection's end says, when it fails for one cause or another.

import assert from 'node:assert/strict';
import { truncateSync } from 'node:fs';
import { completionError, type Connection, MemoryUsage, RemoteRegion } from 'rpma';
import { conform, withCode } from '../support/conform.js';
import { withDeadline } from '../support/deadline.js';
import { encodeSetup, opcodes, plainSetup, taggedFrame } from '../support/iwarp.js';
import { ScriptedPeer } from '../support/scripted-peer.js';
import { localUsage, takeRest } from '../support/world.js';

/** The connection ends as lost, and of all that it posted the first failure is this one. */
async function endsWith(connection: Connection, code: string): Promise<void> {
  const end = await withDeadline(connection.whenClosed(), 'the end');
  assert.equal(end.type, 'lost');
  withCode('CONNECTION_LOST', { scope: 'connection', retryable: false })(end.error);
  const failed = (await takeRest(connection.completionQueue)).filter((each) => !each.ok);
  const [first, ...later] = failed;
  assert.ok(first !== undefined, 'nothing failed');
  withCode(code, { operation: first.operation })(completionError(first));
  assert.ok(
    later.every((each) => each.status === 'flushed'),
    later.map((each) => each.status).join(' '),
  );
}

conform('status codes', ({ provider, it }) => {
  it('NO_MEMORY: more than there can be', async (world) => {
    const peer = await world.peer();
    const usage = localUsage;
    await assert.rejects(peer.allocate(2 ** 50, { usage }), withCode('NO_MEMORY'));
    await peer.allocate(4096, { usage });
  });

  it('WC_LENGTH: a message longer than its receive; WC_REMOTE_INVALID at its sender', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair, 64);
    const { remote } = await world.lend(pair, 64);
    // Nothing is answered behind a message without a receive, so the flushes are under way when the
    // second message is refused: receives are posted once everything has left this side.
    pair.initiator.postSend({ length: 0, completion: 'on-error' });
    pair.initiator.postSend({ local, length: 64, completion: 'on-error' });
    pair.initiator.postFlush({ remote, length: 64, type: 'visibility' });
    pair.initiator.postFlush({ remote, length: 64, type: 'visibility' });
    pair.target.postReceive({ length: 0 });
    pair.target.postReceive({ length: 0 });
    await Promise.all([
      endsWith(pair.target, 'WC_LENGTH'),
      endsWith(pair.initiator, 'WC_REMOTE_INVALID'),
    ]);
  });

  it('WC_LOCAL_PROTECTION: the memory to write from has gone', async (world) => {
    const pair = await world.pair();
    const file = await world.file(65_536);
    const usage = MemoryUsage.WriteSource;
    const local = await pair.initiatorPeer.register(file, { usage });
    const { region, remote } = await world.lend(pair, 65_536);
    truncateSync(file.path, 0);
    pair.initiator.postWrite({ local, remote, length: 65_536 });
    await endsWith(pair.initiator, 'WC_LOCAL_PROTECTION');
    await withDeadline(pair.target.whenClosed(), 'the other side learns of it');
    assert.ok(region.bytes.every((byte) => byte === 0));
  });

  it('WC_RNR_RETRY: no receive in time', async (world) => {
    const pair = await world.pair({ target: { receiverNotReadyTimeoutMs: 50 } });
    const { remote } = await world.lend(pair, 64);
    pair.initiator.postSend({ length: 0, completion: 'on-error' });
    pair.initiator.postFlush({ remote, length: 64, type: 'visibility' });
    await endsWith(pair.initiator, 'WC_RNR_RETRY');
  });

  it('WC_RETRY: the other side broke off', async (world) => {
    const pair = await world.pair();
    const { remote } = await world.lend(pair, 64);
    // Behind a message without a receive everything waits, so this is under way for certain.
    pair.initiator.postSend({ length: 0 });
    assert.equal((await pair.initiator.completionQueue.take({ timeoutMs: 5000 }))?.ok, true);
    pair.initiator.postFlush({ remote, length: 64, type: 'visibility' });
    pair.target.destroy();
    await endsWith(pair.initiator, 'WC_RETRY');
  });

  it(
    'WC_PROVIDER: the other side broke the protocol',
    async (world) => {
      const peer = await world.peer();
      const endpoint = await peer.listen('127.0.0.1', 0);
      const script = await ScriptedPeer.dial(world.test, endpoint.port);
      script.write(encodeSetup(plainSetup('request')));
      const request = await endpoint.take({ timeoutMs: 5000 });
      assert.ok(request !== null);
      const connection = request.accept();
      await script.setup();
      script.write(taggedFrame(opcodes.write, 0, 0n, new Uint8Array(0))); // ours may speak now
      await withDeadline(connection.whenEstablished(), 'it is established');
      const usage = localUsage | MemoryUsage.ReadSource;
      const local = await peer.allocate(64, { usage });
      const remote = RemoteRegion.fromDescriptor(local.toDescriptor());
      connection.postRead({ local, remote, length: 64 });
      await script.frame();
      // No opcode at all.
      script.write(taggedFrame(opcodes.write, 0, 0n, new Uint8Array(0), { control: [0xc1, 0x4d] }));
      await endsWith(connection, 'WC_PROVIDER');
    },
    { skip: provider === 'iwarp' ? false : 'needs a scripted peer' },
  );
});
