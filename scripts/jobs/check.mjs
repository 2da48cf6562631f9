// SPDX-License-Identifier: BSD-3-Clause
//
// npm run check: everything that reads the sources without running them. All steps run, whatever
// fails. With --fix what can be repaired by a program is: generated files, lists, format, lint.
import path from 'node:path';
import { generateAbi, staleAbi } from '../generate-abi.mjs';
import { wrapAllComments } from '../format/comments.mjs';
import { sourcesInGyp, sourcesInTree, writeSources } from '../list-sources.mjs';
import { tsc } from '../package/dist.mjs';
import { buildReference } from '../package/reference.mjs';
import { listFiles, root } from '../setup/files.mjs';
import { setUp } from '../setup/index.mjs';
import { capture } from '../setup/processes.mjs';
import { runNodeTests, testFiles } from '../testing/node-tests.mjs';
import { sum } from '../testing/results.mjs';

function tool(script, ...args) {
  return async () => {
    const file = path.join(root, 'node_modules', script);
    const { status, output } = await capture(process.execPath, [file, ...args]);
    return { ok: status === 0, output };
  };
}

function generated(fix) {
  return async () => {
    if (fix) {
      generateAbi();
      writeSources();
      wrapAllComments();
    }
    const stale = staleAbi();
    if (sourcesInTree().join() !== sourcesInGyp().join()) stale.push('binding.gyp');
    return { ok: stale.length === 0, output: stale.map((file) => `${file} is stale`).join('\n') };
  };
}

/** clang-format comes as a program inside an npm package, for the usual systems only. */
function clangFormat(fix) {
  return async () => {
    const program = path.join(root, 'node_modules/clang-format/bin/linux_x64/clang-format');
    const version = await capture(program, ['--version']);
    if (version.status !== 0) return { skipped: 'clang-format does not run on this machine' };
    const files = listFiles(
      'native',
      (file) => /\.(cc|h)$/.test(file) && !file.endsWith('.generated.h'),
    );
    if (files.length === 0) return { ok: true, output: '' };
    const mode = fix ? ['-i'] : ['--dry-run', '--Werror', '--ferror-limit=3'];
    const { status, output } = await capture(program, ['--style=file', ...mode, ...files]);
    return { ok: status === 0, output };
  };
}

async function tidy() {
  const { passed, failed } = sum(await runNodeTests(testFiles(['tidy'])));
  return { ok: failed === 0 && passed > 0, output: '' };
}

function steps(fix) {
  const patterns = ['**/*.{ts,mjs,js,json,md,yml}'];
  const prettier = ['--log-level=warn', '--no-error-on-unmatched-pattern', ...patterns];
  return [
    { name: 'generated files', work: generated(fix) },
    {
      name: 'format (prettier)',
      work: tool('prettier/bin/prettier.cjs', fix ? '--write' : '--check', ...prettier),
    },
    { name: 'format (clang-format)', work: clangFormat(fix) },
    {
      name: 'lint (eslint)',
      work: tool('eslint/bin/eslint.js', '--max-warnings=0', ...(fix ? ['--fix'] : []), '.'),
    },
    { name: 'types (tsc)', work: tool(path.relative(path.join(root, 'node_modules'), tsc)) },
    { name: 'reference (typedoc)', work: buildReference },
    { name: 'house rules (tidy)', work: tidy },
  ];
}

export async function run(args) {
  // Before set-up writes the generated files, so that a commit without them is noticed.
  const fix = args.includes('--fix');
  const staleBefore = fix ? [] : staleAbi();
  await setUp({ js: true });
  let passed = 0;
  let failed = 0;
  for (const file of staleBefore) {
    console.log(`FAILED ${file} was out of date`);
    failed += 1;
  }
  for (const { name, work } of steps(fix)) {
    const started = performance.now();
    const { ok, output, skipped } = await work();
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    if (skipped !== undefined) {
      console.log(`skipped ${name}: ${skipped}`);
      continue;
    }
    console.log(`${ok ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)`);
    if (!ok && output !== '') console.log(output.trimEnd());
    if (ok) passed += 1;
    else failed += 1;
  }
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}
