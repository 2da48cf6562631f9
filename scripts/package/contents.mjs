// SPDX-License-Identifier: BSD-3-Clause
//
// What the tarball must hold, derived from the tree: no file more, no file less.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { listFiles, root } from '../setup/files.mjs';
import { entryFiles } from './dist.mjs';

const papers = ['CHANGELOG.md', 'LICENSE', 'README.md', 'SECURITY.md', 'THREAD_SAFETY.md'];

export const prebuilt = `prebuilds/${process.platform}-${process.arch}/rpma.node`;

/** The paths in the tarball, sorted. */
export function expectedContents() {
  const lib = listFiles('lib', (file) => file.endsWith('.ts'));
  const declarations = lib.flatMap((file) => {
    const stem = file.replace(/^lib\//, 'dist/').replace(/\.ts$/, '');
    return ['.d.ts', '.d.ts.map'].map((extension) => stem + extension);
  });
  // What the entries share is named by its content; dist/ was emptied before it was built.
  const chunks = listFiles('dist/chunks', (file) => file.endsWith('.js'));
  const programs = [...entryFiles(), ...chunks].flatMap((file) => [file, `${file}.map`]);
  const native = listFiles('native', (file) => !file.startsWith('native/test/'));
  return [
    ...papers,
    'binding.gyp',
    'package.json',
    prebuilt,
    ...listFiles('abi'),
    ...listFiles('lib'),
    ...native,
    ...declarations,
    ...programs,
  ].sort();
}

/** Sentences about what is wrong with the list of a tarball; none when it is right. */
export function compareContents(packed) {
  const expected = new Set(expectedContents());
  const found = new Set(packed);
  const problems = [];
  for (const file of expected) {
    if (!found.has(file)) {
      const where = existsSync(path.join(root, file)) ? '' : ' (nor is it in the tree)';
      problems.push(`${file} is not in the tarball${where}`);
    }
  }
  for (const file of found) {
    if (!expected.has(file)) problems.push(`${file} should not be in the tarball`);
  }
  return problems;
}
