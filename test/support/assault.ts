// SPDX-License-Identifier: BSD-3-Clause
//
// Runs tables of attacks: each attempt on a connection of its own, in every mode that it is meant
// for, under the questions of siege.ts. Prints what was tried.

import './test-flavour.js';
import assert from 'node:assert/strict';
import { type CaseOptions, conform } from './conform.js';
import { nativeTest } from './native.js';
import {
  alive,
  type Forge,
  type Mode,
  modeName,
  modes,
  nothingLeft,
  Siege,
  type Victim,
  type VictimOptions,
} from './siege.js';

/** What is sent; the last frame is the one at fault. Says on.granted() of what is placed. */
export type Frames = (on: Siege, forge: Forge, victim: Victim) => readonly Uint8Array[];

export interface Attack {
  readonly name: string;
  /** The Terminate that answers, layer/type/code. */
  readonly cause: string;
  readonly attempts: readonly Frames[];
  /** The modes it is tried in; default all. */
  readonly on?: (mode: Mode) => boolean;
  /** Status of the first receive; default flushed. */
  readonly receive?: 'length';
  /** Status of the oldest own operation; default provider: this side found the fault. */
  readonly own?: 'success';
  readonly victim?: VictimOptions;
}

/** The first own operation carries the cause, those behind it and the receives are flushed. */
function statusesOf(victim: Victim, attack: Attack): Record<number, string> {
  const { posts, receives } = victim.ids;
  const statuses: Record<number, string> = {};
  for (const [n, id] of posts.entries())
    statuses[id] = n === 0 ? (attack.own ?? 'provider') : 'flushed';
  for (const [n, id] of receives.entries()) {
    statuses[id] = n === 0 ? (attack.receive ?? 'flushed') : 'flushed';
  }
  return statuses;
}

async function attempt(siege: Siege, attack: Attack, mode: Mode, frames: Frames): Promise<void> {
  const victim = await siege.victim(mode, attack.victim);
  const sent = frames(siege, victim.forge, victim);
  const fault = sent.at(-1);
  assert.ok(fault !== undefined);
  const statuses = statusesOf(victim, attack);
  await siege.strike(victim, sent, { cause: attack.cause, fault, statuses });
}

/** For tests of hundreds of connections, on a machine that has much else to do. */
export const manyConnections: CaseOptions = { timeoutMs: 100_000 };

export function assault(subject: string, attacks: readonly Attack[]): void {
  conform(subject, ({ provider, it }) => {
    if (provider !== 'iwarp') return;
    let before = '';
    let tried = 0;
    let slowestMs = 0;

    it('what an environment keeps for its life is there', async (world) => {
      const siege = await Siege.open(world);
      await siege.stillServes();
      await world.end();
      before = alive();
      assert.equal(nativeTest().counters()['connections'], 0);
    });

    for (const attack of attacks) {
      it(
        `${attack.name}: Terminate ${attack.cause}`,
        async (world) => {
          const siege = await Siege.open(world);
          for (const mode of modes.filter(attack.on ?? (() => true))) {
            for (const [n, frames] of attack.attempts.entries()) {
              await attempt(siege, attack, mode, frames).catch((error: unknown) => {
                const where = `attempt ${n} of ${attack.attempts.length}, ${modeName(mode)}`;
                throw new Error(`${where}: ${String(error)}`, { cause: error });
              });
            }
          }
          await siege.stillServes();
          tried += siege.tried;
          slowestMs = Math.max(slowestMs, siege.slowestWitnessMs);
          world.test.diagnostic(`${siege.tried} connections`);
        },
        manyConnections,
      );
    }

    it(`${subject} leave nothing native behind`, async (world) => {
      await nothingLeft(before);
      assert.ok(tried >= attacks.length, `${tried} connections for ${attacks.length} attacks`);
      const witness = `the witness waited at most ${slowestMs.toFixed(1)} ms`;
      world.test.diagnostic(`${attacks.length} attacks, ${tried} connections; ${witness}`);
    });
  });
}
