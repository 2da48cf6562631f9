// SPDX-License-Identifier: BSD-3-Clause
//
// The records that the demonstration writes. Seed and index decide every byte, so that the check
// needs nothing but the file. A record:
//
//   0   u32  mark
//   4   u32  index
//   8   u32  seed
//   12  u32  CRC-32 of bytes 0-11 and of the contents
//   16  240  contents

import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

export const recordBytes = 256;

const mark = 0x72706d61;
const checksumOffset = 12;
const contentsOffset = 16;

/** Writes record `index` into its 256 bytes. */
export function fillRecord(record: Uint8Array, seed: number, index: number): void {
  const view = new DataView(record.buffer, record.byteOffset, recordBytes);
  view.setUint32(0, mark, true);
  view.setUint32(4, index, true);
  view.setUint32(8, seed, true);
  const outputLength = recordBytes - contentsOffset;
  record.set(
    createHash('shake256', { outputLength }).update(`${seed}/${index}`).digest(),
    contentsOffset,
  );
  view.setUint32(checksumOffset, checksumOf(record), true);
}

/** Says what is wrong with the record, or null when each byte is as it was written. */
export function damageOf(record: Uint8Array, seed: number, index: number): string | null {
  const expected = new Uint8Array(recordBytes);
  fillRecord(expected, seed, index);
  const wrong = expected.findIndex((byte, offset) => byte !== record[offset]);
  if (wrong < 0) return null;
  if (record.length < recordBytes) return `record ${index} is cut: ${record.length} bytes`;
  if (record.every((byte) => byte === 0)) return `record ${index} is absent`;
  const view = new DataView(record.buffer, record.byteOffset, recordBytes);
  const intact = view.getUint32(checksumOffset, true) === checksumOf(record);
  return `record ${index} differs at byte ${wrong}, its checksum is ${intact ? 'right' : 'wrong'}`;
}

function checksumOf(record: Uint8Array): number {
  const head = crc32(record.subarray(0, checksumOffset));
  return crc32(record.subarray(contentsOffset, recordBytes), head);
}
