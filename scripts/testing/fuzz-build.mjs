// SPDX-License-Identifier: BSD-3-Clause
//
// Builds the fuzz targets, native/test/fuzz_<name>.cc, with clang under build/native/fuzz, as
// native-build.mjs builds the tests. The addon and the tests are only looked at by clang, not
// built: the one needs Node, the others bring a main() of their own, as the fuzzer does.
import path from 'node:path';
import { buildDirectory, listFiles } from '../setup/files.mjs';
import { nodeDirectory } from '../setup/native.mjs';
import { capture, inParallel } from '../setup/processes.mjs';
import { say } from '../setup/steps.mjs';
import {
  buildLibrary,
  compileSources,
  coreSources,
  link,
  objectPath,
  prepareDirectory,
  testSources,
} from './native-build.mjs';
import { fuzzFlavour } from './native-flavours.mjs';

const width = 2; // a compilation under sanitizers takes a gigabyte

/** Every target there is, by name. */
export function fuzzTargets() {
  return listFiles('native/test', (file) => /^native\/test\/fuzz_[^/]*\.cc$/.test(file)).map(
    (source) => ({ name: path.basename(source, '.cc').slice('fuzz_'.length), source }),
  );
}

/** What is not built here is looked at all the same: the addon and the tests. */
async function lookAtOthers(clang) {
  const headers = nodeDirectory();
  const flags = [...fuzzFlavour.compile, '-fsyntax-only'];
  const sources = testSources();
  if (headers === null) {
    say('no Node headers beside the node that runs this: clang does not look at native/addon');
  } else {
    flags.push('-DNAPI_VERSION=9', '-DNODE_GYP_MODULE_NAME=rpma_test');
    flags.push('-DBUILDING_NODE_EXTENSION', '-isystem', path.join(headers, 'include/node'));
    sources.push(...listFiles('native/addon', (file) => file.endsWith('.cc')));
  }
  const errors = [];
  say(`clang looks at ${sources.length} more files`);
  await inParallel(sources, width, async (source) => {
    const { status, output } = await capture(clang, [...flags, source]);
    if (status !== 0) errors.push({ source, error: output });
  });
  return errors;
}

/**
 * Returns a program or an error for each target, and `{ source, error }` for each file that clang
 * did not take.
 */
export async function buildFuzzTargets(clang, targets, { others = true } = {}) {
  const { compile, link: linkFlags } = fuzzFlavour;
  const directory = path.join(buildDirectory, 'native', 'fuzz');
  prepareDirectory(directory, [clang, ...compile]);
  const product = coreSources();
  const sources = [...product, ...targets.map(({ source }) => source)];
  const { objects, errors } = await compileSources(directory, sources, compile, clang);
  const compiled = new Set(objects);
  const rejected = sources
    .filter((source) => !compiled.has(objectPath(directory, source)))
    .map((source) => ({ source, error: errors.filter((e) => e.includes(source)).join('\n') }));
  if (others) rejected.push(...(await lookAtOthers(clang)));
  const library = await buildLibrary(
    directory,
    product.map((file) => objectPath(directory, file)).filter((object) => compiled.has(object)),
  );
  const programs = await inParallel(targets, width, async ({ name, source }) => {
    const own = objectPath(directory, source);
    if (!compiled.has(own)) return { name, error: 'does not compile' };
    const program = path.join(directory, path.basename(source, '.cc'));
    const inputs = [own, ...library];
    const flags = [...linkFlags, '-pthread', '-o', program, ...inputs, '-ldl'];
    try {
      await link(program, inputs, [clang, ...flags]);
    } catch (error) {
      return { name, error: error.message };
    }
    return { name, program };
  });
  return { programs, rejected };
}
