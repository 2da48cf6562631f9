// SPDX-License-Identifier: BSD-3-Clause
//
// The accepting side may send first. librpma over iWARP breaks the rule that the connecting side
// begins; here the connecting side's library says hello by itself, so a program need not care.

import assert from 'node:assert/strict';
import { MemoryUsage, RemoteRegion } from 'rpma';
import { conform } from '../support/conform.js';
import { withDeadline } from '../support/deadline.js';
import { localUsage, takeOk } from '../support/world.js';

conform('server speaks first', ({ it }) => {
  it('a message of the accepting side finds the receive posted on the request', async (world) => {
    const [client, server] = [await world.peer(), await world.peer()];
    const endpoint = await server.listen('127.0.0.1', 0);
    const inbox = await client.allocate(64, { usage: localUsage });
    const local = await server.allocate(64, { usage: localUsage });
    for (let round = 1; round <= 20; round++) {
      const outgoing = await client.createConnectionRequest('127.0.0.1', endpoint.port);
      outgoing.postReceive({ local: inbox, length: 64, id: round });
      const initiator = outgoing.connect();
      const target = (await withDeadline(endpoint.take(), 'a request'))?.accept();
      assert.ok(target !== undefined);
      await withDeadline(target.whenEstablished(), 'established, nothing sent by the client');
      local.bytes[0] = round;
      target.postSend({ local, length: 1 });
      const received = await takeOk(initiator.completionQueue);
      assert.deepEqual([received.id, received.length], [round, 1]);
      assert.equal(inbox.bytes[0], round);
      initiator.destroy();
      target.destroy();
    }
  });

  it('a read of the accepting side is served before the other side does anything', async (world) => {
    const offered = new ArrayBuffer(64);
    new Uint8Array(offered).fill(3);
    const client = await world.peer();
    const region = await client.register(offered, { usage: MemoryUsage.ReadSource });
    const pair = await world.pair({ initiatorPeer: client, requestData: region.toDescriptor() });
    const remote = RemoteRegion.fromDescriptor(pair.target.privateData);
    const local = await pair.targetPeer.allocate(64, { usage: MemoryUsage.ReadDestination });
    pair.target.postRead({ local, remote, length: 64 });
    await takeOk(pair.target.completionQueue);
    assert.ok(local.bytes.every((byte) => byte === 3));
  });

  it('neither side needs to speak at all', async (world) => {
    const pair = await world.pair();
    await withDeadline(pair.initiator.close(), 'close()');
    assert.equal((await withDeadline(pair.target.whenClosed(), 'the end')).type, 'closed');
  });
});
