// SPDX-License-Identifier: BSD-3-Clause
//
// Where the demonstration's file lies. Persistence is only worth showing on something that lasts: a
// DAX mount when there is one, else a disk file system; tmpfs only when it was asked for.

import { accessSync, constants, readFileSync, statfsSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { DemoError } from './error.js';

export type Medium = 'DAX' | 'disk' | 'memory';

export interface Place {
  readonly folder: string;
  readonly medium: Medium;
}

/** statfs(2) types of file systems that live in memory: tmpfs, ramfs, hugetlbfs. */
const memoryFileSystems = new Set([0x01021994, 0x858458f6, 0x958458f6]);

/** The given folder, or the first that serves. @throws DemoError none does, with the cure */
export function choosePlace(fileFolder: string | undefined, allowMemory: boolean): Place {
  const mounts = daxMounts(readFileSync('/proc/mounts', 'utf8'));
  const placeOf = (folder: string): Place => ({ folder, medium: mediumOf(folder, mounts) });
  if (fileFolder !== undefined) {
    const place = usable(fileFolder) ? placeOf(fileFolder) : null;
    if (place === null) throw new DemoError(`cannot write into the folder ${fileFolder}`);
    if (place.medium !== 'memory' || allowMemory) return place;
    throw new DemoError(`${fileFolder} lies in memory and would not last; --volatile accepts that`);
  }
  if (allowMemory) {
    const places = ['/dev/shm', tmpdir()].filter(usable).map(placeOf);
    const place = places.find(({ medium }) => medium === 'memory');
    if (place === undefined) throw new DemoError('no tmpfs was found; leave out --volatile');
    return place;
  }
  const places = [...mounts, process.cwd(), homedir(), tmpdir()].filter(usable).map(placeOf);
  const place = places.find(({ medium }) => medium !== 'memory');
  if (place !== undefined) return place;
  throw new DemoError(
    'no disk file system can be written to here; ' +
      'name a folder with --file-dir, or accept memory with --volatile',
  );
}

/** Mount points whose options say that files are mapped directly onto persistent memory. */
export function daxMounts(mounts: string): string[] {
  const found: string[] = [];
  for (const line of mounts.split('\n')) {
    const [, folder = '', , options = ''] = line.split(' ');
    const words = options.split(',');
    if (words.includes('dax') || words.includes('dax=always')) found.push(unescape(folder));
  }
  return found;
}

/** /proc/mounts writes blanks and the like as three octal digits behind a backslash. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

function mediumOf(folder: string, mounts: readonly string[]): Medium {
  if (memoryFileSystems.has(statfsSync(folder).type)) return 'memory';
  const isDax = mounts.some((mount) => folder === mount || folder.startsWith(`${mount}/`));
  return isDax ? 'DAX' : 'disk';
}

function usable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
