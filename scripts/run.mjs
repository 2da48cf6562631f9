// SPDX-License-Identifier: BSD-3-Clause
//
// The one entry of every npm script: node scripts/run.mjs <job> [arguments]. Plain JavaScript on
// Node's built-ins, because it runs before anything is installed. A job does the set-up it needs
// (scripts/setup), then its work (scripts/jobs).
const jobs = {
  start: 'runs the demonstration',
  test: 'runs all tests, or with an argument those whose file name contains it',
  check: 'checks generated files, format, lint, types and house rules; --fix repairs what it can',
  'test:sanitize': 'runs tests under the address, undefined-behaviour and thread sanitizers',
  'test:nodes':
    'runs unit, conformance, lifetime and command tests on newer Node versions, same binaries',
  fuzz: 'fuzzes the native core with clang: [--seconds N] [--target X] [--jobs J] [--input FILE]',
  'test:fresh': 'clones what is committed and starts it there as a new user would',
  fault: 'runs the examples with one fault each: --seed S, --all or --minutes M',
  bench: 'runs the benchmarks',
  soak: 'kills processes in the middle of their work, again and again',
  example: 'runs one program of an example: <name> <server|client> [arguments]',
  rpma: 'runs the command rpma from this checkout: devices, serve, ping, decode',
  docs: 'builds the reference of the public surface into build/reference',
  pack: "builds dist/ and this machine's binary, then packs the tarball",
  build: 'builds dist/ and both flavours of the addon',
};

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const [job = '', ...args] = process.argv.slice(2);

if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`rpma needs Node.js 20.19 or newer; this is ${process.versions.node}`);
  process.exitCode = 1;
} else if (!Object.hasOwn(jobs, job)) {
  console.error('usage: node scripts/run.mjs <job> [arguments]\n');
  for (const [name, purpose] of Object.entries(jobs))
    console.error(`  ${name.padEnd(14)} ${purpose}`);
  process.exitCode = 2;
} else {
  const { SetupError } = await import('./setup/errors.mjs');
  try {
    const { run } = await import(`./jobs/${job.replace(':', '-')}.mjs`);
    process.exitCode = await run(args);
  } catch (error) {
    // A set-up error says all there is to say; anything else is a defect and needs its stack.
    console.error(error instanceof SetupError ? `rpma: ${error.message}` : error);
    process.exitCode = 1;
  }
}
