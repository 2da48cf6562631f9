// SPDX-License-Identifier: BSD-3-Clause
//
// The command line of the sweep.

import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { faultPoints } from './points.js';
import type { Side } from './programs.js';

export const usage = `usage: npm run fault -- [--seed S] [--all | --minutes M]
                        [--program X] [--side server|client] [--point P] [--nth N] [--errno E]

  --seed S      what is chosen by chance is chosen by it (default: a new one, printed)
  --all         everything once, however long it takes
  --minutes M   as much as fits (default 5), every point before any point's second trial
  the others    only what they name; with all five, one run`;

export interface Options {
  readonly seed: number;
  readonly all: boolean;
  readonly minutes: number;
  readonly program: string | undefined;
  readonly side: Side | undefined;
  readonly point: string | undefined;
  readonly nth: number | undefined;
  readonly errno: string | undefined;
}

export class UsageError extends Error {}

function numberOf(name: string, text: string | undefined, least: number): number | undefined {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (Number.isFinite(number) && number >= least) return number;
  throw new UsageError(`--${name} must be a number from ${least} on, but is ${text}`);
}

function sideOf(text: string | undefined): Side | undefined {
  if (text === undefined || text === 'server' || text === 'client') return text;
  throw new UsageError(`--side must be server or client, but is ${text}`);
}

function parse(args: readonly string[]) {
  const text = { type: 'string' } as const;
  const options = {
    ...{ seed: text, minutes: text, program: text, side: text, point: text, nth: text },
    ...{ errno: text, all: { type: 'boolean' } as const },
  };
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

export function readOptions(args: readonly string[]): Options {
  const values = parse(args);
  const { point, errno } = values;
  if (point !== undefined && faultPoints[point] === undefined) {
    throw new UsageError(`there is no fault point ${point}`);
  }
  return {
    seed: numberOf('seed', values.seed, 0) ?? randomInt(2 ** 31),
    all: values.all ?? false,
    minutes: numberOf('minutes', values.minutes, 0) ?? 5,
    program: values.program,
    side: sideOf(values.side),
    point,
    nth: numberOf('nth', values.nth, 1),
    errno,
  };
}
