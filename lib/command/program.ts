// SPDX-License-Identifier: BSD-3-Clause
//
// The commands of `rpma` and their options. What a command does is in a file of its own, loaded
// when it is called: `decode`, `--help` and `--version` work where the addon cannot be loaded.

import { readFileSync } from 'node:fs';
import { Command, CommanderError, Option } from 'commander';
import {
  parseCount,
  parseDeadline,
  parseListenPort,
  parseOffset,
  parseRemotePort,
  parseSize,
  parseTime,
  portDefault,
} from './arguments.js';
import {
  attempting,
  CommandError,
  describe,
  failureOf,
  statusFailed,
  statusUsage,
  whatOf,
} from './failure.js';
import { coloured, Output } from './output.js';
import type { PingOptions } from './ping.js';
import type { ServeOptions } from './serve.js';
import { parseUsage } from './usage.js';

interface JsonChoice {
  readonly json?: true;
}

function packageVersion(): string {
  const file = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

/** A command and the options that all of them have. */
function subcommand(program: Command, nameAndArguments: string, summary: string): Command {
  return program
    .command(nameAndArguments)
    .summary(summary)
    .version(packageVersion(), '-V, --version', 'print the version of rpma')
    .option('--json', 'print one JSON object a line');
}

function providerOption(): Option {
  const words = ['auto', 'iwarp', 'verbs', 'shm'];
  return new Option('--provider <name>', 'what moves the bytes').choices(words);
}

function addDevices(program: Command, output: Output): void {
  subcommand(program, 'devices', 'what this machine offers, and what helps where it offers nothing')
    .description('Shows what this machine offers, provider by provider.')
    .action(async ({ json }: JsonChoice) => {
      const { showDevices } = await attempting('devices', () => import('./devices.js'));
      await showDevices({ output, json: json ?? false });
    });
}

function addServe(program: Command, output: Output): void {
  subcommand(program, 'serve', 'lend a file or memory to others')
    .description(
      'Lends a file, or memory, to whoever connects, until SIGINT or SIGTERM.\n' +
        'Each client is told the descriptor: it can use the region as --usage says.',
    )
    .argument('[file]', 'the file to lend')
    .option('--memory <size>', 'lend memory instead of a file', parseSize)
    .option('--size <size>', 'bytes to lend (default: the whole file)', parseSize)
    .option('--create', 'make the file if it is not there; needs --size')
    .option('--offset <size>', 'first byte to lend, a multiple of 4096', parseOffset)
    .option('--allow-volatile', 'also a file that does not last (tmpfs)')
    .option('--address <address>', 'a local address to listen at', '127.0.0.1')
    .option('--port <port>', 'a port to listen at, 0 for a free one', parseListenPort, portDefault)
    .addOption(
      new Option('--usage <list>', 'what others may do: read, write, flush')
        .argParser(parseUsage)
        .default(parseUsage('read,write,flush'), 'read,write,flush'),
    )
    .addOption(providerOption())
    .action(async (file: string | undefined, options: ServeOptions & JsonChoice) => {
      const { serve } = await attempting('serve', () => import('./serve.js'));
      await serve(file, options, { output, json: options.json ?? false });
    });
}

function addPing(program: Command, output: Output): void {
  subcommand(program, 'ping', 'write and flush again and again, and time it')
    .description(
      'Writes to the region that the other side lends and flushes it, again and again.\n' +
        'It writes back the bytes that it read there first; what others write there\n' +
        'meanwhile may be undone.',
    )
    .argument('<address>', 'where the other side listens')
    .argument('[port]', 'at which port', parseRemotePort, portDefault)
    .addOption(
      new Option('--type <type>', 'what the flush shall reach (default: persistent if it can)') //
        .choices(['visibility', 'persistent']),
    )
    .option('--length <size>', 'bytes to write and flush', parseSize, 64)
    .option('--count <n>', 'end after so many (default: at SIGINT)', parseCount)
    .addOption(
      new Option('--interval <time>', 'from one to the next')
        .argParser(parseTime)
        .default(1000, '1s'),
    )
    .addOption(
      new Option('--timeout <time>', 'for the connection, and for each answer')
        .argParser(parseDeadline)
        .default(5000, '5s'),
    )
    .option('--polled', 'poll for the answer instead of awaiting it')
    .option('--overwrite', 'write zeroes where the region cannot be read first')
    .addOption(providerOption())
    .action(async (address: string, port: number, options: PingOptions & JsonChoice) => {
      const { ping } = await attempting('ping', () => import('./ping.js'));
      await ping(address, port, options, { output, json: options.json ?? false });
    });
}

function addDecode(program: Command, output: Output): void {
  subcommand(program, 'decode', 'say in words what a descriptor says')
    .description(
      "Reads a region descriptor, a peer descriptor, or the private data of librpma's examples\n" +
        'or of fio. A file may hold the bytes themselves or hex.',
    )
    .argument('<input...>', "hex digits, '-' for standard input, or a file")
    .action(async (input: string[], { json }: JsonChoice) => {
      const { decode } = await attempting('decode', () => import('./decode.js'));
      await decode(input, { output, json: json ?? false });
    });
}

/** Builds the commands; `output` is where help goes, too. */
function buildProgram(output: Output): Command {
  const program = new Command('rpma');
  program
    .description('Remote access to memory, above all persistent memory.')
    .version(packageVersion(), '-V, --version', 'print the version of rpma')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => output.write(text),
      writeErr: (text) => process.stderr.write(text),
      outputError: () => undefined, // run() tells it
    });
  addDevices(program, output);
  addServe(program, output);
  addPing(program, output);
  addDecode(program, output);
  program.addHelpText(
    'after',
    '\nStatus: 0, 1 (the command failed), 2 (wrong usage).\n' +
      'NO_COLOR and FORCE_COLOR decide on colours, RPMA_DEBUG=1 shows stacks.',
  );
  return program;
}

/** A wrong call, as commander tells it, in our words. */
function usageFailure(error: CommanderError, command: string): CommandError {
  const cause = error.message
    .replace(/^error: /, '')
    .replace(/^command-argument value ('.*') is invalid for argument '(\w+)'\. /s, '$2 $1: ')
    .replace(/^option '(-\S+)[^']*' argument ('.*') is invalid\. /s, '$1 $2: ')
    .replaceAll(/\s*\n\s*/g, ' ')
    .replace(/\.$/, '');
  const cure = `see 'rpma ${command === '' ? '' : `${command} `}--help'`;
  return new CommandError(cause, { cure, status: statusUsage });
}

/** The command that the arguments name, '' when they name none. */
function commandOf(args: readonly string[]): string {
  const first = args.find((arg) => !arg.startsWith('-')) ?? '';
  return ['devices', 'serve', 'ping', 'decode'].includes(first) ? first : '';
}

/** Runs the command that the arguments name, and says with which status the process shall end. */
export async function run(args: readonly string[]): Promise<number> {
  const output = new Output(process.stdout);
  process.stderr.on('error', () => undefined); // nobody is left to be told
  const fail = (what: string, error: unknown): number => {
    const failure = failureOf(error);
    const prefix = coloured('red', 'rpma:', process.stderr);
    process.stderr.write(`${describe(what, failure).replace(/^rpma:/, prefix)}\n`);
    return failure.status;
  };
  let status = 0;
  try {
    await buildProgram(output).parseAsync(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) status = fail(whatOf(error), error);
    else if (error.code === 'commander.help') {
      status = error.exitCode === 0 ? 0 : statusUsage; // no command: its help was shown
    } else if (error.exitCode !== 0) {
      const command = commandOf(args);
      status = fail(command, usageFailure(error, command));
    }
  }
  await output.flushed();
  if (output.failure !== null) {
    const wrapped = new CommandError(output.failure.message, {
      cure: 'see where standard output goes',
      code: (output.failure as NodeJS.ErrnoException).code,
      cause: output.failure,
    });
    return Math.max(status, fail('standard output', wrapped)) || statusFailed;
  }
  return status;
}
