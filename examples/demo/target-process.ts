// SPDX-License-Identifier: BSD-3-Clause
//
// Starts the target as a process of its own, waits for its report and kills it. Used by the main
// process, which owns the child.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { PmemFile } from 'rpma';
import { DemoError } from './error.js';

/** What the target says once it listens. */
export interface TargetReport {
  readonly address: string;
  readonly port: number;
  readonly durability: PmemFile['durability'];
}

export class TargetProcess {
  readonly #child: ChildProcess;
  readonly #exited: Promise<readonly unknown[]>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#exited = once(child, 'exit');
  }

  static start(path: string, sizeBytes: number, allowVolatile: boolean): TargetProcess {
    const program = fileURLToPath(new URL('target.js', import.meta.url));
    const args = [path, String(sizeBytes), allowVolatile ? 'volatile' : 'persistent'];
    return new TargetProcess(fork(program, args));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** @throws DemoError the target ended before it listened */
  async report(): Promise<TargetReport> {
    const ended = this.#exited.then(() => {
      throw new DemoError('the target ended before it listened; its error is above');
    });
    ended.catch(() => undefined); // it ends later in any case, when it is killed
    const [report] = (await Promise.race([once(this.#child, 'message'), ended])) as [TargetReport];
    return report;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** @throws DemoError the target ended by itself */
  async whenKilled(): Promise<void> {
    const [code, signal] = await this.#exited;
    if (signal === 'SIGKILL') return;
    throw new DemoError(`the target ended by itself: status ${String(code)}, ${String(signal)}`);
  }
}
