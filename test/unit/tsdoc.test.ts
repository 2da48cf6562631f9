// SPDX-License-Identifier: BSD-3-Clause
//
// What the documentation comments of the public surface must say: each exported class, each of its
// members and each exported function, in the order and with the tags of the house. A class's own
// remark on threads speaks for its fields and accessors; whatever can be called says it itself.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { statuses } from '../../lib/internal/abi.generated.js';
import { packageRoot } from '../support/folders.js';
import { type Doc, publicDocs as docs, publicFiles as files } from '../support/public-surface.js';

const root = packageRoot();
const codes = new Set<string>(statuses.map(({ code }) => code));
const columnsMax = 100;

function expectNone(problems: readonly string[]): void {
  assert.ok(problems.length === 0, problems.join('\n'));
}

function eachTag(name: string, problem: (text: string, doc: Doc) => string | null): string[] {
  return docs.flatMap((doc) =>
    doc.tags.flatMap((tag) => {
      const found = tag.name === name ? problem(tag.text, doc) : null;
      return found === null ? [] : [`${doc.name}: ${found}`];
    }),
  );
}

test('everything public has a summary that is a sentence', () => {
  assert.ok(docs.length > 150, `only ${docs.length} found`);
  expectNone(docs.filter(({ summary }) => !/^\S[^]*\.$/.test(summary)).map(({ name }) => name));
});

test('a @throws names one code of abi/status.json and its condition, each code once', () => {
  const problems = eachTag('throws', (text) => {
    const [code = '', ...condition] = text.split(/\s+/);
    if (!codes.has(code) || code === 'ERR_RPMA_OK') return `'${code}' is no code`;
    if (/ERR_RPMA_/.test(condition.join(' '))) return `${code}: another code in its line`;
    return condition.length === 0 ? `${code} has no condition` : null;
  });
  const twice = docs.flatMap(({ name, tags }) => {
    const named = tags.filter((tag) => tag.name === 'throws').map(({ text }) => text.split(' ')[0]);
    return named.filter((code, at) => named.indexOf(code) !== at).map((code) => `${name}: ${code}`);
  });
  expectNone([...problems, ...twice]);
});

test('whatever can be called says from which thread', () => {
  const says = ({ tags }: Doc): boolean =>
    tags.some(({ name, text }) => name === 'remarks' && /^Thread safety: \S/.test(text));
  expectNone(docs.filter((doc) => doc.isCallable && !says(doc)).map(({ name }) => name));
});

test('whatever completes an operation says what that guarantees', () => {
  const completing = docs.filter(
    ({ name }) =>
      /^connection-(verbs|promises)\.ts: \w+\.\w+$/.test(name) ||
      /\.(postReceive|receive|persist|persistSync)$/.test(name),
  );
  assert.equal(completing.length, 19);
  const says = ({ summary }: Doc): boolean =>
    /^Guarantee (on completion|once resolved|on return): \S/m.test(summary);
  expectNone(completing.filter((doc) => !says(doc)).map(({ name }) => name));
});

test('tags keep their order, and their lines their width', () => {
  const order = ['param', 'returns', 'throws', 'remarks', 'see'];
  const problems = docs.filter(({ tags }) => {
    const places = tags.map(({ name }) => order.indexOf(name));
    return places.some((place, at) => place < 0 || place < (places[at - 1] ?? 0));
  });
  const wide = files.flatMap((file) =>
    readFileSync(path.join(root, 'lib', file), 'utf8')
      .split('\n')
      .filter((line) => /^\s*(\*|\/\*\*)/.test(line) && line.length > columnsMax)
      .map((line) => `${file}: ${line.trim()}`),
  );
  expectNone([...problems.map(({ name }) => name), ...wide]);
});

test('every function of librpma that has a counterpart is named there', () => {
  const see = docs.flatMap(({ tags }) => tags.filter(({ name }) => name === 'see'));
  expectNone(see.filter(({ text }) => !text.startsWith('librpma: ')).map(({ text }) => text));
  const named = new Set(see.flatMap(({ text }) => text.match(/rpma_\w+/g) ?? []));
  const guide = path.join(root, 'docs', 'guides', 'from-librpma.md');
  const rows = readFileSync(guide, 'utf8').match(/^\| `rpma_.*$/gm) ?? [];
  assert.ok(rows.length > 40, `only ${rows.length} rows`);
  const functions = rows.flatMap((row) => row.split(' | ')[0]?.match(/rpma_\w+/g) ?? []);
  expectNone(functions.filter((name) => !named.has(name)));
});
