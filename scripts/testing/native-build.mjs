// SPDX-License-Identifier: BSD-3-Clause
//
// A small incremental builder for the Node-free tests: objects and a static library per flavour
// under build/native/<flavour>, one program per native/test/*_test.cc. gyp is not used because it
// knows one set of flags a configuration and these are three. Dependencies come from g++ (-MMD).
import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { SetupError } from '../setup/errors.mjs';
import { buildDirectory, listFiles, root, writeIfChanged } from '../setup/files.mjs';
import { capture, inParallel } from '../setup/processes.mjs';
import { say } from '../setup/steps.mjs';
import { flavours } from './native-flavours.mjs';

export const compiler = process.env.CXX || 'g++';
const width = Number(process.env.RPMA_JOBS) || os.availableParallelism();

function modified(file) {
  try {
    return statSync(path.resolve(root, file)).mtimeMs;
  } catch {
    return null;
  }
}

/** The files a dependency file of g++ names: everything behind the first colon, lines joined. */
function dependencies(file) {
  if (!existsSync(file)) return null;
  const rule = readFileSync(file, 'utf8').replaceAll('\\\n', ' ').split('\n')[0] ?? '';
  return rule
    .slice(rule.indexOf(':') + 1)
    .split(' ')
    .filter(Boolean);
}

/** Whether the output is missing or older than an input, or an input has gone. */
function isStale(output, inputs) {
  const made = modified(output);
  if (made === null || inputs === null) return true;
  return inputs.some((input) => {
    const time = modified(input);
    return time === null || time > made;
  });
}

export function objectPath(directory, source) {
  return path.join(directory, 'objects', source.replace(/\.cc$/, '.o'));
}

/** A change of flags makes all objects of a directory stale. */
export function prepareDirectory(directory, command) {
  mkdirSync(directory, { recursive: true });
  if (writeIfChanged(path.join(directory, 'command'), command.join('\n'))) {
    rmSync(path.join(directory, 'objects'), { recursive: true, force: true });
  }
}

/**
 * Compiles what is stale, several at a time. One file's errors do not keep the others from being
 * compiled: returns the objects there are and the compiler's words on the rest.
 */
export async function compileSources(directory, sources, flags, program = compiler) {
  const stale = sources.filter((source) => {
    const object = objectPath(directory, source);
    return isStale(object, dependencies(object.replace(/\.o$/, '.d')));
  });
  if (stale.length > 0) say(`compiling ${stale.length} native files (${path.basename(directory)})`);
  const errors = [];
  await inParallel(stale, width, async (source) => {
    const object = objectPath(directory, source);
    mkdirSync(path.dirname(object), { recursive: true });
    const args = [...flags, '-MMD', '-MP', '-c', source, '-o', object];
    const { status, output } = await capture(program, args);
    if (status !== 0) {
      rmSync(object, { force: true });
      errors.push(output);
    } else if (output !== '') process.stderr.write(output);
  });
  const objects = sources.map((source) => objectPath(directory, source));
  return { objects: objects.filter((object) => modified(object) !== null), errors };
}

export async function link(output, inputs, command) {
  if (!isStale(output, inputs)) return;
  mkdirSync(path.dirname(output), { recursive: true });
  rmSync(output, { force: true });
  const [program, ...args] = command;
  const result = await capture(program, args);
  if (result.status !== 0) throw new SetupError(`linking failed:\n${result.output}`);
}

/** Everything but the addon: no Node headers needed. */
export function coreSources() {
  return listFiles(
    'native',
    (file) => file.endsWith('.cc') && !/^native\/(test|addon)\//.test(file),
  );
}

export function testSources() {
  return listFiles('native/test', (file) => file.endsWith('_test.cc'));
}

export async function buildLibrary(directory, objects) {
  const library = path.join(directory, 'librpma.a');
  const isOther = writeIfChanged(path.join(directory, 'objects.list'), objects.join('\n'));
  if (isOther) rmSync(library, { force: true });
  if (objects.length === 0) return [];
  await link(library, objects, ['ar', 'rcs', library, ...objects]);
  return [library];
}

/**
 * Builds the programs of the given test sources in one flavour. Returns a program or an error for
 * each, and the errors of files that do not compile.
 */
export async function buildNativeTests(flavour, tests) {
  const { compile, link: linkFlags } = flavours[flavour];
  const directory = path.join(buildDirectory, 'native', flavour);
  prepareDirectory(directory, [compiler, ...compile]);
  const helpers = listFiles(
    'native/test',
    (file) => file.endsWith('.cc') && !/(_test\.cc|\/fuzz_[^/]*\.cc)$/.test(file),
  );
  const product = coreSources();
  const sources = [...product, ...helpers, ...tests];
  const { objects, errors } = await compileSources(directory, sources, compile);
  const compiled = new Set(objects);
  const objectsOf = (files) =>
    files.map((file) => objectPath(directory, file)).filter((object) => compiled.has(object));
  const libraries = await buildLibrary(directory, objectsOf(product));
  const programs = await inParallel(tests, width, async (source) => {
    const own = objectsOf([source]);
    if (own.length === 0) return { source, error: 'does not compile' };
    const program = path.join(directory, path.basename(source, '.cc'));
    const inputs = [...own, ...objectsOf(helpers), ...libraries];
    const flags = [...linkFlags, '-pthread', '-o', program, ...inputs, '-ldl'];
    try {
      await link(program, inputs, [compiler, ...flags]);
    } catch (error) {
      return { source, error: error.message };
    }
    return { source, program };
  });
  return { programs, errors };
}
