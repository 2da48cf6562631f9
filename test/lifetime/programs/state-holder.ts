// SPDX-License-Identifier: BSD-3-Clause
//
// Reaches one state of the table and ends as it is told, closing nothing. Runs as a worker (told by
// workerData) or as a process (told by its first argument). Messages: listening, ready, left,
// hangs; any message to it lets it end.

import { once } from 'node:events';
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { report } from '../../support/child.js';
import { alarm, lastFor } from '../../support/deadline.js';
import { type Held, type Place, Scene } from '../states/scene.js';
import { states } from '../states/states.js';

export interface StateOptions {
  readonly state: string;
  readonly folder: string;
  readonly partner: Place;
  /**
   * 'natural': everything is unref()ed first; 'none': nothing is; 'stay' waits to be ended from
   * outside.
   */
  readonly ending: 'stay' | 'exit' | 'throw' | 'natural' | 'none';
  /** It says what it hangs in after this, before the test's own deadline. */
  readonly diagnoseMs: number;
}

export interface Reached {
  readonly kind: 'ready';
}

/** 'none' has nothing more to do. */
interface Left {
  readonly kind: 'left';
}

export interface Hangs {
  readonly kind: 'hangs';
  readonly where: string;
  /** What keeps the event loop. */
  readonly resources: readonly string[];
}

const options = (isMainThread ? JSON.parse(process.argv[2] ?? '{}') : workerData) as StateOptions;

function tell(message: Held | Reached | Left | Hangs): void {
  if (isMainThread) report(message);
  else parentPort?.postMessage(message);
}

/** The test has seen that the state is there; nothing of the question keeps the loop afterwards. */
async function toldToEnd(): Promise<void> {
  if (parentPort !== null) {
    await once(parentPort, 'message');
    return;
  }
  await once(process.stdin, 'data');
  process.stdin.destroy();
}

let where = `reaching '${options.state}'`;

async function main(): Promise<void> {
  const state = states[options.state];
  if (state === undefined) throw new Error(`no state '${options.state}'`);
  const watch = alarm(options.diagnoseMs, () => {
    tell({ kind: 'hangs', where, resources: process.getActiveResourcesInfo() });
  });
  const scene = new Scene(options.folder, options.partner, tell);
  const block = await state.reach(scene);
  where = `in '${options.state}', ending: ${options.ending}`;
  tell({ kind: 'ready' });
  await toldToEnd();
  watch.unref();
  block?.();
  if (options.ending === 'exit') process.exit(7);
  if (options.ending === 'throw') throw new Error('thrown to end this');
  if (options.ending === 'natural') scene.unref();
  if (options.ending === 'stay') void lastFor(600_000);
  if (options.ending === 'none') tell({ kind: 'left' });
}

await main();
