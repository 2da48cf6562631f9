// SPDX-License-Identifier: BSD-3-Clause
//
// Runs what the examples' READMEs tell to run and compares what both programs print with what the
// page says. The server gets port 0; the client the port that the server's first line names.

import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { diskFolder, folderOn, removeFolder, tmpfsMount } from '../support/folders.js';
import { examplePages, portOf, type Run, runsOf, startProgram } from './example-runs.js';
import { assertOutput, assertSuccess, compiledRoot, Program } from './support.js';

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
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
    const address = holder.address();
    const port = typeof address === 'object' ? String(address?.port) : '';
    await new Promise((resolve) => holder.close(resolve));
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
