// SPDX-License-Identifier: BSD-3-Clause
//
// One run: a program's two sides as processes, a fault set in one of them. A client that failed
// before the server noticed it is followed by others, as a server's clients are: whatever happened,
// the server serves the next one or has ended.

import { mkdirSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { diskFolder, removeFolder } from '../../support/folders.js';
import { type Allowance, compareOutput, judge, type Judgement } from './judge.js';
import { type End, Process, readReport, type Report } from './process.js';
import type { Program, Side } from './programs.js';

export interface Fault {
  readonly side: Side;
  readonly point: string;
  readonly nth: number;
  readonly errno: string;
}

/** What each side prints when nothing fails. */
export interface Baseline {
  readonly server: string;
  readonly client: string;
}

export interface RunResult {
  /** Of the faulty side: 'success' or a code. */
  readonly outcome: string;
  readonly problems: readonly string[];
  /** Of each side's first process. */
  readonly reports: Readonly<Record<Side, Report | null>>;
  readonly output: Baseline;
  readonly milliseconds: number;
  /** Everything that was printed. */
  readonly transcript: string;
}

const clientsMax = 4;
/** The demonstration ends by process.exit(), until which views live, and has a target. */
const demonstration: Allowance = {
  left: new Set(['mappings', 'mapped_ranges', 'descriptors']),
  processes: 2,
};

function planOf({ point, nth, errno }: Fault): string {
  const number = Object.entries(constants.errno).find(([name]) => name === errno)?.[1];
  if (number === undefined) throw new Error(`no such errno: ${errno}`);
  return `${point}:${nth}:${number}`;
}

function fill(args: readonly string[], folder: string, port: string): string[] {
  return args.map((arg) => arg.replace('{folder}', folder).replace('{port}', port));
}

class Run {
  readonly #program: Program;
  readonly #fault: Fault | null;
  readonly #folder: string;
  readonly #processes: Process[] = [];
  readonly #lines: string[] = [];
  readonly #problems: string[] = [];
  outcome = 'none';

  constructor(program: Program, fault: Fault | null, folder: string) {
    this.#program = program;
    this.#fault = fault;
    this.#folder = folder;
  }

  get problems(): readonly string[] {
    return this.#problems;
  }

  get transcript(): string {
    return this.#lines.join('\n');
  }

  start(side: Side, number: number, port: string): Process {
    const args = this.#program[side] ?? [];
    const fault = this.#fault;
    const isFaulty = fault !== null && fault.side === side && number === 1;
    const environment = isFaulty ? { RPMA_FAULT: planOf(fault) } : {};
    const filled = fill(args, this.#folder, port);
    const started = new Process(filled, this.#folder, `${side}-${number}`, environment);
    this.#processes.push(started);
    return started;
  }

  startDemonstration(): Process {
    const fault = this.#fault;
    const faulty = fault?.side === 'server' ? 'target.js' : 'main.js';
    const files = join(this.#folder, 'files');
    mkdirSync(files);
    const started = new Process(fill(this.#program.client, files, ''), this.#folder, 'main.js', {
      RPMA_SWEEP_FAULTY: faulty,
      RPMA_SWEEP_REPORTS: this.#folder,
      ...(fault === null ? {} : { RPMA_SWEEP_FAULT: planOf(fault) }),
    });
    this.#processes.push(started);
    return started;
  }

  /** Judges an end, and keeps the outcome where it is the faulty side's. */
  note(name: string, end: End, isFaulty: boolean, allowance?: Allowance): Judgement {
    const judgement = judge(end, allowance);
    if (isFaulty) this.outcome = judgement.outcome;
    for (const problem of judgement.problems) this.#problems.push(`${name}: ${problem}`);
    const how = end.signal ?? `status ${end.code}`;
    const printed = `${end.stdout}${end.stderr}`.trimEnd().replace(/^/gm, '    ');
    this.#lines.push(`  ${name}: ${how} after ${Math.round(end.milliseconds)} ms`, printed);
    return judgement;
  }

  compare(name: Side, end: End, baseline: Baseline | null): void {
    if (baseline === null) return;
    this.#problems.push(...compareOutput(name, end.stdout, baseline[name]));
  }

  fail(problem: string): void {
    this.#problems.push(problem);
  }

  killAll(): void {
    for (const each of this.#processes) each.kill();
  }
}

interface Ends {
  readonly server: End | null;
  readonly client: End | null;
}

async function runPair(run: Run, fault: Fault | null, baseline: Baseline | null): Promise<Ends> {
  const server = run.start('server', 1, '0');
  const line = await server.firstLine();
  const port = /:(\d+)$/.exec(line ?? '')?.[1];
  const serverIsFaulty = fault?.side === 'server';
  if (port === undefined) {
    const end = await server.end();
    run.note('server', end, serverIsFaulty);
    if (!serverIsFaulty) run.fail('the server ended before it listened');
    return { server: end, client: null };
  }
  let first: End | null = null;
  let last: End | null = null;
  for (let number = 1; number === 1 || (server.running && last?.code === 1); number++) {
    if (number > clientsMax) break;
    last = await run.start('client', number, port).end();
    first ??= last;
    run.note(`client ${number}`, last, fault?.side === 'client' && number === 1);
  }
  const serverEnd = await server.end();
  const judgement = run.note('server', serverEnd, serverIsFaulty);
  if (last !== null && last.code === 0 && judgement.outcome === 'success') {
    run.compare('server', serverEnd, baseline);
    run.compare('client', last, baseline);
  }
  return { server: serverEnd, client: first };
}

async function runDemonstration(run: Run, fault: Fault | null, folder: string): Promise<Ends> {
  const end = await run.startDemonstration().end();
  run.note('demonstration', end, fault !== null, demonstration);
  const targetReport = readReport(join(folder, 'target.js.json'));
  // The target is killed, and then leaves no report, or ends by itself, and leaves nothing alive.
  const left = Object.entries(targetReport?.live ?? {});
  for (const [name, count] of left) run.fail(`target: ${name} left behind: ${count}`);
  const server = targetReport === null ? null : { ...end, report: targetReport };
  return { server, client: end };
}

export async function runOnce(
  program: Program,
  fault: Fault | null,
  baseline: Baseline | null,
): Promise<RunResult> {
  const started = performance.now();
  const folder = await diskFolder();
  const run = new Run(program, fault, folder);
  try {
    const ends =
      program.server === null
        ? await runDemonstration(run, fault, folder)
        : await runPair(run, fault, baseline);
    const { server, client } = ends;
    const reports = { server: server?.report ?? null, client: client?.report ?? null };
    if (fault !== null) {
      // One that reported nothing was killed, as the demonstration's target is in the end.
      const hits = reports[fault.side]?.hits[fault.point] ?? fault.nth;
      if (hits < fault.nth) run.outcome = 'not reached';
    }
    if (fault === null) {
      const failed = [server, client].some((end) => end !== null && end.code !== 0);
      if (failed || client === null) run.fail('it fails without a fault');
    }
    return {
      outcome: run.outcome,
      problems: run.problems,
      reports,
      output: { server: server?.stdout ?? '', client: client?.stdout ?? '' },
      milliseconds: performance.now() - started,
      transcript: run.transcript,
    };
  } finally {
    run.killAll();
    await removeFolder(folder);
  }
}
