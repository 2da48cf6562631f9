// SPDX-License-Identifier: BSD-3-Clause
//
// The command line of the demonstration.

import { parseArgs } from 'node:util';
import { DemoError } from './error.js';

export const usage = `usage: npm start -- [--records N] [--file-dir D] [--volatile]

  --records N   records to write before the target is killed
                (default: what fits into two seconds, at most 1000)
  --file-dir D  folder for the file
                (default: a DAX mount, else a folder on a disk file system)
  --volatile    use a file system in memory (tmpfs), which does not outlive the machine's run
  --help        print this`;

export interface DemoOptions {
  readonly records: number;
  /** How long to write before the target is killed, whatever the count; null: no bound. */
  readonly writeTimeMs: number | null;
  readonly fileFolder: string | undefined;
  readonly allowMemory: boolean;
  readonly help: boolean;
}

const recordsMax = 1_000_000;

/** @throws DemoError with the usage */
export function readOptions(args: readonly string[]): DemoOptions {
  const values = parse(args);
  const records = values.records;
  if (records !== undefined && !(/^\d{1,7}$/.test(records) && isInRange(Number(records)))) {
    throw new DemoError(`--records must be a whole number from 1 to ${recordsMax}\n\n${usage}`);
  }
  return {
    records: Number(records ?? 1_000),
    writeTimeMs: records === undefined ? 2_000 : null,
    fileFolder: values['file-dir'],
    allowMemory: values.volatile ?? false,
    help: values.help ?? false,
  };
}

function isInRange(records: number): boolean {
  return records >= 1 && records <= recordsMax;
}

interface Values {
  readonly records?: string;
  readonly 'file-dir'?: string;
  readonly volatile?: boolean;
  readonly help?: boolean;
}

function parse(args: readonly string[]): Values {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        records: { type: 'string' },
        'file-dir': { type: 'string' },
        volatile: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    });
    return values;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new DemoError(`${message}\n\n${usage}`);
  }
}
