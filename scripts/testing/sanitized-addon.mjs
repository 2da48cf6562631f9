// SPDX-License-Identifier: BSD-3-Clause
//
// The addon's test flavour with the address and undefined-behaviour sanitizers, for loading into an
// ordinary Node whose process has both libraries preloaded. Built here, not by gyp, which writes
// all configurations of one target name into the same place.
import path from 'node:path';
import { SetupError } from '../setup/errors.mjs';
import { buildDirectory, listFiles } from '../setup/files.mjs';
import { nodeDirectory } from '../setup/native.mjs';
import { capture } from '../setup/processes.mjs';
import { compiler, compileSources, coreSources, link, prepareDirectory } from './native-build.mjs';
import { flavours } from './native-flavours.mjs';

export async function buildSanitizedAddon() {
  const headers = nodeDirectory();
  if (headers === null) throw new SetupError('no Node headers beside the node that runs this');
  const compile = [
    ...flavours.asan.compile,
    '-DNAPI_VERSION=9',
    '-DNODE_GYP_MODULE_NAME=rpma_test',
    '-DBUILDING_NODE_EXTENSION',
    '-isystem',
    path.join(headers, 'include/node'),
  ];
  const directory = path.join(buildDirectory, 'native', 'asan-addon');
  prepareDirectory(directory, [compiler, ...compile]);
  const addon = listFiles('native/addon', (file) => file.endsWith('.cc'));
  const sources = [...coreSources(), ...addon];
  const { objects, errors } = await compileSources(directory, sources, compile);
  if (errors.length > 0) throw new SetupError(`compilation failed:\n${errors.join('\n')}`);
  const output = path.join(directory, 'rpma_test.node');
  const flags = [
    '-shared',
    '-Wl,-z,nodelete',
    '-fsanitize=address,undefined',
    '-pthread',
    '-o',
    output,
  ];
  await link(output, objects, [compiler, ...flags, ...objects, '-ldl']);
  return output;
}

/** The sanitizers' libraries must be in the process before the addon is. */
export async function preloads() {
  const files = [];
  for (const name of ['libasan.so', 'libubsan.so']) {
    const { stdout } = await capture(compiler, [`-print-file-name=${name}`]);
    if (!path.isAbsolute(stdout.trim())) throw new SetupError(`${compiler} has no ${name}`);
    files.push(stdout.trim());
  }
  return files.join(' ');
}
