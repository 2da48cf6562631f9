// SPDX-License-Identifier: BSD-3-Clause
//
// House rules of native/: which layer may include which, which system headers belong to which
// folder, what is banned, and that every source is built.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { includesOf, stripCpp } from './cpp.js';
import { expectNone, linesMatching, nativeFiles, read, root } from './tree.js';

/** A layer may include itself and those before it. */
const layers = ['core', 'memory', 'provider', 'rma', 'addon'];
const productFiles = nativeFiles.filter((file) => !file.startsWith('native/test/'));

/** System headers that belong to one place; tests of that place may use them, too. */
const confined: readonly { header: RegExp; only: RegExp }[] = [
  {
    header: /^(sys\/socket\.h|netinet\/.*|arpa\/.*|netdb\.h|linux\/(tcp|sockios)\.h)$/,
    only: /^native\/(provider\/(iwarp|shm)|test)\//,
  },
  { header: /^sys\/un\.h$/, only: /^native\/(provider\/shm|test)\// },
  { header: /^(sys\/mman\.h|libpmem\.h)$/, only: /^native\/(memory|test)\// },
  { header: /^(napi|node_api|node_api_types|js_native_api)\.h$/, only: /^native\/addon\// },
  { header: /^(uv\.h|uv\/.*)$/, only: /^native\/addon\/wake_up\.cc$/ },
  { header: /^(infiniband|rdma)\//, only: /^native\/provider\/verbs\// },
];

function layerOf(file: string): string {
  return file.split('/')[1] ?? '';
}

/** The sub-folder of provider/ that a path below native/ is in, or null. */
function providerOf(name: string): string | null {
  return /^provider\/([^/]+)\//.exec(name)?.[1] ?? null;
}

function checkOwnInclude(file: string, name: string): string | null {
  if (name === 'abi.generated.h' || name === 'napi.h') return null;
  const from = layers.indexOf(layerOf(file));
  const to = layers.indexOf(name.split('/')[0] ?? '');
  const isTest = layerOf(file) === 'test';
  if (isTest && name.startsWith('test/')) return null;
  if (to === -1) return 'is not a path below native/';
  if (isTest) return name.startsWith('addon/') ? 'tests are Node-free' : null;
  if (to > from) return 'goes against the order of the layers';
  const own = providerOf(file.slice('native/'.length));
  const other = providerOf(name);
  if (own !== null && other !== null && own !== other) return 'crosses from provider to provider';
  return null;
}

test('includes go one way: core, memory, provider, rma, addon', () => {
  const problems: string[] = [];
  for (const file of nativeFiles) {
    for (const { name, isSystem, line } of includesOf(read(file))) {
      if (isSystem) continue;
      const problem = checkOwnInclude(file, name);
      if (problem !== null) problems.push(`${file}:${line}: "${name}" ${problem}`);
    }
  }
  expectNone(problems);
});

test('system headers stay in the folder they belong to', () => {
  const problems: string[] = [];
  for (const file of nativeFiles) {
    for (const { name, line } of includesOf(read(file))) {
      const rule = confined.find(({ header }) => header.test(name));
      if (rule !== undefined && !rule.only.test(file)) problems.push(`${file}:${line}: <${name}>`);
    }
  }
  expectNone(problems);
});

test('mappings and cache-line flushing stay in memory', () => {
  const pattern =
    /\b(mmap|munmap|mremap|msync|memfd_create)\s*\(|\b_mm_(clflush|clflushopt|clwb)\b/;
  const problems = productFiles
    .filter((file) => !file.startsWith('native/memory/'))
    .flatMap((file) => linesMatching(file, pattern, stripCpp(read(file))));
  expectNone(problems);
});

test('no raw new and delete, no exceptions, no output but through the log', () => {
  const banned =
    /\bnew\s+[A-Za-z_:]|(?<!=\s*)\bdelete\b|\bthrow\b|\bcatch\s*\(|\bstd::c(out|err)\b/;
  const problems = nativeFiles.flatMap((file) => linesMatching(file, banned, stripCpp(read(file))));
  const output = /\b(f?printf|puts|fputs|perror)\s*\(/;
  const outputs = productFiles
    .filter((file) => !/^native\/core\/(log|assert)\./.test(file))
    .flatMap((file) => linesMatching(file, output, stripCpp(read(file))));
  expectNone([...problems, ...outputs]);
});

test('headers are guarded by pragma once', () => {
  const headers = nativeFiles.filter((file) => file.endsWith('.h'));
  const bare = headers.filter((file) => !/^#pragma once$/m.test(read(file)));
  expectNone(bare);
});

test('binding.gyp lists every source, and the generated files are up to date', () => {
  for (const args of [['list-sources.mjs'], ['generate-abi.mjs', '--check']]) {
    const [script = '', ...rest] = args;
    const command = [path.join(root, 'scripts', script), ...rest];
    const { status, stderr } = spawnSync(process.execPath, command, { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
  }
});
