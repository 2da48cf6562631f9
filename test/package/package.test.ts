// SPDX-License-Identifier: BSD-3-Clause
//
// The tarball as a user gets it: packed from this tree, installed into an empty folder without a
// network, without install scripts and without anybody's npm configuration, then imported, required
// and used for a durable write. What it may hold is listed in contents.txt, by folder and kind of
// file.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { blocksOf, readPage } from '../docs/support.js';
import { packageRoot } from '../support/folders.js';

interface Manifest {
  readonly version: string;
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly gypfile: boolean;
}

const root = packageRoot();

/** Where `npm` is: the one that runs the tests, else the one on the path. */
function npm(args: readonly string[], cwd: string, userConfig: string): string {
  const script = process.env['npm_execpath'] ?? '';
  const isScript = script.endsWith('.js');
  const command = isScript ? process.execPath : 'npm';
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.toLowerCase().startsWith('npm_')),
  );
  return execFileSync(command, [...(isScript ? [script] : []), ...args], {
    cwd,
    encoding: 'utf8',
    env: { ...env, npm_config_userconfig: userConfig, npm_config_update_notifier: 'false' },
  });
}

function node(args: readonly string[], cwd: string): string {
  const env = { ...process.env };
  delete env['RPMA_NATIVE'];
  return execFileSync(process.execPath, args, { cwd, encoding: 'utf8', env });
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(path.join(folder, name)).isFile())
    .sort();
}

/**
 * 'dist/internal/native.js' is of the kind 'dist/internal/*.js'; files in the root are themselves.
 */
function kindOf(file: string): string {
  const folder = path.dirname(file);
  if (folder === '.' || folder.startsWith('prebuilds')) return file;
  return `${folder}/*${/(\.[a-z]+)*$/.exec(path.basename(file).replace('.generated', ''))?.[0] ?? ''}`;
}

/** A folder on a disk: files elsewhere are refused where persistence is asked for. */
const onDisk = path.join(root, 'build', 'test-files');

/** As a user writes it: two peers, a mapped file at one, a durable write from the other. */
const durableProgram = `
import { MemoryUsage, Peer, PmemFile, RemoteRegion } from 'rpma';

let errors = 0;
process.on('warning', () => errors++);
const file = await PmemFile.map(process.argv[2], { create: true, sizeBytes: 65_536 });
const server = await Peer.open({ localAddress: '127.0.0.1' });
const usage = MemoryUsage.WriteDestination | MemoryUsage.FlushPersistent;
const region = await server.register(file, { usage });
const endpoint = await server.listen('127.0.0.1', 0);
const accepting = endpoint.take().then((request) => request.accept().whenEstablished());

const client = await Peer.open({ localAddress: '127.0.0.1' });
const connection = await client.connect('127.0.0.1', endpoint.port);
await accepting;
const local = await client.allocate(64, { usage: MemoryUsage.WriteSource });
local.bytes.set(Buffer.from('hello'));
const remote = RemoteRegion.fromDescriptor(region.toDescriptor());
const { durability } = await connection.writeDurable({
  local,
  remote,
  remoteOffset: 4096,
  length: 5,
});
await connection.close();
await client.close();
await server.close();
await file.unmap();
console.log(durability, errors);
`;

describe('the packed tarball', () => {
  let folder = '';
  let tarball = '';
  let installed = '';
  let manifest: Manifest;

  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'rpma-package-'));
    const job = path.join(root, 'scripts', 'run.mjs');
    const printed = node([job, 'pack', `--destination=${folder}`], root);
    tarball = printed.trim().split('\n').at(-1) ?? '';
    const userConfig = path.join(folder, 'empty.npmrc');
    writeFileSync(userConfig, '');
    writeFileSync(path.join(folder, 'package.json'), '{"private":true}\n');
    // Without a network the one dependency comes from this tree, packed as well.
    const parser = path.join(root, 'node_modules', 'commander');
    const packing = [
      'pack',
      parser,
      '--ignore-scripts',
      `--pack-destination=${folder}`,
      '--silent',
    ];
    const dependency = npm(packing, folder, userConfig).trim().split('\n').at(-1) ?? '';
    const options = ['--offline', '--ignore-scripts', '--no-audit'];
    npm(['install', ...options, tarball, path.join(folder, dependency)], folder, userConfig);
    installed = path.join(folder, 'node_modules', 'rpma');
    manifest = JSON.parse(readFileSync(path.join(installed, 'package.json'), 'utf8')) as Manifest;
  });

  after(() => rmSync(folder, { recursive: true, force: true }));

  test('holds the files of contents.txt and no others', () => {
    const kinds = [...new Set(filesBelow(installed).map(kindOf))].sort();
    const machine = `${process.platform}-${process.arch}`;
    const actual = kinds.map((kind) => kind.replace(machine, '<machine>')).join('\n');
    const snapshot = path.join(root, 'test', 'package', 'contents.txt');
    if (process.env['RPMA_UPDATE_SNAPSHOT'] === '1') writeFileSync(snapshot, `${actual}\n`);
    assert.equal(actual, readFileSync(snapshot, 'utf8').trim());
  });

  test('runs nothing at installation and brings the parser of its command alone', () => {
    const hooks = ['preinstall', 'install', 'postinstall', 'prepare', 'prepack', 'postpack'];
    assert.deepEqual(
      hooks.filter((hook) => hook in manifest.scripts),
      [],
    );
    assert.equal(manifest.gypfile, false);
    assert.deepEqual(Object.keys(manifest.dependencies ?? {}), ['commander']);
    assert.deepEqual(readdirSync(path.join(folder, 'node_modules')).sort(), [
      '.bin',
      '.package-lock.json',
      'commander',
      'rpma',
    ]);
    assert.ok(!existsSync(path.join(installed, 'node_modules')));
  });

  test('is imported as an ES module, every entry', () => {
    const program = [
      "import { Peer, RemoteRegion } from 'rpma';",
      "import * as descriptors from 'rpma/descriptors';",
      "import { channels } from 'rpma/diagnostics';",
      "import manifest from 'rpma/package.json' with { type: 'json' };",
      'const same = descriptors.RemoteRegion === RemoteRegion;',
      'console.log(manifest.version, typeof Peer.open, same, channels.error);',
    ].join('\n');
    const args = ['--no-warnings', '--input-type=module', '--eval', program];
    assert.equal(node(args, folder).trim(), `${manifest.version} function true rpma:error`);
  });

  test('writes durably to a file', () => {
    writeFileSync(path.join(folder, 'durable.mjs'), durableProgram);
    mkdirSync(onDisk, { recursive: true });
    const file = path.join(mkdtempSync(path.join(onDisk, 'package-')), 'memory');
    try {
      const [durability, errors] = node(['durable.mjs', file], folder).trim().split(' ');
      assert.equal(durability, 'persisted');
      assert.equal(errors, '0');
      const bytes = readFileSync(file);
      assert.equal(bytes.length, 65_536);
      assert.equal(bytes.toString('latin1', 4096, 4101), 'hello');
      assert.ok(bytes.subarray(0, 4096).every((byte) => byte === 0));
    } finally {
      rmSync(path.dirname(file), { recursive: true });
    }
  });

  test("runs the tutorial's program", () => {
    const blocks = blocksOf(readPage('docs/start.md'));
    const program = blocks.filter(({ language }) => language === 'js').map(({ text }) => text);
    writeFileSync(path.join(folder, 'start.mjs'), program.join('\n'));
    mkdirSync(onDisk, { recursive: true });
    const empty = mkdtempSync(path.join(onDisk, 'start-'));
    try {
      const output = blocks.filter(({ role }) => role === 'output').at(-1)?.text ?? '';
      assert.match(output, /^durability: persisted$/m);
      assert.equal(node([path.join(folder, 'start.mjs')], empty), output);
    } finally {
      rmSync(empty, { recursive: true });
    }
  });

  test('has the command rpma, by its path and through npx', () => {
    const command = path.join(folder, 'node_modules', '.bin', 'rpma');
    const direct = execFileSync(command, ['--version'], { cwd: folder, encoding: 'utf8' });
    assert.equal(direct, `${manifest.version}\n`);
    const userConfig = path.join(folder, 'empty.npmrc');
    const options = ['exec', '--offline', '--', 'rpma'];
    const found = npm([...options, 'devices', '--json'], folder, userConfig)
      .trim()
      .split('\n');
    const devices = found.map((line) => JSON.parse(line) as { provider: string });
    assert.ok(devices.some(({ provider }) => provider === 'iwarp'));
    assert.throws(() => npm([...options, 'ping'], folder, userConfig), { status: 2 });
  });

  test('is required from CommonJS, with the same classes', () => {
    const program = [
      "const required = require('rpma');",
      "import('rpma').then((imported) => console.log(imported.Peer === required.Peer));",
    ].join('\n');
    const args = ['--no-warnings', '--input-type=commonjs', '--eval', program];
    assert.equal(node(args, folder).trim(), 'true');
  });

  test('descriptors load without the native addon', () => {
    const program = "import 'rpma/descriptors'; console.log('loaded');";
    rmSync(path.join(installed, 'prebuilds'), { recursive: true });
    assert.equal(node(['--input-type=module', '--eval', program], folder).trim(), 'loaded');
    // The rest says what is missing, by its code.
    for (const entry of ['rpma', 'rpma/diagnostics']) {
      const whole = `import('${entry}').catch((error) => console.log(error.code));`;
      const printed = node(['--input-type=module', '--eval', whole], folder).trim();
      assert.equal(printed, 'ERR_RPMA_MISSING_LIBRARY');
    }
    const command = path.join(folder, 'node_modules', '.bin', 'rpma');
    assert.match(execFileSync(command, ['decode', '01'], { encoding: 'utf8' }), /^peer descriptor/);
  });

  test('satisfies publint', () => {
    node([path.join(root, 'node_modules/publint/src/cli.js'), 'run', tarball, '--strict'], root);
  });

  test('has types that resolve in every ESM mode', () => {
    const script = path.join(root, 'node_modules/@arethetypeswrong/cli/dist/index.js');
    node([script, '--profile', 'esm-only', '--no-color', tarball], root);
  });
});
