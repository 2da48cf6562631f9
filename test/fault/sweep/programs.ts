// SPDX-License-Identifier: BSD-3-Clause
//
// The programs that the sweep runs: every example as a pair of processes, the one that is alone,
// and the demonstration, which starts its target by itself. `{folder}` and `{port}` are filled in
// for each run.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../support/folders.js';

export type Side = 'server' | 'client';

export interface Program {
  readonly name: string;
  /** Of what is started by one command, which stands for the client: none. */
  readonly server: readonly string[] | null;
  readonly client: readonly string[];
}

const words = ['one', 'two', 'three'];
const argumentsOf: Readonly<Record<string, readonly [readonly string[], readonly string[]]>> = {
  '01-connection': [[], []],
  '02-read-to-volatile': [[], []],
  '03-read-to-persistent': [['{folder}/server.pmem'], ['{folder}/client.pmem']],
  '04-write-to-persistent': [['{folder}/server.pmem'], ['{folder}/client.pmem']],
  '05-flush-to-persistent': [['{folder}/server.pmem'], ['{folder}/client.pmem']],
  '06-multiple-connections': [['1'], ['7']],
  '06scch-multiple-connections': [['1'], ['7']],
  '07-atomic-write': [['{folder}/server.pmem'], words],
  '08-messages-ping-pong': [[], ['7', '4']],
  '09-flush-to-persistent-GPSPM': [['{folder}/server.pmem'], ['{folder}/client.pmem']],
  '09scch-flush-to-persistent-GPSPM': [['{folder}/server.pmem'], ['{folder}/client.pmem']],
  '10-send-with-imm': [[], ['7', 'word']],
  '11-write-with-imm': [[], ['7']],
  '12-receive-completion-queue': [[], ['7', '4']],
  '12scch-receive-completion-queue': [[], ['7', '4']],
  '08srq-simple-messages-ping-pong-with-srq': [['r'], ['7', '4']],
  '13-messages-ping-pong-with-srq': [['1'], ['7', '4']],
};

/** It logs to standard error what it provokes. */
const log: Program = { name: 'log', server: null, client: ['log/main.js'] };

const demonstration: Program = {
  name: 'demo',
  server: null,
  client: ['demo/main.js', '--records', '10', '--file-dir', '{folder}'],
};

/** Fails for an example that has no arguments here: none may be left out. */
export function allPrograms(): Program[] {
  const folders = readdirSync(join(packageRoot(), 'examples'))
    .filter((name) => /^\d\d[a-z]*-/.test(name))
    .sort();
  const examples = folders.map((name): Program => {
    const found = argumentsOf[name];
    if (found === undefined) throw new Error(`test/fault/sweep/programs.ts lacks example ${name}`);
    const [server, client] = found;
    return {
      name,
      server: [`${name}/server.js`, '127.0.0.1', '{port}', ...server],
      client: [`${name}/client.js`, '127.0.0.1', '{port}', ...client],
    };
  });
  return [...examples, log, demonstration];
}
