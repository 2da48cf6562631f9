// SPDX-License-Identifier: BSD-3-Clause
//
// npm run test:fresh: what a new user does. Clones what is committed into an empty folder and runs
// the README's first command there with an empty npm configuration and nearly no environment. Once
// as an ordinary user (when we are root, we become one), twice in a row: the second run must find
// everything made. And once as whoever we are, root included, two runs at once in one clone: both
// must succeed, and one of them does the work.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
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

/** Says which of the outputs did a step of the set-up. */
function doing(outputs, step) {
  return outputs.filter((output) => output.includes(`rpma: ${step}`)).length;
}

/** A fresh clone and home of a user's own; returns how to run the first command there. */
function freshClone(folder, name, user) {
  const own = path.join(folder, name);
  const clone = path.join(own, 'clone');
  const home = path.join(own, 'home');
  mkdirSync(home, { recursive: true });
  writeFileSync(path.join(home, 'empty'), '');
  execFileSync('git', ['clone', '--quiet', '--no-hardlinks', root, clone]);
  if (user !== null) give(own);
  const env = {
    PATH: process.env.PATH,
    HOME: home,
    npm_config_userconfig: path.join(home, 'empty'),
    RPMA_SETUP_TIMING: '1',
  };
  const options = { cwd: clone, env, ...user, timeoutMs };
  return () => capture('npm', ['start', '--', '--records', '100'], options);
}

async function oneAfterTheOther(folder, user) {
  const start = freshClone(folder, 'ordinary', user);
  const who = user === null ? '' : ' as an ordinary user';
  const first = await start();
  const second = await start();
  const milliseconds = Number(/rpma: set-up: (\d+) ms/.exec(second.output)?.[1] ?? Infinity);
  return [
    check(`npm start in a fresh clone${who}`, outcome(first), first.output),
    check(`npm start again${who}`, outcome(second), second.output),
    check(
      `set-up of the second run took ${milliseconds} ms`,
      milliseconds < 1000 ? null : 'a second or more',
      second.output,
    ),
  ];
}

async function bothAtOnce(folder, isRoot) {
  const start = freshClone(folder, 'own', null);
  const who = isRoot ? ' as root' : '';
  const both = await Promise.all([start(), start()]);
  const outputs = both.map(({ output }) => output);
  const builds = doing(outputs, 'building the addon');
  return [
    ...both.map((ended, index) =>
      check(`npm start ${index + 1} of 2 at once${who}`, outcome(ended), ended.output),
    ),
    check(
      'two set-ups at once build the addon once',
      builds === 1 ? null : `${builds} of them built it`,
      outputs.join('\n'),
    ),
  ];
}

export async function run() {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'rpma-fresh-'));
  const isRoot = process.getuid() === 0;
  const ordinary = isRoot ? { uid: ordinaryUser, gid: ordinaryUser } : null;
  // The ordinary user must come through to its own folder, and to nothing else.
  if (isRoot) chmodSync(folder, 0o711);
  try {
    const results = [
      ...(await oneAfterTheOther(folder, ordinary)),
      ...(await bothAtOnce(folder, isRoot)),
    ];
    const failed = results.filter((ok) => !ok).length;
    console.log(`${results.length - failed} passed, ${failed} failed`);
    return failed === 0 ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
