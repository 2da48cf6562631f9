// SPDX-License-Identifier: BSD-3-Clause
//
// What tests of shared receive queues begin with: a queue, memory with a slot for each receive, and
// connections that use it on their target's side.

import assert from 'node:assert/strict';
import type {
  Completion,
  CompletionQueue,
  ConnectionOptions,
  MemoryRegion,
  Peer,
  SharedReceiveQueue,
  SharedReceiveQueueOptions,
} from 'rpma';
import { localUsage, type Pair, type World } from './world.js';

export const slotBytes = 16;

export interface Scene {
  readonly peer: Peer;
  readonly queue: SharedReceiveQueue;
  readonly memory: MemoryRegion;
  readonly pairs: readonly Pair[];
  /** Posts a receive into the slot of its id. */
  readonly post: (id: number) => void;
  /** What lies in a slot, as text. */
  readonly text: (id: number, length: number) => string;
}

export interface SceneOptions extends SharedReceiveQueueOptions {
  readonly connections?: number;
  readonly target?: ConnectionOptions;
}

/** All of it; the sizes are those of the queue. */
export async function scene(world: World, options: SceneOptions = {}): Promise<Scene> {
  const peer = await world.peer();
  const queue = await peer.createSharedReceiveQueue(options);
  const memory = await peer.allocate(64 * slotBytes, { usage: localUsage });
  const target = { ...options.target, sharedReceiveQueue: queue };
  const pairs: Pair[] = [];
  for (let i = 0; i < (options.connections ?? 1); i++) {
    const [first] = pairs;
    pairs.push(
      first === undefined
        ? await world.pair({ targetPeer: peer, target })
        : await world.again(first, { target }),
    );
  }
  const post = (id: number): void => {
    queue.postReceive({ local: memory, localOffset: id * slotBytes, length: slotBytes, id });
  };
  const text = (id: number, length: number): string =>
    Buffer.from(memory.view(id * slotBytes, length)).toString();
  return { peer, queue, memory, pairs, post, text };
}

/** Its own completion queue. */
export function ownOf(queue: SharedReceiveQueue): CompletionQueue {
  const own = queue.completionQueue;
  assert.ok(own !== null, 'it has a completion queue');
  return own;
}

/** One of the connections. */
export function pairOf(pairs: readonly Pair[], index: number): Pair {
  const pair = pairs[index];
  assert.ok(pair !== undefined);
  return pair;
}

/** Sends text from an initiator and awaits that TCP has it. */
export async function say(world: World, pair: Pair, words: string): Promise<void> {
  const local = await world.local(pair, 64);
  local.bytes.set(Buffer.from(words));
  await pair.initiator.send({ local, length: words.length });
}

/** Id, status and queue pair of a completion. */
export function outcome(each: Completion): readonly [number, string, number] {
  return [each.id, each.status, each.queuePairNumber];
}
