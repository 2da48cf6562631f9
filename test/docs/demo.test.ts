// SPDX-License-Identifier: BSD-3-Clause
//
// The demonstration: its output and exit status when all goes well, when it cannot start, and, as a
// control, that its check finds what is missing from a file.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { choosePlace, daxMounts } from '../../examples/demo/folder.js';
import { summariseLatency } from '../../examples/demo/latency.js';
import { readOptions } from '../../examples/demo/options.js';
import { fillRecord, recordBytes } from '../../examples/demo/records.js';
import { verifyRecords } from '../../examples/demo/verify.js';
import { diskFolder, folderOn, removeFolder, tmpfsMount } from '../support/folders.js';
import {
  assertOutput,
  assertSuccess,
  blocksOf,
  compiledRoot,
  type Outcome,
  Program,
  readPage,
} from './support.js';

const program = join(compiledRoot, 'examples', 'demo', 'main.js');

async function freshFolder(context: TestContext): Promise<string> {
  const folder = await diskFolder();
  context.after(() => removeFolder(folder));
  return folder;
}

function runDemo(folder: string, ...args: string[]): Promise<Outcome> {
  return new Program(program, args, folder).end();
}

function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1) ?? '';
}

describe('the demonstration', () => {
  test('on disk prints what its README says and leaves nothing behind', async (context) => {
    const folder = await freshFolder(context);
    const outcome = await runDemo(folder, '--records', '50', '--file-dir', folder);
    assertSuccess(outcome, 'the demonstration');
    const shown = blocksOf(readPage('examples/demo/README.md')).find(({ role }) => role === 'demo');
    assertOutput(outcome.stdout, shown?.text ?? '', 'the demonstration');
    const count = /^persisted: verified (\d+) records, provider iwarp, durability persisted$/.exec(
      lastLine(outcome.stdout),
    );
    assert.ok(Number(count?.[1]) >= 50, `too few records: ${lastLine(outcome.stdout)}`);
    assert.deepEqual(readdirSync(folder), []);
  });

  test('on tmpfs says volatile, and only when it was asked for', async (context) => {
    const mount = tmpfsMount();
    if (mount === null) return context.skip('no tmpfs is mounted');
    const folder = await folderOn(mount);
    context.after(() => removeFolder(folder));
    const refused = await runDemo(folder, '--records', '5', '--file-dir', folder);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /^failed: .*--volatile accepts that$/m);
    const outcome = await runDemo(folder, '--records', '5', '--file-dir', folder, '--volatile');
    assertSuccess(outcome, 'the demonstration');
    assert.match(
      lastLine(outcome.stdout),
      /^persisted: verified \d+ records, provider iwarp, durability volatile$/,
    );
    assert.deepEqual(readdirSync(folder), []);
  });

  test('fails with status 1 and a reason when it cannot write', async (context) => {
    const folder = await freshFolder(context);
    const outcome = await runDemo(folder, '--file-dir', join(folder, 'absent'));
    assert.equal(outcome.code, 1);
    assert.match(outcome.stderr, /^failed: cannot write into the folder /m);
    assert.doesNotMatch(outcome.stdout, /^persisted:/m);
  });

  test('refuses a wrong option with its usage', async (context) => {
    const outcome = await runDemo(await freshFolder(context), '--record', '5');
    assert.equal(outcome.code, 1);
    assert.match(outcome.stderr, /^usage: npm start/m);
  });
});

describe('the check of the demonstration', () => {
  const seed = 4711;
  const count = 20;

  async function writeRecords(
    context: TestContext,
    change: (bytes: Uint8Array) => Uint8Array,
  ): Promise<string> {
    const bytes = new Uint8Array(count * recordBytes);
    for (let index = 0; index < count; index++) {
      fillRecord(bytes.subarray(index * recordBytes, (index + 1) * recordBytes), seed, index);
    }
    const path = join(await freshFolder(context), 'records.pmem');
    await writeFile(path, change(bytes));
    return path;
  }

  const all = Array.from({ length: count }, (_, index) => index);

  test('finds every record of an intact file', async (context) => {
    const path = await writeRecords(context, (bytes) => bytes);
    assert.deepEqual(await verifyRecords(path, seed, all), { verified: count, damages: [] });
  });

  test('finds a single changed bit, in any field', async (context) => {
    for (const offset of [0, 4, 8, 12, 16, 255]) {
      const path = await writeRecords(context, (bytes) => {
        const at = 7 * recordBytes + offset;
        bytes[at] = (bytes[at] ?? 0) ^ 1;
        return bytes;
      });
      const { verified, damages } = await verifyRecords(path, seed, all);
      assert.equal(verified, count - 1);
      assert.match(damages.join(), new RegExp(`^record 7 differs at byte ${offset}, `));
    }
  });

  test('finds absent records, cut files and records of another run', async (context) => {
    const absent = await writeRecords(context, (bytes) => bytes.fill(0, 0, recordBytes));
    assert.deepEqual((await verifyRecords(absent, seed, all)).damages, ['record 0 is absent']);
    const cut = await writeRecords(context, (bytes) => bytes.subarray(0, bytes.length - 1));
    assert.equal((await verifyRecords(cut, seed, all)).damages.length, 1);
    const other = await writeRecords(context, (bytes) => bytes);
    assert.equal((await verifyRecords(other, seed + 1, all)).verified, 0);
  });
});

describe('the parts of the demonstration', () => {
  test('DAX mounts are told from others', () => {
    const mounts = [
      '/dev/vda / ext4 rw,relatime 0 0',
      '/dev/pmem0 /mnt/pmem\\0400 ext4 rw,relatime,dax=always 0 0',
      '/dev/pmem1 /mnt/pmem1 xfs rw,dax 0 0',
      '/dev/pmem2 /mnt/pmem2 xfs rw,dax=never 0 0',
      '/dev/pmem3 /mnt/pmem3 xfs rw,dax=inode 0 0',
    ].join('\n');
    assert.deepEqual(daxMounts(mounts), ['/mnt/pmem 0', '/mnt/pmem1']);
  });

  test('a folder that was named is taken, or refused with a reason', async (context) => {
    const folder = await freshFolder(context);
    assert.equal(choosePlace(folder, false).folder, folder);
    assert.notEqual(choosePlace(folder, false).medium, 'memory');
    assert.throws(() => choosePlace(join(folder, 'absent'), false), { name: 'DemoError' });
  });

  test('without a folder and a wish the place is never in memory', () => {
    assert.notEqual(choosePlace(undefined, false).medium, 'memory');
  });

  test('the latency summary gives median and 99th percentile', () => {
    const latenciesMs = Array.from({ length: 100 }, (_, index) => 100 - index);
    assert.equal(summariseLatency(latenciesMs), 'median 50.0 ms, p99 99.0 ms, count 100');
    assert.equal(summariseLatency([0.25]), 'median 250 us, p99 250 us, count 1');
  });

  test('numbers of records out of range are refused', () => {
    for (const records of ['0', '-1', '1.5', 'many', '1000001']) {
      assert.throws(() => readOptions([`--records=${records}`]), { name: 'DemoError' });
    }
    assert.equal(readOptions(['--records', '7']).records, 7);
  });
});
