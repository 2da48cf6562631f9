// SPDX-License-Identifier: BSD-3-Clause
//
// npm run build: dist/ (what is published) and both flavours of the addon.
import { buildDist } from '../package/dist.mjs';
import { setUp } from '../setup/index.mjs';

export async function run() {
  await setUp({ native: ['rpma', 'rpma_test'], js: true });
  await buildDist();
  return 0;
}
