// SPDX-License-Identifier: BSD-3-Clause
//
// The C yardsticks: compiled when a benchmark runs, by the compiler of the day, so that both
// sides of a ratio come from one machine and one run.

import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Placement } from './placement.js';

const run = promisify(execFile);
const programs = ['pingpong', 'bw'] as const;

export class Yardsticks {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async compile(): Promise<Yardsticks> {
    const yardsticks = new Yardsticks(await mkdtemp(join(tmpdir(), 'rpma-bench-')));
    const compiler = spawnSync('gcc', ['--version']).error === undefined ? 'gcc' : 'cc';
    for (const name of programs) {
      const source = fileURLToPath(new URL(`./yardstick_${name}.c`, import.meta.url));
      await run(compiler, ['-O2', '-o', join(yardsticks.#folder, name), source]);
    }
    return yardsticks;
  }

  /** Median round trip in microseconds. */
  async pingPong(placement: Placement, seconds: number, isSpinning: boolean): Promise<number> {
    // A round trip takes some 10 to 30 microseconds.
    const count = Math.max(1000, Math.round(seconds * 50_000));
    const args = ['--count', String(count), ...(isSpinning ? ['--spin'] : [])];
    const result = await this.#run<{ readonly median: number }>('pingpong', args, placement);
    return result.median;
  }

  /** Gigabytes a second of one stream, the better of two ways to receive. */
  async stream(placement: Placement, seconds: number): Promise<number> {
    // Two streams of some 3 to 6 gigabytes a second.
    const bytes = Math.max(1 << 28, Math.round(seconds * 2e9));
    const args = ['--bytes', String(bytes)];
    return (await this.#run<{ readonly value: number }>('bw', args, placement)).value;
  }

  async #run<T>(name: (typeof programs)[number], args: string[], at: Placement): Promise<T> {
    if (at.target !== null) args.push('--cpu-server', String(at.target));
    if (at.client !== null) args.push('--cpu-client', String(at.client));
    const { stdout } = await run(join(this.#folder, name), args);
    return JSON.parse(stdout) as T;
  }

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}
