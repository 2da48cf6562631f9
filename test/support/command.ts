// SPDX-License-Identifier: BSD-3-Clause
//
// The program `rpma` for tests: started as a user starts it, with pipes or a terminal, and read
// line by line. It dies with its test at the latest.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { withDeadline } from './deadline.js';

/** The compiled program. */
export const commandFile: string = fileURLToPath(
  new URL('../../lib/command/main.js', import.meta.url),
);

const deadlineMs = 40_000;

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Given to standard input, which then ends; else it is empty. */
  readonly input?: string | Uint8Array;
}

export interface CommandOutcome {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** This environment without what decides on colours, stacks and providers. */
function cleanEnvironment(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const env = { ...process.env };
  const names = ['NO_COLOR', 'FORCE_COLOR', 'RPMA_DEBUG', 'RPMA_PROVIDER', 'NODE_OPTIONS'];
  for (const name of names) delete env[name];
  return { ...env, ...extra };
}

/** One run of the program. */
export class RunningCommand {
  readonly process: ChildProcess;
  readonly #outcome: Promise<CommandOutcome>;
  readonly #listeners: Set<() => void> = new Set();
  #stdout = '';
  #stderr = '';
  #isOver = false;

  constructor(command: string, args: readonly string[], options: CommandOptions = {}) {
    this.process = spawn(command, args, {
      env: cleanEnvironment(options.env),
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    this.process.stdin?.on('error', () => undefined);
    this.process.stdin?.end(options.input ?? '');
    const listen = (stream: 'stdout' | 'stderr', add: (text: string) => void): void => {
      this.process[stream]?.setEncoding('utf8').on('data', (text: string) => {
        add(text);
        for (const listener of this.#listeners) listener();
      });
    };
    listen('stdout', (text) => (this.#stdout += text));
    listen('stderr', (text) => (this.#stderr += text));
    this.#outcome = new Promise((resolve, reject) => {
      this.process.once('error', reject);
      this.process.once('close', (status, signal) => {
        this.#isOver = true;
        resolve({ status, signal, stdout: this.#stdout, stderr: this.#stderr });
        for (const listener of this.#listeners) listener();
      });
    });
  }

  get stdout(): string {
    return this.#stdout;
  }

  /** The first line of standard output that matches, now or later. */
  async line(pattern: RegExp): Promise<string> {
    const found = new Promise<string>((resolve, reject) => {
      const look = (): void => {
        const whole = this.#stdout.split('\n').slice(0, -1);
        const line = whole.find((each) => pattern.test(each));
        if (line !== undefined) resolve(line);
        else if (this.#isOver) reject(new Error(`it ended without ${pattern}\n${this.#said}`));
        else return;
        this.#listeners.delete(look);
      };
      this.#listeners.add(look);
      look();
    });
    return this.#bounded(found, `a line like ${pattern}`);
  }

  /** Its end, with all that it printed. */
  end(): Promise<CommandOutcome> {
    return this.#bounded(this.#outcome, 'its end');
  }

  /** Sends a signal and waits for the end. */
  stop(signal: NodeJS.Signals): Promise<CommandOutcome> {
    this.process.kill(signal);
    return this.end();
  }

  async kill(): Promise<void> {
    this.process.kill('SIGCONT');
    this.process.kill('SIGKILL');
    await this.#outcome;
  }

  get #said(): string {
    return `standard output:\n${this.#stdout}standard error:\n${this.#stderr}`;
  }

  async #bounded<T>(promise: Promise<T>, what: string): Promise<T> {
    try {
      return await withDeadline(promise, what, deadlineMs);
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${this.#said}`, { cause: error });
    }
  }
}

/** Starts `rpma` with these arguments. */
export function startCommand(
  test: TestContext,
  args: readonly string[],
  options?: CommandOptions,
): RunningCommand {
  const running = new RunningCommand(process.execPath, [commandFile, ...args], options);
  test.after(() => running.kill());
  return running;
}

/** Runs `rpma` to its end. */
export function runCommand(
  test: TestContext,
  args: readonly string[],
  options?: CommandOptions,
): Promise<CommandOutcome> {
  return startCommand(test, args, options).end();
}

/** Runs it, expects it to end well and to say nothing of errors, and gives what it printed. */
export async function commandOutput(
  test: TestContext,
  args: readonly string[],
  options?: CommandOptions,
): Promise<string> {
  const { status, signal, stdout, stderr } = await runCommand(test, args, options);
  assert.equal(stderr, '');
  assert.equal(status, 0, `${args.join(' ')}: status ${status ?? signal}\n${stdout}`);
  return stdout;
}

/** Why there is no terminal to run a program on, or null. */
export function terminalObstacle(): string | null {
  const found = spawnSync('script', ['--version'], { encoding: 'utf8' });
  return found.error === undefined && found.stdout.includes('util-linux')
    ? null
    : 'the program script of util-linux is not installed';
}

/** Runs `rpma` on a terminal of its own, whose lines end in CR LF. */
export function runOnTerminal(
  test: TestContext,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CommandOutcome> {
  const quoted = [process.execPath, commandFile, ...args].map((word) => `'${word}'`).join(' ');
  const terminal = { TERM: 'xterm-256color', ...env };
  const options = ['--quiet', '--return', '--command', quoted, '/dev/null'];
  const running = new RunningCommand('script', options, { env: terminal });
  test.after(() => running.kill());
  return running.end();
}

/** The objects of lines of JSON; each line must be one. */
export function jsonLines(text: string): Record<string, unknown>[] {
  assert.ok(text === '' || text.endsWith('\n'), 'the last line is not whole');
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      const value: unknown = JSON.parse(line);
      assert.ok(typeof value === 'object' && value !== null && !Array.isArray(value), line);
      return value as Record<string, unknown>;
    });
}

/** A running `rpma serve`, and where it listens. */
export interface Served {
  readonly command: RunningCommand;
  readonly port: string;
  readonly listening: Readonly<Record<string, unknown>>;
}

/** Starts `rpma serve --json --port 0` and waits until it listens. */
export async function startServing(
  test: TestContext,
  args: readonly string[],
  options?: CommandOptions,
): Promise<Served> {
  const command = startCommand(test, ['serve', '--json', '--port', '0', ...args], options);
  const line = await command.line(/"listening"/);
  const listening = JSON.parse(line) as Record<string, unknown>;
  const { port } = listening;
  assert.ok(typeof port === 'number' && port > 0, line);
  return { command, port: String(port), listening };
}
