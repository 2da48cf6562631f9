// SPDX-License-Identifier: BSD-3-Clause
//
// Where things lie in the checkout, and small file helpers.
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The root of the checkout. */
export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const buildDirectory = path.join(root, 'build');
/** esbuild's output: build/js/lib, build/js/test, build/js/examples. */
export const jsDirectory = path.join(buildDirectory, 'js');

function readOrNull(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

/** Writes the file unless it has this text already; says whether it wrote. */
export function writeIfChanged(file, text) {
  if (readOrNull(file) === text) return false;
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text);
  return true;
}

/** All files below a directory of the checkout, as sorted paths relative to the root. */
export function listFiles(directory, accept = () => true) {
  const found = [];
  const visit = (relative) => {
    let entries;
    try {
      entries = readdirSync(path.join(root, relative), { withFileTypes: true });
    } catch {
      return;
    }
    for (const entry of entries) {
      const name = path.posix.join(relative, entry.name);
      if (entry.isDirectory()) visit(name);
      else if (entry.isFile() && accept(name)) found.push(name);
    }
  };
  visit(directory);
  return found.sort();
}

/** A hash over the names and contents of files (relative to the root) and any further strings. */
export function hashFiles(files, ...more) {
  const hash = createHash('sha256');
  for (const file of files) {
    hash.update(`${file}\0`);
    hash.update(readFileSync(path.join(root, file)));
    hash.update('\0');
  }
  for (const text of more) hash.update(`${text}\0`);
  return hash.digest('hex');
}
