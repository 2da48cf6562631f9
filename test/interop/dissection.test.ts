// SPDX-License-Identifier: BSD-3-Clause
//
// Another program decodes our frames: tshark captures a conversation with every operation on
// loopback and finds MPA and DDP/RDMAP in it and no malformed frame. It needs the right to capture.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { connect } from 'node:net';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { Peer, RemoteRegion } from 'rpma';
import { until, withDeadline } from '../support/deadline.js';
import { diskFolder, removeFolder } from '../support/folders.js';
import { localUsage, remoteUsage } from '../support/world.js';

/** Why nothing can be captured here, or null. */
function obstacle(): string | null {
  const found = spawnSync('tshark', ['-D'], { encoding: 'utf8' });
  if (found.error !== undefined) return 'tshark is not installed';
  return /\blo\b/.test(found.stdout) ? null : 'this user may not capture on lo';
}

/**
 * A capture of one port whose packets are told, source port by source port, as they are written.
 */
class Capture {
  readonly #tshark: ChildProcess;
  #seen = '';

  constructor(test: TestContext, port: number, file: string) {
    const fields = ['-P', '-l', '-T', 'fields', '-e', 'tcp.srcport'];
    const args = ['-i', 'lo', '-f', `tcp port ${port}`, '-w', file, '-q', ...fields];
    this.#tshark = spawn('tshark', args, { stdio: ['ignore', 'pipe', 'ignore'] });
    this.#tshark.stdout?.setEncoding('utf8').on('data', (text: string) => (this.#seen += text));
    test.after(() => void this.#tshark.kill('SIGKILL'));
  }

  /** Knocks at the port until the capture shows a knock: all before it has been captured, too. */
  async caughtUp(port: number): Promise<void> {
    for (let tries = 0; ; tries++) {
      const socket = connect(port, '127.0.0.1');
      await withDeadline(new Promise((resolve) => socket.once('connect', resolve)), 'a knock');
      const knock = `${socket.localPort}\n`;
      socket.destroy();
      const shown = until(() => this.#seen.includes(knock), 'the knock in the capture', 500);
      if (
        await shown.then(
          () => true,
          () => false,
        )
      )
        return;
      assert.ok(tries < 20, 'tshark shows no packet');
    }
  }

  async end(): Promise<void> {
    const ended = new Promise((resolve) => this.#tshark.once('close', resolve));
    this.#tshark.kill('SIGINT');
    await withDeadline(ended, 'the end of tshark');
  }
}

function dissect(file: string, ...args: string[]): string {
  return spawnSync('tshark', ['-r', file, ...args], { encoding: 'utf8' }).stdout;
}

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

const reason = obstacle();

it(
  'tshark finds MPA and DDP/RDMAP in our frames, none malformed',
  { skip: reason ?? false },
  async (test) => {
    const folder = await diskFolder();
    test.after(() => removeFolder(folder));
    const file = join(folder, 'frames.pcapng');
    await using target = await Peer.open();
    await using endpoint = await target.listen('127.0.0.1', 0);
    const capture = new Capture(test, endpoint.port, file);
    await capture.caughtUp(endpoint.port);
    await converse(endpoint.port, endpoint, target);
    await capture.caughtUp(endpoint.port);
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
