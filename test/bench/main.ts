// SPDX-License-Identifier: BSD-3-Clause
//
// npm run bench: runs the rows, each beside its yardstick in interleaved trials, prints a table
// with missed budgets marked, and writes JSON where asked. A missed budget is told, not an error.
//
//   npm run bench -- [--rows name,name] [--trials 7] [--seconds 1] [--json file]

import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { place, type Placement } from './placement.js';
import type { Result, Row, Unit } from './row.js';
import { rows } from './rows.js';
import { median, rounded, type Spread, spread } from './statistics.js';
import { Yardsticks } from './yardstick.js';

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

async function runRow(running: Running, yardsticks: Yardsticks, seconds: number): Promise<void> {
  const { row, placement } = running;
  const { value, baseline, provider } = await row.run({ seconds, placement, yardsticks });
  running.provider = provider;
  running.values.push(value);
  if (baseline !== null) running.baselines.push(baseline);
}

function resultOf({ row, values, baselines, provider }: Running): Result {
  const { name, sizeBytes, unit, yardstick } = row;
  const common = { name, provider, sizeBytes, unit, value: spread(values) };
  if (yardstick === null) return { ...common, baseline: null, ratio: null };
  const ratios = values.map((value, n) => value / (baselines[n] ?? Number.NaN));
  const baseline = { name: yardstick, ...spread(baselines) };
  return { ...common, baseline, ratio: rounded(median(ratios)) };
}

function verdict(row: Row, result: Result): string {
  if (row.bar === null) return '';
  const figure = result.ratio ?? result.value.median;
  const isWithin = (bar: number): boolean => (row.isRate ? figure >= bar : figure <= bar);
  const bar = `${row.isRate ? '>=' : '<='} ${row.bar}`;
  if (!isWithin(row.bar)) return `${bar}  MISSED`;
  return row.aim !== null && isWithin(row.aim) ? `${bar}  aim met` : bar;
}

function line(cells: readonly string[]): string {
  const widths = [28, 6, 26, 26, 7, 0];
  return cells
    .map((cell, n) => cell.padEnd(widths[n] ?? 0))
    .join(' ')
    .trimEnd();
}

const digits: Readonly<Record<Unit, number>> = { us: 1, ms: 2, bytes: 0, 'GB/s': 2, '1/s': 2 };

function printTable(results: readonly Result[]): void {
  console.log(line(['row', 'unit', 'median (min - max)', 'yardstick', 'ratio', 'asked']));
  for (const result of results) {
    const { name, unit, value, baseline, ratio } = result;
    const row = rows.find((each) => each.name === name);
    const shown = (s: Spread | null): string => {
      if (s === null) return '-';
      const [mid, min, max] = [s.median, s.min, s.max].map((n) => n.toFixed(digits[unit]));
      return `${mid} (${min} - ${max})`;
    };
    const judged = row === undefined ? '' : verdict(row, result);
    const cells = [name, unit, shown(value), shown(baseline), ratio?.toFixed(2) ?? '-', judged];
    console.log(line(cells));
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
const running: Running[] = [];
for (const row of chosenRows(options.rows)) {
  const placement = place(row.placement);
  if (typeof placement === 'string') console.log(`${row.name}: left out, ${placement}`);
  else running.push({ row, placement, values: [], baselines: [], provider: '' });
}
const yardsticks = await Yardsticks.compile();
try {
  for (let trial = 1; trial <= trials; trial++) {
    console.error(`trial ${trial} of ${trials}`);
    for (const each of running) await runRow(each, yardsticks, seconds);
  }
} finally {
  await yardsticks.remove();
}
const results = running.map(resultOf);
printTable(results);
if (trials < 7) console.log(`${trials} trials: budgets are judged from 7 on`);
if (options.json !== undefined)
  writeFileSync(options.json, `${JSON.stringify(results, null, 2)}\n`);
