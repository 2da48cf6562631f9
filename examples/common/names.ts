// SPDX-License-Identifier: BSD-3-Clause
//
// What the clients of examples 06 and 06scch are called. A name lies in 32 bytes, with zeros behind
// it, as in librpma's examples.

import { readText } from './hello.js';

export const nameBytes = 32;

const names = [
  ...['Andy', 'Chet', 'Derek', 'Janek', 'Lukasz', 'Oksana'],
  ...['Pawel', 'Piotr', 'Tomasz', 'Xiang', 'Xiaoran', 'Xiaoyan'],
];

/** One of twelve; the C program throws dice with the seed instead. */
export function nameOf(seed: bigint): string {
  return names[Number(seed % BigInt(names.length))] ?? '';
}

export function writeName(bytes: Uint8Array, name: string): void {
  bytes.fill(0);
  new TextEncoder().encodeInto(name, bytes.subarray(0, nameBytes - 1));
}

/** Of the other side's making: it may be without an end, or no text. */
export function readName(bytes: Uint8Array): string {
  return readText(bytes.subarray(0, nameBytes));
}
