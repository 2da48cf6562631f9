// SPDX-License-Identifier: BSD-3-Clause
//
// The soak of itself: a few dozen kills of the sound protocol pass, and a protocol with a defect is
// found out by the same number. The long run is `npm run soak`.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { diskFolder, folderOn, removeFolder, tmpfsMount } from '../support/folders.js';

const program = fileURLToPath(new URL('./main.js', import.meta.url));

interface Outcome {
  readonly status: number | null;
  readonly output: string;
}

function run(test: TestContext, args: readonly string[]): Promise<Outcome> {
  const flags = process.execArgv.filter((flag) => !flag.startsWith('--test'));
  const child = spawn(process.execPath, [...flags, program, ...args]);
  test.after(() => child.kill('SIGKILL'));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  return new Promise((resolve) => child.on('close', (status) => resolve({ status, output })));
}

async function soak(test: TestContext, ...args: readonly string[]): Promise<Outcome> {
  const folder = await diskFolder();
  test.after(() => removeFolder(folder));
  return run(test, ['--path', join(folder, 'soak.log'), ...args]);
}

describe('the soak', () => {
  it('passes the sound protocol', { timeout: 100_000 }, async (test) => {
    const { status, output } = await soak(test, '--kills', '25', '--seed', '7');
    assert.equal(status, 0, output);
    assert.match(output, /^26 passed, 0 failed$/m);
  });

  it('finds a commit word before its record', { timeout: 100_000 }, async (test) => {
    const args = ['--kills', '60', '--seed', '11', '--mutant', 'order'];
    const { status, output } = await soak(test, ...args);
    assert.equal(status, 1, output);
    assert.match(output, /LogDefect: (there is no record|the record) at \d+/);
  });

  it('finds a commit word of two halves', { timeout: 100_000 }, async (test) => {
    const args = ['--kills', '60', '--seed', '12', '--mutant', 'torn'];
    const { status, output } = await soak(test, ...args);
    assert.equal(status, 1, output);
    assert.match(output, /LogDefect: the commit word is torn/);
  });

  it('refuses a file that does not outlast the machine', async (test) => {
    const mount = tmpfsMount();
    if (mount === null) return test.skip('no tmpfs is mounted');
    const folder = await folderOn(mount);
    test.after(() => removeFolder(folder));
    const path = join(folder, 'soak.log');
    const refused = await run(test, ['--path', path, '--kills', '1']);
    assert.equal(refused.status, 2, refused.output);
    assert.match(refused.output, /is on tmpfs/);
    const asked = await run(test, ['--path', path, '--kills', '3', '--seed', '1', '--volatile']);
    assert.equal(asked.status, 0, asked.output);
  });
});
