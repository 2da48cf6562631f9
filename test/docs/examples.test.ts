// SPDX-License-Identifier: BSD-3-Clause
//
// Runs what the examples' READMEs tell to run and compares what both programs print with what the
// page says. The server gets port 0; the client the port that the server's first line names.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { withDeadline } from '../support/deadline.js';
import { diskFolder, folderOn, removeFolder, tmpfsMount } from '../support/folders.js';
import { examplePages, portOf, type Run, runsOf, startProgram } from './example-runs.js';
import {
  assertOutput,
  assertSuccess,
  blocksOf,
  compiledRoot,
  Program,
  readPage,
  runProgram,
} from './support.js';

/** One at which nothing listens. */
async function unusedPort(): Promise<string> {
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
  const address = holder.address();
  await new Promise((resolve) => holder.close(resolve));
  return typeof address === 'object' ? String(address?.port) : '';
}

async function runPair(run: Run, folder: string): Promise<void> {
  const server = startProgram(run.server, '0', folder);
  let client: Program | null = null;
  try {
    const port = await portOf(server);
    client = startProgram(run.client, port, folder);
    const [clientEnd, serverEnd] = await Promise.all([client.end(), server.end()]);
    assertSuccess(clientEnd, 'the client');
    assertSuccess(serverEnd, 'the server');
    assertOutput(clientEnd.stdout, run.clientOutput, 'the client');
    const printed = serverEnd.stdout.replace(`:${port}\n`, `:${run.server.port}\n`);
    assertOutput(printed, run.serverOutput, 'the server');
  } finally {
    server.kill();
    client?.kill();
  }
}

describe('the examples print what their READMEs say', () => {
  const pages = examplePages();
  assert.ok(pages.length > 0, 'no example has a README');
  for (const page of pages) {
    test(page, async () => {
      const runs = runsOf(page);
      assert.ok(runs.length > 0, 'the page shows no run');
      const folder = await diskFolder();
      try {
        for (const run of runs) await runPair(run, folder);
      } finally {
        await removeFolder(folder);
      }
    });
  }
});

test('examples/log/README.md: one program, whose log goes to standard error', async (context) => {
  const folder = await diskFolder();
  context.after(() => removeFolder(folder));
  const [command, output, errors] = blocksOf(readPage('examples/log/README.md'));
  assert.equal(command?.text, 'npm run -s example -- log\n');
  const program = join(compiledRoot, 'examples', 'log', 'main.js');
  const { stdout, stderr } = await runProgram(program, [], folder);
  assertOutput(stdout, output?.text ?? '', 'the program');
  assertOutput(stderr, errors?.text ?? '', 'the program, to standard error,');
});

test('example 13 answers several clients, each with its own numbers', async () => {
  const file = (program: string): string =>
    join(compiledRoot, 'examples', '13-messages-ping-pong-with-srq', `${program}.js`);
  // The time without a new client: longer than clients take to start one after the other.
  const server = new Program(file('server'), ['127.0.0.1', '0', '10'], compiledRoot);
  const clients: Program[] = [];
  try {
    const port = await portOf(server);
    // Ten are all that it serves: then it does not wait for another one.
    for (let seed = 100; seed <= 1000; seed += 100) {
      clients.push(
        new Program(file('client'), ['127.0.0.1', port, String(seed), '3'], compiledRoot),
      );
    }
    for (const [index, client] of clients.entries()) {
      const end = await client.end();
      assertSuccess(end, 'a client');
      const first = 100 * (index + 1);
      const lines = [0, 1, 2].flatMap((round) => [
        `Value sent: ${first + round}`,
        `Value received: ${first + round + 1}`,
      ]);
      assert.equal(end.stdout, `${lines.join('\n')}\n`);
    }
    const end = await server.end();
    assertSuccess(end, 'the server');
    assert.equal(end.stdout.match(/^Value sent: /gm)?.length, 30);
  } finally {
    for (const each of [server, ...clients]) each.kill();
  }
});

describe('an example refuses wrong arguments with status 2 and its usage', () => {
  for (const args of [[], ['127.0.0.1'], ['127.0.0.1', 'port'], ['127.0.0.1', '65536']]) {
    test(`server ${args.join(' ')}`, async () => {
      const file = join(compiledRoot, 'examples', '01-connection', 'server.js');
      const { code, stderr } = await new Program(file, args, compiledRoot).end();
      assert.equal(code, 2);
      assert.match(stderr, /^usage: server <address> <port>$/m);
    });
  }

  test('client of example 03 with an offset that its private data have no room for', async () => {
    const file = join(compiledRoot, 'examples', '03-read-to-persistent', 'client.js');
    const args = ['127.0.0.1', '7204', 'client.pmem', '65515'];
    const { code, stderr } = await new Program(file, args, compiledRoot).end();
    assert.equal(code, 2);
    assert.match(stderr, /^<pmem-offset> must be a whole number from 0 to 65514$/m);
  });

  for (const port of ['0', '70000']) {
    test(`client 127.0.0.1 ${port}`, async () => {
      const file = join(compiledRoot, 'examples', '02-read-to-volatile', 'client.js');
      const { code, stderr } = await new Program(file, ['127.0.0.1', port], compiledRoot).end();
      assert.equal(code, 2);
      assert.equal(stderr, 'usage: client <address> <port>\n');
    });
  }

  test('server of example 05 with a word that is not on', async () => {
    const file = join(compiledRoot, 'examples', '05-flush-to-persistent', 'server.js');
    const args = ['127.0.0.1', '0', 'server.pmem', 'yes'];
    const { code, stderr } = await new Program(file, args, compiledRoot).end();
    assert.equal(code, 2);
    assert.equal(stderr, 'usage: server <address> <port> [<pmem-path> [on]]\n');
  });
});

describe('an example that fails says why in one line, with status 1', () => {
  /** The program's only complaint beside the note on where its data are. */
  async function failure(example: string, program: string, args: readonly string[]) {
    const file = join(compiledRoot, 'examples', example, `${program}.js`);
    const { code, stderr } = await new Program(file, args, compiledRoot).end();
    assert.equal(code, 1, stderr);
    const lines = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('No <'));
    assert.equal(lines.length, 1, stderr);
    return lines[0] ?? '';
  }

  test('nobody listens', async () => {
    const port = await unusedPort();
    const line = await failure('02-read-to-volatile', 'client', ['127.0.0.1', port]);
    assert.match(line, new RegExp(`^failed: .*nothing listens at 127\\.0\\.0\\.1:${port}: start`));
  });

  test('the file would be on tmpfs', async (context) => {
    const mount = tmpfsMount();
    if (mount === null) return context.skip('no tmpfs is mounted');
    const folder = await folderOn(mount);
    context.after(() => removeFolder(folder));
    const path = join(folder, 'server.pmem');
    const line = await failure('04-write-to-persistent', 'server', ['127.0.0.1', '0', path]);
    assert.match(line, /^failed: .*server\.pmem would not last.*: choose a path on a disk/);
  });

  test('RPMA_PROVIDER names no provider', async (context) => {
    const before = process.env['RPMA_PROVIDER'];
    process.env['RPMA_PROVIDER'] = 'foo';
    context.after(() => {
      if (before === undefined) delete process.env['RPMA_PROVIDER'];
      else process.env['RPMA_PROVIDER'] = before;
    });
    const line = await failure('01-connection', 'server', ['127.0.0.1', '0']);
    assert.match(
      line,
      /^failed: ERR_RPMA_INVALID_ARG_VALUE: RPMA_PROVIDER must be .*'iwarp'.*, but is 'foo'$/,
    );
  });
});

test('an example whose output nobody reads any more ends', async () => {
  const folder = await diskFolder();
  const [example, address, rest] = ['07-atomic-write', '127.0.0.1', ['server.pmem']];
  const server = startProgram(
    { example, program: 'server', address, port: '0', rest },
    '0',
    folder,
  );
  const file = join(compiledRoot, 'examples', example, 'client.js');
  const words = Array.from({ length: 50 }, (_, n) => `${n}`);
  const client = spawn(process.execPath, [file, address, await portOf(server), ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  try {
    const end = new Promise((resolve) => client.once('exit', resolve));
    client.stdout.once('data', () => {
      client.stdout.destroy();
      client.stderr.destroy();
    });
    assert.equal(await withDeadline(end, 'the end of the client', 20_000), 1);
  } finally {
    client.kill('SIGKILL');
    server.kill();
    await removeFolder(folder);
  }
});
