// SPDX-License-Identifier: BSD-3-Clause
//
// dist/: what is published. esbuild bundles lib/ into one file an entry and the chunks they share,
// because Node takes about half a millisecond for each module that an import reaches; tsc writes
// the declarations, one file each.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { SetupError } from '../setup/errors.mjs';
import { runEsbuild } from '../setup/esbuild.mjs';
import { hashFiles, listFiles, root } from '../setup/files.mjs';
import { capture } from '../setup/processes.mjs';
import { whenStale } from '../setup/steps.mjs';

export const tsc = path.join(root, 'node_modules/typescript/bin/tsc');

/** The programs and entries of package.json, as files below dist/. */
export function entryFiles() {
  const { bin, exports } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  const entries = Object.values(exports).flatMap((target) => target.default ?? []);
  return [...entries, ...Object.values(bin)].map((file) => path.posix.normalize(file));
}

function bundle() {
  return runEsbuild({
    entryPoints: entryFiles().map((file) =>
      file.replace(/^dist\//, 'lib/').replace(/\.js$/, '.ts'),
    ),
    outdir: 'dist',
    outbase: 'lib',
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    packages: 'external',
    keepNames: true,
    legalComments: 'none',
    sourcesContent: false, // the package holds lib/
  });
}

export async function buildDist() {
  const inputs = ['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'];
  const builders = ['scripts/package/dist.mjs', 'scripts/setup/esbuild.mjs'];
  const step = {
    name: 'dist',
    hash: hashFiles([...inputs, ...builders, ...listFiles('lib')]),
    present: entryFiles().every((file) => existsSync(path.join(root, file))),
    description: 'building dist/',
  };
  await whenStale(step, async () => {
    rmSync(path.join(root, 'dist'), { recursive: true, force: true });
    const project = path.join(root, 'tsconfig.build.json');
    const { status, output } = await capture(process.execPath, [tsc, '-p', project]);
    if (status !== 0) throw new SetupError(`tsc failed:\n${output}`);
    await bundle();
  });
}
