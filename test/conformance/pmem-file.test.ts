// SPDX-License-Identifier: BSD-3-Clause
//
// Mapped files. librpma leaves mapping to libpmem; here it is part of the promise that durable
// means.

import assert from 'node:assert/strict';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MemoryUsage, PmemFile } from 'rpma';
import { argumentError, conform, withCode } from '../support/conform.js';
import { durableUsage } from '../support/world.js';

conform('mapped file', ({ it }) => {
  it('is created with all its blocks', async (world) => {
    const path = join(await world.folder(), 'new.pmem');
    const file = world.keep(await PmemFile.map(path, { create: true, sizeBytes: 1 << 20 }));
    assert.equal(file.path, path);
    assert.equal(file.sizeBytes, 1 << 20);
    assert.equal(file.bytes.length, 1 << 20);
    assert.ok(['pmem', 'storage'].includes(file.durability));
    assert.equal(file.isPmem, file.durability === 'pmem');
    const found = await stat(path);
    assert.equal(found.size, 1 << 20);
    assert.ok(found.blocks * 512 >= 1 << 20, 'no sparse file');
  });

  it('of what exists maps the whole, or the part asked for', async (world) => {
    const path = join(await world.folder(), 'old.pmem');
    await writeFile(
      path,
      new Uint8Array(16_384).map((_, at) => at >> 12),
    );
    const whole = world.keep(await PmemFile.map(path));
    assert.equal(whole.sizeBytes, 16_384);
    const options = { offset: 8192, sizeBytes: 4096 };
    const part = world.keep(await PmemFile.map(path, options));
    assert.equal(part.sizeBytes, 4096);
    assert.equal(part.bytes[0], 2);
  });

  it('persist() and persistSync() make the bytes last', async (world) => {
    const file = await world.file(8192);
    file.bytes.set([1, 2, 3], 100);
    await file.persist(100, 3);
    file.bytes.set([4, 5, 6], 5000);
    file.persistSync(5000, 3);
    await file.persist();
    file.persistSync();
    const found = await readFile(file.path);
    assert.deepEqual([...found.subarray(100, 103)], [1, 2, 3]);
    assert.deepEqual([...found.subarray(5000, 5003)], [4, 5, 6]);
    await assert.rejects(file.persist(8000, 200), argumentError('RangeError', 'OUT_OF_RANGE'));
  });

  it('unmap() detaches every view and is told once', async (world) => {
    const file = await world.file(8192);
    const whole = file.bytes;
    const window = file.view(4096, 10);
    await file.unmap();
    assert.equal(whole.length, 0);
    assert.equal(window.length, 0);
    assert.equal(file.bytes.length, 0);
    await file.unmap();
    await assert.rejects(file.persist(), withCode('CLOSED'));
    assert.equal((await readFile(file.path)).length, 8192);
  });

  it('does not exist: an error with errno and system call', async (world) => {
    const path = join(await world.folder(), 'absent.pmem');
    await assert.rejects(PmemFile.map(path), withCode('PROVIDER', { syscall: 'open' }));
    await assert.rejects(
      PmemFile.map(join(path, 'below'), { create: true, sizeBytes: 4096 }),
      withCode('PROVIDER', { syscall: 'open' }),
    );
  });

  it('read-only gives no right to be written', async (world) => {
    const file = await world.file(4096);
    const peer = await world.peer();
    const readOnly = world.keep(await PmemFile.map(file.path, { readOnly: true }));
    await assert.rejects(peer.register(readOnly, { usage: durableUsage }));
    const region = await peer.register(readOnly, { usage: MemoryUsage.ReadSource });
    assert.equal(region.sizeBytes, 4096);
  });

  it('survives the end of the process that wrote it', async (world) => {
    const file = await world.file(4096);
    file.bytes.set([42], 17);
    await file.persist(17, 1);
    await file.unmap();
    const again = world.keep(await PmemFile.map(file.path));
    assert.equal(again.bytes[17], 42);
  });
});
