// SPDX-License-Identifier: BSD-3-Clause
//
// Folders for test files: on the disk file system that holds the build folder, because files on
// tmpfs are refused where persistence is asked for, and on tmpfs for the tests of just that.

import { existsSync, mkdirSync, statfsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const tmpfsMagic = 0x01021994;

/** The folder of package.json, found from the compiled file upwards. */
export function packageRoot(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const isRoot = existsSync(join(folder, 'abi', 'layout.json'));
    if (isRoot && existsSync(join(folder, 'package.json'))) return folder;
    if (dirname(folder) === folder) throw new Error('no package root above the tests');
  }
}

/** A fresh folder on disk. */
export function diskFolder(): Promise<string> {
  const parent = join(packageRoot(), 'build', 'test-files');
  mkdirSync(parent, { recursive: true });
  return mkdtemp(join(parent, 'case-'));
}

/** A mount of tmpfs, or null where there is none. */
export function tmpfsMount(): string | null {
  for (const folder of ['/dev/shm', '/run/shm']) {
    if (existsSync(folder) && statfsSync(folder).type === tmpfsMagic) return folder;
  }
  return null;
}

/** A fresh folder on the given mount. */
export function folderOn(mount: string): Promise<string> {
  return mkdtemp(join(mount, 'rpma-test-'));
}

export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}
