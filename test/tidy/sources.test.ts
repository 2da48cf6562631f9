// SPDX-License-Identifier: BSD-3-Clause
//
// House rules of every file: licence lines, lengths, sizes, words that have no place here.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import ts from 'typescript';
import { functionLengths } from './cpp.js';
import * as tree from './tree.js';

const fileLinesMax = 600;
const functionLinesMax = 70;
const columnsMax = 100;
const fileBytesMax = 1024 * 1024;

const cFiles = tree.allFiles.filter((file) => /\.(cc|h|c)$/.test(file));
const programs = [...cFiles, ...tree.typeScriptFiles, ...tree.scriptFiles];
const written = programs.filter((file) => !tree.isGenerated(file));

test('every program starts with its licence and says what it is for', () => {
  const problems = programs.filter((file) => {
    const lines = tree
      .read(file)
      .replace(/^#!.*\n/, '')
      .split('\n', 12);
    if (lines[0] !== '// SPDX-License-Identifier: BSD-3-Clause') return true;
    return !lines.slice(1, 4).some((line) => /^\/\/ \S/.test(line));
  });
  tree.expectNone(problems);
});

/** Formatters break neither long texts nor addresses; a comment can always be wrapped. */
function isTooWide(line: string): boolean {
  if (line.length <= columnsMax || /https?:\/\//.test(line)) return false;
  return /^\s*(\/\/|\*)|\s\/\/\s/.test(line) || !/['"`]/.test(line);
}

test(`files have at most ${fileLinesMax} lines of at most ${columnsMax} columns`, () => {
  const problems = written.flatMap((file) => {
    const lines = tree.read(file).trimEnd().split('\n');
    const long = lines.length > fileLinesMax ? [`${file}: ${lines.length} lines`] : [];
    const wide = lines.flatMap((line, index) =>
      isTooWide(line) ? [`${file}:${index + 1}: ${line.length} columns`] : [],
    );
    return [...long, ...wide];
  });
  tree.expectNone(problems);
});

test(`C++ functions have at most ${functionLinesMax} lines`, () => {
  const problems = cFiles.flatMap((file) =>
    functionLengths(tree.read(file))
      .filter(({ lines }) => lines > functionLinesMax)
      .map(({ line, lines, header }) => `${file}:${line}: ${lines} lines: ${header}`),
  );
  tree.expectNone(problems);
});

/** Groups of tests are lists, not functions. */
function isGroup(node: ts.Node): boolean {
  if (!ts.isCallExpression(node.parent)) return false;
  return /^(describe|suite|conform\w*)\b/.test(node.parent.expression.getText());
}

function longFunctions(file: string): string[] {
  const kind = file.endsWith('.ts') ? ts.ScriptKind.TS : ts.ScriptKind.JS;
  const source = ts.createSourceFile(file, tree.read(file), ts.ScriptTarget.Latest, true, kind);
  const problems: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && 'body' in node && node.body !== undefined && !isGroup(node)) {
      const first = source.getLineAndCharacterOfPosition(node.getStart()).line;
      const lines = source.getLineAndCharacterOfPosition(node.end).line - first + 1;
      if (lines > functionLinesMax) problems.push(`${file}:${first + 1}: ${lines} lines`);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return problems;
}

test(`TypeScript functions have at most ${functionLinesMax} lines`, () => {
  const files = [...tree.typeScriptFiles, ...tree.scriptFiles];
  tree.expectNone(files.flatMap(longFunctions));
});

test('no leftovers, no paths of one machine, no registry hosts', () => {
  // Put together here, so that this file does not contain what it looks for.
  const leftovers = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X'].join('|')})\\b`);
  const folders = ['wo' + 'rk', 'tm' + 'p', 'ho' + 'me', 'ro' + 'ot'].join('|');
  const machine = new RegExp(`(^|[\\s'"\`(=:])/(${folders})(/|\\b(?!\\w))`);
  const hosts = new RegExp(`\\bregis${'try'}\\.[\\w-]+\\.[a-z]{2,}\\b|np${'mjs'}\\.(org|com)`);
  const problems = tree.textFiles.flatMap((file) =>
    [leftovers, machine, hosts].flatMap((pattern) => tree.linesMatching(file, pattern)),
  );
  tree.expectNone(problems);
});

test('the lock file names no host to download from', () => {
  tree.expectNone(tree.linesMatching('package-lock.json', /"resolved":/));
});

test('no file is larger than a mebibyte', () => {
  const large = tree.allFiles.filter((file) => tree.sizeOf(file) > fileBytesMax);
  tree.expectNone(large);
});

function withoutCode(markdown: string): string {
  return markdown.replace(/^(```|~~~)[\s\S]*?^\1/gm, '');
}

test('every page has one title', () => {
  const problems = tree.markdownFiles.filter((file) => {
    const titles = withoutCode(tree.read(file)).match(/^# .+/gm) ?? [];
    return titles.length !== 1;
  });
  tree.expectNone(problems);
});

test('links between pages lead somewhere', () => {
  const problems = tree.markdownFiles.flatMap((file) =>
    [...withoutCode(tree.read(file)).matchAll(/\]\(([^)#\s]+)(#[^)]*)?\)/g)]
      .map((match) => match[1] ?? '')
      .filter((target) => !/^[a-z]+:/.test(target))
      .filter((target) => !existsSync(path.join(tree.root, path.dirname(file), target)))
      .map((target) => `${file}: ${target}`),
  );
  tree.expectNone(problems);
});
