// SPDX-License-Identifier: BSD-3-Clause
//
// The development packages, by `npm ci` without any install script. The stamp lies in node_modules,
// so that it goes with it.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { SetupError } from './errors.mjs';
import { hashFiles, root } from './files.mjs';
import { capture } from './processes.mjs';
import { say, timed } from './steps.mjs';

const stampFile = path.join(root, 'node_modules', '.rpma-stamp');

/** How to run npm: the one that runs us, else the one on PATH. */
function npmCommand() {
  const script = process.env.npm_execpath;
  if (script?.endsWith('.js') && existsSync(script)) return [process.execPath, script];
  return ['npm'];
}

/** Runs npm, silent about itself. */
export function captureNpm(args) {
  const [command, ...rest] = npmCommand();
  const env = { ...process.env, npm_config_update_notifier: 'false' };
  return capture(command, [...rest, ...args], { env });
}

export async function installPackages() {
  const hash = hashFiles(['package.json', 'package-lock.json'], process.platform, process.arch);
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === hash) return;
  say('installing the development packages');
  await timed('packages', async () => {
    rmSync(stampFile, { force: true });
    const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--include=dev'];
    const { status, output } = await captureNpm(['ci', ...options]);
    if (status !== 0) throw new SetupError(`npm ci failed:\n${output}`);
    writeFileSync(stampFile, hash);
  });
}
