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
import type { Placement } from './trial.js';

const run = promisify(execFile);

export interface PingPongOptions {
  readonly isSpinning: boolean;
  readonly seconds: number;
  readonly placement: Placement;
}

export class PingPong {
  readonly #folder: string;
  readonly #program: string;

  private constructor(folder: string) {
    this.#folder = folder;
    this.#program = join(folder, 'pingpong');
  }

  static async compile(): Promise<PingPong> {
    const yardstick = new PingPong(await mkdtemp(join(tmpdir(), 'rpma-bench-')));
    const source = fileURLToPath(new URL('./yardstick_pingpong.c', import.meta.url));
    const compiler = spawnSync('gcc', ['--version']).error === undefined ? 'gcc' : 'cc';
    await run(compiler, ['-O2', '-o', yardstick.#program, source]);
    return yardstick;
  }

  /** Median round trip in microseconds. */
  async measure(options: PingPongOptions): Promise<number> {
    const { target, client } = options.placement;
    // A round trip takes some 10 to 30 microseconds.
    const args = ['--count', String(Math.max(1000, Math.round(options.seconds * 50_000)))];
    if (options.isSpinning) args.push('--spin');
    if (target !== null) args.push('--cpu-server', String(target));
    if (client !== null) args.push('--cpu-client', String(client));
    const { stdout } = await run(this.#program, args);
    return (JSON.parse(stdout) as { readonly median: number }).median;
  }

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}
