// SPDX-License-Identifier: BSD-3-Clause
//
// Every kind of operation over IPv6, and addresses of both families.

import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { type CaseOptions, conform } from '../support/conform.js';
import { withDeadline } from '../support/deadline.js';
import { takeAll, takeOk } from '../support/world.js';

const loopbacks = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
const hasIpv6 = loopbacks.some((each) => each.address === '::1');

conform('ipv6', ({ it }) => {
  const options: CaseOptions = { skip: hasIpv6 ? false : 'no IPv6 loopback address' };

  it(
    'connects, and carries every kind of operation',
    async (world) => {
      const pair = await world.pair({ address: '::1', requestData: Uint8Array.of(6) });
      assert.equal(pair.endpoint.address, '::1');
      assert.match(pair.initiator.remoteAddress, /::1/);
      assert.match(pair.target.localAddress, /::1/);
      assert.deepEqual([...pair.target.privateData], [6]);
      const local = await world.local(pair);
      const { region, remote } = await world.lend(pair);
      local.bytes.set([1, 2, 3]);
      pair.target.postReceive({ length: 0, id: 9 });
      pair.initiator.postWrite({ local, remote, length: 3, id: 1 });
      pair.initiator.postRead({ local, localOffset: 8, remote, length: 3, id: 2 });
      pair.initiator.postAtomicWrite({ remote, remoteOffset: 8, value: 7n, id: 3 });
      pair.initiator.postFlush({ remote, length: 16, type: 'visibility', id: 4 });
      pair.initiator.postSend({ length: 0, id: 5 });
      const done = await takeAll(pair.initiator.completionQueue, 5);
      assert.deepEqual(
        done.map((each) => [each.id, each.ok]),
        [1, 2, 3, 4, 5].map((id) => [id, true]),
      );
      assert.deepEqual([...local.bytes.subarray(8, 11)], [1, 2, 3]);
      assert.equal(region.bytes[8], 7);
      assert.equal((await takeOk(pair.target.completionQueue)).id, 9);
      await withDeadline(pair.initiator.close(), 'close()');
    },
    options,
  );

  it(
    'an endpoint on :: serves IPv6',
    async (world) => {
      const peer = await world.peer({ localAddress: '::1' });
      const endpoint = await peer.listen('::', 0);
      const dialling = peer.connect('::1', endpoint.port);
      const target = (await withDeadline(endpoint.take(), 'a request'))?.accept();
      await withDeadline(Promise.all([dialling, target?.whenEstablished()]), 'established');
    },
    options,
  );

  it('an endpoint on 0.0.0.0 serves IPv4', async (world) => {
    const peer = await world.peer();
    const endpoint = await peer.listen('0.0.0.0', 0);
    const dialling = peer.connect('127.0.0.1', endpoint.port);
    const target = (await withDeadline(endpoint.take(), 'a request'))?.accept();
    await withDeadline(Promise.all([dialling, target?.whenEstablished()]), 'established');
  });

  it(
    'nobody listening is rejected there too',
    async (world) => {
      const peer = await world.peer({ localAddress: '::1' });
      const endpoint = await peer.listen('::1', 0);
      await endpoint.close();
      const connection = (await peer.createConnectionRequest('::1', endpoint.port)).connect();
      assert.equal((await withDeadline(connection.whenClosed(), 'the end')).type, 'rejected');
    },
    options,
  );
});
