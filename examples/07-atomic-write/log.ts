// SPDX-License-Identifier: BSD-3-Clause
//
// The log that the client appends to, librpma's struct log. It lies at the start of the region:
//
//   0   8     signature, "LOG" and zero bytes; in files only
//   8   u64   bytes used, this header included, in host order; a log without words says 16
//   16  1024  the words, each with a zero byte behind it
//
// What lies behind the used bytes does not count, so a word is in the log once `used` says so.

export const logBytes = 1_040;
export const usedOffset = 8;
export const wordsOffset = 16;
export const logSignature: Uint8Array = new TextEncoder().encode('LOG\0\0\0\0\0');

/** Makes the log empty. Takes what follows the signature. */
export function initialiseLog(data: Uint8Array): void {
  data.fill(0);
  new DataView(data.buffer, data.byteOffset).setBigUint64(0, BigInt(wordsOffset), true);
}

/** The value of `used` as a number, if a log in a region of this size can have it. */
export function checkedUsed(used: bigint, sizeBytes: number): number {
  if (used < BigInt(wordsOffset) || used > BigInt(sizeBytes)) {
    throw new Error(`the log is damaged: it says that ${used} of ${sizeBytes} bytes are used`);
  }
  return Number(used);
}

/** The words of a log, oldest first. */
export function wordsOf(log: Uint8Array): string[] {
  const used = new DataView(log.buffer, log.byteOffset).getBigUint64(usedOffset, true);
  const text = new TextDecoder().decode(log.subarray(wordsOffset, checkedUsed(used, log.length)));
  return text.split('\0').slice(0, -1);
}
