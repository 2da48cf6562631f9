// SPDX-License-Identifier: BSD-3-Clause
//
// The arguments that every example takes: an address, a port, and what is its own. Run on the main
// thread before anything is opened, so that a wrong call costs nothing.

export interface ExampleArguments {
  readonly address: string;
  readonly port: number;
  /** What follows address and port, in order. */
  readonly rest: readonly string[];
}

/** Prints how to call the program and ends it with status 2. */
export function refuseArguments(usage: string): never {
  console.error(`usage: ${usage}`);
  process.exit(2);
}

/** Reads the command line of a server, or refuses it; port 0 takes a free one. */
export function readArguments(usage: string, restMin = 0): ExampleArguments {
  const [address, port, ...rest] = process.argv.slice(2);
  if (address === undefined || address === '') refuseArguments(usage);
  if (!isCount(port, 65_535) || rest.length < restMin) refuseArguments(usage);
  return { address, port: Number(port), rest };
}

/** Reads the command line of a client, or refuses it; nobody listens at port 0. */
export function readClientArguments(usage: string, restMin = 0): ExampleArguments {
  const found = readArguments(usage, restMin);
  if (found.port === 0) refuseArguments(usage);
  return found;
}

/** Reads a whole number from 0 to max, or ends the program with status 2. */
export function readCount(name: string, text: string | undefined, max: number): number {
  if (!isCount(text, max)) {
    console.error(`${name} must be a whole number from 0 to ${max}`);
    process.exit(2);
  }
  return Number(text);
}

/** Reads a whole number of 64 bits, or ends the program with status 2. */
export function readWord(name: string, text: string | undefined): bigint {
  if (
    text === undefined ||
    !/^\d{1,20}$/.test(text) ||
    BigInt.asUintN(64, BigInt(text)) !== BigInt(text)
  ) {
    console.error(`${name} must be a whole number of 64 bits`);
    process.exit(2);
  }
  return BigInt(text);
}

function isCount(text: string | undefined, max: number): text is string {
  return text !== undefined && /^\d{1,16}$/.test(text) && Number(text) <= max;
}
