// SPDX-License-Identifier: BSD-3-Clause
//
// One process of a run: a compiled example under the addon's test flavour, with a fault set or
// without, its output, and the report that the addon leaves at its end. Killed at its deadline.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withDeadline } from '../../support/deadline.js';
import { packageRoot } from '../../support/folders.js';

/** Longer than every bound of the library, on a machine that has much else to do. */
const deadlineMs = 45_000;
const here = dirname(fileURLToPath(import.meta.url));
const examples = join(here, '..', '..', '..', 'examples');
const side = join(here, '..', '..', 'support', 'sweep-side.js');

/** What the addon says at the end of a process: fault_run.cc. */
export interface Report {
  readonly hits: Readonly<Record<string, number>>;
  readonly live: Readonly<Record<string, number>>;
  readonly tallies: Readonly<Record<string, number>>;
}

export interface End {
  readonly code: number | null;
  readonly signal: string | null;
  readonly timedOut: boolean;
  readonly stdout: string;
  readonly stderr: string;
  readonly report: Report | null;
  readonly milliseconds: number;
}

export function readReport(file: string): Report | null {
  if (!existsSync(file)) return null;
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Report;
  } catch {
    return null; // cut short: its process died while it wrote
  }
}

export class Process {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  readonly #started = performance.now();
  readonly #reportFile: string;
  #stdout = '';
  #stderr = '';
  #timedOut = false;
  #firstLine: () => void = () => undefined;

  /** `environment` says what is to fail, if anything. */
  constructor(
    args: readonly string[],
    folder: string,
    name: string,
    environment: Readonly<Record<string, string>>,
  ) {
    const [program = '', ...rest] = args;
    this.#reportFile = join(folder, `${name}.json`);
    const command = ['--enable-source-maps', '--import', side, join(examples, program), ...rest];
    this.#child = spawn(process.execPath, command, {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true, // a group of its own, so that what it starts can be ended with it
      env: {
        ...process.env,
        RPMA_NATIVE: join(packageRoot(), 'build', 'Release', 'rpma_test.node'),
        RPMA_FAULT_REPORT: this.#reportFile,
        ...environment,
      },
    });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
      if (this.#stdout.includes('\n')) this.#firstLine();
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text));
    this.#ended = new Promise((resolve) => this.#child.on('close', () => resolve()));
  }

  /** The first line of its output; null when it ended without one. */
  async firstLine(): Promise<string | null> {
    const line = new Promise<void>((resolve) => {
      this.#firstLine = resolve;
      if (this.#stdout.includes('\n')) resolve();
    });
    await Promise.race([line, this.end()]);
    return this.#stdout.includes('\n') ? (this.#stdout.split('\n')[0] ?? '') : null;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async end(): Promise<End> {
    const left = Math.max(0, deadlineMs - (performance.now() - this.#started));
    await withDeadline(this.#ended, 'its end', left).catch(() => {
      this.#timedOut = true;
      this.kill();
    });
    await this.#ended;
    return {
      code: this.#child.exitCode,
      signal: this.#child.signalCode,
      timedOut: this.#timedOut,
      stdout: this.#stdout,
      stderr: this.#stderr,
      report: readReport(this.#reportFile),
      milliseconds: performance.now() - this.#started,
    };
  }

  kill(): void {
    try {
      if (this.#child.pid !== undefined) process.kill(-this.#child.pid, 'SIGKILL');
    } catch {
      // The group has ended.
    }
  }
}
