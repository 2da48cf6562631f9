// SPDX-License-Identifier: BSD-3-Clause
//
// npm run fault: every example and the demonstration with one fault in one process, over and over
// (test/fault/sweep). Needs the addon's test flavour, the only one that has fault points.
import path from 'node:path';
import { jsDirectory } from '../setup/files.mjs';
import { setUp } from '../setup/index.mjs';
import { passThrough } from '../setup/processes.mjs';

export async function run(args) {
  await setUp({ native: ['rpma', 'rpma_test'], js: true, optional: ['libpmem1'] });
  const program = path.join(jsDirectory, 'test/fault/sweep/main.js');
  return passThrough(process.execPath, ['--enable-source-maps', program, ...args]);
}
