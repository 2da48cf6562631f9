// SPDX-License-Identifier: BSD-3-Clause
//
// npm run soak: kills processes in the middle of a replicated log's work, with the release addon.
import path from 'node:path';
import { jsDirectory } from '../setup/files.mjs';
import { setUp } from '../setup/index.mjs';
import { passThrough } from '../setup/processes.mjs';

export async function run(args) {
  await setUp({ native: ['rpma'], js: true, optional: ['libpmem1'] });
  const program = path.join(jsDirectory, 'test/soak/main.js');
  return passThrough(process.execPath, ['--enable-source-maps', program, ...args]);
}
