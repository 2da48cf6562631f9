// SPDX-License-Identifier: BSD-3-Clause
//
// Every state in which a process or a worker may end: who the other side is, and how the state is
// reached. The table serves both sides: the test reads the partner, the program reaches the state.

import { connectionStates } from './connections.js';
import { memoryStates } from './memory.js';
import type { PartnerKind } from './partners.js';
import { peersStates } from './peers.js';
import type { Scene } from './scene.js';
import { waitingStates } from './waiting.js';
import { sharedReceiveStates } from './shared-receives.js';

export interface State {
  readonly partner: PartnerKind;
  /** What rightly keeps the event loop even when everything is unref()ed. */
  readonly staysAlive?: string;
  /** Gives a function that never returns when the state is one of a blocked thread. */
  readonly reach: (scene: Scene) => Promise<void | (() => void)>;
}

export const states: Readonly<Record<string, State>> = {
  ...peersStates,
  ...connectionStates,
  ...memoryStates,
  ...waitingStates,
  ...sharedReceiveStates,
};

/** States in which the thread blocks: nothing but a stranger ends it. */
export function blocks(name: string): boolean {
  return /in takeSync|in waitSync|polled without end/.test(name);
}
