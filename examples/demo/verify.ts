// SPDX-License-Identifier: BSD-3-Clause
//
// Checks the file after the target's death. It reads the file with node:fs alone, so that the
// library under demonstration does not vouch for itself.

import { readFile } from 'node:fs/promises';
import { damageOf, recordBytes } from './records.js';

export interface Verification {
  /** Records that are there, byte for byte. */
  readonly verified: number;
  /** What is wrong with each of the others. */
  readonly damages: readonly string[];
}

/** Looks for every acknowledged record in the file. */
export async function verifyRecords(
  path: string,
  seed: number,
  acknowledged: readonly number[],
): Promise<Verification> {
  const bytes = await readFile(path);
  const damages: string[] = [];
  for (const index of acknowledged) {
    const offset = index * recordBytes;
    const damage = damageOf(bytes.subarray(offset, offset + recordBytes), seed, index);
    if (damage !== null) damages.push(damage);
  }
  return { verified: acknowledged.length - damages.length, damages };
}
