// SPDX-License-Identifier: BSD-3-Clause
//
// Each code of abi/status.json is expected by name in a test of the package, or in a Node-free
// native test: a code that nothing produces is a promise that nobody checked.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expectNone, filesBelow, read } from './tree.js';

interface Row {
  readonly name: string;
  readonly class: string;
}

/** Codes that no test can produce, each with the reason. */
const unproduced: Readonly<Record<string, string>> = {};

/** Made from the table alone they show nothing about who produces them. */
const synthetic = /^test\/(types|tidy|bench|support)\/|^test\/unit\/(tsdoc|submission)\.test\.ts$/;

const tests = filesBelow('test', /\.ts$/)
  .filter((file) => !synthetic.test(file))
  .map(read)
  .join('\n');
const nativeTests = filesBelow('native/test', /_test\.cc$/)
  .map(read)
  .join('\n');

function camel(name: string): string {
  return name.toLowerCase().replace(/(^|_)([a-z])/g, (_all, _bar, letter: string) => {
    return letter.toUpperCase();
  });
}

/** Ways in which tests speak of a code: a helper, the code itself, a completion's status. */
function spoken(name: string): RegExp {
  const forms = [
    `ERR_RPMA_${name}\\b`,
    `withCode\\(\\s*'${name}'`,
    `argumentError\\([^)]*'${name}'`,
    `refusal\\([^)]*'${name}'`,
    `endsWith\\([^)]*'${name}'`,
  ];
  if (name.startsWith('WC_')) {
    const word = name.slice(3).toLowerCase().replaceAll('_', '-');
    forms.push(`status\\b[^\\n]{0,40}'${word}'`);
  }
  return new RegExp(forms.join('|'));
}

function producedNatively(name: string): boolean {
  const status = name.startsWith('WC_') ? `|CompletionStatus::${camel(name.slice(3))}` : '';
  return new RegExp(`\\b(Code::${camel(name)}${status})\\b`).test(nativeTests);
}

const { statuses } = JSON.parse(read('abi/status.json')) as { readonly statuses: readonly Row[] };
const codes = statuses.filter((row) => row.class !== 'none').map((row) => row.name);

test('each code is produced by a test, or excused for a reason', () => {
  assert.ok(codes.length >= 30, `${codes.length} codes`);
  const missing = codes.filter(
    (name) => !(name in unproduced) && !spoken(name).test(tests) && !producedNatively(name),
  );
  expectNone(missing);
});

test('no code is excused that a test produces, or that does not exist', () => {
  const stale = Object.keys(unproduced).filter(
    (name) => !codes.includes(name) || spoken(name).test(tests) || producedNatively(name),
  );
  expectNone(stale);
});
