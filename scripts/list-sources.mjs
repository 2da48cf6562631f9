// SPDX-License-Identifier: BSD-3-Clause
//
// gyp has no globbing, so binding.gyp lists every native source. With --write the list is made anew
// from the tree, without it the program exits 1 when the list and the tree differ.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { listFiles, root, writeIfChanged } from './setup/files.mjs';

const gypFile = path.join(root, 'binding.gyp');
const listPattern = /("rpma_sources": \[\n)([^\]]*)(\n\s*\])/;

/** Every source of the addon in the tree; the Node-free tests are programs of their own. */
export function sourcesInTree() {
  return listFiles('native', (file) => file.endsWith('.cc') && !file.startsWith('native/test/'));
}

/** The sources that binding.gyp lists. */
export function sourcesInGyp() {
  const list = listPattern.exec(readFileSync(gypFile, 'utf8'));
  if (list === null) throw new Error('binding.gyp: no list "rpma_sources"');
  return [...list[2].matchAll(/"([^"]+)"/g)].map((match) => match[1]);
}

export function writeSources() {
  const lines = sourcesInTree().map((file) => `      "${file}"`);
  const text = readFileSync(gypFile, 'utf8');
  return writeIfChanged(gypFile, text.replace(listPattern, `$1${lines.join(',\n')}$3`));
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  if (process.argv.includes('--write')) {
    if (writeSources()) console.error('wrote binding.gyp');
  } else if (sourcesInTree().join('\n') !== sourcesInGyp().join('\n')) {
    console.error('binding.gyp does not list the sources: node scripts/list-sources.mjs --write');
    process.exitCode = 1;
  }
}
