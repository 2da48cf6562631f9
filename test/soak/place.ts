// SPDX-License-Identifier: BSD-3-Clause
//
// Where the soak's file lies: which file system a path is on, and where files are mapped directly
// from persistent memory (DAX).

import { accessSync, constants, readFileSync, statfsSync } from 'node:fs';

const fileSystems: ReadonlyMap<number, string> = new Map([
  [0xef53, 'ext4'],
  [0x58465342, 'xfs'],
  [0x9123683e, 'btrfs'],
  [0x794c7630, 'overlayfs'],
  [0x01021994, 'tmpfs'],
  [0x858458f6, 'ramfs'],
  [0x958458f6, 'hugetlbfs'],
]);

const volatile: ReadonlySet<string> = new Set(['tmpfs', 'ramfs', 'hugetlbfs']);

export function fileSystemOf(folder: string): { readonly name: string; readonly lasts: boolean } {
  const magic = statfsSync(folder).type >>> 0;
  const name = fileSystems.get(magic) ?? `file system 0x${magic.toString(16)}`;
  return { name, lasts: !volatile.has(name) };
}

/** A mount with the option dax that we may write to, or null. */
export function daxMount(): string | null {
  for (const line of readFileSync('/proc/self/mounts', 'utf8').split('\n')) {
    const [, folder = '', , options = ''] = line.split(' ');
    const isDax = options.split(',').some((each) => each === 'dax' || each === 'dax=always');
    if (!isDax) continue;
    try {
      accessSync(folder, constants.W_OK);
      return folder;
    } catch {
      // Not ours to write to.
    }
  }
  return null;
}
