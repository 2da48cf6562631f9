// SPDX-License-Identifier: BSD-3-Clause
//
// The addon, by node-gyp: `configure` when binding.gyp changed, `build` (make, incremental) when a
// source did. Node-API is stable, so one binary serves every Node version and the version is no
// input.
import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { SetupError } from './errors.mjs';
import { buildDirectory, hashFiles, listFiles, root } from './files.mjs';
import { capture } from './processes.mjs';
import { say, whenStale } from './steps.mjs';

/**
 * Where Node's headers are when they came with the binary, else null (node-gyp then finds its own).
 */
export function nodeDirectory() {
  const prefix = path.resolve(path.dirname(process.execPath), '..');
  return existsSync(path.join(prefix, 'include/node/node.h')) ? prefix : null;
}

async function nodeGyp(...args) {
  const script = path.join(root, 'node_modules/node-gyp/bin/node-gyp.js');
  const directory = nodeDirectory();
  const options = directory === null ? [] : [`--nodedir=${directory}`];
  const { status, output } = await capture(process.execPath, [script, ...args, ...options]);
  if (status !== 0) throw new SetupError(`node-gyp ${args[0]} failed:\n${output}`);
  return output;
}

export function addonPath(target) {
  return path.join(buildDirectory, 'Release', `${target}.node`);
}

function nativeInputs() {
  const sources = listFiles(
    'native',
    (file) => /\.(cc|h)$/.test(file) && !file.startsWith('native/test/'),
  );
  return ['binding.gyp', ...sources];
}

/** Builds the given gyp targets: rpma (release) and rpma_test (test flavour). */
export async function buildAddon(targets) {
  const configuration = hashFiles(['binding.gyp', 'package-lock.json'], nodeDirectory() ?? '');
  const hash = hashFiles(nativeInputs(), configuration);
  for (const target of targets) {
    const step = {
      name: `native-${target}`,
      hash,
      present: existsSync(addonPath(target)),
      description: `building the addon (${target})`,
    };
    await whenStale(step, async () => {
      const present = existsSync(path.join(buildDirectory, 'Makefile'));
      const configure = { name: 'configure', hash: configuration, present };
      await whenStale(configure, () => nodeGyp('configure'));
      const output = await nodeGyp('build', '--jobs=max', target);
      for (const line of output.split('\n')) if (line.includes('warning:')) say(line);
    });
    if (!existsSync(addonPath(target)) || statSync(addonPath(target)).size === 0) {
      throw new SetupError(`node-gyp built no ${addonPath(target)}`);
    }
  }
}
