// SPDX-License-Identifier: BSD-3-Clause
//
// npm run test:fresh: what a new user does. Clones what is committed into an empty folder and runs
// the README's first command there twice, with an empty npm configuration and nearly no
// environment; as an ordinary user when we are root and may become one. The second run must find
// everything made.
import { execFileSync } from 'node:child_process';
import {
  chownSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { root } from '../setup/files.mjs';
import { capture } from '../setup/processes.mjs';

const ordinaryUser = 65_534;
const timeoutMs = 600_000;
const lastLine =
  /^persisted: verified \d+ records, provider iwarp, durability (persisted|volatile)$/;

function give(folder) {
  chownSync(folder, ordinaryUser, ordinaryUser);
  for (const entry of readdirSync(folder, { recursive: true })) {
    lchownSync(path.join(folder, entry), ordinaryUser, ordinaryUser);
  }
}

function check(name, problem, output) {
  if (problem === null) {
    console.log(`ok     ${name}`);
    return true;
  }
  console.log(`FAILED ${name}: ${problem}\n${output.replace(/^/gm, '    ')}`);
  return false;
}

function outcome({ status, stdout }) {
  if (status !== 0) return `exit status ${status}`;
  return lastLine.test(stdout.trimEnd().split('\n').at(-1))
    ? null
    : 'no line of success at the end';
}

export async function run() {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'rpma-fresh-'));
  try {
    const clone = path.join(folder, 'clone');
    const home = path.join(folder, 'home');
    mkdirSync(home);
    writeFileSync(path.join(home, 'empty'), '');
    execFileSync('git', ['clone', '--quiet', '--no-hardlinks', root, clone]);
    const user = process.getuid() === 0 ? { uid: ordinaryUser, gid: ordinaryUser } : {};
    if ('uid' in user) give(folder);
    const env = {
      PATH: process.env.PATH,
      HOME: home,
      npm_config_userconfig: path.join(home, 'empty'),
      RPMA_SETUP_TIMING: '1',
    };
    const start = () =>
      capture('npm', ['start', '--', '--records', '100'], { cwd: clone, env, ...user, timeoutMs });
    const first = await start();
    const second = await start();
    const milliseconds = Number(/rpma: set-up: (\d+) ms/.exec(second.output)?.[1] ?? Infinity);
    const results = [
      check('npm start in a fresh clone', outcome(first), first.output),
      check('npm start again', outcome(second), second.output),
      check(
        `set-up of the second run took ${milliseconds} ms`,
        milliseconds < 1000 ? null : 'a second or more',
        second.output,
      ),
    ];
    const failed = results.filter((ok) => !ok).length;
    console.log(`${results.length - failed} passed, ${failed} failed`);
    return failed === 0 ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
