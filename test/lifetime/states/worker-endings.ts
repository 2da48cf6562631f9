// SPDX-License-Identifier: BSD-3-Clause
//
// Workers that end in every state of every object, in every way that a worker can end. The other
// side learns of it soon, this thread goes on, and nothing of the worker's stays. Needs the test
// flavour.

import assert from 'node:assert/strict';
import { before, describe, it, type TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';
import { type Connection, MemoryUsage, Peer, RemoteRegion } from 'rpma';
import { timed, until, withDeadline } from '../../support/deadline.js';
import { diskFolder, removeFolder } from '../../support/folders.js';
import { nativeTest } from '../../support/native.js';
import type { Hangs, Reached, StateOptions } from '../programs/state-holder.js';
import { describeHang, diagnoseMs, endMs, orThreads } from './expect.js';
import { openPartner } from './partners.js';
import type { Held } from './scene.js';
import { blocks, type State, states } from './states.js';

const program = new URL('../programs/state-holder.js', import.meta.url);
const endings = ['terminate', 'exit', 'throw', 'natural'] as const;
type Ending = (typeof endings)[number];
const codes: Readonly<Record<Ending, number>> = { terminate: 1, exit: 7, throw: 1, natural: 0 };

/** Blocked threads look up 20 times a second; the rest is room for a loaded machine. */
const terminateMs = process.env['RPMA_SANITIZED'] === undefined ? 1500 : 6000;

function liveObjects(): string {
  return JSON.stringify(nativeTest().counters());
}

interface Ended {
  readonly code: number;
  readonly error: Error | null;
  readonly terminatedMs: number;
}

/** Runs a worker into its state and to its end. */
async function runToEnd(test: TestContext, name: string, ending: Ending): Promise<Ended> {
  const { partner: kind } = states[name] as State;
  const folder = await diskFolder();
  test.after(() => removeFolder(folder));
  const partner = await openPartner(test, kind);
  test.after(() => partner.close());
  const options: StateOptions = {
    state: name,
    folder,
    partner: { port: partner.port, descriptor: partner.descriptor },
    ending: ending === 'terminate' ? 'stay' : ending,
    diagnoseMs,
  };
  const worker = new Worker(program, { workerData: options });
  test.after(() => worker.terminate());
  const errors: Error[] = [];
  worker.on('error', (error: Error) => errors.push(error));
  const exited = new Promise<number>((resolve) => worker.once('exit', resolve));
  const ready = new Promise<void>((resolve, reject) => {
    worker.on('message', (message: Held | Reached | Hangs) => {
      if (message.kind === 'listening') partner.meet(message);
      else if (message.kind === 'ready') resolve();
      else reject(describeHang(message));
    });
    void exited.then((code) => {
      reject(errors[0] ?? new Error(`it ended with ${code} before it was there`));
    });
  });
  await orThreads(ready, 'the state is reached', 'self');
  await partner.met();
  worker.postMessage('end');
  let terminatedMs = 0;
  if (ending === 'terminate') {
    const terminated = orThreads(worker.terminate(), 'it is terminated', 'self');
    terminatedMs = (await timed(terminated)).elapsedMs;
  }
  const hangs = new Promise<never>((_, reject) => {
    worker.on('message', (message: Hangs) => reject(describeHang(message)));
  });
  const code = await orThreads(Promise.race([exited, hangs]), 'the worker ends', 'self');
  await partner.sawEnd();
  await partner.close();
  nativeTest().faultClear();
  return { code, error: errors[0] ?? null, terminatedMs };
}

/** What this thread has of its own, while workers come and go. */
class Own {
  readonly #peer: Peer;
  readonly #connection: Connection;

  private constructor(peer: Peer, connection: Connection) {
    this.#peer = peer;
    this.#connection = connection;
  }

  static async open(): Promise<Own> {
    const peer = await Peer.open({ localAddress: '127.0.0.1' });
    const endpoint = await peer.listen('127.0.0.1', 0);
    const accepted = endpoint.take().then((request) => request?.accept().whenEstablished());
    const connection = await peer.connect('127.0.0.1', endpoint.port);
    await accepted;
    return new Own(peer, connection);
  }

  async goesOn(): Promise<void> {
    const usage =
      MemoryUsage.WriteSource | MemoryUsage.WriteDestination | MemoryUsage.FlushVisibility;
    const [local, region] = await Promise.all([
      this.#peer.allocate(4096, { usage }),
      this.#peer.allocate(4096, { usage }),
    ]);
    local.bytes.fill(0x77);
    const remote = RemoteRegion.fromDescriptor(region.toDescriptor());
    const written = this.#connection.write({ local, remote, length: 4096, until: 'delivered' });
    await withDeadline(written, 'a write of this thread', endMs);
    assert.ok(
      region.bytes.every((byte) => byte === 0x77),
      'the bytes of this thread arrive',
    );
    await local.close();
    await region.close();
  }

  async close(): Promise<void> {
    await this.#peer.close();
  }
}

function endingsOf(name: string): readonly Ending[] {
  if (blocks(name)) return ['terminate'];
  // What rightly keeps the loop has no natural end.
  if (states[name]?.staysAlive !== undefined) return ['terminate', 'exit', 'throw'];
  return endings;
}

export function describeWorkerEndings(group: Readonly<Record<string, State>>): void {
  describe('a worker that ends', () => {
    // The environment's own descriptors stay from here on.
    before(async () => (await Own.open()).close());

    for (const name of Object.keys(group)) {
      for (const ending of endingsOf(name)) {
        it(`by ${ending} (${name})`, async (test) => {
          const live = liveObjects();
          const own = await Own.open();
          test.after(() => own.close());
          const { code, error, terminatedMs } = await runToEnd(test, name, ending);
          assert.equal(code, codes[ending]);
          assert.equal(error?.message, ending === 'throw' ? 'thrown to end this' : undefined);
          if (blocks(name)) {
            test.diagnostic(`terminated after ${terminatedMs.toFixed(0)} ms`);
            assert.ok(terminatedMs < terminateMs, `it took ${terminatedMs.toFixed(0)} ms`);
          }
          await own.goesOn();
          await own.close();
          await until(() => liveObjects() === live, `live objects are as before: ${live}`).catch(
            (cause: unknown) => {
              throw new Error(`live objects: ${live} became ${liveObjects()}`, { cause });
            },
          );
        });
      }
    }
  });
}
