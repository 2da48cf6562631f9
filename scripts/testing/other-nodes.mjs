// SPDX-License-Identifier: BSD-3-Clause
//
// Other versions of Node than the one that runs us, for tests of one binary under several. They are
// the newest of their major in npm's packages of Node itself, in folders below build/, and no
// dependency: what is newest today is found out by each run, and without a network the one that is
// there already serves.
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { SetupError } from '../setup/errors.mjs';
import { buildDirectory } from '../setup/files.mjs';
import { captureNpm } from '../setup/packages.mjs';
import { capture } from '../setup/processes.mjs';
import { say } from '../setup/steps.mjs';

const options = ['--no-save', '--no-package-lock', '--ignore-scripts', '--no-audit', '--no-fund'];
// Without a network the answer is to come soon: npm waits minutes between its own attempts.
const online = [
  '--prefer-online',
  '--fetch-retries=1',
  '--fetch-retry-mintimeout=1000',
  '--fetch-retry-maxtimeout=5000',
];

function packageName() {
  if (process.arch === 'x64' || process.arch === 'arm64') return `node-linux-${process.arch}`;
  throw new SetupError(`npm has no package of Node for ${process.arch}`);
}

/** Installs or updates it; null, or what npm printed when that went wrong. */
async function fetch(folder, major) {
  const install = ['install', `--prefix=${folder}`, ...options, `${packageName()}@${major}`];
  const first = await captureNpm([...install, ...online]);
  if (first.status === 0) return null;
  const second = await captureNpm([...install, '--offline']);
  return second.status === 0 ? null : first.output;
}

/** The newest Node of a major version that can be had: where it is, and which it is. */
export async function otherNode(major) {
  const folder = path.join(buildDirectory, 'nodes', String(major));
  const execPath = path.join(folder, 'node_modules', packageName(), 'bin', 'node');
  mkdirSync(folder, { recursive: true });
  const problem = await fetch(folder, major);
  if (problem !== null) {
    if (!existsSync(execPath)) throw new SetupError(`npm has no Node ${major}:\n${problem}`);
    say(`npm gives no Node ${major} now; the one that is there already serves`);
  }
  const { status, stdout, output } = await capture(execPath, ['--version']);
  if (status !== 0) throw new SetupError(`${execPath} does not run:\n${output}`);
  return { execPath, version: stdout.trim() };
}
