// SPDX-License-Identifier: BSD-3-Clause
//
// The runs that the examples' READMEs show: two commands, and what each program prints.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type Block, blocksOf, compiledRoot, Program, readPage, userPages } from './support.js';

export interface Command {
  readonly example: string;
  readonly program: string;
  readonly address: string;
  readonly port: string;
  readonly rest: readonly string[];
}

export interface Run {
  readonly server: Command;
  readonly client: Command;
  readonly serverOutput: string;
  readonly clientOutput: string;
}

/** READMEs of the numbered examples. */
export function examplePages(): string[] {
  return userPages().filter((page) => /^examples\/\d\d/.test(page));
}

/** Runs on a page: a block with two commands, then one block of output for each program. */
export function runsOf(page: string): Run[] {
  const blocks: readonly Block[] = blocksOf(readPage(page));
  return blocks
    .filter(({ language }) => language === 'sh')
    .map((commands) => {
      const after = blocks.slice(blocks.indexOf(commands) + 1);
      const [server, client] = commands.text.trimEnd().split('\n').map(commandOf);
      const serverOutput = after[0];
      const clientOutput = after[1];
      assert.ok(server !== undefined && client !== undefined, 'a run needs two commands');
      assert.equal(serverOutput?.role, 'server', 'the output of the server follows the commands');
      assert.equal(clientOutput?.role, 'client', 'then comes the output of the client');
      return {
        server,
        client,
        serverOutput: serverOutput?.text ?? '',
        clientOutput: clientOutput?.text ?? '',
      };
    });
}

function commandOf(line: string): Command {
  const words =
    /^npm run -s example -- (\S+) (server(?:-workers)?|client) (\S+) (\d+)((?: \S+)*)$/.exec(line);
  assert.ok(words !== null, `not a command of an example: ${line}`);
  const [, example = '', program = '', address = '', port = '', rest = ''] = words;
  return { example, program, address, port, rest: rest.split(' ').filter((word) => word !== '') };
}

/** The server gets port 0; the client the port that the server's first line names. */
export function startProgram(command: Command, port: string, folder: string): Program {
  const file = join(compiledRoot, 'examples', command.example, `${command.program}.js`);
  return new Program(file, [command.address, port, ...command.rest], folder);
}

/** The port in the first line that a server prints. */
export async function portOf(server: Program): Promise<string> {
  const line = await server.firstLine();
  const port = /:(\d+)$/.exec(line)?.[1] ?? '';
  assert.notEqual(Number(port), 0, `the first line names no port: ${line}`);
  return port;
}
