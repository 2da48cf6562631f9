// SPDX-License-Identifier: BSD-3-Clause
//
// Set-up: everything a job needs, in order, each step only when it is stale.
import { generateAbi } from '../generate-abi.mjs';
import { compileTypeScript } from './compile.mjs';
import { withLock } from './lock.mjs';
import { buildAddon } from './native.mjs';
import { installPackages } from './packages.mjs';
import { say, timed } from './steps.mjs';
import { ensureRequired, offerOptional } from './system.mjs';

/**
 * `native`: the gyp targets to build; `js`: whether to compile TypeScript for this checkout;
 * `optional`: system packages to install where that is possible.
 */
export async function setUp({ native = [], js = false, optional = [] } = {}) {
  await timed('set-up', () =>
    withLock('set-up', async () => {
      await ensureRequired();
      await installPackages();
      for (const file of generateAbi()) say(`wrote ${file}`);
      await offerOptional(optional);
      if (native.length > 0) await buildAddon(native);
      if (js) await compileTypeScript();
    }),
  );
}
