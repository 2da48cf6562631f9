// SPDX-License-Identifier: BSD-3-Clause
//
// esbuild with what all its outputs have in common; its complaints become a SetupError.
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { SetupError } from './errors.mjs';
import { root } from './files.mjs';

/** Paths are relative to the checkout. */
export async function runEsbuild(options) {
  // Loaded here because set-up runs before anything is installed.
  const { build, formatMessages } = await import(
    pathToFileURL(path.join(root, 'node_modules/esbuild/lib/main.js')).href
  );
  try {
    await build({
      absWorkingDir: root,
      format: 'esm',
      platform: 'node',
      target: 'node20.19',
      sourcemap: true,
      logLevel: 'silent',
      ...options,
    });
  } catch (error) {
    const lines = await formatMessages(error.errors ?? [{ text: String(error) }], {
      kind: 'error',
    });
    throw new SetupError(`esbuild failed:\n${lines.join('')}`);
  }
}
