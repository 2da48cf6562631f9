// SPDX-License-Identifier: BSD-3-Clause
//
// Builds and runs the Node-free native tests of one flavour:
//   node scripts/native-tests.mjs [--flavour=plain|asan|tsan] [part of a file name]
// Each program prints 'ok <name>' and 'not ok <name>' lines and 'N passed, N failed' at its end.
import { realpathSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { withLock } from './setup/lock.mjs';
import { capture, findProgram } from './setup/processes.mjs';
import { buildNativeTests, testSources } from './testing/native-build.mjs';
import { flavours } from './testing/native-flavours.mjs';
import { printFile, printSummary } from './testing/results.mjs';

const timeoutMs = 120_000;

function readResult(file, { status, signal, output }) {
  const result = { file, passed: 0, failed: 0, skipped: [], failures: [], output };
  const names = [];
  for (const line of output.split('\n')) {
    const skip = /^ok (.+?) # skip(?:ped)?:? ?(.*)$/i.exec(line);
    if (skip !== null) result.skipped.push({ name: skip[1], reason: skip[2] });
    else if (line.startsWith('not ok ')) names.push(line.slice('not ok '.length));
    const totals = /^(\d+) passed, (\d+) failed/.exec(line);
    if (totals !== null) {
      result.passed = Number(totals[1]);
      result.failed = Number(totals[2]);
      result.complete = true;
    }
  }
  result.failures = names.map((name) => ({ name, message: '' }));
  const crashed = signal !== null || (status !== 0 && result.failed === 0) || !result.complete;
  if (crashed) {
    const how = signal === null ? `exit status ${status}` : `signal ${signal}`;
    result.failed += 1;
    result.failures.push({ name: 'the program itself', message: `ended with ${how}` });
  }
  return result;
}

/**
 * The thread sanitizer of g++ 12 cannot map its shadow where the kernel randomises addresses
 * widely; setarch -R switches that off for the one program.
 */
async function launcher(flavour) {
  if (flavour !== 'tsan' || findProgram('setarch') === null) return [];
  const prefix = ['setarch', process.arch === 'x64' ? 'x86_64' : 'aarch64', '-R'];
  const { status } = await capture(prefix[0], [...prefix.slice(1), 'true']);
  return status === 0 ? prefix : [];
}

function failure(file, name, message) {
  const failures = [{ name, message }];
  return { file, passed: 0, failed: 1, skipped: [], failures, output: '' };
}

async function runProgram(file, command, environment) {
  const started = performance.now();
  const [program, ...args] = command;
  const env = { ...process.env, ...environment };
  const result = readResult(file, await capture(program, args, { env, timeoutMs }));
  result.milliseconds = performance.now() - started;
  return result;
}

/** Builds and runs; prints a line per program. What does not compile or link is a failure. */
export async function runNativeTests({ flavour = 'plain', pattern = '' } = {}) {
  const tests = testSources().filter((file) => file.includes(pattern));
  if (tests.length === 0) return [];
  const { programs, errors } = await withLock(`build of native tests (${flavour})`, () =>
    buildNativeTests(flavour, tests),
  );
  const suffix = flavour === 'plain' ? '' : ` (${flavour})`;
  const results = errors.map((error) => failure(`native${suffix}`, 'compilation', error));
  results.forEach(printFile);
  const prefix = await launcher(flavour);
  for (const { source, program, error } of programs) {
    const file = `${source}${suffix}`;
    const result =
      error === undefined
        ? await runProgram(file, [...prefix, program], flavours[flavour].environment)
        : failure(file, 'build', error);
    printFile(result);
    results.push(result);
  }
  return results;
}

if (process.argv[1] && import.meta.url === pathToFileURL(realpathSync(process.argv[1])).href) {
  const args = process.argv.slice(2);
  const option = args.find((arg) => arg.startsWith('--flavour='));
  const flavour = option?.slice('--flavour='.length) ?? 'plain';
  if (!Object.hasOwn(flavours, flavour)) throw new Error(`no flavour ${flavour}`);
  const pattern = args.find((arg) => !arg.startsWith('--')) ?? '';
  process.exitCode = printSummary(await runNativeTests({ flavour, pattern }));
}
