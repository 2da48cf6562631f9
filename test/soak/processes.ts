// SPDX-License-Identifier: BSD-3-Clause
//
// The processes of the soak, as the supervisor sees them. Reports are handled in order, the last of
// a killed process before its end is told. A pool keeps processes that are loaded and idle, because
// starting Node takes longer than a round of the soak should.

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { withDeadline } from '../support/deadline.js';
import type { Report } from './protocol.js';

export const patienceMs = 30_000;

export class SoakProcess {
  readonly name: string;
  readonly ended: Promise<string>;
  /** Told every report of a session. */
  onReport: (report: Report) => void = () => undefined;
  readonly #child: ChildProcess;
  readonly #expected: Map<Report['kind'], (report: Report) => void> = new Map();
  readonly #warm: Promise<Report>;
  #stderr = '';
  #end: string | null = null;

  constructor(name: string, program: URL, args: readonly string[]) {
    this.name = name;
    const flags = process.execArgv.filter((flag) => !flag.startsWith('--test'));
    const command = [...flags, fileURLToPath(program), ...args];
    this.#child = spawn(process.execPath, command, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child.stdin?.on('error', () => undefined); // a dead process's pipe
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-4000);
    });
    if (this.#child.stdout !== null) {
      createInterface({ input: this.#child.stdout }).on('line', (line) => this.#deliver(line));
    }
    this.ended = new Promise((resolve) => {
      this.#child.on('error', (error) => resolve(error.message));
      this.#child.on('close', (code, signal) => {
        this.#end = signal ?? `status ${code}`;
        resolve(this.#end);
      });
    });
    this.#warm = this.next('warm');
    this.#warm.catch(() => undefined); // told to whoever waits for it
  }

  #deliver(line: string): void {
    let report: Report;
    try {
      report = JSON.parse(line) as Report;
    } catch {
      return; // Killed while it wrote: nothing was told.
    }
    const waiting = this.#expected.get(report.kind);
    this.#expected.delete(report.kind);
    if (waiting !== undefined) waiting(report);
    this.onReport(report);
  }

  /** Loaded and idle. */
  async warm(): Promise<this> {
    await withDeadline(this.#warm, `${this.name} is loaded`, patienceMs);
    return this;
  }

  /** The next report of a kind, whenever it is made; call it before that can be. */
  async next<T extends Report>(kind: T['kind']): Promise<T> {
    const told = new Promise<Report>((resolve) => this.#expected.set(kind, resolve));
    const over = this.ended.then((how) => {
      throw new Error(`${this.name} ended with ${how} before '${kind}':\n${this.#stderr}`);
    });
    return (await Promise.race([told, over])) as T;
  }

  /** The next report of a kind, within a bound. */
  expect<T extends Report>(kind: T['kind']): Promise<T> {
    return withDeadline(this.next<T>(kind), `'${kind}' of ${this.name}`, patienceMs);
  }

  send(command: object): void {
    this.#child.stdin?.write(`${JSON.stringify(command)}\n`);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Sends the signal and comes back at once. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** Ends it as it is meant to end; gives how it ended. */
  async stop(): Promise<string> {
    this.send({ kind: 'stop' });
    this.#child.stdin?.end();
    return withDeadline(this.ended, `the end of ${this.name}`, patienceMs);
  }
}

export class Pool {
  readonly #make: (name: string) => SoakProcess;
  readonly #label: string;
  readonly #idle: SoakProcess[] = [];
  #made = 0;

  constructor(label: string, size: number, make: (name: string) => SoakProcess) {
    this.#label = label;
    this.#make = make;
    for (let n = 0; n < size; n++) this.#refill();
  }

  #refill(): void {
    this.#idle.push(this.#make(`${this.#label} ${++this.#made}`));
  }

  /** A warm process, and another one is started. */
  async take(): Promise<SoakProcess> {
    const taken = this.#idle.shift();
    if (taken === undefined) throw new Error('the pool is closed');
    this.#refill();
    return taken.warm();
  }

  get started(): number {
    return this.#made;
  }

  async close(): Promise<void> {
    const idle = this.#idle.splice(0);
    for (const each of idle) each.kill();
    await Promise.all(idle.map((each) => each.ended));
  }
}
