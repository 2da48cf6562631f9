// SPDX-License-Identifier: BSD-3-Clause
//
// npm start: the demonstration.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { SetupError } from '../setup/errors.mjs';
import { jsDirectory } from '../setup/files.mjs';
import { setUp } from '../setup/index.mjs';
import { passThrough } from '../setup/processes.mjs';

export async function run(args) {
  await setUp({ native: ['rpma'], js: true, optional: ['libpmem1'] });
  const program = path.join(jsDirectory, 'examples/demo/main.js');
  if (!existsSync(program)) throw new SetupError('examples/demo/main.ts is missing');
  return passThrough(process.execPath, ['--enable-source-maps', program, ...args]);
}
