// SPDX-License-Identifier: BSD-3-Clause
//
// TypeScript to JavaScript for this checkout: every file of lib, test and examples on its own (not
// bundled, types not checked) into build/js, with source maps. build/js carries a package.json of
// the same name whose exports point at build/js/lib: `import 'rpma'` in a compiled test or example
// is a self-reference of that package, so both run against the sources just compiled.
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { runEsbuild } from './esbuild.mjs';
import { hashFiles, jsDirectory, listFiles, root, writeIfChanged } from './files.mjs';
import { whenStale } from './steps.mjs';

const isTypeScript = (file) => /\.[cm]?ts$/.test(file) && !/\.d\.[cm]?ts$/.test(file);

function allInputs() {
  return ['lib', 'test', 'examples'].flatMap((directory) => listFiles(directory));
}

function outputOf(file) {
  return file.replace(/\.([cm]?)ts$/, '.$1js');
}

function removeOrphans(inputs) {
  const wanted = new Set(['package.json']);
  for (const file of inputs) {
    wanted.add(outputOf(file));
    wanted.add(`${outputOf(file)}.map`);
  }
  const prefix = path.posix.relative(root, jsDirectory);
  for (const file of listFiles(prefix)) {
    if (!wanted.has(path.posix.relative(prefix, file))) rmSync(path.join(root, file));
  }
}

function writePackageFile() {
  const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  const exports = {};
  for (const [entry, target] of Object.entries(manifest.exports)) {
    if (typeof target === 'object') exports[entry] = target.default.replace('./dist/', './lib/');
  }
  const { name, version, type } = manifest;
  const text = JSON.stringify({ name, version, private: true, type, exports }, null, 2);
  writeIfChanged(path.join(jsDirectory, 'package.json'), `${text}\n`);
}

async function compile(inputs) {
  await runEsbuild({
    entryPoints: inputs.filter(isTypeScript),
    outdir: jsDirectory,
    outbase: root,
    bundle: false,
  });
  for (const file of inputs.filter((name) => !isTypeScript(name))) {
    const target = path.join(jsDirectory, file);
    mkdirSync(path.dirname(target), { recursive: true });
    copyFileSync(path.join(root, file), target);
  }
}

/**
 * Compiles everything when anything changed: esbuild takes less time than deciding what to leave
 * out.
 */
export async function compileTypeScript() {
  const inputs = allInputs();
  const step = {
    name: 'js',
    hash: hashFiles(['package.json', 'package-lock.json', ...inputs]),
    present: existsSync(path.join(jsDirectory, 'package.json')),
    description: 'compiling TypeScript',
  };
  await whenStale(step, async () => {
    removeOrphans(inputs);
    await compile(inputs);
    writePackageFile();
  });
}
