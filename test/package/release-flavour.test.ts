// SPDX-License-Identifier: BSD-3-Clause
//
// The addon that is published can be made to fail by nobody: it has no fault point and no switch,
// not even their names, offers no hooks for tests, and takes no notice of the environment variables
// that the test flavour reads. The test flavour, which has all of it, is the control.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { faultPoints } from '../fault/sweep/points.js';
import { packageRoot } from '../support/folders.js';

const release = join(packageRoot(), 'build', 'Release', 'rpma.node');
const testFlavour = join(packageRoot(), 'build', 'Release', 'rpma_test.node');
const words = [...Object.keys(faultPoints), 'persist.skip', 'operations.accepted', 'RPMA_FAULT'];

function wordsIn(file: string): string[] {
  const binary = readFileSync(file, 'latin1');
  return words.filter((word) => binary.includes(word));
}

/** Loads the binary alone, in a process of its own. */
function load(file: string, fault: string) {
  const program = `const { flavour, test } = require(${JSON.stringify(file)}); console.log(flavour, typeof test);`;
  const env = { ...process.env, RPMA_FAULT: fault, RPMA_FAULT_REPORT: '' };
  return spawnSync(process.execPath, ['-e', program], { env, encoding: 'utf8' });
}

describe('the release flavour', () => {
  test('names no fault point, switch or variable', () => {
    assert.deepEqual(wordsIn(release), []);
    assert.deepEqual(wordsIn(testFlavour), words);
  });

  test('has no hooks for tests', () => {
    assert.equal(load(release, '').stdout, 'release undefined\n');
  });

  for (const fault of ['addon.function:1:12', 'no.such-point:1:12', 'nonsense']) {
    test(`takes no notice of RPMA_FAULT=${fault}`, () => {
      assert.equal(load(release, fault).stdout, 'release undefined\n');
      const control = load(testFlavour, fault);
      assert.notEqual(control.status, 0);
      assert.equal(control.stdout, '');
    });
  }

  test('the test flavour refuses a fault that it does not know', () => {
    const { stderr } = load(testFlavour, 'no.such-point:1:12');
    assert.match(stderr, /RPMA_FAULT is not point:nth:errno, or there is no such point/);
    const program = `require(${JSON.stringify(testFlavour)})`;
    execFileSync(process.execPath, ['-e', program]); // loads without a fault
  });
});
