// SPDX-License-Identifier: BSD-3-Clause
// flavour: test
//
// Workers that end while others use what they lent: their memory is not touched afterwards, and the
// others have one outcome for each operation. How workers end in every state is told by
// worker-*.test.ts.

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';
import { type Connection, MemoryUsage, Peer, RemoteRegion } from 'rpma';
import { fromHex } from '../support/child.js';
import { turn, until, withDeadline } from '../support/deadline.js';
import { nativeTest } from '../support/native.js';
import { chosenSeed, SeededRandom } from '../support/random.js';
import type { Lent } from './programs/lender.js';

const program = new URL('./programs/lender.js', import.meta.url);
const sizeBytes = 1 << 18;
const roundsMax = 60;
const boundMs = 20_000;

interface Lender {
  readonly worker: Worker;
  readonly shared: Uint8Array;
  readonly lent: Lent;
}

async function startLender(test: TestContext): Promise<Lender> {
  const shared = new SharedArrayBuffer(sizeBytes);
  const worker = new Worker(program, { workerData: shared });
  test.after(() => worker.terminate());
  const lent = await withDeadline(
    new Promise<Lent>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    }),
    'the worker lends',
  );
  return { worker, shared: new Uint8Array(shared), lent };
}

async function pour(connection: Connection, range: Parameters<Connection['write']>[0]) {
  try {
    for (;;) await connection.write(range);
  } catch {
    // The lender ended.
  }
}

/** Memory of the same size, which a late write would find in place of the worker's. */
function guards(): Uint8Array[] {
  return Array.from({ length: 16 }, () => new Uint8Array(new ArrayBuffer(sizeBytes)).fill(0x5a));
}

/** One worker's life: written to by both connections until it is terminated and beyond. */
async function writeBeyondTheEnd(test: TestContext, peer: Peer, random: SeededRandom) {
  const { worker, shared, lent } = await startLender(test);
  const remotes = lent.descriptors.map((text) => RemoteRegion.fromDescriptor(fromHex(text)));
  const local = await peer.allocate(sizeBytes, { usage: MemoryUsage.WriteSource });
  random.fill(local.bytes);
  const connections = await Promise.all(
    remotes.map(() => peer.connect('127.0.0.1', lent.port, { connection: { crc: false } })),
  );
  const pours = connections.flatMap((connection) =>
    remotes.flatMap((remote) =>
      Array.from({ length: 4 }, () => {
        const length = random.pick([4096, 65_536, sizeBytes]);
        return pour(connection, { local, remote, length });
      }),
    ),
  );
  await until(() => shared.some((byte) => byte !== 0), 'a write arrives');
  const moment = performance.now() + random.below(8);
  await until(() => performance.now() >= moment, 'the moment');
  const exited = new Promise((resolve) => worker.once('exit', resolve));
  const terminated = worker.terminate();
  await withDeadline(exited, 'the worker exits');
  // From here on the memory is whoever's.
  shared.fill(0xc3);
  const taken = guards();
  await withDeadline(terminated, 'it is terminated');
  const check = (): void => {
    assert.ok(
      shared.every((byte) => byte === 0xc3),
      'shared memory was written after the end of the worker that lent it',
    );
    assert.ok(
      taken.every((memory) => memory.every((byte) => byte === 0x5a)),
      "somebody else's memory was written",
    );
  };
  for (let turns = 0; turns < 10; turns++) await turn();
  check();
  await Promise.all(connections.map((each) => withDeadline(each.whenClosed(), 'its end is seen')));
  await withDeadline(Promise.all(pours), 'every write has its outcome');
  check();
  await local.close();
}

describe('a worker that ends while it is written to', () => {
  it('has its memory left alone from then on, in every round', async (test) => {
    const random = new SeededRandom(chosenSeed(0xdead));
    test.diagnostic(`seed ${random.seed} (RPMA_TEST_SEED repeats it)`);
    const peer = await Peer.open({ localAddress: '127.0.0.1' });
    test.after(() => peer.close());
    const end = performance.now() + boundMs;
    let rounds = 0;
    for (; rounds < roundsMax && (rounds < 3 || performance.now() < end); rounds++) {
      await writeBeyondTheEnd(test, peer, random);
    }
    test.diagnostic(`${rounds} rounds`);
    await peer.close();
    const { regions, queue_pairs, sockets, threads, handles } = nativeTest().counters();
    assert.deepEqual([regions, queue_pairs, sockets, threads, handles], [0, 0, 0, 0, 0]);
  });

  for (const delayMs of [0, 3, 20]) {
    it(`leaves the other side one outcome each, in order (after ${delayMs} ms)`, async (test) => {
      const { worker, lent } = await startLender(test);
      const peer = await Peer.open({ localAddress: '127.0.0.1' });
      test.after(() => peer.close());
      const remote = RemoteRegion.fromDescriptor(fromHex(lent.descriptors[1] ?? ''));
      const local = await peer.allocate(remote.sizeBytes, { usage: MemoryUsage.WriteSource });
      const connection = await peer.connect('127.0.0.1', lent.port, {
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
      assert.deepEqual(
        outcomes,
        Array.from({ length: posted }, (_, id) => id),
      );
    });
  }
});
