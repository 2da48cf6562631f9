// SPDX-License-Identifier: BSD-3-Clause
//
// Runs inside a network namespace of its own and makes a second one for a target, joined by a
// virtual cable. Then the target's host vanishes: neighbour entries on both ends point to an
// address that nobody has, so frames are lost in silence, in both directions. Messages: refused
// (what the machine does not allow), outcome.

import { type Completion, MemoryUsage, Peer, RemoteRegion } from 'rpma';
import { Child, fromHex, report } from '../../support/child.js';
import { ip, type Refused, SetupRefusal, setUpNetwork } from '../../support/namespaces.js';
import type { Listening, TargetOptions } from './target.js';

export interface Outcome {
  readonly kind: 'outcome';
  readonly posted: number;
  readonly ids: readonly number[];
  /** Of the operations that failed, without the receives, in the order of their completions. */
  readonly failures: readonly string[];
  readonly endMs: number;
  readonly type: string;
  readonly targetType: string;
  readonly targetMs: number;
}

const [deadPeerText = '2000', load = 'busy'] = process.argv.slice(2);
const deadPeerTimeoutMs = Number(deadPeerText);
const here = '10.87.0.1';
const there = '10.87.0.2';
const nobody = '02:00:00:00:00:99';
const sizeBytes = 1 << 20;

/** A program in a second namespace, and the cable to it. */
async function joinHosts(child: Child): Promise<void> {
  await child.expect('ready');
  const pid = child.process.pid ?? 0;
  ip(`link add rpma-a type veth peer name rpma-b netns ${pid}`);
  ip(`addr add ${here}/24 dev rpma-a`);
  ip('link set lo up');
  ip('link set rpma-a up');
  ip(`addr add ${there}/24 dev rpma-b`, pid);
  ip('link set lo up', pid);
  ip('link set rpma-b up', pid);
}

async function startTarget(): Promise<{ child: Child; port: number; descriptor: string }> {
  const options: TargetOptions = { address: there, sizeBytes, connection: { deadPeerTimeoutMs } };
  const starter = new URL('./namespace-target.js', import.meta.url);
  const child = Child.spawn(starter, [JSON.stringify(options)], { prefix: ['unshare', '-n'] });
  await setUpNetwork(() => joinHosts(child));
  child.send({ kind: 'go' });
  const { port, descriptor } = await child.expect<Listening>('listening');
  return { child, port, descriptor };
}

async function scenario(): Promise<void> {
  const { child, port, descriptor } = await startTarget();
  const pid = child.process.pid ?? 0;
  const remote = RemoteRegion.fromDescriptor(fromHex(descriptor));
  const peer = await Peer.open({ remoteAddress: there });
  const usage = MemoryUsage.ReadDestination | MemoryUsage.WriteSource;
  const local = await peer.allocate(sizeBytes, { usage });
  const connection = await peer.connect(there, port, {
    connection: { deadPeerTimeoutMs, sendQueueSize: 32, receiveQueueSize: 8 },
  });
  await child.expect('established');
  connection.postRead({ local, remote, length: sizeBytes });
  if ((await connection.completionQueue.take())?.ok !== true) throw new Error('no traffic at all');

  ip(`neigh replace ${there} lladdr ${nobody} dev rpma-a nud permanent`);
  ip(`neigh replace ${here} lladdr ${nobody} dev rpma-b nud permanent`, pid);
  const vanished = performance.now();
  let id = 0;
  for (let n = 0; n < 8; n++) connection.postReceive({ length: 0, id: id++ });
  if (load === 'busy') {
    for (let n = 0; n < 10; n++) {
      connection.postRead({ local, remote, length: 100_000, id: id++ });
      connection.postWrite({ local, remote, length: 100_000, id: id++ });
      connection.postFlush({ remote, length: 8, type: 'visibility', id: id++ });
    }
  }
  const targetEnd = child.expect<{ kind: 'ended'; type: string }>('ended', deadPeerTimeoutMs * 5);
  const targetEnded = targetEnd.then(
    ({ type }) => ({ type, atMs: performance.now() - vanished }),
    (error: unknown) => ({ type: String(error), atMs: Infinity }),
  );
  const completions: Completion[] = [];
  for await (const completion of connection.completionQueue) completions.push(completion);
  const { type } = await connection.whenClosed();
  const endMs = performance.now() - vanished;
  const target = await targetEnded;
  const failed = completions.filter((each) => !each.ok && each.operation !== 'receive');
  const outcome: Outcome = {
    kind: 'outcome',
    posted: id,
    ids: completions.map((each) => each.id),
    failures: failed.map((each) => each.status),
    endMs,
    type,
    targetType: target.type,
    targetMs: Math.min(target.atMs, 1e9),
  };
  report(outcome);
  await child.kill();
  await peer.close();
}

try {
  await scenario();
} catch (error) {
  if (!(error instanceof SetupRefusal)) throw error;
  const refused: Refused = { kind: 'refused', reason: error.message };
  report(refused);
  process.exit(0);
}
