// SPDX-License-Identifier: BSD-3-Clause
//
// Another program decodes our frames: tshark captures a conversation with every operation on
// loopback, and finds MPA and DDP/RDMAP in it and no malformed frame. It needs the right to
// capture.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { it } from 'node:test';
import { Peer, RemoteRegion } from 'rpma';
import { Capture, captureObstacle, dissect } from '../support/capture.js';
import { diskFolder, removeFolder } from '../support/folders.js';
import { localUsage, remoteUsage } from '../support/world.js';

async function converse(port: number, endpoint: Awaited<ReturnType<Peer['listen']>>, target: Peer) {
  await using initiator = await Peer.open();
  await using lent = await target.allocate(200_000, { usage: remoteUsage });
  await using inbox = await target.allocate(4096, { usage: localUsage });
  await using local = await initiator.allocate(200_000, { usage: localUsage });
  const connecting = initiator.connect('127.0.0.1', port, { privateData: Uint8Array.of(1, 2, 3) });
  const request = await endpoint.take({ timeoutMs: 5000 });
  assert.ok(request !== null);
  const accepted = request.accept({ privateData: lent.toDescriptor() });
  const connection = await connecting;
  const remote = RemoteRegion.fromDescriptor(connection.privateData);
  for (const length of [1, 8, 64, 5000, 150_000]) {
    await connection.write({ local, remote, length, until: 'delivered' });
    await connection.read({ local, remote, length });
  }
  await connection.atomicWrite({ remote, value: 7n, until: 'delivered' });
  const received = accepted.receive({ local: inbox, length: 4096 });
  await connection.send({ local, length: 1000 });
  assert.equal((await received).length, 1000);
  await connection.close();
  await accepted.close();
}

const reason = captureObstacle();

it(
  'tshark finds MPA and DDP/RDMAP in our frames, none malformed',
  { skip: reason ?? false },
  async (test) => {
    const folder = await diskFolder();
    test.after(() => removeFolder(folder));
    const file = join(folder, 'frames.pcapng');
    await using target = await Peer.open();
    await using endpoint = await target.listen('127.0.0.1', 0);
    const capture = await Capture.start(test, endpoint.port, file);
    await converse(endpoint.port, endpoint, target);
    await capture.end();
    const lines = dissect(file);
    for (const found of [
      'MPA Request Frame',
      'MPA Reply Frame',
      'Write [last DDP segment]',
      'Write [more DDP segments]',
      'Read Request [last DDP segment]',
      'Read Response [last DDP segment]',
      'Send [last DDP segment]',
    ]) {
      assert.ok(lines.includes(found), `no ${found} in\n${lines}`);
    }
    assert.equal(dissect(file, '-Y', '_ws.malformed'), '');
  },
);
