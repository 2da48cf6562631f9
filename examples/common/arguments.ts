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

/** Reads the command line, or prints how to call the program and ends it with status 2. */
export function readArguments(usage: string, restMin = 0): ExampleArguments {
  const [address, port, ...rest] = process.argv.slice(2);
  if (address === undefined || !isCount(port, 65_535) || rest.length < restMin) {
    console.error(`usage: ${usage}`);
    process.exit(2);
  }
  return { address, port: Number(port), rest };
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
