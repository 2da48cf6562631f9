// SPDX-License-Identifier: BSD-3-Clause
//
// dist/: tsc's output of lib/, one file each, with declarations and source maps.
import { rmSync } from 'node:fs';
import path from 'node:path';
import { SetupError } from '../setup/errors.mjs';
import { hashFiles, listFiles, root } from '../setup/files.mjs';
import { capture } from '../setup/processes.mjs';
import { whenStale } from '../setup/steps.mjs';

export const tsc = path.join(root, 'node_modules/typescript/bin/tsc');

export async function buildDist() {
  const inputs = ['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'];
  const step = {
    name: 'dist',
    hash: hashFiles([...inputs, ...listFiles('lib')]),
    present: listFiles('dist').length > 0,
    description: 'compiling dist/',
  };
  await whenStale(step, async () => {
    rmSync(path.join(root, 'dist'), { recursive: true, force: true });
    const project = path.join(root, 'tsconfig.build.json');
    const { status, output } = await capture(process.execPath, [tsc, '-p', project]);
    if (status !== 0) throw new SetupError(`tsc failed:\n${output}`);
  });
}
