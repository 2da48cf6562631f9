// SPDX-License-Identifier: BSD-3-Clause
//
// THREAD_SAFETY.md has one row for every exported method and function, no row for anything else,
// and names tests that exist.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { packageRoot } from '../support/folders.js';
import { publicDocs } from '../support/public-surface.js';
import { librpmaFunctions } from './librpma-functions.js';

const root = packageRoot();
const page = readFileSync(path.join(root, 'THREAD_SAFETY.md'), 'utf8');
const classes = ['any', 'environment', 'process'];

interface Row {
  readonly names: readonly string[];
  readonly safety: string;
  readonly basis: string;
}

/** Rows of the table of exported names: cells between pipes. */
const rows: readonly Row[] =
  (page.split('## The exported names')[1] ?? '')
    .split('\n## ')[0]
    ?.split('\n')
    .filter((line) => /^\| `/.test(line))
    .map((line) => {
      const [names = '', safety = '', basis = ''] = line.split('|').slice(1);
      return {
        names: [...names.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? ''),
        safety: safety.trim(),
        basis,
      };
    }) ?? [];

/** 'Peer.open', 'devices'; accessors and fields are their class's affair. */
const callable = new Set(
  publicDocs
    .filter(({ isCallable }) => isCallable)
    .map(({ name }) => name.replace(/^\S+: /, '').replace(/\(\)$/, ''))
    // What a connection inherits is, to the program, the connection's.
    .map((name) => name.replace(/^Connection(Verbs|Promises)\./, 'Connection.'))
    // A class itself stands for `new`, where its constructor is public.
    .filter((name) => !/^[A-Z]\w*$/.test(name)),
);

test('every exported method and function has exactly one row', () => {
  const named = rows.flatMap(({ names }) => names);
  assert.ok(callable.size > 80, `only ${callable.size} found`);
  assert.deepEqual(
    [...callable].filter((name) => !named.includes(name)),
    [],
    'without a row',
  );
  assert.deepEqual(
    named.filter((name) => !callable.has(name)),
    [],
    'named, but not exported',
  );
  assert.deepEqual(
    named.filter((name, at) => named.indexOf(name) !== at),
    [],
    'twice',
  );
});

test('every row names its class, and a test that exists or an assumption that does', () => {
  assert.ok(rows.length > 10, `only ${rows.length} rows`);
  const assumptions = new Set([...page.matchAll(/^(\d+)\. /gm)].map((match) => match[1]));
  for (const { names, safety, basis } of rows) {
    assert.ok(classes.includes(safety), `${names[0]}: class '${safety}'`);
    const tests = [...basis.matchAll(/`([^`]+\.(?:ts|cc))`/g)].map((match) => match[1] ?? '');
    const assumed = [...basis.matchAll(/\bA(\d+)\b/g)].map((match) => match[1]);
    assert.ok(tests.length + assumed.length > 0, `${names[0]}: nothing behind it`);
    for (const file of tests) assert.ok(existsSync(path.join(root, file)), `${names[0]}: ${file}`);
    for (const n of assumed) assert.ok(assumptions.has(n), `${names[0]}: no assumption ${n}`);
  }
});

test('what is safe in every environment has a test of the native part, or needs none', () => {
  const shared = rows.filter(({ safety }) => safety === 'process');
  assert.ok(shared.length >= 4, `only ${shared.length} rows`);
  for (const { names, basis } of shared) {
    const isNative = /`native\/test\/\w+_test\.cc`/.test(basis);
    assert.ok(isNative || /\bA5\b/.test(basis), `${names[0]}: no test under the thread sanitizer`);
  }
});

test('every function of librpma has its class there, and its counterpart the class here', () => {
  const section = page.split('\n## From librpma\n')[1]?.split('\n## ')[0] ?? '';
  const lines = section.split('\n').filter((line) => line.startsWith('| `rpma_'));
  const named = lines.flatMap((line) => line.split('|')[1]?.match(/rpma_\w+/g) ?? []);
  assert.deepEqual(named.toSorted(), librpmaFunctions.toSorted());
  for (const line of lines) {
    const [functions = '', there = '', here = ''] = line
      .split('|')
      .slice(1)
      .map((cell) => cell.trim());
    assert.match(there, /^(safe|conditional [ABC]|unsafe|not named)\b/, functions);
    assert.ok(classes.includes(here.replaceAll('`', '')), `${functions}: '${here}'`);
  }
});
