// SPDX-License-Identifier: BSD-3-Clause
//
// What the pages say of the package: links lead somewhere, the reference names every export and
// every export only.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, test } from 'node:test';
import * as descriptors from 'rpma/descriptors';
import * as diagnostics from 'rpma/diagnostics';
import * as rpma from 'rpma';
import { packageRoot } from '../support/folders.js';
import { readPage, userPages } from './support.js';

/** The names of headings as GitHub makes anchors of them. */
function anchorsOf(markdown: string): Set<string> {
  const headings = [...markdown.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

describe('the pages', () => {
  for (const page of userPages()) {
    test(`${page}: every link leads somewhere`, () => {
      for (const [, link = ''] of readPage(page).matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:/.test(link)) continue;
        const [path = '', anchor] = link.split('#');
        const target = path === '' ? page : normalize(join(dirname(page), path));
        assert.ok(existsSync(join(packageRoot(), target)), `${link} leads nowhere`);
        if (anchor === undefined || !target.endsWith('.md')) continue;
        assert.ok(anchorsOf(readPage(target)).has(anchor), `${link}: no such heading`);
      }
    });
  }

  test('the reference names every export that is a value, and no other', () => {
    const page = readPage('docs/reference/README.md');
    const values = page.slice(page.indexOf('## Values'), page.indexOf('## Types'));
    const named = [...values.matchAll(/^\| `(\w+)`/gm)].map(([, name = '']) => name);
    assert.deepEqual(named.sort(), Object.keys(rpma).sort());
    for (const name of Object.keys(descriptors)) assert.ok(named.includes(name), name);
  });

  test('the reference names every type that is exported, and no other', () => {
    const page = readPage('docs/reference/README.md');
    const types = page.slice(page.indexOf('## Types'), page.indexOf('## Environment'));
    const named = [...types.matchAll(/`(\w+)`/g)].map(([, name = '']) => name);
    const entry = readPage('lib/index.ts');
    const exported = [...entry.matchAll(/\btype (\w+)/g)].map(([, name = '']) => name);
    assert.deepEqual(named.sort(), exported.sort());
  });

  test('the reference names every channel, and every type of rpma/diagnostics', () => {
    const section = readPage('docs/reference/diagnostics.md');
    const named = [...section.matchAll(/^\| `channels\.(\w+)`/gm)].map(([, name = '']) => name);
    assert.deepEqual(named.sort(), Object.keys(diagnostics.channels).sort());
    const entry = readPage('lib/diagnostics.ts');
    const types = [...entry.matchAll(/^export (?:type|interface) (\w+)/gm)].map(([, name]) => name);
    const passedOn = [...entry.matchAll(/^export type \{([^}]*)\}/gm)]
      .flatMap(([, list = '']) => list.split(','))
      .map((name) => name.trim())
      .filter((name) => name !== '');
    const names = [...Object.keys(diagnostics), ...types, ...passedOn];
    assert.ok(names.length > 5, names.join());
    for (const name of names) assert.ok(section.includes(`\`${name}\``), name);
  });
});
