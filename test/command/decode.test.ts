// SPDX-License-Identifier: BSD-3-Clause
//
// rpma decode: each form in words and as JSON, from each kind of input, and what it says of bytes
// that it does not know.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { commandOutput, type CommandOptions, jsonLines, runCommand } from '../support/command.js';
import { diskFolder, removeFolder } from '../support/folders.js';

/** librpma's own example of a descriptor: 1024 bytes, to be written and flushed to visibility. */
const region = '00705634127f0000' + '0004000000000000' + '2c1b0a00' + '18';
const exampleBlock = `08001501${region}01` + '0000';
const exampleBlockWithoutPeer = `00001500${region}` + '000000';
const fioBlock = `10000115${region}` + '000000';

const regionJson = {
  address: '0x00007f1234567000',
  sizeBytes: 1024,
  key: 0x000a1b2c,
  usage: 0x18,
  usageWords: ['write', 'flush-visibility'],
  flushTypes: ['visibility'],
};

const regionLines = [
  '  address       0x00007f1234567000 (opaque here)',
  '  size          1024 bytes (1 KiB)',
  '  key           0x000a1b2c (a secret, with the address)',
  '  usage         0x18',
  '                others may write it',
  '                others may flush it to visibility',
];

const vouched = 'yes: what is visible in its memory is persistent, says its operator';
const forms = /expected was a peer descriptor \(1 byte\), a region descriptor \(21 bytes\)/;

describe('rpma decode', () => {
  let folder = '';
  before(async () => {
    folder = await diskFolder();
  });
  after(() => removeFolder(folder));

  test('a region descriptor', async (context) => {
    const narrow = regionLines.map((line) => line.replace(/^(.{9}) {5}/, '$1'));
    const text = await commandOutput(context, ['decode', region]);
    assert.equal(text, ['region descriptor, 21 bytes', ...narrow, ''].join('\n'));
    const json = jsonLines(await commandOutput(context, ['decode', '--json', region]));
    assert.deepEqual(json, [{ kind: 'region', bytes: 21, ...regionJson }]);
  });

  test('a peer descriptor', async (context) => {
    const no = 'no: what is visible in its memory may not be persistent yet';
    const title = 'peer descriptor, 1 byte\n  direct write  ';
    assert.equal(await commandOutput(context, ['decode', '00']), `${title}${no}\n`);
    assert.equal(await commandOutput(context, ['decode', '01']), `${title}${vouched}\n`);
    const strange = `${vouched} (the byte is 7; all but 0 is read as yes)`;
    assert.equal(await commandOutput(context, ['decode', '07']), `${title}${strange}\n`);
    const json = jsonLines(await commandOutput(context, ['decode', '01', '--json']));
    assert.deepEqual(json, [{ kind: 'peer', bytes: 1, directWriteToPmem: true }]);
  });

  test("the block of librpma's examples, with a peer descriptor", async (context) => {
    const text = await commandOutput(context, ['decode', exampleBlock]);
    const lines = [
      "private data of librpma's examples, 28 bytes",
      ...regionLines,
      '  data          from byte 8 of the region on',
      `  direct write  ${vouched}`,
    ];
    assert.equal(text, [...lines, ''].join('\n'));
    const json = jsonLines(await commandOutput(context, ['decode', '--json', exampleBlock]));
    const tail = { dataOffset: 8, directWriteToPmem: true };
    assert.deepEqual(json, [{ kind: 'example-block', bytes: 28, ...regionJson, ...tail }]);
  });

  test("the block of librpma's examples, without, and padded", async (context) => {
    const padded = exampleBlockWithoutPeer + '00'.repeat(28);
    const text = await commandOutput(context, ['decode', padded]);
    assert.match(text, /^private data of librpma's examples, 56 bytes\n/);
    assert.match(text, /\n {2}peer +nothing is said of it\n$/);
    const json = jsonLines(await commandOutput(context, ['decode', '--json', padded]));
    const tail = { dataOffset: 0, directWriteToPmem: null };
    assert.deepEqual(json, [{ kind: 'example-block', bytes: 56, ...regionJson, ...tail }]);
  });

  test("fio's block", async (context) => {
    const text = await commandOutput(context, ['decode', fioBlock]);
    assert.match(text, /^private data of fio's librpma engines, 28 bytes\n/);
    assert.match(text, /\n {2}messages +16 at most at once\n {2}direct write +yes/);
    const json = jsonLines(await commandOutput(context, ['decode', '--json', fioBlock]));
    const tail = { messagesMax: 16, directWriteToPmem: true };
    assert.deepEqual(json, [{ kind: 'fio-block', bytes: 28, ...regionJson, ...tail }]);
  });

  test('hex is taken with spaces, colons, capitals and 0x, in several words', async (context) => {
    const expected = await commandOutput(context, ['decode', region]);
    const bytes = region.match(/../g) ?? [];
    const spellings = [
      bytes,
      [bytes.join(':')],
      [region.toUpperCase()],
      bytes.map((byte) => `0x${byte},`),
      [`0x${region}`],
    ];
    for (const words of spellings) {
      assert.equal(await commandOutput(context, ['decode', ...words]), expected);
    }
  });

  test('files and standard input hold hex or the bytes themselves', async (context) => {
    const expected = await commandOutput(context, ['decode', region]);
    const bytes = Buffer.from(region, 'hex');
    writeFileSync(join(folder, 'region.hex'), `${region.match(/.{1,16}/g)?.join('\n')}\n`);
    writeFileSync(join(folder, 'region.bin'), bytes);
    const runs: [string, CommandOptions][] = [
      ['region.hex', { cwd: folder }],
      ['region.bin', { cwd: folder }],
      ['-', { input: `${region}\n` }],
      ['-', { input: bytes }],
    ];
    for (const [input, options] of runs) {
      assert.equal(await commandOutput(context, ['decode', input], options), expected);
    }
  });

  const failures: readonly [
    what: string,
    args: string[],
    says: RegExp,
    options?: CommandOptions,
  ][] = [
    ['too few bytes', ['0102'], /decode: 2 bytes are of no known form; expected was/],
    ['too many bytes', [`${region}00`], /decode: 22 bytes are of no known form; expected was/],
    ['another start', ['ff'.repeat(28)], /28 bytes that start like neither block are of no/],
    ['a tail that is not zero', [`${exampleBlock}01`], /29 bytes that start like neither/],
    ['a block of two peers', [`08001502${region}010100`], /28 bytes that start like neither/],
    [
      'usage 0',
      [`${region.slice(0, -2)}00`],
      /malformed region descriptor: its usage is 0; .* \[ERR_RPMA_DESCRIPTOR\]$/,
    ],
    ['half a byte', ['012'], /'012' has an odd number of hex digits; give a peer descriptor/],
    ['no such file', ['nowhere.bin'], /'nowhere.bin' is neither hex nor a file; give/],
    ['a folder', ['.'], /EISDIR.*; name a file \[EISDIR\]$/],
    ['nothing', ['-'], /0 bytes are of no known form; expected was/, { input: '' }],
    ['no end', ['/dev/zero'], /more than 4096 bytes are no descriptor; expected was/],
  ];
  for (const [what, args, says, options] of failures) {
    test(`${what} is refused with what was expected`, async (context) => {
      const { status, stdout, stderr } = await runCommand(context, ['decode', ...args], options);
      assert.match(stderr.trimEnd(), says);
      assert.match(stderr, /^rpma: decode: [^\n]+\n$/);
      if (says.source.endsWith('expected was')) assert.match(stderr, forms);
      assert.equal(stdout, '');
      assert.equal(status, 1);
    });
  }
});
