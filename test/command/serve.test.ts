// SPDX-License-Identifier: BSD-3-Clause
//
// rpma serve: what it lends, to whom it tells what, and how it ends.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { type Connection, MemoryUsage, Peer, PeerConfig, RemoteRegion } from 'rpma';
import {
  jsonLines,
  runCommand,
  RunningCommand,
  type Served,
  startCommand,
  startServing,
} from '../support/command.js';
import { diskFolder, folderOn, packageRoot, removeFolder, tmpfsMount } from '../support/folders.js';
import { ScriptedPeer } from '../support/scripted-peer.js';

const { ReadSource, WriteDestination, FlushVisibility, FlushPersistent } = MemoryUsage;

interface Client {
  readonly peer: Peer;
  readonly connection: Connection;
  readonly remote: RemoteRegion;
  readonly config: PeerConfig;
  readonly block: Uint8Array;
}

/** Connects to what is served, and reads librpma's example block by hand. */
async function visit(context: TestContext, { port }: Served, address: string): Promise<Client> {
  const peer = await Peer.open({ remoteAddress: address });
  context.after(() => peer.close());
  const connection = await peer.connect(address, Number(port));
  const block = connection.privateData;
  assert.equal(block.length, 28);
  assert.deepEqual([...block.subarray(0, 4)], [0, 0, 21, 1]);
  return {
    peer,
    connection,
    remote: RemoteRegion.fromDescriptor(block.subarray(4, 25)),
    config: PeerConfig.fromDescriptor(block.subarray(25, 26)),
    block,
  };
}

const address = '127.0.0.1';

describe('rpma serve', () => {
  let folder = '';
  before(async () => {
    folder = await diskFolder();
  });
  after(() => removeFolder(folder));

  test('lends a new file, for reads, writes and flushes', async (context) => {
    const file = join(folder, 'new.pmem');
    const served = await startServing(context, [file, '--create', '--size', '64KiB']);
    const { listening } = served;
    const { peer, connection, remote, config, block } = await visit(context, served, address);
    assert.equal(remote.sizeBytes, 65_536);
    assert.equal(remote.usage, ReadSource | WriteDestination | FlushVisibility | FlushPersistent);
    assert.equal(config.directWriteToPmem, true);
    const descriptor = Buffer.from(block.subarray(4, 25)).toString('hex');
    const { durability, ...told } = listening;
    assert.ok(durability === 'storage' || durability === 'pmem', String(durability));
    const usage = ['read', 'write', 'flush-visibility', 'flush-persistent'];
    assert.deepEqual(told, {
      event: 'listening',
      address,
      port: Number(served.port),
      provider: 'iwarp',
      source: file,
      sizeBytes: 65_536,
      usage,
      directWriteToPmem: true,
      descriptor,
    });
    const local = await peer.allocate(4, { usage: MemoryUsage.WriteSource });
    local.bytes.set([1, 2, 3, 4]);
    const result = await connection.writeDurable({ local, remote, remoteOffset: 8, length: 4 });
    assert.equal(result.durability, 'persisted');
    assert.deepEqual([...readFileSync(file).subarray(6, 14)], [0, 0, 1, 2, 3, 4, 0, 0]);
  });

  test('lends a part of a file', async (context) => {
    const file = join(folder, 'part.pmem');
    writeFileSync(file, Buffer.alloc(3 * 4096, 'abc'));
    const served = await startServing(context, [file, '--offset', '4KiB', '--size', '4096']);
    const { peer, connection, remote } = await visit(context, served, address);
    assert.equal(remote.sizeBytes, 4096);
    const local = await peer.allocate(4096, { usage: MemoryUsage.ReadDestination });
    await connection.read({ local, remote, length: 4096 });
    assert.deepEqual(Buffer.from(local.bytes), readFileSync(file).subarray(4096, 8192));
  });

  test('lends memory, which cannot be flushed to persistence', async (context) => {
    const served = await startServing(context, ['--memory', '1MiB']);
    const { remote, config } = await visit(context, served, address);
    assert.equal(remote.sizeBytes, 2 ** 20);
    assert.equal(remote.usage, ReadSource | WriteDestination | FlushVisibility);
    assert.equal(config.directWriteToPmem, false);
    assert.equal(served.listening['durability'], 'none');
  });

  test('--usage decides what others may do', async (context) => {
    const usages: readonly [words: string, usage: number][] = [
      ['read', ReadSource],
      ['write,flush-visibility', WriteDestination | FlushVisibility],
      ['write, flush', WriteDestination | FlushVisibility],
    ];
    for (const [words, usage] of usages) {
      const served = await startServing(context, ['--memory', '4096', '--usage', words]);
      const { remote } = await visit(context, served, address);
      assert.equal(remote.usage, usage, words);
      await served.command.kill();
    }
  });

  test('a client that breaks off is lost, and the next is served', async (context) => {
    const served = await startServing(context, ['--memory', '4096']);
    const first = await visit(context, served, address);
    await served.command.line(/"came","number":1/);
    first.connection.destroy();
    const line = await served.command.line(/"(left|lost)","number":1/);
    assert.match(line, /"event":"lost".*"reason":".*\[ERR_RPMA_CONNECTION_LOST\]"/);
    const second = await visit(context, served, address);
    await served.command.line(/"came","number":2/);
    await second.connection.close();
    const { stdout } = await served.command.stop('SIGTERM');
    const summary = jsonLines(stdout).at(-1);
    assert.deepEqual([summary?.['clients'], summary?.['lost']], [2, 1]);
  });

  test('a file in memory needs --allow-volatile, and claims nothing', async (context) => {
    const mount = tmpfsMount();
    if (mount === null) {
      context.skip('no tmpfs is mounted');
      return;
    }
    const own = await folderOn(mount);
    context.after(() => removeFolder(own));
    const file = join(own, 'volatile.pmem');
    const args = [file, '--create', '--size', '4096'];
    const refused = await runCommand(context, ['serve', '--port', '0', ...args]);
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /; choose .* or say --allow-volatile \[ERR_RPMA_NOT_PERSISTENT\]/);
    const served = await startServing(context, [...args, '--allow-volatile']);
    const { config, remote } = await visit(context, served, address);
    assert.equal(config.directWriteToPmem, false);
    assert.equal(remote.usage & FlushPersistent, FlushPersistent);
    assert.equal(served.listening['durability'], 'memory');
  });

  test('listens at another address', async (context) => {
    const served = await startServing(context, ['--memory', '4096', '--address', '::1']);
    const { remote } = await visit(context, served, '::1');
    assert.equal(remote.sizeBytes, 4096);
  });

  test('says who comes and goes, and sums it up at a signal', async (context) => {
    const command = startCommand(context, ['serve', '--memory', '4096', '--port', '0']);
    const line = await command.line(/^listening on 127\.0\.0\.1:\d+, provider iwarp$/);
    const port = /:(\d+),/.exec(line)?.[1] ?? '';
    for (const number of [1, 2]) {
      const { connection } = await visit(context, { command, port, listening: {} }, address);
      await command.line(new RegExp(`^client ${number} from 127\\.0\\.0\\.1 came \\(1 here\\)$`));
      await connection.close();
      await command.line(new RegExp(`^client ${number} from 127\\.0\\.0\\.1 left \\(0 here\\)$`));
    }
    const { status, stdout, stderr } = await command.stop('SIGINT');
    assert.equal(stderr, '');
    assert.equal(status, 0);
    const [lending, durability, descriptor] = stdout.split('\n');
    assert.equal(lending, 'lending 4096 bytes (4 KiB) of memory for read, write, flush-visibility');
    assert.equal(durability, 'durability: none, memory does not outlive this process');
    assert.match(descriptor ?? '', /^descriptor: [0-9a-f]{42}$/);
    assert.match(stdout, /\nserved 2 clients in [\d.]+ s, 0 lost\n$/);
  });

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    test(`${signal} ends it while a client is there, who sees an orderly end`, async (context) => {
      const served = await startServing(context, ['--memory', '4096']);
      const { connection } = await visit(context, served, address);
      await served.command.line(/"came"/);
      const ended = served.command.stop(signal);
      const end = await connection.whenClosed();
      await connection.close();
      const { status, stdout } = await ended;
      assert.equal(end.type, 'closed');
      assert.equal(status, 0);
      const events = jsonLines(stdout).map(({ event }) => event);
      assert.deepEqual(events, ['listening', 'came', 'left', 'summary']);
    });
  }

  test('a stranger who only connects, or talks nonsense, changes nothing', async (context) => {
    const served = await startServing(context, ['--memory', '4096']);
    const silent = connect(Number(served.port), address);
    const noisy = connect(Number(served.port), address);
    context.after(() => silent.destroy());
    noisy.on('error', () => undefined);
    noisy.end('GET / HTTP/1.1\r\n\r\n');
    await new Promise((resolve) => noisy.once('close', resolve).resume());
    const { connection } = await visit(context, served, address);
    await connection.close();
    const { status, stderr } = await served.command.stop('SIGTERM');
    assert.equal(stderr, '');
    assert.equal(status, 0);
  });

  const failures: readonly [what: string, args: string[], says: RegExp][] = [
    [
      'a file that is not there',
      ['nowhere.pmem'],
      /ENOENT\); check the path, or say --create with/,
    ],
    ['a folder', ['.'], /^rpma: serve \.: /],
    ['an address of others', ['--memory', '1', '--address', '192.0.2.77'], /no address of this m/],
    ['a name of nobody', ['--memory', '1', '--address', 'nobody.invalid'], /nobody\.invalid/],
    ['a provider that is not offered', ['--memory', '1', '--provider', 'shm'], /'shm'/],
  ];
  for (const [what, args, says] of failures) {
    test(`${what} is a failure`, async (context) => {
      const all = ['serve', '--port', '0', ...args];
      const { status, stdout, stderr } = await runCommand(context, all, { cwd: folder });
      assert.match(stderr, says);
      assert.match(stderr, /^rpma: serve[^\n]* \[ERR_RPMA_\w+\]\n$/);
      assert.equal(stdout, '');
      assert.equal(status, 1);
    });
  }

  test('a port that is taken is a failure with its cure', async (context) => {
    const { port } = await startServing(context, ['--memory', '4096']);
    const args = ['serve', '--memory', '4096', '--port', port];
    const { status, stderr } = await runCommand(context, args);
    assert.match(stderr, /EADDRINUSE\); choose another --port, or 0 for a free one \[ERR_RPMA_/);
    assert.equal(status, 1);
  });

  test('what a plain client wrote is persisted before its read is answered', async (context) => {
    const file = join(folder, 'plain.pmem');
    const native = join(packageRoot(), 'build', 'Release', 'rpma_test.node');
    /** A client without the extension writes, and reads, which is the flush it has. */
    const flush = async (env: Readonly<Record<string, string>>): Promise<Uint8Array> => {
      const args = [file, '--create', '--size', '4096'];
      const { port } = await startServing(context, args, { env: { RPMA_NATIVE: native, ...env } });
      const script = await ScriptedPeer.dial(context, Number(port));
      const reply = await script.request();
      const { privateData } = reply;
      const lent = {
        base: Buffer.from(privateData).readBigUInt64LE(4),
        lengthBytes: 4096n,
        stag: Buffer.from(privateData).readUInt32LE(20),
        usage: privateData[24] ?? 0,
      };
      script.rdmaWrite(lent, 0, Uint8Array.of(1, 2, 3));
      return script.read(lent, 0, 3);
    };
    assert.deepEqual(await flush({}), Uint8Array.of(1, 2, 3));
    // Where persisting fails, so does the read: the byte in the block is no empty promise.
    await assert.rejects(flush({ RPMA_FAULT: 'memory.msync:1:5' }));
  });

  test('the clients of the examples find what is lent', async (context) => {
    const program = (name: string): string =>
      join(packageRoot(), 'build', 'js', 'examples', name, 'client.js');
    const runExample = async (name: string, { port }: Served): Promise<string> => {
      const args = [program(name), address, port];
      const running = new RunningCommand(process.execPath, args, { cwd: folder });
      const { status, stdout, stderr } = await running.end();
      assert.equal(status, 0, stderr);
      return stdout;
    };
    assert.ok(existsSync(program('05-flush-to-persistent')));
    const file = join(folder, 'examples.pmem');
    const lent = await startServing(context, [file, '--create', '--size', '64KiB']);
    const flushed = await runExample('05-flush-to-persistent', lent);
    assert.match(flushed, /^Flush: persistent\nCompletion: flush, durability persisted$/m);
    assert.equal(readFileSync(file, 'utf8').slice(0, 12), 'Hello world!');
    assert.match(await runExample('04-write-to-persistent', lent), /Hello world!/);
    const small = await startServing(context, ['--memory', '1024', '--usage', 'read']);
    await runExample('02-read-to-volatile', small);
  });
});
