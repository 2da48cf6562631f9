// SPDX-License-Identifier: BSD-3-Clause
//
// npm run fault: one fault in one process of a program, over and over, each point, hit and errno.
// First every program runs without a fault, which tells how often each side reaches each point.
// Then come the trials, several at once, and behind each point's trials a run without a fault. The
// last line is the sum.

import { availableParallelism } from 'node:os';
import { SeededRandom } from '../../support/random.js';
import { type Options, readOptions, usage, UsageError } from './options.js';
import { type Known, shuffle, type Trial, trialsOf } from './plan.js';
import { faultPoints } from './points.js';
import { allPrograms, type Program, type Side } from './programs.js';
import { type Fault, runOnce, type RunResult } from './run.js';

/** Two processes a run, which mostly wait: for each other, for a disk, for a timer. */
const width = Number(process.env['RPMA_JOBS']) || availableParallelism() + 2;
/** Trials of one point in a row before the next point's, when time is bounded. */
const trialsInRow = 6;
/** Runs without a fault that are asked how often they reach a point. */
const countingRuns = 2;
/** The demonstration kills its target, which then cannot report; this program's server is alike. */
const likeTheTarget = '05-flush-to-persistent';

interface Row {
  tried: number;
  readonly outcomes: Map<string, number>;
  slowestMs: number;
}

class Sweep {
  readonly #options: Options;
  readonly #started = performance.now();
  readonly #rows = new Map<string, Row>();
  passed = 0;
  failed = 0;
  #shown = 0;

  constructor(options: Options) {
    this.#options = options;
  }

  get timeIsOver(): boolean {
    if (this.#options.all) return false;
    return performance.now() - this.#started > this.#options.minutes * 60_000;
  }

  get seconds(): number {
    return Math.round((performance.now() - this.#started) / 1000);
  }

  #row(point: string): Row {
    const row = this.#rows.get(point) ?? { tried: 0, outcomes: new Map(), slowestMs: 0 };
    this.#rows.set(point, row);
    return row;
  }

  #report(what: string, result: RunResult, command: string): void {
    if (result.problems.length === 0) {
      this.passed += 1;
      return;
    }
    this.failed += 1;
    console.log(`FAILED ${what}`);
    for (const problem of result.problems) console.log(`  ${problem}`);
    console.log(`${result.transcript}\n  again: ${command}`);
  }

  #command({ side, point, nth, errno }: Fault, program: string): string {
    const seed = `--seed ${this.#options.seed}`;
    const place = `--program ${program} --side ${side} --point ${point} --nth ${nth}`;
    return `npm run -s fault -- ${seed} ${place} --errno ${errno}`;
  }

  async without(program: Program, known: Known | null): Promise<RunResult> {
    const result = await runOnce(program, null, known?.baseline ?? null);
    const command = `npm run -s fault -- --program ${program.name} --minutes 0`;
    this.#report(`${program.name} without a fault`, result, command);
    return result;
  }

  async trial({ known, fault }: Trial): Promise<void> {
    const { program, baseline } = known;
    const result = await runOnce(program, fault, baseline);
    const { side, point, nth, errno } = fault;
    const row = this.#row(point);
    row.tried += 1;
    row.outcomes.set(result.outcome, (row.outcomes.get(result.outcome) ?? 0) + 1);
    row.slowestMs = Math.max(row.slowestMs, result.milliseconds);
    const what = `${program.name} ${side}: ${point} hit ${nth} fails with ${errno}`;
    this.#report(what, result, this.#command(fault, program.name));
  }

  progress(point: string): void {
    const now = this.seconds;
    if (now - this.#shown < 10) return;
    this.#shown = now;
    console.log(`${now} s: ${this.passed} passed, ${this.failed} failed, at ${point}`);
  }

  summary(): void {
    const reached = [...this.#rows].sort(([one], [other]) => (one < other ? -1 : 1));
    console.log(`\n${'point'.padEnd(28)}tried  slowest  outcomes`);
    for (const [point, { tried, outcomes, slowestMs }] of reached) {
      const parts = [...outcomes].map(([name, count]) => `${count} ${name}`).join(', ');
      const slowest = `${(slowestMs / 1000).toFixed(1)} s`;
      console.log(
        `${point.padEnd(28)}${String(tried).padStart(5)}  ${slowest.padStart(7)}  ${parts}`,
      );
    }
    const missing = Object.keys(faultPoints).filter((point) => !this.#rows.has(point));
    if (missing.length > 0) console.log(`not tried: ${missing.join(', ')}`);
    console.log(`seed ${this.#options.seed}, ${this.seconds} s`);
    console.log(`${this.passed} passed, ${this.failed} failed`);
  }
}

/** Runs jobs from a list, several at a time. */
async function several<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = items.values();
  const worker = async (): Promise<void> => {
    for (const item of left) await work(item);
  };
  await Promise.all(Array.from({ length: width }, worker));
}

function mostHits(results: readonly RunResult[], side: Side): Record<string, number> {
  const most: Record<string, number> = {};
  for (const { reports } of results) {
    for (const [point, hits] of Object.entries(reports[side]?.hits ?? {})) {
      most[point] = Math.max(most[point] ?? 0, hits);
    }
  }
  return most;
}

async function learn(sweep: Sweep, programs: readonly Program[]): Promise<Known[]> {
  const found = new Map<Program, RunResult[]>();
  const runs = programs.flatMap((program) => Array.from({ length: countingRuns }, () => program));
  await several(runs, async (program) => {
    const result = await sweep.without(program, null);
    found.set(program, [...(found.get(program) ?? []), result]);
  });
  const known = programs.map((program): Known => {
    const results = found.get(program) ?? [];
    const hits = { server: mostHits(results, 'server'), client: mostHits(results, 'client') };
    return { program, baseline: results[0]?.output ?? { server: '', client: '' }, hits };
  });
  const model = known.find(({ program }) => program.name === likeTheTarget);
  return known.map((each) =>
    each.program.server === null && model !== undefined
      ? { ...each, hits: { ...each.hits, server: model.hits.server } }
      : each,
  );
}

function chosenTrials(options: Options, point: string, known: Known[], random: SeededRandom) {
  const { side, nth, errno, program } = options;
  const trials = trialsOf(point, known, options.all, random);
  const chosen = trials.filter(
    ({ known: { program: tried }, fault }) =>
      (program === undefined || tried.name === program) &&
      (side === undefined || fault.side === side) &&
      (nth === undefined || fault.nth === nth) &&
      (errno === undefined || fault.errno === errno),
  );
  if (chosen.length > 0 || nth === undefined || side === undefined) return chosen;
  // A hit that the seed would not choose, or that the counting runs did not reach.
  return known
    .filter((each) => each.program.name === program)
    .map((each): Trial => {
      const word = errno ?? random.pick(faultPoints[point] ?? []);
      return { known: each, fault: { side, point, nth, errno: word } };
    });
}

async function sweepAll(sweep: Sweep, options: Options): Promise<void> {
  const random = new SeededRandom(options.seed);
  const programs = allPrograms();
  const wanted = programs.filter(
    ({ name }) =>
      options.program === undefined || name === options.program || name === likeTheTarget,
  );
  const known = await learn(sweep, wanted);
  const points = Object.keys(faultPoints).filter(
    (point) => options.point === undefined || point === options.point,
  );
  let left = shuffle(points, random).map((point) => ({
    point,
    trials: chosenTrials(options, point, known, random),
  }));
  const total = left.reduce((sum, { trials }) => sum + trials.length, 0);
  console.log(`${total} trials of ${points.length} points, ${width} at once`);
  while (left.length > 0 && !sweep.timeIsOver) {
    for (const { point, trials } of left) {
      if (trials.length === 0 || sweep.timeIsOver) continue;
      await several(trials.splice(0, options.all ? Infinity : trialsInRow), (trial) =>
        sweep.trial(trial),
      );
      const after = random.pick(known);
      await sweep.without(after.program, after);
      sweep.progress(point);
    }
    left = left.filter(({ trials }) => trials.length > 0);
  }
}

try {
  const options = readOptions(process.argv.slice(2));
  console.log(`seed ${options.seed}`);
  const sweep = new Sweep(options);
  await sweepAll(sweep, options);
  sweep.summary();
  process.exitCode = sweep.failed === 0 && sweep.passed > 0 ? 0 : 1;
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${error.message}\n\n${usage}`);
  process.exitCode = 2;
}
