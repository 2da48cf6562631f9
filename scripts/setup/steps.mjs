// SPDX-License-Identifier: BSD-3-Clause
//
// One set-up step: done only when its stamp, a hash of its inputs, is stale. Says on stderr what is
// done, and with RPMA_SETUP_TIMING=1 how long everything took.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { buildDirectory } from './files.mjs';

const timing = process.env.RPMA_SETUP_TIMING === '1';

export function say(text) {
  process.stderr.write(`rpma: ${text}\n`);
}

export async function timed(name, work) {
  const started = performance.now();
  const result = await work();
  if (timing) say(`${name}: ${Math.round(performance.now() - started)} ms`);
  return result;
}

function stampFile(name) {
  return path.join(buildDirectory, 'stamps', name);
}

export function readStamp(name) {
  try {
    return readFileSync(stampFile(name), 'utf8');
  } catch {
    return '';
  }
}

export function writeStamp(name, hash) {
  mkdirSync(path.dirname(stampFile(name)), { recursive: true });
  writeFileSync(stampFile(name), hash);
}

/**
 * Does the work unless the stamp has this hash and the output is there (`present`). The stamp goes
 * before the work starts, so that an interrupted step is done again.
 */
export async function whenStale({ name, hash, present = true, description = '' }, work) {
  if (present && readStamp(name) === hash) return false;
  rmSync(stampFile(name), { force: true });
  if (description !== '') say(description);
  await timed(name, work);
  writeStamp(name, hash);
  return true;
}
