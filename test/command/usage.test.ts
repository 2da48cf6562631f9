// SPDX-License-Identifier: BSD-3-Clause
//
// How the command is called: help and version of each command, and every wrong use: status 2, one
// line on standard error, nothing on standard output.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { versions } from 'rpma';
import { commandOutput, runCommand } from '../support/command.js';

const commands = ['devices', 'serve', 'ping', 'decode'];

/** Wrong calls, and what is said of them. */
const wrong: readonly [args: string, says: RegExp][] = [
  ['pin', /^rpma: unknown command 'pin' \(Did you mean ping\?\); see 'rpma --help'$/],
  ['--colour', /^rpma: unknown option '--colour'; see 'rpma --help'$/],
  ['devices here', /^rpma: devices: too many arguments .*; see 'rpma devices --help'$/],
  ['devices --jsn', /^rpma: devices: unknown option '--jsn' \(Did you mean --json\?\); see/],
  ['decode', /^rpma: decode: missing required argument 'input'; see/],
  ['ping', /^rpma: ping: missing required argument 'address'; see 'rpma ping --help'$/],
  ['ping localhost 0', /^rpma: ping: port '0': a whole number from 1 to 65535 is expected; see/],
  ['ping localhost 65536', /port '65536': a whole number from 1 to 65535 is expected/],
  ['ping localhost 1e3', /port '1e3': a whole number/],
  ['ping localhost 1 2', /too many arguments/],
  ['ping localhost --type delivered', /--type 'delivered': .*visibility, persistent/],
  ['ping localhost --length 0', /--length '0': a size is from 1/],
  ['ping localhost --length 1.5', /--length '1.5': a size is written 4096, 64KiB/],
  ['ping localhost --length -1', /--length '-1': a size is written/],
  ['ping localhost --count 0', /--count '0': a whole number from 1/],
  ['ping localhost --count many', /--count 'many': a whole number from 1/],
  ['ping localhost --interval 1h', /--interval '1h': a time is written 1s, 200ms, 50us/],
  ['ping localhost --interval 90000', /--interval '90000': a time is at most a day/],
  ['ping localhost --timeout 0', /--timeout '0': a deadline is at least 1ms/],
  ['ping localhost --provider tcp', /--provider 'tcp': .*auto, iwarp, verbs, shm/],
  ['serve', /^rpma: serve: nothing to lend: neither a file nor --memory is given; see/],
  ['serve a b', /too many arguments/],
  ['serve a --memory 4096', /a file and --memory exclude each other/],
  ['serve --memory', /option '--memory <size>' argument missing/],
  ['serve --memory 4K', /--memory '4K': .*K is ambiguous/],
  ['serve --memory 9000000TiB', /--memory '9000000TiB': a size is from 1 to 2\^53 - 1/],
  ['serve --memory 4096 --size 4096', /--size is for files, not for --memory/],
  ['serve --memory 4096 --create', /--create is for files/],
  ['serve --memory 4096 --offset 0', /--offset is for files/],
  ['serve --memory 4096 --allow-volatile', /--allow-volatile is for files/],
  ['serve --memory 4096 --usage flush-persistent', /cannot be flushed to persistence; lend a file/],
  ['serve a --create', /--create needs --size; say how large/],
  ['serve a --offset 100', /--offset '100': an offset is a multiple of 4096/],
  ['serve a --port 70000', /--port '70000': a whole number from 0 to 65535/],
  ['serve a --usage read,sing', /--usage 'read,sing': it is a list like read,write,flush of/],
  ['serve a --usage=', /--usage '': it is a list/],
];

describe('rpma', () => {
  test('without a command shows the help on standard error, with status 2', async (context) => {
    const { status, stdout, stderr } = await runCommand(context, []);
    assert.equal(status, 2);
    assert.equal(stdout, '');
    assert.match(stderr, /^Usage: rpma/);
    for (const command of commands) assert.match(stderr, new RegExp(`^  ${command} `, 'm'));
  });

  test('-V and -h are short for them', async (context) => {
    assert.equal(await commandOutput(context, ['-V']), `${versions.rpma}\n`);
    assert.match(await commandOutput(context, ['ping', '-h']), /^Usage: rpma ping/);
  });

  test('--help and help show the help on standard output', async (context) => {
    const help = await commandOutput(context, ['--help']);
    assert.match(help, /^Usage: rpma \[options\] \[command\]\n/);
    assert.equal(await commandOutput(context, ['help']), help);
  });

  for (const args of [[], ...commands.map((command) => [command])]) {
    test(`${['rpma', ...args].join(' ')} --version`, async (context) => {
      assert.equal(await commandOutput(context, [...args, '--version']), `${versions.rpma}\n`);
    });
  }

  for (const command of commands) {
    test(`rpma ${command} --help`, async (context) => {
      const help = await commandOutput(context, [command, '--help']);
      assert.match(help, new RegExp(`^Usage: rpma ${command} \\[options\\]`));
      for (const option of ['--json', '--version', '--help']) assert.ok(help.includes(option));
    });
  }

  for (const [args, says] of wrong) {
    test(`rpma ${args} is refused`, async (context) => {
      const { status, stdout, stderr } = await runCommand(context, args.split(' '));
      assert.match(stderr.replace(/\n$/, ''), says);
      assert.equal(stderr.trimEnd().split('\n').length, 1, stderr);
      assert.equal(stdout, '');
      assert.equal(status, 2);
    });
  }
});
