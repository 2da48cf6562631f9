// SPDX-License-Identifier: BSD-3-Clause
//
// build/reference: typedoc's pages of the public surface, by typedoc.json. Whatever typedoc warns
// of is an error: a public name without documentation, a link that leads nowhere, a type that is
// used and not exported.
import { rmSync } from 'node:fs';
import path from 'node:path';
import { root } from '../setup/files.mjs';
import { capture } from '../setup/processes.mjs';

export const referenceDirectory = path.join(root, 'build/reference');

/** Resolves with whether it went well, and what typedoc said. */
export async function buildReference() {
  rmSync(referenceDirectory, { recursive: true, force: true });
  const typedoc = path.join(root, 'node_modules/typedoc/bin/typedoc');
  const { status, output } = await capture(process.execPath, [typedoc], {
    env: { ...process.env, NO_COLOR: '1' },
  });
  return { ok: status === 0, output };
}
