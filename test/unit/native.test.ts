// SPDX-License-Identifier: BSD-3-Clause
//
// What a program is told when the addon is missing, broken or of another version. Each case is a
// fresh process: with a binary of its own, or with a copy of the compiled sources that stands for
// an installed package.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { diskFolder, packageRoot, removeFolder } from '../support/folders.js';

const compiledRoot = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const here = `${process.platform}-${process.arch}`;
const processDeadlineMs = 30_000;

interface Told {
  readonly code: string;
  readonly message: string;
  readonly cause: string;
}

/** What the import of an entry fails with. */
async function failureOfImport(entry: string, chosen: string): Promise<Told> {
  const program =
    `import(${JSON.stringify(pathToFileURL(entry).href)}).then(() => ({ code: 'none' }), (e) => ` +
    '({ code: e.code, message: e.message, cause: e.cause?.code }))' +
    '.then((told) => console.log(JSON.stringify(told)));';
  const options = { env: { ...process.env, RPMA_NATIVE: chosen }, timeout: processDeadlineMs };
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', program], options);
  return JSON.parse(stdout) as Told;
}

async function freshFolder(context: TestContext): Promise<string> {
  const folder = await diskFolder();
  context.after(() => removeFolder(folder));
  return folder;
}

/**
 * The entry of a package as it is installed, far from this checkout and its binary; with files of
 * its own.
 */
async function installed(context: TestContext, files: readonly string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'rpma-test-'));
  context.after(() => removeFolder(folder));
  cpSync(join(compiledRoot, 'lib'), join(folder, 'dist'), { recursive: true });
  cpSync(join(packageRoot(), 'abi'), join(folder, 'abi'), { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "name": "rpma", "type": "module" }');
  for (const file of files) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), '');
  }
  return join(folder, 'dist', 'index.js');
}

const entry = join(compiledRoot, 'lib', 'index.js');

describe('the addon', () => {
  test('that RPMA_NATIVE names and is not there', async (context) => {
    const path = join(await freshFolder(context), 'absent.node');
    const told = await failureOfImport(entry, path);
    assert.equal(told.code, 'ERR_RPMA_MISSING_LIBRARY');
    assert.match(told.message, /RPMA_NATIVE names .*absent\.node', which is not there/);
  });

  test('that is no binary is told with the loader as its cause', async (context) => {
    const path = join(await freshFolder(context), 'broken.node');
    writeFileSync(path, 'no binary');
    const told = await failureOfImport(entry, path);
    assert.equal(told.code, 'ERR_RPMA_MISSING_LIBRARY');
    assert.equal(told.cause, 'ERR_DLOPEN_FAILED');
    assert.match(
      told.message,
      new RegExp(`broken\\.node does not load on ${here}: .*npm run build`),
    );
  });

  test('whose record layouts are others', async (context) => {
    const path = join(await freshFolder(context), 'other.cjs');
    writeFileSync(path, "module.exports = { abiHash: 'another' };");
    const told = await failureOfImport(entry, path);
    assert.equal(told.code, 'ERR_RPMA_ABI_MISMATCH');
    assert.match(told.message, /built from other record layouts \(another, wanted .*npm run build/);
  });

  test('that the package does not have for this platform', async (context) => {
    const prebuilt = ['prebuilds/amiga-m68k/rpma.node', 'prebuilds/plan9-mips/rpma.node'];
    const told = await failureOfImport(await installed(context, prebuilt), '');
    assert.equal(told.code, 'ERR_RPMA_MISSING_LIBRARY');
    assert.match(told.message, new RegExp(`^there is no native addon for ${here} \\(looked for `));
    assert.match(told.message, new RegExp(`prebuilds/${here}/rpma\\.node\\);`));
    assert.match(told.message, /prebuilt for amiga-m68k, plan9-mips; build it for /);
  });

  test('that is prebuilt and broken', async (context) => {
    const told = await failureOfImport(
      await installed(context, [`prebuilds/${here}/rpma.node`]),
      '',
    );
    assert.equal(told.code, 'ERR_RPMA_MISSING_LIBRARY');
    assert.equal(told.cause, 'ERR_DLOPEN_FAILED');
    assert.match(told.message, /install the package again, or build it for /);
  });

  test('that a checkout has not built', async (context) => {
    const told = await failureOfImport(await installed(context, ['scripts/run.mjs']), '');
    assert.equal(told.code, 'ERR_RPMA_MISSING_LIBRARY');
    assert.match(told.message, /; build it with: npm run build$/);
  });
});
