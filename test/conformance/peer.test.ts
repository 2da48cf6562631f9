// SPDX-License-Identifier: BSD-3-Clause
//
// Peers (librpma: peer_new, peer_delete, utils_get_ibv_context).

import assert from 'node:assert/strict';
import { devices, MemoryUsage, Peer, versions } from 'rpma';
import { conform, withCode } from '../support/conform.js';
import { withDeadline } from '../support/deadline.js';
import { localUsage, takeOk, takeRest } from '../support/world.js';

conform('peer', ({ provider, it }) => {
  it('opens for a local address and names its provider, device and capabilities', async (world) => {
    const peer = await world.peer({ localAddress: '127.0.0.1' });
    assert.equal(peer.provider, provider);
    assert.equal(peer.device.provider, provider);
    assert.equal(peer.device.available, true);
    assert.ok(peer.capabilities.maxPrivateDataBytes >= 56);
    assert.ok(peer.capabilities.maxQueueEntries >= 10);
    assert.ok(peer.capabilities.maxMessageBytes > 0);
  });

  it('opens for the device on the way to a remote address', async () => {
    await using peer = await Peer.open({ provider, remoteAddress: '127.0.0.1' });
    assert.equal(peer.provider, provider);
  });

  it('takes RPMA_PROVIDER where no option names one, and the option over it', async () => {
    const before = process.env['RPMA_PROVIDER'];
    try {
      process.env['RPMA_PROVIDER'] = provider;
      await using chosen = await Peer.open({ localAddress: '127.0.0.1' });
      assert.equal(chosen.provider, provider);
      process.env['RPMA_PROVIDER'] = 'nothing-of-that-name';
      await using named = await Peer.open({ provider, localAddress: '127.0.0.1' });
      assert.equal(named.provider, provider);
      await assert.rejects(Peer.open({ localAddress: '127.0.0.1' }));
    } finally {
      if (before === undefined) delete process.env['RPMA_PROVIDER'];
      else process.env['RPMA_PROVIDER'] = before;
    }
  });

  it('auto finds a provider that is available', async () => {
    await using peer = await Peer.open({ provider: 'auto', localAddress: '127.0.0.1' });
    const offered = await devices();
    assert.ok(offered.some((each) => each.available && each.provider === peer.provider));
  });

  it('devices() names the absent providers with the reason', async () => {
    for (const device of await devices()) {
      if (!device.available) assert.ok((device.reason ?? '').length > 0, device.provider);
    }
    assert.match(versions.rpma, /^\d+\.\d+\.\d+/);
  });

  it('refuses objects of another peer (librpma leaves that to the device)', async (world) => {
    const pair = await world.pair();
    const { remote } = await world.lend(pair);
    const foreign = await pair.targetPeer.allocate(64, { usage: localUsage });
    const free = pair.initiator.sendQueueFree;
    assert.throws(
      () => pair.initiator.postWrite({ local: foreign, remote, length: 8 }),
      withCode('FOREIGN'),
    );
    assert.throws(
      () => pair.initiator.postReceive({ local: foreign, length: 8 }),
      withCode('FOREIGN'),
    );
    assert.equal(pair.initiator.sendQueueFree, free);
  });

  it('close() closes its children first (librpma says EBUSY and leaks)', async (world) => {
    const pair = await world.pair();
    const { region } = await world.lend(pair);
    const local = await world.local(pair);
    await withDeadline(pair.initiatorPeer.close(), 'the initiator peer closes');
    assert.equal(pair.initiator.state, 'closed');
    assert.equal(local.bytes.length, 0);
    assert.throws(() => pair.initiator.postSend({ length: 0 }), withCode('CLOSED'));
    await withDeadline(pair.target.whenClosed(), 'the other side ends');
    await withDeadline(pair.targetPeer.close(), 'the target peer closes');
    assert.equal(pair.endpoint.closed, true);
    assert.equal(region.bytes.length, 0);
  });

  it('close() gives the same promise each time and nothing can be made afterwards', async (world) => {
    const peer = await world.peer();
    const closing = peer.close();
    assert.equal(peer.close(), closing);
    await closing;
    assert.equal(peer.close(), closing);
    await assert.rejects(peer.listen('127.0.0.1', 0), withCode('CLOSED'));
    await assert.rejects(peer.allocate(8, { usage: MemoryUsage.Send }), withCode('CLOSED'));
    await assert.rejects(peer.connect('127.0.0.1', 1), withCode('CLOSED'));
    await assert.rejects(peer.createConnectionRequest('127.0.0.1', 1), withCode('CLOSED'));
    peer.destroy();
  });

  it('destroy() completes accepted operations as flushed', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair);
    for (let id = 0; id < 3; id++) pair.initiator.postReceive({ local, length: 8, id });
    pair.initiatorPeer.destroy();
    const rest = await takeRest(pair.initiator.completionQueue);
    assert.deepEqual(
      rest.map((each) => [each.id, each.status]),
      [
        [0, 'flushed'],
        [1, 'flushed'],
        [2, 'flushed'],
      ],
    );
    await withDeadline(pair.target.whenClosed(), 'the other side ends');
  });

  it('is disposed of by await using', async () => {
    let kept: Peer;
    {
      await using peer = await Peer.open({ provider, localAddress: '127.0.0.1' });
      kept = peer;
    }
    await assert.rejects(kept.listen('127.0.0.1', 0), withCode('CLOSED'));
  });

  it('serves both ends of a connection', async (world) => {
    const peer = await world.peer();
    const pair = await world.pair({ initiatorPeer: peer, targetPeer: peer });
    const local = await world.local(pair);
    const { region, remote } = await world.lend(pair);
    local.bytes.set([1, 2, 3]);
    pair.initiator.postWrite({ local, remote, length: 3, completion: 'on-error' });
    pair.initiator.postFlush({ remote, length: 3, type: 'visibility' });
    await takeOk(pair.initiator.completionQueue);
    assert.deepEqual([...region.bytes.subarray(0, 4)], [1, 2, 3, 0]);
  });

  it('is independent of other peers', async (world) => {
    const first = await world.pair();
    const second = await world.pair();
    first.targetPeer.destroy();
    first.initiatorPeer.destroy();
    const local = await world.local(second);
    const { remote } = await world.lend(second);
    second.initiator.postWrite({ local, remote, length: 8 });
    await takeOk(second.initiator.completionQueue);
  });
});
