// SPDX-License-Identifier: BSD-3-Clause
//
// One-sided means one-sided: a target whose JavaScript thread does not return to its event loop
// still serves reads, writes, atomic writes and flushes, wherever the thread left the connection.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Completion, MemoryUsage, RemoteRegion } from 'rpma';
import { Child, fromHex } from '../support/child.js';
import { conform } from '../support/conform.js';
import { durableUsage, localUsage, takeOk, type World } from '../support/world.js';
import type { Listening, TargetOptions } from './programs/target.js';

const program = new URL('./programs/target.js', import.meta.url);
const boundMs = 500;
const sizeBytes = 65_536;

async function spinningTarget(world: World, spin: NonNullable<TargetOptions['spin']>) {
  const path = join(await world.folder(), 'target.pmem');
  const options: TargetOptions = { address: '127.0.0.1', sizeBytes, path, spin, spinMs: 4000 };
  const child = Child.start(world.test, program, [JSON.stringify(options)], {
    env: { RPMA_PROVIDER: world.provider },
  });
  const { port, descriptor } = await child.expect<Listening>('listening');
  const peer = await world.peer();
  const local = await peer.allocate(sizeBytes, { usage: localUsage | MemoryUsage.ReadSource });
  const connection = await peer.connect('127.0.0.1', port, { privateData: local.toDescriptor() });
  await child.expect('established');
  await child.expect('spinning');
  return {
    child,
    path,
    local,
    connection,
    remote: RemoteRegion.fromDescriptor(fromHex(descriptor)),
  };
}

conform('one-sided', ({ it }) => {
  for (const spin of ['at-once', 'after-await', 'after-poll', 'after-take'] as const) {
    it(`a target that spins (${spin}) serves every kind of operation`, async (world) => {
      const { child, path, local, connection, remote } = await spinningTarget(world, spin);
      assert.ok((remote.usage & durableUsage) === durableUsage);
      let isSpinning = true;
      const spun = child.expect('spun').then(() => {
        isSpinning = false;
      });
      const within = async (what: string, post: () => void): Promise<Completion> => {
        const start = performance.now();
        post();
        const done = await takeOk(connection.completionQueue);
        const elapsedMs = performance.now() - start;
        assert.ok(elapsedMs < boundMs, `${what} took ${elapsedMs.toFixed(1)} ms`);
        return done;
      };
      for (let round = 1; round <= 20; round++) {
        local.bytes.fill(round, 0, 4096);
        await within('write', () => connection.postWrite({ local, remote, length: 4096 }));
        const flush = { remote, length: 4096 };
        await within('visibility flush', () =>
          connection.postFlush({ ...flush, type: 'visibility' }),
        );
        const back = { local, localOffset: 8192, remote, length: 4096 };
        await within('read', () => connection.postRead(back));
        assert.equal(local.bytes[8192], round);
        const value = BigInt(round);
        const at = { remote, remoteOffset: 8192 };
        await within('atomic write', () => connection.postAtomicWrite({ ...at, value }));
        const durable = await within('persistent flush', () =>
          connection.postFlush({ remote, length: 12_288, type: 'persistent' }),
        );
        assert.equal(durable.durability, 'persisted');
      }
      assert.ok(isSpinning, 'all of it while the target was spinning');
      const found = await readFile(path);
      assert.equal(found[0], 20);
      assert.equal(found.readBigUInt64LE(8192), 20n);
      await child.kill();
      await spun.catch(() => undefined);
    });
  }
});
