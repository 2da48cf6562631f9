// SPDX-License-Identifier: BSD-3-Clause
//
// What the tests of documentation share: reading Markdown pages, running compiled programs in
// folders on disk, and comparing what they print with what a page says they print.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withDeadline } from '../support/deadline.js';
import { packageRoot } from '../support/folders.js';

const programDeadlineMs = 30_000;

/** The folder of compiled JavaScript, which is also a package named rpma. */
export const compiledRoot: string = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** Every Markdown page of the package, relative to it. */
export function allPages(): string[] {
  const inRoot = readdirSync(packageRoot()).filter((name) => name.endsWith('.md'));
  const below = ['docs', 'examples'].flatMap((top) =>
    readdirSync(join(packageRoot(), top), { recursive: true })
      .map((entry) => join(top, String(entry)))
      .filter((page) => page.endsWith('.md')),
  );
  return [...inRoot, ...below].sort();
}

/** Every Markdown page of the documentation for users, relative to the package. */
export function userPages(): string[] {
  return allPages().filter(
    (page) => /^(README\.md|docs\/|examples\/)/.test(page) && !page.startsWith('docs/internals/'),
  );
}

export function readPage(page: string): string {
  return readFileSync(join(packageRoot(), page), 'utf8');
}

/**
 * A fenced block: the words behind the fence, and the text between the fences. Behind the language
 * comes a role, or why the block is not run: `sh unrun: it takes minutes`.
 */
export interface Block {
  readonly language: string;
  readonly role: string;
  /** Why it is not run; '' where it is. */
  readonly unrun: string;
  readonly text: string;
  readonly line: number;
}

export function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = [];
  let open: (Omit<Block, 'text'> & { readonly lines: string[] }) | null = null;
  for (const [index, text] of markdown.split('\n').entries()) {
    if (open === null) {
      const fence = /^```(\S*) ?(.*)$/.exec(text);
      if (fence !== null) {
        const [, language = '', words = ''] = fence;
        const unrun = /^unrun: (.+)$/.exec(words)?.[1] ?? '';
        const role = unrun === '' ? words : 'unrun';
        open = { language, role, unrun, line: index + 1, lines: [] };
      }
    } else if (text === '```') {
      const { lines, ...rest } = open;
      blocks.push({ ...rest, text: lines.map((line) => `${line}\n`).join('') });
      open = null;
    } else {
      open.lines.push(text);
    }
  }
  assert.equal(open, null, 'a fenced block is not closed');
  return blocks;
}

/**
 * Makes the folder a package of its own, where `import 'rpma'` finds the compiled sources. Below
 * the package it would be a part of it, and the name would lead to dist/, if there is one, as old
 * as it may be.
 */
export function linkPackage(folder: string): void {
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n');
  mkdirSync(join(folder, 'node_modules'), { recursive: true });
  symlinkSync(compiledRoot, join(folder, 'node_modules', 'rpma'), 'dir');
  // What pages show together with this package.
  const pino = join(packageRoot(), 'node_modules', 'pino');
  symlinkSync(pino, join(folder, 'node_modules', 'pino'), 'dir');
}

export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A compiled program, running with its own output. It is killed at its deadline. */
export class Program {
  readonly #child: ChildProcess;
  readonly #outcome: Promise<Outcome>;
  #stdout = '';
  #stderr = '';
  #onText: () => void = () => undefined;

  constructor(file: string, args: readonly string[], folder: string) {
    this.#child = spawn(process.execPath, ['--enable-source-maps', file, ...args], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
      this.#onText();
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text));
    this.#outcome = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('close', (code, signal) => {
        resolve({ stdout: this.#stdout, stderr: this.#stderr, code, signal });
        this.#onText();
      });
    });
  }

  /** The first line that the program prints. */
  async firstLine(): Promise<string> {
    const line = new Promise<string>((resolve) => {
      this.#onText = () => {
        if (this.#stdout.includes('\n')) resolve(this.#stdout.split('\n', 1)[0] ?? '');
      };
      this.#onText();
    });
    const ended = this.#outcome.then((outcome) => {
      if (outcome.stdout.includes('\n')) return line;
      throw new Error(`the program ended before it printed a line:\n${outcome.stderr}`);
    });
    try {
      return await withDeadline(Promise.race([line, ended]), 'the first line', programDeadlineMs);
    } catch (error) {
      this.kill();
      throw error;
    }
  }

  /** Waits for the program's end; at the deadline it is killed; the error says what it said. */
  async end(): Promise<Outcome> {
    try {
      return await withDeadline(this.#outcome, 'the end of the program', programDeadlineMs);
    } catch (error) {
      this.kill();
      throw new Error(`still running, having printed:\n${this.#stdout}${this.#stderr}`, {
        cause: error,
      });
    }
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

/** Runs a program to its end and asserts that it went well. */
export async function runProgram(
  file: string,
  args: readonly string[],
  folder: string,
): Promise<Outcome> {
  const outcome = await new Program(file, args, folder).end();
  assertSuccess(outcome, relative(compiledRoot, file));
  return outcome;
}

export function assertSuccess(outcome: Outcome, name: string): void {
  const { code, signal, stdout, stderr } = outcome;
  assert.equal(code, 0, `${name} ended with ${code ?? signal}:\n${stdout}${stderr}`);
}

/** Compares output with what a page says; `<word>` on the page stands for anything on that line. */
export function assertOutput(actual: string, expected: string, name: string): void {
  const actualLines = actual.split('\n');
  const expectedLines = expected.split('\n');
  const matches =
    actualLines.length === expectedLines.length &&
    expectedLines.every((line, index) => patternOf(line).test(actualLines[index] ?? ''));
  if (!matches) assert.equal(actual, expected, `${name} printed something else than the page says`);
}

function patternOf(line: string): RegExp {
  const parts = line
    .split(/<[a-z][a-z -]*>/)
    .map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
  return new RegExp(`^${parts.join('.+')}$`);
}
