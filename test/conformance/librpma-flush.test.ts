// SPDX-License-Identifier: BSD-3-Clause
//
// When a flush is allowed (librpma: rpma_flush): by the region's grant, and where the other side
// cannot persist by itself also by the applied peer configuration.

import assert from 'node:assert/strict';
import { type Connection, type FlushType, PeerConfig, RemoteRegion } from 'rpma';
import { conform, withCode } from '../support/conform.js';
import { plainResponder } from '../support/plain-peer.js';
import { descriptorBytes, type ScriptedPeer } from '../support/scripted-peer.js';
import { takeOk } from '../support/world.js';

const usages = { empty: 0x08, visibility: 0x18, persistent: 0x28, both: 0x38 } as const;
type Grant = keyof typeof usages;

/** A region that exists on the wire only. */
function granting(grant: Grant): RemoteRegion {
  return RemoteRegion.fromDescriptor(
    descriptorBytes({ base: 0x1000n, lengthBytes: 64n, stag: 0x77, usage: usages[grant] }),
  );
}

function allowed(grant: Grant, type: FlushType): boolean {
  return grant === 'both' || grant === type;
}

/** Posts a flush that must go through; the script answers the read that carries it. */
async function emulated(
  connection: Connection,
  script: ScriptedPeer,
  remote: RemoteRegion,
  type: FlushType,
) {
  connection.postFlush({ remote, length: 64, type });
  const request = await script.readRequest();
  script.answerRead(request, new Uint8Array(request.lengthBytes));
  return takeOk(connection.completionQueue);
}

conform("librpma's flush", ({ provider, it }) => {
  it('natively: the grant of the region decides, for each type', async (world) => {
    const pair = await world.pair();
    const { initiator } = pair;
    for (const grant of Object.keys(usages) as Grant[]) {
      const file = await world.file(4096);
      const { remote } = await world.lendFile(pair, file, usages[grant]);
      for (const type of ['visibility', 'persistent'] as const) {
        const post = () => initiator.postFlush({ remote, length: 64, type });
        assert.equal(initiator.canFlush(remote, type), allowed(grant, type), `${grant} ${type}`);
        if (!allowed(grant, type)) assert.throws(post, withCode('USAGE'), `${grant} ${type}`);
        else {
          post();
          const done = await takeOk(initiator.completionQueue);
          assert.equal(done.durability, type === 'persistent' ? 'persisted' : undefined);
        }
      }
    }
    assert.equal(initiator.sendQueueFree, 10);
  });

  it('natively: no peer configuration is needed, and one that says no takes nothing away', async (world) => {
    const pair = await world.pair();
    const { remote } = await world.lendFile(pair, await world.file(4096), usages.both);
    for (const config of [null, false, true]) {
      if (config !== null) {
        pair.initiator.applyRemotePeerConfig(new PeerConfig({ directWriteToPmem: config }));
      }
      pair.initiator.postFlush({ remote, length: 64, type: 'persistent' });
      assert.equal((await takeOk(pair.initiator.completionQueue)).durability, 'persisted');
    }
  });

  if (provider !== 'iwarp') return;

  it('emulated: PERSISTENT without an applied directWriteToPmem is refused', async (world) => {
    const { connection, script } = await plainResponder(world);
    const remote = granting('both');
    const refused = withCode('NOT_PERSISTENT', { operation: 'flush' });
    const post = () => connection.postFlush({ remote, length: 64, type: 'persistent' });
    assert.throws(post, refused);
    connection.applyRemotePeerConfig(new PeerConfig());
    assert.throws(post, refused);
    await assert.rejects(connection.flush({ remote, length: 64, type: 'persistent' }), refused);
    assert.equal(script.pendingBytes, 0, 'nothing was sent');
    assert.equal((await emulated(connection, script, remote, 'visibility')).durability, undefined);
  });

  for (const type of ['persistent', 'visibility'] as const) {
    it(`emulated: ${type} needs the region's grant of that type, whatever was applied`, async (world) => {
      const { connection, script } = await plainResponder(world);
      connection.applyRemotePeerConfig(new PeerConfig({ directWriteToPmem: true }));
      for (const grant of Object.keys(usages) as Grant[]) {
        const remote = granting(grant);
        assert.equal(connection.canFlush(remote, type), allowed(grant, type), grant);
        if (allowed(grant, type)) {
          const done = await emulated(connection, script, remote, type);
          assert.equal(done.durability, type === 'persistent' ? 'vouched' : undefined);
        } else {
          const post = () => connection.postFlush({ remote, length: 64, type });
          assert.throws(post, withCode('USAGE'), grant);
        }
      }
    });
  }

  it('emulated: the last configuration that was applied counts', async (world) => {
    const { connection, script } = await plainResponder(world);
    const remote = granting('both');
    const bytes = new PeerConfig({ directWriteToPmem: true }).toDescriptor();
    connection.applyRemotePeerConfig(PeerConfig.fromDescriptor(bytes));
    assert.equal((await emulated(connection, script, remote, 'persistent')).durability, 'vouched');
    connection.applyRemotePeerConfig(new PeerConfig({ directWriteToPmem: false }));
    assert.equal(connection.canFlush(remote, 'persistent'), false);
    assert.throws(
      () => connection.postFlush({ remote, length: 64, type: 'persistent' }),
      withCode('NOT_PERSISTENT'),
    );
  });

  it('emulated: a configuration is of the one connection that it was applied to', async (world) => {
    const first = await plainResponder(world);
    const second = await plainResponder(world);
    first.connection.applyRemotePeerConfig(new PeerConfig({ directWriteToPmem: true }));
    assert.equal(first.connection.canFlush(granting('both'), 'persistent'), true);
    assert.equal(second.connection.canFlush(granting('both'), 'persistent'), false);
  });
});
