// SPDX-License-Identifier: BSD-3-Clause
//
// The page that lists what is tried against a target: every test that it names exists, and every
// attack of the tables is named by it.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { packageRoot } from '../support/folders.js';
import { readPage } from './support.js';

const page = readPage('docs/internals/hostile-bytes.md');

/** `fault/name: title` or `native/name: title`, as the last column writes it. */
const named = [...page.matchAll(/`((?:fault|conformance|native)\/[\w-]+): ([^`]+)`/g)];

function sourceOf(test: string): string {
  const [folder, name] = test.split('/');
  const path = folder === 'native' ? `native/test/${name}.cc` : `test/${test}.test.ts`;
  assert.ok(existsSync(join(packageRoot(), path)), `${path} does not exist`);
  return readFileSync(join(packageRoot(), path), 'utf8');
}

/** Titles of a file: strings that begin a test or name an attack. */
function titlesOf(source: string): readonly string[] {
  const native = [...source.matchAll(/^TEST\((\w+)\)/gm)];
  const written = [
    ...source.matchAll(
      /(?:\bit\(|\btest\(|\bname:)\s*(?:'((?:[^'\\]|\\.)*)'|"([^"]*)"|`([^`]*)`)/g,
    ),
  ];
  return [...native, ...written].map((match) => {
    const title = match.slice(1).find((each) => each !== undefined) ?? '';
    return title.replaceAll("\\'", "'");
  });
}

test('every test that the page names exists', () => {
  assert.ok(named.length > 150, `${named.length} tests are named`);
  for (const [, file = '', title = ''] of named) {
    const titles = titlesOf(sourceOf(file));
    assert.ok(
      titles.some((each) => each.includes(title)),
      `${file} has no test named ${title}`,
    );
  }
});

test('every attack of the tables is named on the page', () => {
  const onPage = new Set(named.map(([, file, title]) => `${file}: ${title}`));
  for (const file of ['fault/hostile-peer', 'fault/hostile-extension', 'fault/hostile-answers']) {
    const attacks = [...sourceOf(file).matchAll(/^ {4}name:\s*(?:'([^']*)'|"([^"]*)"),$/gm)];
    assert.ok(attacks.length > 10, `${attacks.length} attacks in ${file}`);
    for (const [, single, double] of attacks) {
      const title = single ?? double ?? '';
      assert.ok(onPage.has(`${file}: ${title}`), `the page lacks '${title}'`);
    }
  }
});
