// SPDX-License-Identifier: BSD-3-Clause
//
// Runs the shell's blocks on the pages, those of a page in order and in one folder, and sees that
// every block of a page is run, compared, or marked with the reason why not.
//
//   sh           runs to its end, says nothing on standard error; `text output` is what it prints
//   sh server    runs beside the others until the page ends; `text server` is what it prints
//   sh fails     ends with a failure; `text error` is what it says on standard error
//   … unrun: …   is not run, because of what follows
//
// The commands of the numbered examples are run by examples.test.ts. A server gets a free port
// where the page has the usual one. Figures differ from run to run: any figure stands for another.

import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { commandFile, RunningCommand } from '../support/command.js';
import { diskFolder, removeFolder } from '../support/folders.js';
import { allPages, assertOutput, type Block, blocksOf, readPage, userPages } from './support.js';

const usualPort = '7204';

/** The name `rpma` for a shell: the compiled command, with a free port for the usual one. */
const shim = `#!/bin/sh
program="${process.execPath} ${commandFile}"
command=$1
[ "$command" = serve ] && exec $program "$@" --port 0
if [ "$command" = ping ]; then
  case "$3" in
  [0-9]*) ;;
  *)
    address=$2
    shift 2
    exec $program ping "$address" "$RPMA_DOCS_PORT" "$@"
    ;;
  esac
fi
exec $program "$@"
`;

/** The name `npx`, which knows that program alone. */
const npx = '#!/bin/sh\n[ "$1" = rpma ] && shift && exec rpma "$@"\n';

/** Figures as they differ from run to run: times, descriptors. */
function withoutFigures(text: string): string {
  return text
    .replaceAll(/("\w+Us":)[\d.]+/g, '$10')
    .replaceAll(/(?<![\d.])\d+\.\d+(?=[ /])/g, '0')
    .replaceAll(/\b[0-9a-f]{42}\b/g, 'descriptor');
}

/** One page's session of a shell. */
class Session {
  readonly #folder: string;
  readonly #page: string;
  #server: RunningCommand | null = null;
  #serverOutput = '';
  #port = usualPort;
  #last: { readonly stdout: string; readonly stderr: string } = { stdout: '', stderr: '' };

  constructor(page: string, folder: string) {
    this.#page = page;
    this.#folder = folder;
    mkdirSync(join(folder, 'bin'));
    for (const [name, text] of Object.entries({ rpma: shim, npx })) {
      writeFileSync(join(folder, 'bin', name), text);
      chmodSync(join(folder, 'bin', name), 0o755);
    }
  }

  #start(text: string): RunningCommand {
    const path = `${join(this.#folder, 'bin')}:${process.env['PATH'] ?? ''}`;
    const env = { PATH: path, RPMA_DOCS_PORT: this.#port };
    return new RunningCommand('/bin/sh', ['-euc', text], { env, cwd: this.#folder });
  }

  async run({ language, role, text, line }: Block): Promise<void> {
    const place = `${this.#page}:${line}`;
    const kind = `${language} ${role}`.trim();
    if (kind === 'sh server') {
      assert.equal(this.#server, null, `${place}: a second server`);
      this.#server = this.#start(`exec ${text}`);
      const listening = await this.#server.line(/^listening on /);
      this.#port = /:(\d+)(,|$)/.exec(listening)?.[1] ?? '';
    } else if (kind === 'text server') {
      this.#serverOutput = text;
    } else if (language === 'sh') {
      this.#checkCompared(place);
      const { status, ...printed } = await this.#start(text).end();
      this.#last = printed;
      if (role === '') {
        assert.equal(printed.stderr, '', place);
        assert.equal(status, 0, place);
      } else assert.ok(role === 'fails' && status !== 0, `${place}: ${role}, status ${status}`);
    } else if (kind === 'text output') {
      this.#compare(this.#last.stdout, text, place);
      this.#last = { ...this.#last, stdout: '' };
    } else if (kind === 'text error') this.#compare(this.#last.stderr, text, place);
  }

  /** Ends the server, as a user does, and compares what it said. */
  async end(): Promise<void> {
    this.#checkCompared(this.#page);
    if (this.#server === null) return;
    const { status, stdout, stderr } = await this.#server.stop('SIGINT');
    assert.equal(stderr, '');
    assert.equal(status, 0);
    this.#compare(stdout, this.#serverOutput, `${this.#page}: the server`);
  }

  async kill(): Promise<void> {
    await this.#server?.kill();
  }

  /** What a command prints is on the page. */
  #checkCompared(place: string): void {
    assert.equal(this.#last.stdout, '', `${place}: the page lacks what was printed before`);
  }

  #compare(actual: string, expected: string, place: string): void {
    const printed = actual.replaceAll(`:${this.#port}`, `:${usualPort}`);
    assertOutput(withoutFigures(printed), withoutFigures(expected), place);
  }
}

function isExample(page: string): boolean {
  return /^examples\/\d\d/.test(page);
}

/** The blocks of a page that a shell runs, with what they print. */
function shellBlocks(page: string): Block[] {
  let isShell = false;
  return blocksOf(readPage(page)).filter(({ language, role }) => {
    if (role === 'unrun') return false;
    if (language === 'sh' || language === 'ts' || language === 'js') isShell = language === 'sh';
    return isShell;
  });
}

describe('the commands on the pages', () => {
  const pages = allPages().filter((page) => !isExample(page) && shellBlocks(page).length > 0);
  for (const page of ['docs/start.md', 'docs/reference/command.md']) {
    assert.ok(pages.includes(page), page);
  }
  for (const page of pages) {
    test(`${page}: each prints what the page says`, async () => {
      const folder = await diskFolder();
      const session = new Session(page, folder);
      try {
        for (const block of shellBlocks(page)) await session.run(block);
        await session.end();
      } finally {
        await session.kill();
        await removeFolder(folder);
      }
    });
  }
});

/** Blocks that a test runs or compares. */
const known = new Set([
  ...['ts', 'ts continued', 'js', 'js continued'], // snippets.test.ts
  ...['sh', 'sh server', 'sh fails', 'text output', 'text server', 'text error'],
]);
const knownOfExamples = new Set(['sh', 'text server', 'text client']); // examples.test.ts

function isRun(page: string, { language, role }: Block): boolean {
  const kind = `${language} ${role}`.trim();
  if (page === 'examples/demo/README.md' && kind === 'text demo') return true; // demo.test.ts
  return (isExample(page) ? knownOfExamples : known).has(kind);
}

/** Pages for those who work on the package may have pictures, which are no commands. */
function isPicture(page: string, { language, text }: Block): boolean {
  const isCommand = /^(\$ )?(npm|npx|node|rpma|git) /m.test(text);
  return !userPages().includes(page) && language === '' && !isCommand;
}

describe('a block that is not run says why', () => {
  for (const page of allPages()) {
    const blocks = blocksOf(readPage(page)).filter((block) => !isRun(page, block));
    for (const block of blocks) {
      if (isPicture(page, block)) continue;
      const { language, role, unrun, line } = block;
      test(`${page}:${line} (${language})`, (context) => {
        assert.equal(role, 'unrun', `it is neither known nor marked: '${language} ${role}'`);
        context.skip(unrun);
      });
    }
  }

  test('and the others are run', () => {
    const count = allPages().flatMap((page) => blocksOf(readPage(page))).length;
    assert.ok(count > 50, `only ${count} blocks`);
  });
});
