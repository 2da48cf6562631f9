// SPDX-License-Identifier: BSD-3-Clause
//
// rpma ping, against rpma serve, against programs of the library, and against nobody.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { MemoryUsage, Peer } from 'rpma';
import {
  commandOutput,
  jsonLines,
  runCommand,
  startCommand,
  startServing,
} from '../support/command.js';
import { lastFor, timed, withDeadline } from '../support/deadline.js';
import { diskFolder, removeFolder } from '../support/folders.js';

const address = '127.0.0.1';
const fast = ['--interval', '0'];

type Line = Record<string, unknown>;

/** A listener of the library's own that gives this private data to whoever comes. */
async function lender(context: TestContext, privateData: (peer: Peer) => Promise<Uint8Array>) {
  const peer = await Peer.open({ localAddress: address });
  context.after(() => peer.close());
  const endpoint = await peer.listen(address, 0);
  const data = await privateData(peer);
  void endpoint.take().then((request) => request?.accept({ privateData: data }));
  return String(endpoint.port);
}

/** A listener that accepts and says nothing. */
async function silence(
  context: TestContext,
): Promise<{ readonly port: string; readonly connected: Promise<unknown> }> {
  const sockets = new Set<{ destroy(): void }>();
  const server = createServer((socket) => sockets.add(socket.on('error', () => undefined)));
  server.listen(0, address);
  await once(server, 'listening');
  context.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { port: String(port), connected: once(server, 'connection') };
}

function checkSummary(summary: Line | undefined, latencies: readonly unknown[]): void {
  assert.ok(summary !== undefined);
  const sorted = latencies.map(Number).sort((left, right) => left - right);
  assert.equal(summary['event'], 'summary');
  assert.equal(summary['answered'], sorted.length);
  assert.equal(summary['minUs'], sorted[0]);
  assert.equal(summary['maxUs'], sorted.at(-1));
  const median = sorted[Math.ceil(sorted.length / 2) - 1] ?? NaN;
  const found = Number(summary['medianUs']);
  assert.ok(Math.abs(found - median) <= median * 0.01 + 0.1, `median ${found}, of ${median}`);
  assert.ok(Number(summary['p99Us']) <= Number(summary['maxUs']));
  assert.ok(Number(summary['p99Us']) >= found);
}

describe('rpma ping', () => {
  let folder = '';
  let count = 0;
  before(async () => {
    folder = await diskFolder();
  });
  after(() => removeFolder(folder));

  /** A served file full of a pattern. */
  async function servedFile(context: TestContext, ...args: string[]) {
    const file = join(folder, `${count++}.pmem`);
    writeFileSync(file, Buffer.alloc(8192, 'pattern'));
    return { file, ...(await startServing(context, [file, ...args])) };
  }

  test('of a file flushes to persistence, and changes nothing in it', async (context) => {
    const { file, port, command } = await servedFile(context);
    const before = readFileSync(file);
    const text = await commandOutput(context, ['ping', address, port, '--count', '3', ...fast]);
    const place = `${address}:${port}`;
    const time = String.raw`time=\d+\.\d{3} ms`;
    const patterns = [
      `ping ${place}: write and persistent flush of 64 bytes of 8192 bytes \\(8 KiB\\), provider iwarp`,
      ...[1, 2, 3].map((n) => `64 bytes durable \\(persisted\\): seq=${n} ${time}`),
      '',
      `--- ${place}: 3 sent, 3 answered, \\d+\\.\\d s`,
      String.raw`round trip min/median/p99/max = \d+\.\d{3}/\d+\.\d{3}/\d+\.\d{3}/\d+\.\d{3} ms`,
      '',
    ];
    assert.match(text, new RegExp(`^${patterns.join('\n')}$`));
    assert.deepEqual(readFileSync(file), before);
    await command.line(/"left"/);
  });

  test('--json is an object a line, with the same figures', async (context) => {
    const { port } = await servedFile(context);
    const args = ['ping', address, port, '--json', '--count', '50', '--length', '4KiB', ...fast];
    const [first, ...rest] = jsonLines(await commandOutput(context, args));
    const lengthBytes = 4096;
    assert.deepEqual(first, {
      event: 'connected',
      address,
      provider: 'iwarp',
      sizeBytes: 8192,
      dataOffset: 0,
      lengthBytes,
      type: 'persistent',
    });
    const answers = rest.slice(0, -1);
    assert.equal(answers.length, 50);
    for (const [index, { latencyUs, ...answer }] of answers.entries()) {
      const durability = 'persisted';
      assert.deepEqual(answer, { event: 'answer', sequence: index + 1, lengthBytes, durability });
      assert.ok(typeof latencyUs === 'number' && latencyUs > 0);
    }
    checkSummary(
      rest.at(-1),
      answers.map(({ latencyUs }) => latencyUs),
    );
  });

  test('--type visibility is delivered, also polled for', async (context) => {
    const { port } = await servedFile(context);
    const args = ['ping', address, port, '--count', '2', '--type', 'visibility', ...fast];
    for (const way of [[], ['--polled']]) {
      const text = await commandOutput(context, [...args, ...way]);
      assert.match(text, /^64 bytes delivered: seq=2 time=/m);
    }
  });

  test('of memory flushes to visibility', async (context) => {
    const { port } = await startServing(context, ['--memory', '4096', '--address', '::1']);
    const text = await commandOutput(context, ['ping', '::1', port, '--count', '1']);
    assert.match(text, /^ping \[::1\]:\d+: write and visibility flush of 64 bytes of 4096 bytes/);
  });

  test('--overwrite writes zeroes where the region cannot be read', async (context) => {
    const { file, port } = await servedFile(context, '--usage', 'write,flush');
    const expected = readFileSync(file).fill(0, 0, 64);
    const refused = await runCommand(context, ['ping', address, port, '--count', '1']);
    assert.match(refused.stderr, /cannot be read.*; lend it with --usage .* --overwrite/);
    assert.equal(refused.status, 1);
    await commandOutput(context, ['ping', address, port, '--count', '1', '--overwrite']);
    assert.deepEqual(readFileSync(file), expected);
  });

  test('finds a bare descriptor, too', async (context) => {
    const { ReadSource, WriteDestination, FlushVisibility } = MemoryUsage;
    const usage = ReadSource | WriteDestination | FlushVisibility;
    const port = await lender(context, async (peer) =>
      (await peer.allocate(64, { usage })).toDescriptor(),
    );
    await commandOutput(context, ['ping', address, port, '--count', '2', ...fast]);
  });

  test('--interval is the time from one to the next', async (context) => {
    const { port } = await servedFile(context);
    const args = ['ping', address, port, '--count', '4', '--interval', '100ms'];
    const { elapsedMs } = await timed(commandOutput(context, args));
    assert.ok(elapsedMs >= 300, `${elapsedMs} ms`);
  });

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    for (const way of [['--interval', '3600s'], fast, [...fast, '--polled']]) {
      test(`${signal} ends ${way.join(' ')} with the summary`, async (context) => {
        const { port, command } = await servedFile(context);
        const running = startCommand(context, ['ping', address, port, '--json', ...way]);
        await running.line(/"answer"/);
        const { status, stdout, stderr } = await running.stop(signal);
        assert.equal(stderr, '');
        assert.equal(status, 0);
        const lines = jsonLines(stdout);
        const answers = lines.filter(({ event }) => event === 'answer');
        assert.equal(lines.at(-1)?.['event'], 'summary');
        assert.equal(lines.at(-1)?.['answered'], answers.length);
        await command.line(/"left"/); // an orderly end
      });
    }
  }

  for (const way of [[], ['--polled']]) {
    test(`a signal ends the waiting for an answer ${way.join(' ')}`, async (context) => {
      const { port, command } = await servedFile(context);
      const args = ['ping', address, port, '--timeout', '3600s', ...fast, ...way];
      const running = startCommand(context, args);
      await running.line(/seq=2/);
      command.process.kill('SIGSTOP');
      await lastFor(300); // what was answered has come; now an answer is due that does not
      const { status, stdout, stderr } = await running.stop('SIGINT');
      assert.equal(stderr, '');
      assert.match(stdout, /\nround trip /);
      assert.equal(status, 0);
    });
  }

  const failures: readonly [what: string, lent: string[], args: string[], says: RegExp][] = [
    ['a persistent flush of memory', [], ['--type', 'persistent'], /allows visibility, not persi/],
    [
      'more than there is',
      [],
      ['--length', '5000'],
      /room for 4096 bytes.*; ping with --length 4096/,
    ],
    [
      'a region to be read only',
      ['--usage', 'read'],
      [],
      /cannot be written; lend it with --usage/,
    ],
    ['one without a flush', ['--usage', 'read,write'], [], /allows no flush, not .*; lend it with/],
  ];
  for (const [what, lent, args, says] of failures) {
    test(`${what} is a failure, with its cure`, async (context) => {
      const { port } = await startServing(context, ['--memory', '4096', ...lent]);
      const { status, stdout, stderr } = await runCommand(context, [
        'ping',
        address,
        port,
        ...args,
      ]);
      assert.match(stderr, says);
      assert.match(stderr, /^rpma: ping 127\.0\.0\.1:\d+: [^\n]+; [^\n]+\n$/);
      assert.equal(stdout, '');
      assert.equal(status, 1);
    });
  }

  test('a listener that tells of no region is a failure', async (context) => {
    const port = await lender(context, () => Promise.resolve(new Uint8Array(5)));
    const { status, stderr } = await runCommand(context, ['ping', address, port]);
    assert.match(
      stderr,
      /told of no region: it sent 5 bytes of private data; lend one with 'rpma s/,
    );
    assert.equal(status, 1);
  });

  test('nobody there is a failure that names cause and cure', async (context) => {
    const { port, command } = await startServing(context, ['--memory', '4096']);
    await command.stop('SIGTERM');
    const { status, stdout, stderr } = await runCommand(context, ['ping', address, port, '--json']);
    assert.match(
      stderr,
      /nothing listens at .*: start the other side first.*\[ERR_RPMA_REJECTED\]/,
    );
    assert.equal(status, 1);
    const [summary, ...rest] = jsonLines(stdout);
    assert.deepEqual(rest, []);
    assert.equal(summary?.['answered'], 0);
    assert.equal((summary?.['error'] as Line)['code'], 'ERR_RPMA_REJECTED');
  });

  test('no answer to the connection in time is a failure', async (context) => {
    const { port } = await silence(context);
    const args = ['ping', address, port, '--timeout', '200ms'];
    const { status, stderr } = await runCommand(context, args);
    assert.match(stderr, /\[ERR_RPMA_UNREACHABLE\]/);
    assert.equal(status, 1);
  });

  test('stopped before anything answered it has failed', async (context) => {
    const { port, connected } = await silence(context);
    const running = startCommand(context, ['ping', address, port, '--timeout', '3600s']);
    await withDeadline(connected, 'a connection', 30_000);
    const { status, stderr } = await running.stop('SIGINT');
    assert.match(stderr, /nothing had answered when it was stopped; let it run/);
    assert.equal(status, 1);
  });

  test('no answer to a flush in time is a failure, after the summary', async (context) => {
    const { port, command } = await servedFile(context);
    const args = ['ping', address, port, '--json', '--timeout', '2s', ...fast];
    const running = startCommand(context, args);
    await running.line(/"answer"/);
    command.process.kill('SIGSTOP');
    const { status, stdout, stderr } = await running.end();
    assert.match(
      stderr,
      /no answer came in 2 s; give it longer with --timeout.*\[ERR_RPMA_TIMEOUT/,
    );
    assert.equal(status, 1);
    const summary = jsonLines(stdout).at(-1);
    assert.equal((summary?.['error'] as Line)['code'], 'ERR_RPMA_TIMEOUT');
    assert.ok(Number(summary?.['answered']) >= 1);
    assert.equal(summary?.['sent'], Number(summary?.['answered']) + 1);
  });

  for (const way of [[], ['--polled']]) {
    test(`a lost connection is a failure ${way.join(' ')}`, async (context) => {
      const { port, command } = await servedFile(context);
      const running = startCommand(context, ['ping', address, port, ...fast, ...way]);
      await running.line(/seq=2/);
      command.process.kill('SIGKILL');
      const { status, stdout, stderr } = await running.end();
      assert.match(stderr, /^rpma: ping [^\n]* \[ERR_RPMA_(CONNECTION_LOST|WC_\w+|CLOSED)\]\n$/);
      assert.match(stdout, /\nround trip min\/median\/p99\/max = [^\n]* ms\n$/);
      assert.equal(status, 1);
    });
  }
});
