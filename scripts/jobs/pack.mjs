// SPDX-License-Identifier: BSD-3-Clause
//
// npm run pack: dist/, this machine's stripped release binary under prebuilds/, then the tarball,
// whose list of files is checked. --destination=<folder> puts it there instead of into the root.
import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { compareContents, prebuilt } from '../package/contents.mjs';
import { buildDist } from '../package/dist.mjs';
import { SetupError } from '../setup/errors.mjs';
import { root } from '../setup/files.mjs';
import { setUp } from '../setup/index.mjs';
import { addonPath } from '../setup/native.mjs';
import { captureNpm } from '../setup/packages.mjs';
import { capture } from '../setup/processes.mjs';

async function copyBinary() {
  const target = path.join(root, prebuilt);
  rmSync(path.join(root, 'prebuilds'), { recursive: true, force: true });
  mkdirSync(path.dirname(target), { recursive: true });
  copyFileSync(addonPath('rpma'), target);
  const { status, output } = await capture('strip', ['--strip-unneeded', target]);
  if (status !== 0) throw new SetupError(`strip failed:\n${output}`);
}

async function npmPack(destination) {
  mkdirSync(destination, { recursive: true });
  const options = ['--json', '--ignore-scripts', `--pack-destination=${destination}`];
  const { status, stdout, output } = await captureNpm(['pack', ...options]);
  if (status !== 0) throw new SetupError(`npm pack failed:\n${output}`);
  // npm 10 and 11 print a list, later ones an object by name.
  const report = JSON.parse(stdout);
  return Array.isArray(report) ? report[0] : Object.values(report)[0];
}

export async function run(args) {
  const option = args.find((arg) => arg.startsWith('--destination='));
  const destination = path.resolve(option?.slice('--destination='.length) ?? root);
  await setUp({ native: ['rpma'] });
  await buildDist();
  await copyBinary();
  const packed = await npmPack(destination);
  const problems = compareContents(packed.files.map((file) => file.path));
  for (const problem of problems) console.error(`rpma: ${problem}`);
  console.log(path.join(destination, packed.filename));
  return problems.length === 0 ? 0 : 1;
}
