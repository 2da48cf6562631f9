// SPDX-License-Identifier: BSD-3-Clause
//
// Starting other programs: captured (set-up steps, whose output matters only when they fail) or
// passed through (jobs).
import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import { root } from './files.mjs';

/** Runs a program to its end; resolves with its status and everything it printed. Never rejects. */
export function capture(command, args, options = {}) {
  return new Promise((resolve) => {
    const { timeoutMs, input, ...rest } = options;
    const child = spawn(command, args, {
      cwd: root,
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      ...(timeoutMs === undefined ? {} : { timeout: timeoutMs, killSignal: 'SIGKILL' }),
      ...rest,
    });
    let stdout = '';
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text;
      output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => (output += text));
    child.on('error', (error) =>
      resolve({ status: -1, signal: null, stdout, output: error.message }),
    );
    child.on('close', (status, signal) => resolve({ status, signal, stdout, output }));
    if (input !== undefined) child.stdin.on('error', () => {}).end(input);
  });
}

/** Runs a program on our own terminal; resolves with the exit status a shell would give it. */
export function passThrough(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'inherit', ...options });
    // Ctrl-C reaches the child through the terminal; we stay to report how it ended.
    const ignore = () => {};
    const forward = () => child.kill('SIGTERM');
    process.on('SIGINT', ignore).on('SIGTERM', forward);
    child.on('error', reject);
    child.on('close', (status, signal) => {
      process.off('SIGINT', ignore).off('SIGTERM', forward);
      resolve(signal === null ? status : signal === 'SIGINT' ? 130 : 143);
    });
  });
}

/** The path of a program on PATH, or null. */
export function findProgram(name) {
  for (const directory of (process.env.PATH ?? '').split(':')) {
    const file = path.join(directory, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Not in this directory.
    }
  }
  return null;
}

/** Runs jobs from a list, `width` at a time; results keep the list's order. */
export async function inParallel(items, width, work) {
  const results = new Array(items.length);
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const index = next++;
      results[index] = await work(items[index], index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker));
  return results;
}
