// SPDX-License-Identifier: BSD-3-Clause
//
// Child processes for tests: a compiled test program, started with this very node, that speaks
// one JSON object a line in both directions. A child dies with its test at the latest.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { until, withDeadline } from './deadline.js';

export interface Message {
  readonly kind: string;
}

export interface ChildOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Put in front of the command: ['ip', 'netns', 'exec', 'name']. */
  readonly prefix?: readonly string[];
}

/** This process's flags that a program needs too: conditions, source maps, but not the runner's. */
function inheritedFlags(): string[] {
  return process.execArgv.filter((flag) => !flag.startsWith('--test'));
}

export class Child {
  readonly process: ChildProcess;
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  readonly #lines: string[] = [];
  #waiting: ((line: string | null) => void) | null = null;
  #isOver = false;
  #stderr = '';

  private constructor(command: string, args: readonly string[], options: ChildOptions) {
    this.process = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...options.env },
    });
    this.ended = new Promise((resolve) => {
      this.process.on('close', (code, signal) => resolve({ code, signal }));
      this.process.on('error', () => resolve({ code: null, signal: null }));
    });
    this.process.stdin?.on('error', () => undefined); // a dead child's pipe
    this.process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-4000);
    });
    if (this.process.stdout !== null) {
      createInterface({ input: this.process.stdout }).on('line', (line) => this.#deliver(line));
    }
    void this.ended.then(() => this.#deliver(null));
  }

  /** Starts a program of the test tree; whoever starts it kills it. */
  static spawn(program: URL, args: readonly string[] = [], options: ChildOptions = {}): Child {
    const node = [process.execPath, ...inheritedFlags(), fileURLToPath(program), ...args];
    const [command, ...rest] = [...(options.prefix ?? []), ...node];
    if (command === undefined) throw new Error('no command');
    return new Child(command, rest, options);
  }

  /** Starts a program that is killed when the test ends. */
  static start(
    test: TestContext,
    program: URL,
    args: readonly string[] = [],
    options: ChildOptions = {},
  ): Child {
    const child = Child.spawn(program, args, options);
    test.after(() => child.kill());
    return child;
  }

  #deliver(line: string | null): void {
    if (line === null) this.#isOver = true;
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting !== null) waiting(line);
    else if (line !== null) this.#lines.push(line);
  }

  async #line(): Promise<string | null> {
    const line = this.#lines.shift();
    if (line !== undefined) return line;
    if (this.#isOver) return null;
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  /** The next message, whatever it is. */
  async expectAny<T extends Message>(deadlineMs: number, what: string = 'a message'): Promise<T> {
    const line = await withDeadline(this.#line(), `${what} from a child`, deadlineMs);
    if (line === null) {
      const end = await this.ended;
      const how = `code ${end.code}, signal ${end.signal}`;
      throw new Error(`the child ended (${how}) before ${what}:\n${this.#stderr}`);
    }
    return JSON.parse(line) as T;
  }

  /** The next message, which must be of this kind. */
  async expect<T extends Message>(kind: T['kind'], deadlineMs: number = 15_000): Promise<T> {
    const message = await this.expectAny<T>(deadlineMs, `'${kind}'`);
    assert.equal(message.kind, kind, JSON.stringify(message));
    return message;
  }

  send(message: Message): void {
    this.process.stdin?.write(`${JSON.stringify(message)}\n`);
  }

  /** What it wrote to standard error, its newest part. */
  get stderr(): string {
    return this.#stderr;
  }

  /** Stops every thread of it, and knows that they stand still. */
  async stop(): Promise<void> {
    const { pid } = this.process;
    if (pid === undefined) throw new Error('the child never ran');
    this.process.kill('SIGSTOP');
    const tasks = `/proc/${pid}/task`;
    await until(() => {
      const states = readdirSync(tasks).map((task) => {
        const line = readFileSync(`${tasks}/${task}/stat`, 'utf8');
        return line.slice(line.lastIndexOf(')') + 2, line.lastIndexOf(')') + 3);
      });
      return states.every((state) => state === 'T');
    }, 'a stopped child');
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      this.process.kill(signal);
    }
    if (signal === 'SIGKILL') await this.ended;
  }
}

/** In a program: one message to the test, written before this returns, however busy the loop is. */
export function report<T extends Message>(message: T): void {
  writeSync(1, `${JSON.stringify(message)}\n`);
}

/** In a program: the messages of the test, in order; ends with standard input. */
export async function* commands<T extends Message>(): AsyncGenerator<T, void, void> {
  for await (const line of createInterface({ input: process.stdin })) yield JSON.parse(line) as T;
}

/** Bytes in a message. */
export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

export function fromHex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'hex'));
}
