// SPDX-License-Identifier: BSD-3-Clause
//
// npm run bench: the benchmarks, with the release addon. They compile their own yardsticks; the
// start-up row takes dist/, which is what a user imports.
import path from 'node:path';
import { buildDist } from '../package/dist.mjs';
import { jsDirectory } from '../setup/files.mjs';
import { setUp } from '../setup/index.mjs';
import { passThrough } from '../setup/processes.mjs';

export async function run(args) {
  await setUp({ native: ['rpma'], js: true, optional: ['libpmem1'] });
  await buildDist();
  const program = path.join(jsDirectory, 'test/bench/main.js');
  return passThrough(process.execPath, ['--enable-source-maps', program, ...args]);
}
