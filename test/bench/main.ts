// SPDX-License-Identifier: BSD-3-Clause
//
// npm run bench: runs the rows, each beside its yardstick in interleaved trials, prints a table
// with missed budgets marked, and writes JSON where asked. A missed budget is told, not an error.
//
//   npm run bench -- [--rows name,name] [--trials 7] [--seconds 1] [--json file]

import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { place, type Result, type Row, rows } from './rows.js';
import { median, rounded, spread } from './statistics.js';
import { type Placement, runTrial } from './trial.js';
import { PingPong } from './yardstick.js';

interface Running {
  readonly row: Row;
  readonly placement: Placement;
  readonly values: number[];
  readonly baselines: number[];
  provider: string;
}

const usage = 'usage: npm run bench -- [--rows name,name] [--trials N] [--seconds N] [--json FILE]';

function refuse(message: string): never {
  console.error(`${message}\n${usage}`);
  process.exit(2);
}

function positive(text: string, name: string): number {
  const value = Number(text);
  if (value > 0 && Number.isFinite(value)) return value;
  return refuse(`--${name} ${text} is no positive number`);
}

function chosenRows(names: string | undefined): readonly Row[] {
  if (names === undefined) return rows;
  return names.split(',').map((name) => {
    const row = rows.find((each) => each.name === name);
    if (row !== undefined) return row;
    return refuse(`no row '${name}'; there are: ${rows.map((each) => each.name).join(', ')}`);
  });
}

/** Processors this process may run on. */
function allowedCpus(): number[] {
  const status = readFileSync('/proc/self/status', 'utf8');
  const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(status)?.[1] ?? '0';
  return list.split(',').flatMap((part) => {
    const [first = 0, last = first] = part.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, n) => first + n);
  });
}

async function runRow(running: Running, yardstick: PingPong, seconds: number): Promise<void> {
  const { row, placement } = running;
  const isSpinning = row.yardstick === 'pingpong_spinning';
  let baseline: number | null = null;
  if (row.yardstick !== 'own median') {
    baseline = await yardstick.measure({ isSpinning, seconds, placement });
  }
  const { shape, sizeBytes, busyPollMicroseconds } = row;
  const trial = { shape, sizeBytes, seconds, placement, busyPollMicroseconds };
  const measured = await runTrial(trial);
  running.provider = measured.provider;
  running.values.push(measured[row.figure]);
  running.baselines.push(baseline ?? measured.median);
}

function resultOf({ row, values, baselines, provider }: Running): Result {
  const ratios = values.map((value, n) => value / (baselines[n] ?? Number.NaN));
  const name = row.yardstick === 'own median' ? 'median' : row.yardstick;
  return {
    name: row.name,
    provider,
    sizeBytes: row.sizeBytes,
    unit: 'us',
    value: spread(values),
    baseline: { name, ...spread(baselines) },
    ratio: rounded(median(ratios)),
  };
}

function verdict(row: Row, ratio: number | null): string {
  if (row.bar === null || ratio === null) return '';
  const bar = `<= ${row.bar}`;
  if (ratio > row.bar) return `${bar}  MISSED`;
  return row.aim !== null && ratio <= row.aim ? `${bar}  aim met` : bar;
}

function line(cells: readonly string[]): string {
  const widths = [28, 24, 24, 7, 0];
  return cells
    .map((cell, n) => cell.padEnd(widths[n] ?? 0))
    .join(' ')
    .trimEnd();
}

function printTable(results: readonly Result[]): void {
  console.log(line(['row', 'median (min - max) us', 'yardstick us', 'ratio', 'asked']));
  for (const { name, value, baseline, ratio } of results) {
    const row = rows.find((each) => each.name === name);
    const shown = (s: { min: number; median: number; max: number } | null): string =>
      s === null ? '-' : `${s.median.toFixed(1)} (${s.min.toFixed(1)} - ${s.max.toFixed(1)})`;
    const judged = row === undefined ? '' : verdict(row, ratio);
    console.log(line([name, shown(value), shown(baseline), ratio?.toFixed(2) ?? '-', judged]));
  }
}

function readOptions(): { rows?: string; trials: string; seconds: string; json?: string } {
  try {
    return parseArgs({
      options: {
        rows: { type: 'string' },
        trials: { type: 'string', default: '7' },
        seconds: { type: 'string', default: '1' },
        json: { type: 'string' },
      },
    }).values;
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
}

const options = readOptions();
const trials = Math.max(1, Math.round(positive(options.trials, 'trials')));
const seconds = positive(options.seconds, 'seconds');
const cpus = allowedCpus();
const canPin = spawnSync('taskset', ['-V']).error === undefined;
const running: Running[] = [];
for (const row of chosenRows(options.rows)) {
  const placement = place(row, cpus, canPin);
  if (typeof placement === 'string') console.log(`${row.name}: left out, ${placement}`);
  else running.push({ row, placement, values: [], baselines: [], provider: '' });
}
const yardstick = await PingPong.compile();
try {
  for (let trial = 1; trial <= trials; trial++) {
    console.error(`trial ${trial} of ${trials}`);
    for (const each of running) await runRow(each, yardstick, seconds);
  }
} finally {
  await yardstick.remove();
}
const results = running.map(resultOf);
printTable(results);
if (trials < 7) console.log(`${trials} trials: budgets are judged from 7 on`);
if (options.json !== undefined)
  writeFileSync(options.json, `${JSON.stringify(results, null, 2)}\n`);
