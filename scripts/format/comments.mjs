// SPDX-License-Identifier: BSD-3-Clause
//
// Wraps comments of TypeScript and JavaScript that are wider than the house allows; prettier leaves
// comments alone and clang-format does this for C++. Only paragraphs with a line too wide change.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { listFiles, root, writeIfChanged } from '../setup/files.mjs';

const columnsMax = 100;
const folders = ['lib', 'test', 'examples', 'scripts'];

function wrap(prefix, text) {
  const lines = [];
  let line = prefix;
  for (const word of text.split(/\s+/).filter(Boolean)) {
    if (line !== prefix && line.length + 1 + word.length > columnsMax) {
      lines.push(line);
      line = prefix;
    }
    line += ` ${word}`;
  }
  lines.push(line);
  return lines;
}

/** A comment line's prefix ('//' or '*' with its indentation) and text; null for anything else. */
function parse(line) {
  const match = /^(\s*(?:\/\/|\*))(?: (.*))?$/.exec(line);
  if (match === null || match[2] === undefined) return null;
  // Lists, tables, tags and indented examples keep their lines.
  const isText = /^(?!```)[^\s|@\-#]/.test(match[2]) && !match[2].startsWith('SPDX-');
  return isText ? { prefix: match[1], text: match[2] } : null;
}

/** A comment of one line that is too wide becomes one of several. */
function openBlock(line) {
  const match = /^(\s*)\/\*\* (.*) \*\/$/.exec(line);
  if (match === null || line.length <= columnsMax) return [line];
  return [`${match[1]}/**`, `${match[1]} * ${match[2]}`, `${match[1]} */`];
}

export function wrapComments(source) {
  const lines = source.split('\n').flatMap(openBlock);
  const output = [];
  for (let at = 0; at < lines.length;) {
    const first = parse(lines[at]);
    if (first === null) {
      output.push(lines[at++]);
      continue;
    }
    let end = at + 1;
    while (end < lines.length && parse(lines[end])?.prefix === first.prefix) end += 1;
    const paragraph = lines.slice(at, end);
    const isWide = paragraph.some((line) => line.length > columnsMax);
    const text = paragraph.map((line) => parse(line).text).join(' ');
    output.push(...(isWide ? wrap(first.prefix, text) : paragraph));
    at = end;
  }
  return output.join('\n');
}

/** Wraps everywhere; returns the files written. */
export function wrapAllComments() {
  const isProgram = (file) => /\.(ts|mjs)$/.test(file) && !file.includes('.generated.');
  return folders
    .flatMap((folder) => listFiles(folder, isProgram))
    .filter((file) => {
      const target = path.join(root, file);
      return writeIfChanged(target, wrapComments(readFileSync(target, 'utf8')));
    });
}
