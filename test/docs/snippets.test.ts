// SPDX-License-Identifier: BSD-3-Clause
//
// Runs the programs on the pages. A block of TypeScript or JavaScript is a whole program; one
// marked as continued goes on with the program before it. What it prints must be what the blocks of
// output behind it say, nothing when there are none. Its types are checked too. Blocks for a shell
// are shell.test.ts's.

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { transform } from 'esbuild';
import ts from 'typescript';
import { diskFolder, packageRoot, removeFolder } from '../support/folders.js';
import { assertOutput, blocksOf, linkPackage, readPage, runProgram, userPages } from './support.js';

interface Snippet {
  readonly name: string;
  readonly language: string;
  readonly source: string;
  readonly output: string;
}

function snippetsOf(page: string): Snippet[] {
  const snippets: Snippet[] = [];
  let isLast = false; // whether a program, not a command, was the last to print
  for (const { language, role, text, line } of blocksOf(readPage(page))) {
    const last = snippets.at(-1);
    const isProgram = language === 'ts' || language === 'js';
    if (role === 'unrun') continue;
    if (isProgram && role === '') {
      snippets.push({ name: `${page}:${line}`, language, source: text, output: '' });
    } else if (isProgram) {
      assert.equal(role, 'continued', `${page}:${line}: unknown kind of program`);
      assert.ok(last !== undefined, `${page}:${line}: nothing to continue`);
      assert.equal(language, last.language, `${page}:${line}: continues another language`);
      snippets.splice(-1, 1, { ...last, source: `${last.source}\n${text}` });
    } else if (role === 'output' && isLast) {
      assert.ok(last !== undefined, `${page}:${line}: output of no program`);
      snippets.splice(-1, 1, { ...last, output: last.output + text });
    }
    if (isProgram) isLast = true;
    if (language === 'sh') isLast = false;
  }
  return snippets;
}

/** The errors of the type checker in the given files, as text. */
function typeErrors(files: readonly string[]): string {
  const root = packageRoot();
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), (path) =>
    ts.sys.readFile(path),
  ) as {
    config: { compilerOptions: object };
  };
  const { compilerOptions } = config;
  // A page's program exports nothing, and it is no file of the package.
  const own = { compilerOptions: { ...compilerOptions, isolatedDeclarations: false }, files: [] };
  const { options } = ts.parseJsonConfigFileContent(own, ts.sys, root);
  const program = ts.createProgram(files, options);
  return ts.formatDiagnostics(
    files.flatMap((file) => [...ts.getPreEmitDiagnostics(program, program.getSourceFile(file))]),
    {
      getCanonicalFileName: (name) => name,
      getCurrentDirectory: () => root,
      getNewLine: () => '\n',
    },
  );
}

async function compiled(source: string): Promise<string> {
  const options = { loader: 'ts', format: 'esm', target: 'node20.19' } as const;
  return (await transform(source, options)).code;
}

describe('the programs on the pages', () => {
  const snippets = userPages().flatMap(snippetsOf);
  let folder = '';

  before(async () => {
    folder = await diskFolder();
    linkPackage(folder);
  });
  after(() => removeFolder(folder));

  test('there are some', () => {
    assert.ok(snippets.some(({ name }) => name.startsWith('README.md')));
    assert.ok(snippets.some(({ name }) => name.startsWith('docs/start.md')));
  });

  test('pass the type checker', () => {
    const files = snippets.map(({ source }, index) => {
      const file = join(folder, `checked-${index}.mts`);
      writeFileSync(file, source);
      return file;
    });
    assert.equal(typeErrors(files), '');
  });

  for (const [index, { name, language, source, output }] of snippets.entries()) {
    test(`${name} runs`, async () => {
      const ownFolder = join(folder, `program-${index}`);
      mkdirSync(ownFolder);
      const file = join(ownFolder, 'program.mjs');
      writeFileSync(file, language === 'js' ? source : await compiled(source));
      const { stdout } = await runProgram(file, [], ownFolder);
      assertOutput(stdout, output, name);
    });
  }
});
