// SPDX-License-Identifier: BSD-3-Clause
//
// The files of the checkout as the house rules see them: everything that is not made by a build.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from '../support/folders.js';

export const root: string = packageRoot();

const made = new Set(['.git', 'build', 'coverage', 'dist', 'node_modules', 'prebuilds']);
const textual = /(\.(cc|c|h|ts|mjs|js|json|md|yml|yaml|gyp|txt)|^[^.]+|\/\.?[^./]+|rc)$/;

function walk(folder: string, found: string[]): void {
  for (const entry of readdirSync(path.join(root, folder), { withFileTypes: true })) {
    const name = path.posix.join(folder, entry.name);
    if (entry.isDirectory()) {
      if (folder !== '' || !made.has(entry.name)) walk(name, found);
    } else if (entry.isFile() && !/\.(tgz|log)$/.test(name)) found.push(name);
  }
}

function listTree(): string[] {
  const found: string[] = [];
  walk('', found);
  return found.sort();
}

/** Paths relative to the root. */
export const allFiles: readonly string[] = listTree();

export function filesBelow(folder: string, pattern: RegExp): string[] {
  return allFiles.filter((file) => file.startsWith(`${folder}/`) && pattern.test(file));
}

export const nativeFiles: readonly string[] = filesBelow('native', /\.(cc|h)$/);
export const typeScriptFiles: readonly string[] = allFiles.filter((file) => file.endsWith('.ts'));
export const scriptFiles: readonly string[] = allFiles.filter((file) => /\.m?js$/.test(file));
export const markdownFiles: readonly string[] = allFiles.filter((file) => file.endsWith('.md'));
export const textFiles: readonly string[] = allFiles.filter((file) => textual.test(file));

export function isGenerated(file: string): boolean {
  return file.includes('.generated.') || /^docs\/reference\/(errors|events)\.md$/.test(file);
}

export function read(file: string): string {
  return readFileSync(path.join(root, file), 'utf8');
}

export function sizeOf(file: string): number {
  return statSync(path.join(root, file)).size;
}

/** One 'file:line: what' per line of a file's text that matches. */
export function linesMatching(file: string, pattern: RegExp, text: string = read(file)): string[] {
  return text
    .split('\n')
    .map((line, index) => ({ line, where: `${file}:${index + 1}` }))
    .filter(({ line }) => pattern.test(line))
    .map(({ line, where }) => `${where}: ${line.trim()}`);
}

/** Fails with every problem in its message; assert's own comparison would cut the list. */
export function expectNone(problems: readonly string[]): void {
  assert.ok(problems.length === 0, `${problems.length} problems\n${problems.join('\n')}`);
}
