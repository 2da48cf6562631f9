// SPDX-License-Identifier: BSD-3-Clause
//
// The log of example 07: its layout is librpma's struct log; what an interrupted client left is
// replaced; a word without room is refused and changes nothing.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import {
  checkedUsed,
  initialiseLog,
  logBytes,
  logSignature,
  usedOffset,
  wordsOf,
} from '../../examples/07-atomic-write/log.js';
import { diskFolder, removeFolder } from '../support/folders.js';
import { assertSuccess, compiledRoot, type Outcome, Program } from './support.js';

const file = 'log.pmem';

async function freshFolder(context: TestContext): Promise<string> {
  const folder = await diskFolder();
  context.after(() => removeFolder(folder));
  return folder;
}

function programOf(name: string): string {
  return join(compiledRoot, 'examples', '07-atomic-write', `${name}.js`);
}

/** Runs both programs on the file in the folder; what the server prints are the words. */
async function append(
  folder: string,
  ...words: string[]
): Promise<{ client: Outcome; server: Outcome; printed: string[] }> {
  const server = new Program(programOf('server'), ['127.0.0.1', '0', file], folder);
  try {
    const port = (await server.firstLine()).split(':').at(-1) ?? '';
    const client = new Program(programOf('client'), ['127.0.0.1', port, ...words], folder);
    const [clientEnd, serverEnd] = await Promise.all([client.end(), server.end()]);
    const printed = serverEnd.stdout.split('\n').slice(1, -1);
    return { client: clientEnd, server: serverEnd, printed };
  } finally {
    server.kill();
  }
}

async function overwrite(folder: string, offset: number, bytes: Uint8Array): Promise<void> {
  const handle = await open(join(folder, file), 'r+');
  await handle.write(bytes, 0, bytes.length, offset);
  await handle.close();
}

describe("librpma's struct log", () => {
  function logWith(used: bigint, text: string): Uint8Array {
    const log = new Uint8Array(logBytes);
    new DataView(log.buffer).setBigUint64(8, used, true);
    log.set(new TextEncoder().encode(text), 16);
    return log;
  }

  test('8 bytes of signature, 8 that say how much is used, 1024 of words', () => {
    const log = new Uint8Array(logBytes);
    log.set(logSignature);
    initialiseLog(log.subarray(usedOffset));
    assert.equal(log.length, 1040);
    assert.equal(
      Buffer.from(log.subarray(0, 24)).toString('hex'),
      `${'4c4f470000000000'}${'1000000000000000'}${'0000000000000000'}`,
    );
    assert.deepEqual(wordsOf(log), []);
  });

  test('words end in a zero byte; what lies behind the used part is none', () => {
    assert.deepEqual(wordsOf(logWith(24n, 'one\0two\0three\0')), ['one', 'two']);
    assert.deepEqual(wordsOf(logWith(21n, 'one\0\0')), ['one', '']);
  });

  test('a number that no log can have is refused', () => {
    for (const used of [0n, 15n, 1041n, 2n ** 64n - 1n]) {
      assert.throws(() => wordsOf(logWith(used, '')), /the log is damaged/);
    }
    assert.equal(checkedUsed(16n, logBytes), 16);
    assert.equal(checkedUsed(1040n, logBytes), 1040);
  });
});

describe('appending to the log', () => {
  test('replaces a word that an interrupted client left without counting it', async (context) => {
    const folder = await freshFolder(context);
    assert.deepEqual((await append(folder, 'one')).printed, ['one']);
    await overwrite(folder, 20, new TextEncoder().encode('interrupted\0'));
    const { client, server, printed } = await append(folder, 'two');
    assertSuccess(client, 'the client');
    assertSuccess(server, 'the server');
    assert.deepEqual(printed, ['one', 'two']);
  });

  test('refuses a word that has no room, and changes nothing', async (context) => {
    const folder = await freshFolder(context);
    await append(folder, 'one');
    const before = readFileSync(join(folder, file));
    const { client, server, printed } = await append(folder, 'x'.repeat(before.length - 20));
    assert.equal(client.code, 1);
    assert.match(client.stderr, /the log is full: 65516 bytes are left, not 65517/);
    assertSuccess(server, 'the server');
    assert.deepEqual(printed, ['one']);
    assert.deepEqual(readFileSync(join(folder, file)), before);
    const last = await append(folder, 'x'.repeat(before.length - 21));
    assertSuccess(last.client, 'the client whose word fits exactly');
  });

  test('refuses a log whose number makes no sense', async (context) => {
    const folder = await freshFolder(context);
    await append(folder, 'one');
    await overwrite(folder, usedOffset, new Uint8Array(8));
    const { client, server } = await append(folder, 'two');
    for (const { code, stderr } of [client, server]) {
      assert.equal(code, 1);
      assert.match(stderr, /the log is damaged: it says that 0 of 65536 bytes are used/);
    }
  });
});
