// SPDX-License-Identifier: BSD-3-Clause
//
// The guide for users of librpma: a row for each of its 84 functions, counterparts that the package
// exports, and tests that exist.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { publicNames } from '../support/public-surface.js';
import { hasTest } from '../support/test-titles.js';
import { librpmaFunctions } from './librpma-functions.js';
import { readPage } from './support.js';

const page = readPage('docs/guides/from-librpma.md');

interface Row {
  readonly functions: readonly string[];
  readonly counterpart: string;
  readonly proof: string;
}

/** Rows of the tables of functions: cells between pipes. */
const rows: readonly Row[] = (page.split('\n## The functions\n')[1] ?? '')
  .split('\n')
  .filter((line) => line.startsWith('| `rpma_'))
  .map((line) => {
    const [functions = '', counterpart = '', proof = ''] = line.split(' | ');
    return {
      functions: functions.match(/rpma_\w+/g) ?? [],
      counterpart: counterpart.trim(),
      proof: proof.replace(/\s*\|$/, '').trim(),
    };
  });

/** 'Peer.open' of a span like `Peer.open({ localAddress })`; words in quotes are data. */
function namesIn(counterpart: string): string[] {
  const spans = [...counterpart.matchAll(/`([^`]+)`/g)].map(([, span = '']) => span);
  return spans.map((span) => /^(?:new )?([A-Za-z]+(?:\.\w+)*)/.exec(span)?.[1] ?? span);
}

/** Links to tests: the title is the text of the link. */
function proofsIn(text: string): (readonly [file: string, title: string])[] {
  const links = text.matchAll(
    /\[((?:[^\]\\]|\\.|\[[^\]]*\])+)\]\(\.\.\/\.\.\/(test\/[^)\s]+\.ts)\)/g,
  );
  return [...links].map(([, title = '', file = '']) => [file, title.replace(/\\(.)/g, '$1')]);
}

describe('the guide for users of librpma', () => {
  test('names each of its functions in one row, and no other', () => {
    assert.equal(librpmaFunctions.length, 84);
    const named = rows.flatMap(({ functions }) => functions);
    assert.deepEqual(named.toSorted(), librpmaFunctions.toSorted());
  });

  test('names counterparts that the package exports', () => {
    for (const { functions, counterpart } of rows) {
      const what = `${functions.join(', ')}: ${counterpart}`;
      const names = namesIn(counterpart);
      assert.ok(names.length > 0, `${what} names nothing`);
      const unknown = names.filter((name) => !publicNames.has(name));
      assert.deepEqual(unknown, [], what);
    }
  });

  test('names for each function a conformance test that exists', () => {
    for (const { functions, proof } of rows) {
      const [[file, title] = ['', ''], ...more] = proofsIn(proof);
      const what = `${functions.join(', ')}: ${proof}`;
      assert.equal(more.length, 0, `${what}: more than one`);
      assert.match(file, /^test\/conformance\//, what);
      assert.ok(hasTest(file, title), `${what}: no such test`);
    }
  });

  test('names tests that exist wherever it names one', () => {
    const proofs = proofsIn(page);
    assert.ok(proofs.length > rows.length, `only ${proofs.length}`);
    const wrong = proofs.filter(([file, title]) => !hasTest(file, title));
    assert.deepEqual(wrong, []);
    // A link of another form would go unnoticed.
    assert.equal(page.match(/\]\(\.\.\/\.\.\/test\//g)?.length, proofs.length);
  });
});
