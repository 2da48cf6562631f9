// SPDX-License-Identifier: BSD-3-Clause
//
// Runs compiled test files, each in a process (and process group) of its own: a crash or a hang
// fails that file only, and what a test left running ends with it. Results come through our
// reporter.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { jsDirectory, listFiles, root } from '../setup/files.mjs';
import { addonPath } from '../setup/native.mjs';
import { inParallel } from '../setup/processes.mjs';
import { printFile } from './results.mjs';

const timeoutMs = 120_000;
const reporter = fileURLToPath(new URL('reporter.mjs', import.meta.url));
const groups = new Set();

function killGroup(pid) {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // The group has ended.
  }
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => {
    for (const pid of groups) killGroup(pid);
    process.exit(130);
  });
}

/** Test sources of the given kinds (folders below test/), those whose path contains the pattern. */
export function testFiles(kinds, pattern = '') {
  return kinds.flatMap((kind) =>
    listFiles(`test/${kind}`, (file) => file.endsWith('.test.ts') && file.includes(pattern)),
  );
}

/** Fault tests, and files that say so in a comment, run on the addon's test flavour. */
export function wantsTestFlavour(file) {
  if (file.startsWith('test/fault/')) return true;
  return /^\/\/ flavour: test$/m.test(readFileSync(path.join(root, file), 'utf8'));
}

function readRecords(file, result) {
  if (!existsSync(file)) return false;
  let complete = false;
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    let record;
    try {
      record = JSON.parse(line);
    } catch {
      continue; // The last line of a process that was killed may be cut.
    }
    if (record.passed !== undefined) result.passed += 1;
    else if (record.skipped !== undefined) {
      result.skipped.push({ name: record.skipped, reason: record.reason });
      if (record.reason !== '') continue;
      result.failed += 1;
      result.failures.push({ name: record.skipped, message: 'skipped without a reason' });
    } else if (record.failed !== undefined) {
      result.failed += 1;
      result.failures.push({ name: record.failed, message: record.message });
    } else if (record.end) complete = true;
  }
  return complete;
}

function start(file, destination, { environment, execPath }) {
  const program = path.join(jsDirectory, file.replace(/\.ts$/, '.js'));
  const flags = ['--expose-gc', '--enable-source-maps', `--test-reporter=${reporter}`];
  const args = [...flags, `--test-reporter-destination=${destination}`, program];
  const env = { ...process.env, ...environment };
  if (wantsTestFlavour(file) && env.RPMA_NATIVE === undefined) {
    env.RPMA_NATIVE = addonPath('rpma_test');
  }
  return spawn(execPath, args, {
    cwd: root,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** Resolves with how the process ended and all it printed. */
function waitFor(child) {
  return new Promise((resolve) => {
    groups.add(child.pid);
    let output = '';
    let timedOut = false;
    const append = (text) => (output += text);
    child.stdout.setEncoding('utf8').on('data', append);
    child.stderr.setEncoding('utf8').on('data', append);
    const timer = setTimeout(() => {
      timedOut = true;
      killGroup(child.pid);
    }, timeoutMs);
    child.on('error', (error) => append(error.message));
    // What a test left behind holds the pipes open; it must not outlive the test.
    child.on('exit', () => killGroup(child.pid));
    child.on('close', (status, signal) => {
      clearTimeout(timer);
      groups.delete(child.pid);
      resolve({ status, signal, timedOut, output });
    });
  });
}

async function runFile(file, directory, options) {
  const started = performance.now();
  const destination = path.join(directory, `${file.replaceAll('/', '+')}.jsonl`);
  const ended = await waitFor(start(file, destination, options));
  const { output } = ended;
  const result = { file, passed: 0, failed: 0, skipped: [], failures: [], output };
  const complete = readRecords(destination, result);
  const how = describeEnd(ended, complete, result);
  if (how !== null) {
    result.failed += 1;
    result.failures.push({ name: 'the file itself', message: how });
  }
  result.milliseconds = performance.now() - started;
  printFile(result);
  return result;
}

/** What is wrong with the way a file ended, apart from the tests it reported; null if nothing. */
function describeEnd({ status, signal, timedOut }, complete, { passed, failed, skipped }) {
  if (timedOut) return `did not end within ${timeoutMs / 1000} s`;
  if (signal !== null) return `ended with ${signal}`;
  if (!complete) return `ended early with exit status ${status}`;
  if (status !== 0 && failed === 0) return `ended with exit status ${status}`;
  if (passed + failed + skipped.length === 0) return 'reported no test';
  return null;
}

/** Runs the files, several at a time unless `width` says otherwise, with this Node or another. */
export async function runNodeTests(files, options = {}) {
  const { environment = {}, execPath = process.execPath, width } = options;
  const directory = mkdtempSync(path.join(os.tmpdir(), 'rpma-test-'));
  const wide = width ?? (Number(process.env.RPMA_JOBS) || os.availableParallelism());
  try {
    return await inParallel(files, wide, (file) =>
      runFile(file, directory, { environment, execPath }),
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
