// SPDX-License-Identifier: BSD-3-Clause
//
// npm run -s rpma -- <command> [arguments]: the command from this checkout. Its output is its own;
// set-up speaks on stderr only, and only when it does something.
import path from 'node:path';
import { jsDirectory } from '../setup/files.mjs';
import { setUp } from '../setup/index.mjs';
import { passThrough } from '../setup/processes.mjs';

export async function run(args) {
  await setUp({ native: ['rpma'], js: true, optional: ['libpmem1'] });
  const program = path.join(jsDirectory, 'lib/command/main.js');
  return passThrough(process.execPath, ['--enable-source-maps', program, ...args]);
}
