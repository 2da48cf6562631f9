// SPDX-License-Identifier: BSD-3-Clause
//
// The start-up row: importing the package and opening a peer, in a fresh process.

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Child } from '../support/child.js';
import { packageRoot } from '../support/folders.js';
import { pinned } from './placement.js';
import type { Row, Trial, TrialContext } from './row.js';

export interface Opened {
  readonly kind: 'opened';
  readonly ms: number;
  readonly provider: string;
}

async function open({ placement }: TrialContext): Promise<Trial> {
  const program = new URL('./start-up-program.js', import.meta.url);
  // What is published, bundled, and not what the tests compile file by file.
  const entry = pathToFileURL(join(packageRoot(), 'dist', 'index.js')).href;
  const child = Child.spawn(program, [entry], pinned(placement.client));
  try {
    const { ms, provider } = await child.expect<Opened>('opened');
    await child.ended;
    return { value: ms, baseline: null, provider };
  } finally {
    await child.kill();
  }
}

export const startUpRows: readonly Row[] = [
  {
    name: 'import_open',
    what: 'import + Peer.open',
    sizeBytes: 0,
    unit: 'ms',
    yardstick: null,
    placement: 'one processor',
    isRate: false,
    bar: 50,
    aim: null,
    run: open,
  },
];
