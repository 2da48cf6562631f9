// SPDX-License-Identifier: BSD-3-Clause
//
// npm run soak: a writer and a target over a file on disk, killed again and again. Prints progress,
// what to type to run it again, and the number of rounds that passed and failed; it ends at the
// first that fails, whose file is kept.
//
//   npm run soak -- [--kills 2000] [--minutes M] [--seed S] [--path FILE] [--volatile]
//                   [--mutant order|torn]

import { rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { diskFolder, folderOn, removeFolder } from '../support/folders.js';
import { emptyLog } from './log.js';
import { daxMount, fileSystemOf } from './place.js';
import type { Mutant } from './protocol.js';
import { type Figures, Supervisor } from './supervisor.js';

const usage =
  'usage: npm run soak -- [--kills N] [--minutes M] [--seed S] [--path FILE] [--volatile] ' +
  '[--mutant order|torn]';
const progressMs = 15_000;

interface Settings {
  readonly kills: number;
  readonly minutes: number;
  readonly seed: number;
  readonly path: string | undefined;
  readonly allowVolatile: boolean;
  readonly mutant: Mutant | null;
}

function refuse(message: string): never {
  console.error(`${message}\n${usage}`);
  process.exit(2);
}

function whole(text: string, name: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  return refuse(`--${name} ${text} is no whole number`);
}

function settings(): Settings {
  const { values } = parseArgs({
    options: {
      kills: { type: 'string', default: '2000' },
      minutes: { type: 'string' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      path: { type: 'string' },
      volatile: { type: 'boolean', default: false },
      mutant: { type: 'string' },
    },
  });
  const { mutant } = values;
  if (mutant !== undefined && mutant !== 'order' && mutant !== 'torn') {
    refuse(`--mutant ${mutant} is neither order nor torn`);
  }
  return {
    kills: whole(values.kills, 'kills'),
    minutes: values.minutes === undefined ? Infinity : whole(values.minutes, 'minutes'),
    seed: whole(values.seed, 'seed'),
    path: values.path,
    allowVolatile: values.volatile,
    mutant: mutant ?? null,
  };
}

function quantile(sorted: readonly number[], share: number): string {
  const value = sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
  return value.toFixed(1);
}

function printFigures(figures: Figures, processes: number, seconds: number): void {
  const { writer, target, both } = figures.kills;
  const sorted = figures.noticeMs.slice().sort((a, b) => a - b);
  const ends = [...figures.ends].sort().map(([how, count]) => `${how} ${count}`);
  console.log(`  killed: writer ${writer}, target ${target}, both ${both}, in ${seconds} s`);
  console.log(`  ${processes} processes, ${figures.acknowledgements} acknowledgements,`);
  console.log(`  ${figures.records} records read back`);
  console.log(`  operations of surviving writers: ${figures.accepted}, failed ${figures.failed},`);
  console.log('  each with one outcome');
  const [median, p99, most] = [0.5, 0.99, 1].map((share) => quantile(sorted, share));
  console.log(`  from a kill to the survivor's word: median ${median} ms, p99 ${p99}, max ${most}`);
  console.log(`  survivors saw: ${ends.join(', ')}`);
  const leaks = `${figures.watched} long lives, the longest of ${figures.longestLife} deaths`;
  console.log(`  no leak in ${leaks}; memory grew by at most ${figures.growthKiB} KiB`);
}

/** All rounds on one file; gives how many passed and failed. */
async function soak(path: string, options: Settings): Promise<[passed: number, failed: number]> {
  const { kills, minutes, seed, allowVolatile, mutant } = options;
  writeFileSync(path, emptyLog());
  const supervisor = new Supervisor({ path, allowVolatile, seed, mutant });
  const started = performance.now();
  const elapsed = (): number => performance.now() - started;
  const seconds = (): number => Math.round(elapsed() / 1000);
  let passed = 0;
  let nextProgress = progressMs;
  try {
    while (passed < kills && elapsed() < minutes * 60_000) {
      await supervisor.round();
      passed++;
      if (elapsed() < nextProgress) continue;
      nextProgress = elapsed() + progressMs;
      const { acknowledgements } = supervisor.figures;
      console.log(
        `  ${passed} of ${kills} kills, ${acknowledgements} acknowledgements, ${seconds()} s`,
      );
    }
    await supervisor.finish();
    printFigures(supervisor.figures, supervisor.processes, seconds());
    rmSync(path);
    return [passed + 1, 0];
  } catch (error) {
    const what = error instanceof Error ? error.stack : String(error);
    console.log(`FAILED at kill ${passed + 1}, the file is kept: ${path}\n${what}`);
    return [passed, 1];
  } finally {
    await supervisor.close();
  }
}

async function places(options: Settings): Promise<string[]> {
  if (options.path !== undefined) {
    const path = resolve(options.path);
    const { name, lasts } = fileSystemOf(dirname(path));
    if (!lasts && !options.allowVolatile) {
      refuse(`${path} is on ${name}, which does not outlast the machine: --volatile allows it`);
    }
    return [path];
  }
  const found = [join(await diskFolder(), 'soak.log')];
  const dax = daxMount();
  if (dax === null) console.log('no mount with the option dax here: on disk only');
  else found.push(join(await folderOn(dax), 'soak.log'));
  return found;
}

async function main(): Promise<void> {
  const options = settings();
  let [passed, failed] = [0, 0];
  for (const path of await places(options)) {
    const { name } = fileSystemOf(dirname(path));
    console.log(`soak: ${options.kills} kills, seed ${options.seed}, a file on ${name}`);
    const [good, bad] = await soak(path, options);
    passed += good;
    failed += bad;
    if (bad === 0 && options.path === undefined) await removeFolder(dirname(path));
  }
  const { kills, seed, mutant } = options;
  const last = mutant === null ? '' : ` --mutant ${mutant}`;
  console.log(`again: npm run -s soak -- --kills ${kills} --seed ${seed}${last}`);
  console.log('the seed repeats the choices; what the kernel makes of the moments differs');
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

await main();
