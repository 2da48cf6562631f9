// SPDX-License-Identifier: BSD-3-Clause
//
// Processes that end with objects in every state: by process.exit(), by an exception, and by having
// nothing left to do once endpoints and connections were unref()ed. None hangs and none crashes.

import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { Child } from '../support/child.js';
import { withDeadline } from '../support/deadline.js';
import { diskFolder, removeFolder } from '../support/folders.js';
import { everyStage, type HolderOptions, type Ready, type Stage } from './programs/holder.js';

const program = new URL('./programs/holder.js', import.meta.url);

async function start(test: TestContext, stage: Stage, end: HolderOptions['end']): Promise<Child> {
  const folder = await diskFolder();
  const child = Child.start(test, program, [JSON.stringify({ stage, folder, end })]);
  test.after(() => removeFolder(folder));
  await child.expect<Ready>('ready');
  return child;
}

async function endOf(child: Child): Promise<number | null> {
  const { code, signal } = await withDeadline(child.ended, 'the process ends', 5000);
  assert.equal(signal, null, child.stderr);
  return code;
}

describe('a process that ends with objects open', () => {
  for (const stage of everyStage) {
    it(`exits at once by process.exit() (${stage})`, async (test) => {
      assert.equal(await endOf(await start(test, stage, 'exit')), 7);
    });

    it(`exits by itself once all of it is unref()ed (${stage})`, async (test) => {
      const child = await start(test, stage === 'operations' ? 'connection' : stage, 'unref');
      assert.equal(await endOf(child), 0, child.stderr);
    });
  }

  it('exits by an exception', async (test) => {
    const child = await start(test, 'operations', 'throw');
    assert.equal(await endOf(child), 1);
    assert.match(child.stderr, /thrown to end this/);
  });

  it('stays while an endpoint is open, and dies of a signal', async (test) => {
    const child = await start(test, 'endpoint', 'stay');
    await child.kill('SIGTERM');
    const { signal } = await withDeadline(child.ended, 'the process ends', 5000);
    assert.equal(signal, 'SIGTERM');
  });
});
