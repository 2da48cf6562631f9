// SPDX-License-Identifier: BSD-3-Clause
//
// How the command prints: colours on terminals alone unless the environment says otherwise, a
// reader that goes away, an output that is full, stacks on request, and a library that is missing.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { describe, test } from 'node:test';
import {
  commandFile,
  commandOutput,
  jsonLines,
  runCommand,
  runOnTerminal,
  startCommand,
  startServing,
  terminalObstacle,
} from '../support/command.js';
import { withDeadline } from '../support/deadline.js';

const escape = '\u001b[';
const address = '127.0.0.1';

describe('colours', () => {
  test('there are none in a pipe, but with FORCE_COLOR', async (context) => {
    assert.ok(!(await commandOutput(context, ['devices'])).includes(escape));
    const env = { FORCE_COLOR: '1' };
    assert.ok((await commandOutput(context, ['devices'], { env })).includes(escape));
    const failed = await runCommand(context, ['decode', '0102'], { env });
    assert.ok(failed.stderr.startsWith(`${escape}31mrpma:${escape}39m decode: `), failed.stderr);
  });

  test('FORCE_COLOR=0 is no, and JSON has none', async (context) => {
    const env = { FORCE_COLOR: '0' };
    assert.ok(!(await commandOutput(context, ['devices'], { env })).includes(escape));
    const forced = { env: { FORCE_COLOR: '1' } };
    assert.ok(!(await commandOutput(context, ['devices', '--json'], forced)).includes(escape));
  });

  test('a terminal has them, unless NO_COLOR or TERM say otherwise', async (context) => {
    const obstacle = terminalObstacle();
    if (obstacle !== null) {
      context.skip(obstacle);
      return;
    }
    const args = ['decode', '01'];
    const { status, stdout } = await runOnTerminal(context, args);
    assert.equal(status, 0);
    assert.ok(stdout.startsWith(`${escape}1mpeer descriptor${escape}22m, 1 byte`), stdout);
    for (const env of [{ NO_COLOR: '1' }, { TERM: 'dumb' }]) {
      const plain = await runOnTerminal(context, args, env);
      assert.ok(plain.stdout.startsWith('peer descriptor, 1 byte\r\n'), plain.stdout);
    }
    const both = await runOnTerminal(context, args, { NO_COLOR: '1', FORCE_COLOR: '1' });
    // Newer versions of Node may warn of the two by themselves.
    assert.ok(both.stdout.includes(`${escape}1mpeer`), both.stdout);
  });
});

describe('a reader that goes away', () => {
  test('ends ping quietly, with status 0', async (context) => {
    const { port, command } = await startServing(context, ['--memory', '4096']);
    const running = startCommand(context, ['ping', address, port, '--interval', '0']);
    await running.line(/seq=1/);
    running.process.stdout?.destroy();
    const { status, stderr } = await running.end();
    assert.equal(stderr, '');
    assert.equal(status, 0);
    await command.line(/"left"/);
  });

  test('ends serve quietly at the next that it has to say', async (context) => {
    const served = await startServing(context, ['--memory', '4096']);
    served.command.process.stdout?.destroy();
    await runCommand(context, ['ping', address, served.port, '--interval', '0', '--count', '9']);
    const { status, stderr } = await served.command.end();
    assert.equal(stderr, '');
    assert.equal(status, 0);
  });

  test('does not harm a command that is short', async (context) => {
    for (const args of [['devices'], ['--help'], ['decode', '01']]) {
      const running = startCommand(context, args);
      running.process.stdout?.destroy();
      const { status, stderr } = await running.end();
      assert.equal(stderr, '', args.join(' '));
      assert.equal(status, 0);
    }
  });
});

test('an output that is full is a failure', async () => {
  for (const args of [['devices'], ['--help'], ['decode', '01']]) {
    const full = openSync('/dev/full', 'w');
    const child = spawn(process.execPath, [commandFile, ...args], {
      stdio: ['ignore', full, 'pipe'],
    });
    let stderr = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const [status] = (await withDeadline(once(child, 'close'), 'its end', 30_000)) as [number];
    assert.match(
      stderr,
      /^rpma: standard output: .*; see where standard output goes \[ENOSPC\]\n$/,
    );
    assert.equal(status, 1);
  }
});

describe('a failure', () => {
  test('has no stack, but with RPMA_DEBUG', async (context) => {
    const args = ['decode', '01020304'];
    const { stderr } = await runCommand(context, args);
    assert.equal(stderr.split('\n').length, 2);
    const debugged = await runCommand(context, args, { env: { RPMA_DEBUG: '1' } });
    assert.ok(debugged.stderr.startsWith(stderr), debugged.stderr);
    assert.match(debugged.stderr, /\n +at .*decode\.js:\d+/);
  });

  test('to load the addon is told; what needs no addon works', async (context) => {
    const env = { RPMA_NATIVE: '/nowhere/rpma.node' };
    for (const args of [['devices'], ['serve', '--memory', '1'], ['ping', 'localhost']]) {
      const { status, stderr } = await runCommand(context, args, { env });
      const says = new RegExp(`^rpma: ${args[0]}[^\\n]*\\[ERR_RPMA_MISSING_LIBRARY\\]\\n$`);
      assert.match(stderr, says);
      assert.equal(status, 1);
    }
    const decoded = await commandOutput(context, ['decode', '01', '--json'], { env });
    assert.equal(jsonLines(decoded).length, 1);
    await commandOutput(context, ['ping', '--help'], { env });
  });
});
