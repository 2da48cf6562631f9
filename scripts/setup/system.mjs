// SPDX-License-Identifier: BSD-3-Clause
//
// What the system must have (a compiler, make, Python for gyp) and what it may have (libpmem, tools
// of some tests). Packages are installed through apt-get where that needs no password; nothing ever
// prompts. What is optional is tried once and then only mentioned.
import { existsSync, readdirSync } from 'node:fs';
import { SetupError } from './errors.mjs';
import { capture, findProgram } from './processes.mjs';
import { readStamp, say, writeStamp } from './steps.mjs';

const required = [
  { program: 'g++', debian: 'g++' },
  { program: 'make', debian: 'make' },
  { program: 'python3', debian: 'python3' },
];

const libraryDirectories = ['/usr/lib', '/usr/lib64', '/usr/local/lib', '/lib'];

function hasLibrary(name) {
  return libraryDirectories.some((directory) => {
    if (existsSync(`${directory}/${name}`)) return true;
    try {
      return readdirSync(directory).some((entry) => existsSync(`${directory}/${entry}/${name}`));
    } catch {
      return false;
    }
  });
}

const optional = {
  libpmem1: {
    present: () => hasLibrary('libpmem.so.1'),
    without: 'files are persisted with msync, and no memory counts as persistent memory',
  },
  tshark: {
    present: () => findProgram('tshark') !== null,
    without: 'tests that let another program decode our frames are skipped',
  },
  iproute2: {
    present: () => findProgram('ip') !== null || existsSync('/sbin/ip'),
    without: 'tests in network namespaces are skipped',
  },
};

/** The words before an apt-get command that runs as root without a question, or null. */
async function rootPrefix() {
  if (findProgram('apt-get') === null) return null;
  if (process.getuid() === 0) return [];
  if (findProgram('sudo') === null) return null;
  return (await capture('sudo', ['-n', 'true'])).status === 0 ? ['sudo', '-n'] : null;
}

const aptOptions = [
  '-y',
  '-q',
  '--no-install-recommends',
  '-o',
  'Acquire::Retries=0',
  '-o',
  'Acquire::http::Timeout=15',
  '-o',
  'DPkg::Lock::Timeout=60',
];

/** Downloads are bounded in time; the installation itself is never cut off. */
async function aptInstall(prefix, packages) {
  const apt = (args, timeoutMs) => {
    const [command, ...rest] = [
      ...prefix,
      'env',
      'DEBIAN_FRONTEND=noninteractive',
      'apt-get',
      ...args,
    ];
    return capture(command, rest, timeoutMs === undefined ? {} : { timeoutMs });
  };
  const download = () => apt(['install', '--download-only', ...aptOptions, ...packages], 180_000);
  let result = await download();
  if (result.status !== 0) {
    await apt(['update', ...aptOptions.slice(3)], 60_000);
    result = await download();
  }
  if (result.status !== 0) return false;
  return (await apt(['install', ...aptOptions, ...packages])).status === 0;
}

/** Throws, naming one command to run, unless everything required is there in the end. */
export async function ensureRequired() {
  const missing = () => required.filter(({ program }) => findProgram(program) === null);
  if (missing().length === 0) return;
  const packages = missing().map(({ debian }) => debian);
  const prefix = await rootPrefix();
  if (prefix !== null) {
    say(`installing ${packages.join(', ')}`);
    await aptInstall(prefix, packages);
  }
  if (missing().length === 0) return;
  const names = missing().map(({ program }) => program);
  throw new SetupError(
    `missing: ${names.join(', ')}. Run: sudo apt-get install -y ${packages.join(' ')}`,
  );
}

const clangs = [
  { program: 'clang++-14', debian: ['clang-14', 'libclang-rt-14-dev', 'llvm-14'] },
  { program: 'clang++', debian: ['clang', 'libclang-rt-dev', 'llvm'] },
];

/** Whether it links libFuzzer and the sanitizers, which are packages of their own. */
async function canFuzz(program) {
  const input =
    'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }';
  const flags = ['-fsanitize=fuzzer,address,undefined', '-x', 'c++', '-', '-o', '/dev/null'];
  return (await capture(program, flags, { input })).status === 0;
}

/** The clang++ of the fuzz job, installed where that is possible; else one line says how. */
export async function ensureClang() {
  const find = async () => {
    for (const { program } of clangs) {
      if (findProgram(program) !== null && (await canFuzz(program))) return program;
    }
    return null;
  };
  let found = await find();
  const prefix = found === null ? await rootPrefix() : null;
  for (const { debian } of clangs) {
    if (found !== null || prefix === null) break;
    say(`installing ${debian.join(', ')}`);
    await aptInstall(prefix, debian);
    found = await find();
  }
  if (found !== null) return found;
  throw new SetupError(
    `no clang with libFuzzer. Run: sudo apt-get install -y ${clangs[0].debian.join(' ')}`,
  );
}

/** Installs optional packages where that is possible; says once what is missing otherwise. */
export async function offerOptional(names) {
  const tried = new Set(readStamp('optional').split(' '));
  const fresh = names.filter((name) => !tried.has(name));
  if (fresh.length === 0) return;
  const missing = () => fresh.filter((name) => !optional[name].present());
  if (missing().length > 0) {
    const prefix = await rootPrefix();
    if (prefix !== null) {
      say(`installing ${missing().join(', ')} (optional)`);
      // One by one when all together fail: a package the system does not know must not hide others.
      if (!(await aptInstall(prefix, missing())) && missing().length > 1) {
        for (const name of missing()) await aptInstall(prefix, [name]);
      }
    }
    for (const name of missing()) say(`without ${name}: ${optional[name].without}`);
  }
  writeStamp('optional', [...tried, ...fresh].filter(Boolean).join(' '));
}
