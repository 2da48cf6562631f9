// SPDX-License-Identifier: BSD-3-Clause
// flavour: test
//
// Workers that end with everything open: terminated, by process.exit(), by an exception. Nothing of
// theirs stays, no memory of theirs is touched afterwards, and the other side learns of the end.

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';
import { MemoryUsage, Peer, RemoteRegion } from 'rpma';
import { fromHex } from '../support/child.js';
import { timed, until, withDeadline } from '../support/deadline.js';
import { diskFolder, removeFolder } from '../support/folders.js';
import { nativeTest } from '../support/native.js';
import { everyStage, type HolderOptions, type Ready } from './programs/holder.js';

const program = new URL('./programs/holder.js', import.meta.url);

interface Held {
  readonly worker: Worker;
  readonly ready: Promise<Ready>;
  readonly exited: Promise<number>;
  readonly failed: Promise<Error>;
}

function hold(options: HolderOptions): Held {
  const worker = new Worker(program, { workerData: options });
  const exited = new Promise<number>((resolve) => worker.once('exit', resolve));
  const ready = new Promise<Ready>((resolve, reject) => {
    worker.once('message', resolve);
    void exited.then((code) => reject(new Error(`ended with ${code} before it was ready`)));
  });
  ready.catch(() => undefined);
  const failed = new Promise<Error>((resolve) => worker.once('error', resolve));
  return { worker, ready, exited, failed };
}

async function inFolder(test: TestContext): Promise<string> {
  const folder = await diskFolder();
  test.after(() => removeFolder(folder));
  return folder;
}

function liveObjects(): string {
  return JSON.stringify(nativeTest().counters());
}

describe('a worker that ends with objects open', () => {
  for (const stage of everyStage) {
    it(`leaves nothing behind when it is terminated (${stage})`, async (test) => {
      const folder = await inFolder(test);
      const before = liveObjects();
      for (let round = 0; round < 3; round++) {
        const { worker, ready, exited } = hold({ stage, folder, end: 'stay' });
        await withDeadline(ready, 'the worker is ready');
        const { elapsedMs } = await timed(withDeadline(worker.terminate(), 'it is terminated'));
        assert.equal(await exited, 1);
        assert.ok(elapsedMs < 3000, `it took ${elapsedMs.toFixed(0)} ms`);
      }
      await until(() => liveObjects() === before, `live objects are as before: ${before}`);
    });

    it(`leaves nothing behind when it exits (${stage})`, async (test) => {
      const folder = await inFolder(test);
      const before = liveObjects();
      const { exited } = hold({ stage, folder, end: 'exit' });
      assert.equal(await withDeadline(exited, 'its end'), 7);
      await until(() => liveObjects() === before, `live objects are as before: ${before}`);
    });
  }

  it('leaves nothing behind when it throws', async (test) => {
    const folder = await inFolder(test);
    const before = liveObjects();
    const { exited, failed } = hold({ stage: 'operations', folder, end: 'throw' });
    assert.match((await withDeadline(failed, 'its error')).message, /thrown to end this/);
    assert.equal(await withDeadline(exited, 'its end'), 1);
    await until(() => liveObjects() === before, `live objects are as before: ${before}`);
  });

  it('is terminated out of a synchronous wait without end', async (test) => {
    const folder = await inFolder(test);
    const { worker, ready } = hold({ stage: 'connection', folder, end: 'block' });
    await withDeadline(ready, 'the worker is ready');
    await withDeadline(worker.terminate(), 'it is terminated', 3000);
  });

  it('is terminated at any moment of its start', async (test) => {
    const folder = await inFolder(test);
    const before = liveObjects();
    for (let turns = 0; turns < 24; turns++) {
      const { worker, exited } = hold({ stage: 'operations', folder, end: 'stay' });
      const end = performance.now() + turns * 5;
      await until(() => performance.now() >= end, 'the moment');
      await withDeadline(worker.terminate(), 'it is terminated');
      await exited;
    }
    await until(() => liveObjects() === before, `live objects are as before: ${before}`);
  });

  it('refuses the requests that it did not fetch', async (test) => {
    const folder = await inFolder(test);
    const { worker, ready } = hold({ stage: 'endpoint', folder, end: 'stay' });
    const { port } = await withDeadline(ready, 'the worker is ready');
    const peer = await Peer.open({ localAddress: '127.0.0.1' });
    test.after(() => peer.close());
    const refused = assert.rejects(peer.connect('127.0.0.1', port), { code: 'ERR_RPMA_REJECTED' });
    await withDeadline(worker.terminate(), 'it is terminated');
    await withDeadline(refused, 'the request is refused');
  });

  for (const delayMs of [0, 3, 20]) {
    it(`takes back memory that is being written to (after ${delayMs} ms)`, async (test) => {
      const folder = await inFolder(test);
      const { worker, ready } = hold({ stage: 'endpoint', folder, end: 'serve' });
      const { port, descriptor } = await withDeadline(ready, 'the worker is ready');
      const peer = await Peer.open({ localAddress: '127.0.0.1' });
      test.after(() => peer.close());
      const remote = RemoteRegion.fromDescriptor(fromHex(descriptor));
      const local = await peer.allocate(remote.sizeBytes, { usage: MemoryUsage.WriteSource });
      const connection = await peer.connect('127.0.0.1', port, {
        connection: { sendQueueSize: 64 },
      });
      const { completionQueue } = connection;
      const outcomes: number[] = [];
      const take = (): void => {
        for (const { id } of completionQueue.poll(64)) outcomes.push(id);
      };
      let posted = 0;
      const post = (): void => {
        take();
        while (connection.state === 'established' && connection.sendQueueFree > 0) {
          try {
            connection.postWrite({ local, remote, length: local.sizeBytes, id: posted });
          } catch {
            return; // it ended between the question and the post
          }
          posted += 1;
        }
      };
      const end = performance.now() + delayMs;
      await until(() => {
        post();
        return performance.now() >= end;
      }, 'the moment');
      const terminated = worker.terminate();
      await until(() => {
        post();
        return connection.state === 'closed';
      }, 'the other side notices');
      await withDeadline(terminated, 'it is terminated');
      await until(() => {
        take();
        return outcomes.length >= posted;
      }, 'every outcome');
      // In the order of the posts, and each exactly once.
      assert.deepEqual(
        outcomes,
        Array.from({ length: posted }, (_, id) => id),
      );
    });
  }
});
