// SPDX-License-Identifier: BSD-3-Clause
//
// House rules of TypeScript: who imports what, and what is banned where.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import ts from 'typescript';
import { expectNone, filesBelow, linesMatching, read, typeScriptFiles } from './tree.js';

const publicEntries = new Set(['rpma', 'rpma/descriptors', 'rpma/diagnostics']);

function importsOf(file: string): string[] {
  return ts.preProcessFile(read(file), true, true).importedFiles.map(({ fileName }) => fileName);
}

/** The imports and re-exports that are left when types have been erased. */
function loadedBy(file: string): string[] {
  const source = ts.createSourceFile(file, read(file), ts.ScriptTarget.Latest);
  return source.statements.flatMap((statement) => {
    const isImport = ts.isImportDeclaration(statement);
    if (!isImport && !ts.isExportDeclaration(statement)) return [];
    const isTypeOnly = isImport
      ? statement.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword
      : statement.isTypeOnly;
    const name = statement.moduleSpecifier;
    if (isTypeOnly || name === undefined || !ts.isStringLiteral(name)) return [];
    return [name.text];
  });
}

/** What a relative import names, as a path of the checkout. */
function resolve(file: string, name: string): string {
  return path.posix.join(path.posix.dirname(file), name).replace(/\.js$/, '.ts');
}

function violations(files: readonly string[], allowed: (name: string, file: string) => boolean) {
  return files.flatMap((file) =>
    importsOf(file)
      .filter((name) => !name.startsWith('node:') && !allowed(name, file))
      .map((name) => `${file}: imports '${name}'`),
  );
}

test('lib/internal loads only internal, errors and types', () => {
  const allowed = /^lib\/(internal\/[^/]+|errors|types)\.ts$/;
  const problems = filesBelow('lib/internal', /\.ts$/).flatMap((file) =>
    loadedBy(file)
      .filter((name) => !name.startsWith('node:') && !allowed.test(resolve(file, name)))
      .map((name) => `${file}: imports '${name}'`),
  );
  expectNone(problems);
});

test('lib imports nothing from outside of lib but Node, and the command its parser', () => {
  const problems = violations(filesBelow('lib', /\.ts$/), (name, file) =>
    name.startsWith('.')
      ? resolve(file, name).startsWith('lib/')
      : name === 'commander' && file.startsWith('lib/command/'),
  );
  expectNone(problems);
});

test('nothing of the library loads the command, which sees public files only', () => {
  const problems = filesBelow('lib', /\.ts$/).flatMap((file) => {
    const isCommand = file.startsWith('lib/command/');
    const banned = isCommand ? 'lib/internal/' : 'lib/command/';
    return importsOf(file)
      .filter((name) => name.startsWith('.') && resolve(file, name).startsWith(banned))
      .map((name) => `${file}: imports '${name}'`);
  });
  expectNone(problems);
});

test('only lib/internal/native.ts loads the addon', () => {
  const others = filesBelow('lib', /\.ts$/).filter((file) => file !== 'lib/internal/native.ts');
  const pattern = /\bcreateRequire\b|\.node['"`]|\bprocess\.dlopen\b/;
  expectNone(others.flatMap((file) => linesMatching(file, pattern)));
});

test('rpma/descriptors reaches no file that loads the addon', () => {
  const seen = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const name of loadedBy(file)) if (name.startsWith('.')) visit(resolve(file, name));
  };
  visit('lib/descriptors.ts');
  assert.ok(!seen.has('lib/internal/native.ts'), [...seen].join(' '));
});

/** What is bridged to, or tests with. */
const toolsOfTests = new Set(['fast-check', 'pino']);

test('conformance, interop and fault tests see the public entries only', () => {
  const files = ['conformance', 'interop', 'fault'].flatMap((kind) =>
    filesBelow(`test/${kind}`, /\.ts$/),
  );
  const problems = violations(files, (name, file) => {
    if (!name.startsWith('.')) return publicEntries.has(name) || toolsOfTests.has(name);
    return resolve(file, name).startsWith('test/');
  });
  expectNone(problems);
});

test('examples see the public entries, each other and a protobuf library only', () => {
  const problems = violations(filesBelow('examples', /\.ts$/), (name, file) =>
    name.startsWith('.')
      ? resolve(file, name).startsWith('examples/')
      : publicEntries.has(name) || name === 'protobufjs',
  );
  expectNone(problems);
});

test('lib prints nothing, ends no process and reads no error texts', () => {
  const pattern = /\bconsole\.|\bprocess\.exit\(|\.message\.(includes|match|startsWith)\b/;
  const problems = filesBelow('lib', /\.ts$/).flatMap((file) => linesMatching(file, pattern));
  expectNone(problems);
});

test('tests wait for events: timers live in test/support only', () => {
  const pattern = /\b(setTimeout|setInterval)\b|node:timers/;
  const files = filesBelow('test', /\.ts$/).filter(
    (file) => !/^test\/(support|bench|tidy)\//.test(file),
  );
  expectNone(files.flatMap((file) => linesMatching(file, pattern)));
});

test('tests take free ports, never a fixed one', () => {
  const pattern = /\b[pP]ort:\s*[1-9]\d{1,4}\b(?!\d)|(127\.0\.0\.1|localhost|\[::1\]):[1-9]\d+/;
  const tooLarge = /\b[pP]ort:\s*(6553[6-9]|655[4-9]\d|65[6-9]\d\d|6[6-9]\d{3}|[7-9]\d{4})\b/;
  const files = filesBelow('test', /\.ts$/).filter((file) => !file.startsWith('test/tidy/'));
  const problems = files
    .flatMap((file) => linesMatching(file, pattern))
    .filter((line) => !tooLarge.test(line));
  expectNone(problems);
});

test('imports name the file that node loads', () => {
  const problems = typeScriptFiles.flatMap((file) =>
    importsOf(file)
      .filter((name) => name.startsWith('.') && !/\.(js|json)$/.test(name))
      .map((name) => `${file}: '${name}' lacks .js`),
  );
  expectNone(problems);
});
