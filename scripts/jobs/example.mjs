// SPDX-License-Identifier: BSD-3-Clause
//
// npm run example -- <name> <server|client> [arguments]: one program of an example; one that is a
// single program has no second word. Its output is its own; set-up speaks on stderr only, and only
// when it does something.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { jsDirectory, listFiles, root } from '../setup/files.mjs';
import { setUp } from '../setup/index.mjs';
import { passThrough } from '../setup/processes.mjs';

function exampleNames() {
  const programs = listFiles('examples', (file) => {
    return /\/(\d\d[a-z]*-[^/]+\/(server|client)|log\/main)\.ts$/.test(file);
  });
  return [...new Set(programs.map((file) => file.split('/')[1]))];
}

export async function run([name = '', ...rest]) {
  const known = exampleNames();
  const isSingle = known.includes(name) && existsSync(path.join(root, 'examples', name, 'main.ts'));
  const [role = '', ...args] = isSingle ? ['main', ...rest] : rest;
  if (!known.includes(name) || !existsSync(path.join(root, 'examples', name, `${role}.ts`))) {
    console.error('usage: npm run -s example -- <name> [<server|client> [arguments]]\n');
    for (const each of known) console.error(`  ${each}`);
    return 2;
  }
  await setUp({ native: ['rpma'], js: true, optional: ['libpmem1'] });
  const program = path.join(jsDirectory, 'examples', name, `${role}.js`);
  return passThrough(process.execPath, ['--enable-source-maps', program, ...args]);
}
