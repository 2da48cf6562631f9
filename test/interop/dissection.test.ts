// SPDX-License-Identifier: BSD-3-Clause
//
// Another program decodes our frames: tshark captures a conversation with every operation, and each
// example, on loopback, and finds MPA and DDP/RDMAP in them and no malformed frame. It needs the
// right to capture.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Peer, RemoteRegion } from 'rpma';
import { examplePages, portOf, type Run, runsOf, startProgram } from '../docs/example-runs.js';
import { assertSuccess, type Program } from '../docs/support.js';
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

/** What a run must show beside the set-up, by the example's name. */
const operations: Readonly<Record<string, readonly string[]>> = {
  '01-connection': [],
  '02-read-to-volatile': ['Read Request [last', 'Read Response [last'],
  '03-read-to-persistent': ['Read Request [last', 'Read Response [last'],
  '04-write-to-persistent': ['Write [last'],
  '05-flush-to-persistent': ['Write [last'],
  '07-atomic-write': ['Write [last'],
  '08-messages-ping-pong': ['Send [last'],
};

/** Runs both programs of an example in the folder, and captures what passes between them. */
async function captureRun(capture: (port: number) => Promise<Capture>, run: Run, folder: string) {
  const server = startProgram(run.server, '0', folder);
  let client: Program | null = null;
  try {
    const port = await portOf(server);
    const capturing = await capture(Number(port));
    client = startProgram(run.client, port, folder);
    const [clientEnd, serverEnd] = await Promise.all([client.end(), server.end()]);
    assertSuccess(clientEnd, 'the client');
    assertSuccess(serverEnd, 'the server');
    await capturing.end();
  } finally {
    server.kill();
    client?.kill();
  }
}

describe('tshark decodes what the examples put on loopback', () => {
  for (const page of examplePages()) {
    const name = page.split('/')[1] ?? '';
    for (const [n, run] of runsOf(page).entries()) {
      it(`${name}, run ${n + 1}`, { skip: reason ?? false }, async (test) => {
        const expected = operations[name];
        assert.ok(expected !== undefined, 'this test does not know what the example does');
        const folder = await diskFolder();
        test.after(() => removeFolder(folder));
        const file = join(folder, 'frames.pcapng');
        await captureRun((port) => Capture.start(test, port, file), run, folder);
        const lines = dissect(file);
        for (const found of ['MPA Request Frame', 'MPA Reply Frame', ...expected]) {
          assert.ok(lines.includes(found), `no ${found} in\n${lines}`);
        }
        test.diagnostic(`${lines.split('\n').length - 1} packets`);
        assert.equal(dissect(file, '-Y', '_ws.malformed'), '');
      });
    }
  }
});
