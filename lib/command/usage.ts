// SPDX-License-Identifier: BSD-3-Clause
//
// What a region may be used for, in words: on the command line, and in descriptors. Pure.

import { InvalidArgumentError } from 'commander';
import { MemoryUsage } from '../descriptors.js';

/** Each bit of a descriptor's usage byte, with its word and what it means. */
const bits: readonly { readonly bit: number; readonly word: string; readonly meaning: string }[] = [
  { bit: MemoryUsage.ReadSource, word: 'read', meaning: 'others may read it' },
  { bit: MemoryUsage.WriteDestination, word: 'write', meaning: 'others may write it' },
  {
    bit: MemoryUsage.FlushVisibility,
    word: 'flush-visibility',
    meaning: 'others may flush it to visibility',
  },
  {
    bit: MemoryUsage.FlushPersistent,
    word: 'flush-persistent',
    meaning: 'others may flush it to persistence',
  },
  {
    bit: MemoryUsage.ReadDestination,
    word: 'read-destination',
    meaning: "its owner's reads may put bytes here",
  },
  {
    bit: MemoryUsage.WriteSource,
    word: 'write-source',
    meaning: "its owner's writes may take bytes from here",
  },
  { bit: MemoryUsage.Send, word: 'send', meaning: "its owner's sends may take bytes from here" },
  {
    bit: MemoryUsage.Receive,
    word: 'receive',
    meaning: "its owner's receives may put bytes here",
  },
];

/** The words of a usage byte. */
export function usageWords(usage: number): string[] {
  return bits.filter(({ bit }) => (usage & bit) !== 0).map(({ word }) => word);
}

/** What a usage byte means, a phrase each. */
export function usageMeanings(usage: number): string[] {
  return bits.filter(({ bit }) => (usage & bit) !== 0).map(({ meaning }) => meaning);
}

/** What is lent, as the command line says it: 'flush' is what the memory allows. */
export type LentUsage = 'read' | 'write' | 'flush' | 'flush-visibility' | 'flush-persistent';

const lentWords: readonly LentUsage[] = [
  'read',
  'write',
  'flush',
  'flush-visibility',
  'flush-persistent',
];

/** Words between commas. */
export function parseUsage(text: string): readonly LentUsage[] {
  const words = text.split(',').map((word) => word.trim());
  const known = words.filter((word): word is LentUsage => lentWords.includes(word as LentUsage));
  if (known.length !== words.length) {
    throw new InvalidArgumentError(`it is a list like read,write,flush of ${lentWords.join(', ')}`);
  }
  return known;
}

/** The bits of what is lent; a file can be flushed to persistence. */
export function lentUsage(words: readonly LentUsage[], isFile: boolean): number {
  const flush = MemoryUsage.FlushVisibility | (isFile ? MemoryUsage.FlushPersistent : 0);
  const values: Readonly<Record<LentUsage, number>> = {
    read: MemoryUsage.ReadSource,
    write: MemoryUsage.WriteDestination,
    flush,
    'flush-visibility': MemoryUsage.FlushVisibility,
    'flush-persistent': MemoryUsage.FlushPersistent,
  };
  return words.reduce((usage, word) => usage | values[word], 0);
}
