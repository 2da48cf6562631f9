// SPDX-License-Identifier: BSD-3-Clause
//
// Advice about regions: pages are really brought in, the region is held meanwhile, and what cannot
// be advised is refused.

import assert from 'node:assert/strict';
import { readFileSync, truncateSync } from 'node:fs';
import { MemoryUsage, PmemFile, type RegionAdvice } from 'rpma';
import { argumentError, conform, withCode } from '../support/conform.js';

const usage = MemoryUsage.ReadSource;
const kinds = ['prefetch', 'prefetch-write', 'prefetch-no-fault'] as const;

/** Bytes of the mapped file that this process has in memory, as the kernel counts them. */
function residentBytes(path: string): number {
  const blocks = readFileSync('/proc/self/smaps', 'utf8').split(/^(?=[\da-f]+-[\da-f]+ )/m);
  const own = blocks.filter((block) => block.split('\n', 1)[0]?.endsWith(` ${path}`));
  assert.ok(own.length > 0, `${path} is not mapped`);
  const sizes = own.map((block) => Number(/^Rss:\s+(\d+) kB/m.exec(block)?.[1]));
  return sizes.reduce((sum, kib) => sum + kib * 1024, 0);
}

/** Of memory that no file is behind. */
function anonymousBytes(): number {
  const kib = /^RssAnon:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return Number(kib) * 1024;
}

conform('region.advise()', ({ it }) => {
  it('is a capability', async (world) => {
    const { capabilities } = await world.peer();
    assert.equal(capabilities.regionAdvice, true);
    assert.equal(capabilities.onDemandPaging, false);
    const pair = await world.pair();
    assert.equal(pair.initiator.capabilities.regionAdvice, true);
  });

  for (const kind of ['prefetch', 'prefetch-write'] as const) {
    it(`${kind} brings in the part of a file that it names, and nothing else`, async (world) => {
      const peer = await world.peer();
      const sizeBytes = 8 << 20;
      const file = await world.file(sizeBytes);
      const region = await peer.register(file, { usage, offset: 1 << 20, length: 6 << 20 });
      assert.equal(residentBytes(file.path), 0);
      await region.advise({ offset: 1 << 20, length: 2 << 20, kind, flush: true });
      assert.equal(residentBytes(file.path), 2 << 20);
      await region.advise({ kind, flush: true });
      assert.equal(residentBytes(file.path), 6 << 20);
    });
  }

  it('prefetch-write gives the library’s memory pages of its own', async (world) => {
    const peer = await world.peer();
    const sizeBytes = 64 << 20;
    const region = await peer.allocate(sizeBytes, { usage });
    const before = anonymousBytes();
    await region.advise({ kind: 'prefetch-write', flush: true });
    const grown = anonymousBytes() - before;
    assert.ok(grown >= 0.9 * sizeBytes, `${grown} of ${sizeBytes} bytes are there`);
  });

  it('prefetch-no-fault maps nothing', async (world) => {
    const peer = await world.peer();
    const file = await world.file(1 << 20);
    const region = await peer.register(file, { usage });
    await region.advise({ kind: 'prefetch-no-fault', flush: true });
    assert.equal(residentBytes(file.path), 0);
  });

  it('takes memory of the program’s own', async (world) => {
    const peer = await world.peer();
    for (const memory of [new Uint8Array(100_000), new SharedArrayBuffer(100_000)]) {
      const region = await peer.register(memory, { usage, offset: 13, length: 70_001 });
      for (const kind of kinds) {
        await region.advise({ kind, flush: true });
        await region.advise({ kind });
      }
    }
  });

  it('without flush it is under way when it resolves, and close() waits for it', async (world) => {
    const peer = await world.peer();
    const file = await world.file(32 << 20);
    const region = await peer.register(file, { usage });
    await region.advise({ kind: 'prefetch' });
    await region.close();
    assert.equal(region.inFlight, 0);
    await file.unmap();
  });

  it('refuses what lies outside of the region, and what is no advice', async (world) => {
    const peer = await world.peer();
    const region = await peer.allocate(8192, { usage });
    const range = argumentError('RangeError', 'OUT_OF_RANGE');
    const beyond = [
      { offset: 8192 },
      { offset: -1 },
      { offset: 0.5 },
      { length: 8193 },
      { length: 0 },
      { offset: 4096, length: 4097 },
    ];
    for (const part of beyond) {
      await assert.rejects(region.advise({ kind: 'prefetch', ...part }), range);
    }
    const type = argumentError('TypeError', 'INVALID_ARG_TYPE');
    const wrong: unknown[] = [undefined, null, 'prefetch', {}, { kind: 3 }];
    wrong.push({ kind: 'prefetch', flush: 1 }, { kind: 'prefetch', offset: 1n });
    for (const advice of wrong) {
      await assert.rejects(region.advise(advice as RegionAdvice), type);
    }
    const word = argumentError('TypeError', 'INVALID_ARG_VALUE');
    const unknown = { kind: 'sequential' } as unknown as RegionAdvice;
    await assert.rejects(region.advise(unknown), word);
    await region.close();
    await assert.rejects(region.advise({ kind: 'prefetch' }), withCode('CLOSED'));
  });

  it('a read-only file is advised for reading only', async (world) => {
    const peer = await world.peer();
    const path = (await world.file(65_536)).path;
    const file = world.keep(await PmemFile.map(path, { readOnly: true }));
    const region = await peer.register(file, { usage });
    await region.advise({ kind: 'prefetch', flush: true });
    await assert.rejects(
      region.advise({ kind: 'prefetch-write', flush: true }),
      argumentError('TypeError', 'INVALID_ARG_VALUE'),
    );
  });

  it('a file that was truncated is an error, and the process lives', async (world) => {
    const peer = await world.peer();
    const file = await world.file(1 << 20);
    const region = await peer.register(file, { usage });
    truncateSync(file.path, 4096);
    for (const kind of ['prefetch', 'prefetch-write'] as const) {
      await assert.rejects(
        region.advise({ kind, flush: true }),
        argumentError('TypeError', 'INVALID_ARG_VALUE'),
      );
    }
    await region.advise({ kind: 'prefetch', length: 4096, flush: true });
  });
});
