// SPDX-License-Identifier: BSD-3-Clause
//
// npm run fuzz: builds the fuzz targets with clang and runs each for some seconds, from the tracked
// seeds and from what earlier runs on this machine found.
//   npm run fuzz -- [--seconds 60] [--target receive] [--jobs 2]
//   npm run fuzz -- --target receive --input build/fuzz/receive/crash-...    runs one input again
// What the fuzzer finds stays below build/fuzz/<target>.
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { SetupError } from '../setup/errors.mjs';
import { buildDirectory, root } from '../setup/files.mjs';
import { setUp } from '../setup/index.mjs';
import { withLock } from '../setup/lock.mjs';
import { capture, inParallel, passThrough } from '../setup/processes.mjs';
import { ensureClang } from '../setup/system.mjs';
import { buildFuzzTargets, fuzzTargets } from '../testing/fuzz-build.mjs';
import { fuzzFlavour } from '../testing/native-flavours.mjs';
import { printFile, printSummary } from '../testing/results.mjs';

// An input that takes longer than this hangs: every wait of the targets is shorter.
const inputSeconds = 30;

function readOptions(args) {
  const { values } = parseArgs({
    args,
    options: {
      seconds: { type: 'string', default: '60' },
      target: { type: 'string' },
      jobs: { type: 'string' },
      input: { type: 'string' },
    },
  });
  const whole = (text, name) => {
    const number = Number(text);
    if (!Number.isInteger(number) || number < 1) throw new SetupError(`--${name}: ${text}?`);
    return number;
  };
  const half = Math.max(1, Math.floor(os.availableParallelism() / 2));
  return {
    seconds: whole(values.seconds, 'seconds'),
    jobs: values.jobs === undefined ? half : whole(values.jobs, 'jobs'),
    target: values.target,
    input: values.input,
  };
}

function sanitizerEnvironment() {
  return { ...process.env, ...fuzzFlavour.environment };
}

/** The last of libFuzzer's numbers: executions, coverage counters, features, corpus. */
function readNumbers(output) {
  const last = (pattern) => [...output.matchAll(pattern)].at(-1)?.slice(1);
  const [coverage = '?', features = '?', corpus = '?', bytes = '?'] =
    last(/ cov: (\d+) ft: (\d+) corp: (\d+)\/(\S+)/g) ?? [];
  const [executions = '0'] = last(/stat::number_of_executed_units: (\d+)/g) ?? [];
  const [rate = '?'] = last(/stat::average_exec_per_sec: +(\d+)/g) ?? [];
  return { coverage, features, corpus, bytes, executions, rate };
}

function findings(name, output) {
  const failures = [];
  for (const [, file] of output.matchAll(/Test unit written to (\S+)/g)) {
    const shown = path.relative(root, file);
    const again = `npm run fuzz -- --target ${name} --input ${shown}`;
    failures.push({ name: `reproducer ${shown}`, message: `run it again: ${again}` });
  }
  return failures;
}

async function runTarget({ name, program }, seconds) {
  const directory = path.join(buildDirectory, 'fuzz', name);
  const corpus = path.join(directory, 'corpus');
  mkdirSync(corpus, { recursive: true });
  const seeds = path.join(root, 'native/test/corpus', name);
  const dictionary = path.join(root, 'native/test/corpus', `${name}.dict`);
  const args = [
    corpus,
    ...(existsSync(seeds) ? [seeds] : []),
    `-max_total_time=${seconds}`,
    `-timeout=${inputSeconds}`,
    `-artifact_prefix=${directory}/`,
    '-print_final_stats=1',
    '-rss_limit_mb=3000',
    // Threads of the device free what another allocated: leaks are counted by the targets' own
    // oracle, and by the leak sanitizer at the end.
    '-detect_leaks=0',
    ...(existsSync(dictionary) ? [`-dict=${dictionary}`] : []),
  ];
  const started = performance.now();
  const { status, signal, output } = await capture(program, args, { env: sanitizerEnvironment() });
  const failures = status === 0 ? [] : findings(name, output);
  if (status !== 0 && failures.length === 0) {
    const how = signal === null ? `exit status ${status}` : `signal ${signal}`;
    failures.push({ name: 'the fuzzer itself', message: `ended with ${how}` });
  }
  const failed = status === 0 ? 0 : 1;
  const file = `fuzz ${name}`;
  const milliseconds = performance.now() - started;
  const tail = output.split('\n').slice(-80).join('\n');
  const result = { file, passed: 1 - failed, failed, skipped: [], failures, milliseconds };
  printFile({ ...result, output: failed === 0 ? '' : tail });
  const { executions, rate, coverage, features, corpus: units, bytes } = readNumbers(output);
  console.log(
    `       ${executions} executions (${rate}/s), ${coverage} counters, ${features} features, ` +
      `corpus ${units} (${bytes}), seeds ${existsSync(seeds) ? readdirSync(seeds).length : 0}`,
  );
  return result;
}

function rejection({ source, error }) {
  const failures = [{ name: 'clang does not take it', message: error }];
  return { file: source, passed: 0, failed: 1, skipped: [], failures, output: '' };
}

export async function run(args) {
  const { seconds, jobs, target, input } = readOptions(args);
  const targets = fuzzTargets().filter(({ name }) => target === undefined || name === target);
  if (targets.length === 0) {
    const names = fuzzTargets().map(({ name }) => name);
    throw new SetupError(`no fuzz target ${target}; there are ${names.join(', ')}`);
  }
  if (input !== undefined && target === undefined) throw new SetupError('--input needs --target');
  await setUp();
  const clang = await withLock('set-up', ensureClang);
  const { programs, rejected } = await withLock('build of fuzz targets', () =>
    buildFuzzTargets(clang, targets, { others: target === undefined }),
  );
  const results = rejected.map(rejection);
  results.forEach(printFile);
  if (input !== undefined) {
    const program = programs[0]?.program;
    if (program === undefined) return 1;
    return passThrough(program, [`-timeout=${inputSeconds}`, path.resolve(input)], {
      env: sanitizerEnvironment(),
    });
  }
  const ran = await inParallel(programs, jobs, (built) => {
    if (built.program !== undefined) return runTarget(built, seconds);
    const result = rejection({ source: `fuzz ${built.name}`, error: built.error });
    printFile(result);
    return result;
  });
  return printSummary([...results, ...ran]);
}
