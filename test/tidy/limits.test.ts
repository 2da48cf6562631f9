// SPDX-License-Identifier: BSD-3-Clause
//
// Each limit of abi/layout.json has its row in docs/internals/limits.md, with its value and the
// test that reaches it; SECURITY.md speaks of tests that exist.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allFiles, expectNone, read } from './tree.js';

interface Layout {
  readonly limits: Readonly<Record<string, number>>;
}

const { limits } = JSON.parse(read('abi/layout.json')) as Layout;

/** Limits that no test reaches; each row says why. */
const unreached = new Set([
  'portablePrivateDataBytes',
  'inlineSendBytes',
  'connectionEvents',
  'drainMs',
  'completionsPerPoll',
  'readyPerDrain',
]);

const rows = read('docs/internals/limits.md')
  .split('\n')
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .filter(([, name = '']) => name.startsWith('`'))
  .map(([, name = '', value = '', what = '', reached = '']) => {
    return { name: name.replaceAll('`', ''), value, what, reached };
  });

/** Why a cell of the form `file`: title is wrong, if it is. */
function problemOf(name: string, reached: string): string[] {
  if (unreached.has(name))
    return reached.startsWith('none: ') ? [] : [`${name}: has a test by now`];
  const [, file = '', title = ''] = /^`([^`]+)`: (.+)$/.exec(reached) ?? [];
  if (!allFiles.includes(file)) return [`${name}: there is no file '${file}'`];
  return read(file).includes(title) ? [] : [`${name}: ${file} has no '${title}'`];
}

test('each limit has one row, with its value', () => {
  assert.ok(Object.keys(limits).length > 40);
  assert.deepEqual(
    rows.map(({ name, value }) => `${name} ${value}`).sort(),
    Object.entries(limits)
      .map(([name, value]) => `${name} ${value}`)
      .sort(),
  );
});

test('each row names a test that is there', () => {
  expectNone(rows.flatMap(({ name, reached }) => problemOf(name, reached)));
});

test('each test that SECURITY.md names is there', () => {
  const named = [...read('SECURITY.md').matchAll(/`((?:test|native\/test)\/[^`]+)`/g)];
  assert.ok(named.length >= 10, `${named.length} tests`);
  expectNone(named.map(([, file = '']) => file).filter((file) => !allFiles.includes(file)));
});
