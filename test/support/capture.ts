// SPDX-License-Identifier: BSD-3-Clause
//
// What passes a port on loopback, as tshark captures and dissects it. It needs the right to
// capture.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';
import type { TestContext } from 'node:test';
import { until, withDeadline } from './deadline.js';

/** Why nothing can be captured here, or null. */
export function captureObstacle(): string | null {
  const found = spawnSync('tshark', ['-D'], { encoding: 'utf8' });
  if (found.error !== undefined) return 'tshark is not installed';
  return /\blo\b/.test(found.stdout) ? null : 'this user may not capture on lo';
}

/**
 * A capture of one port, and of a port of its own: connections to that one show how far it is,
 * because packets are told, source port by source port, as they are written.
 */
export class Capture {
  readonly #tshark: ChildProcess;
  readonly #door: Server;
  #seen = '';

  private constructor(test: TestContext, door: Server, port: number, file: string) {
    this.#door = door;
    const fields = ['-P', '-l', '-T', 'fields', '-e', 'tcp.srcport'];
    const filter = `tcp port ${port} or tcp port ${this.#doorPort}`;
    const args = ['-i', 'lo', '-f', filter, '-w', file, '-q', ...fields];
    this.#tshark = spawn('tshark', args, { stdio: ['ignore', 'pipe', 'ignore'] });
    this.#tshark.stdout?.setEncoding('utf8').on('data', (text: string) => (this.#seen += text));
    test.after(() => {
      this.#tshark.kill('SIGKILL');
      door.close();
    });
  }

  /** Captures from now on. */
  static async start(test: TestContext, port: number, file: string): Promise<Capture> {
    const door = createServer((socket) => socket.destroy());
    door.listen(0, '127.0.0.1');
    await once(door, 'listening');
    const capture = new Capture(test, door, port, file);
    await capture.#caughtUp();
    return capture;
  }

  /** Everything until now is in the file. */
  async end(): Promise<void> {
    await this.#caughtUp();
    const ended = new Promise((resolve) => this.#tshark.once('close', resolve));
    this.#tshark.kill('SIGINT');
    await withDeadline(ended, 'the end of tshark');
  }

  get #doorPort(): number {
    const address = this.#door.address();
    assert.ok(address !== null && typeof address === 'object');
    return address.port;
  }

  /** Knocks until the capture shows a knock: all before it has been captured, too. */
  async #caughtUp(): Promise<void> {
    for (let tries = 0; ; tries++) {
      const socket = connect(this.#doorPort, '127.0.0.1');
      await withDeadline(once(socket, 'connect'), 'a knock');
      const knock = `${socket.localPort}\n`;
      socket.destroy();
      const shown = until(() => this.#seen.includes(knock), 'the knock in the capture', 500);
      const isShown = await shown.then(
        () => true,
        () => false,
      );
      if (isShown) return;
      assert.ok(tries < 20, 'tshark shows no packet');
    }
  }
}

/**
 * What tshark says of a capture. It takes Sends of 8 bytes for RPC over RDMA and then complains of
 * them; all else that it guesses stays on.
 */
export function dissect(file: string, ...args: string[]): string {
  const command = ['--disable-protocol', 'rpcordma', '-r', file, ...args];
  return spawnSync('tshark', command, { encoding: 'utf8' }).stdout;
}
