// SPDX-License-Identifier: BSD-3-Clause
//
// npm run docs: the reference of the public surface. The last line says where it is.
import path from 'node:path';
import { buildReference, referenceDirectory } from '../package/reference.mjs';
import { setUp } from '../setup/index.mjs';

export async function run() {
  await setUp();
  const { ok, output } = await buildReference();
  if (!ok) console.error(output.trimEnd());
  else console.log(path.join(referenceDirectory, 'index.html'));
  return ok ? 0 : 1;
}
