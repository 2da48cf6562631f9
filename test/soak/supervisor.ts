// SPDX-License-Identifier: BSD-3-Clause
//
// The supervisor of the soak: kills the writer, the target or both at seeded moments, lets the
// survivor tell how it took it, reads the file, and puts a warm process in the place of the dead
// one. Who is killed follows eras, so that survivors live through dozens of deaths of the other
// side and what they leak adds up.

import { SeededRandom } from '../support/random.js';
import { type Footprint, growth } from '../support/footprint.js';
import { lastFor, withDeadline } from '../support/deadline.js';
import { Acknowledged } from './acknowledged.js';
import { Pool, patienceMs, SoakProcess } from './processes.js';
import type {
  Broken,
  Listening,
  Mutant,
  Quiet,
  Report,
  SessionEnd,
  TargetOptions,
  WriteCommand,
} from './protocol.js';

/** A survivor knows of the death by the socket, long before deadPeerTimeoutMs (10 s) is over. */
const promptMs = 5000;
/** Rounds after which a survivor holds all that it will ever hold. */
const warmRounds = 6;
/** Of the collector's making: what a leak of 100 KiB a round would exceed in an era. */
const allowedGrowthKiB = 24 << 10;
const poolSize = 2;

export type Victim = 'writer' | 'target' | 'both';

export interface SoakOptions {
  readonly path: string;
  readonly allowVolatile: boolean;
  readonly seed: number;
  readonly mutant: Mutant | null;
}

export interface Figures {
  readonly kills: Record<Victim, number>;
  acknowledgements: number;
  accepted: number;
  failed: number;
  records: number;
  /** From a kill until the survivor said what became of everything, in ms. */
  readonly noticeMs: number[];
  readonly ends: Map<string, number>;
  /** Survivors that were looked at for leaks. */
  watched: number;
  longestLife: number;
  growthKiB: number;
}

/** A process and what it held after each death of the other side. */
interface Life {
  readonly process: SoakProcess;
  readonly footprints: Footprint[];
}

interface Era {
  left: number;
  readonly victims: readonly Victim[];
}

const everyEra: readonly (readonly Victim[])[] = [
  ['writer'],
  ['target'],
  ['writer', 'target', 'both'],
];

export class Supervisor {
  readonly figures: Figures = {
    kills: { writer: 0, target: 0, both: 0 },
    acknowledgements: 0,
    accepted: 0,
    failed: 0,
    records: 0,
    noticeMs: [],
    ends: new Map(),
    watched: 0,
    longestLife: 0,
    growthKiB: 0,
  };
  readonly #options: SoakOptions;
  readonly #random: SeededRandom;
  readonly #acknowledged: Acknowledged = new Acknowledged();
  readonly #targets: Pool;
  readonly #writers: Pool;
  #target: Life | null = null;
  #writer: Life | null = null;
  #port = 0;
  #era: Era = { left: 0, victims: [] };
  /** The end of the writer's session, and reports of what may not be. */
  #session: Promise<SessionEnd> | null = null;
  #broken: string | null = null;
  #onTold: (() => void) | null = null;

  constructor(options: SoakOptions) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed);
    const { path, allowVolatile } = options;
    const target: TargetOptions = { path, allowVolatile };
    const args = [JSON.stringify(target)];
    const program = (name: string): URL => new URL(`./${name}.js`, import.meta.url);
    this.#targets = new Pool('target', poolSize, (name) => {
      return new SoakProcess(name, program('target'), args);
    });
    this.#writers = new Pool('writer', poolSize, (name) => {
      return new SoakProcess(name, program('writer'), []);
    });
  }

  get processes(): number {
    return this.#targets.started + this.#writers.started;
  }

  /** One kill and all that follows from it; throws when something is not as it must be. */
  async round(): Promise<void> {
    const target = (this.#target ??= await this.#startTarget());
    const writer = (this.#writer ??= { process: await this.#writers.take(), footprints: [] });
    if (this.#session === null) this.#startSession(writer.process);
    await this.#moment();
    const victim = this.#victim();
    const killed = performance.now();
    if (victim !== 'target') await this.#kill(writer);
    if (victim !== 'writer') await this.#kill(target);
    this.#throwIfBroken();
    if (victim === 'writer') await this.#watchTarget(target, killed);
    if (victim === 'target') await this.#watchWriter(writer, killed);
    this.#session = null;
    if (victim !== 'target') this.#bury(writer, 'writer');
    if (victim !== 'writer') this.#bury(target, 'target');
    this.figures.kills[victim]++;
    this.figures.records += this.#acknowledged.verify(this.#options.path);
    this.figures.acknowledgements = this.#acknowledged.told;
  }

  /** Both sides end as they are meant to, and the file is read once more. */
  async finish(): Promise<void> {
    const target = (this.#target ??= await this.#startTarget());
    const writer = (this.#writer ??= { process: await this.#writers.take(), footprints: [] });
    if (this.#session === null) this.#startSession(writer.process);
    await this.#acknowledgements(20);
    for (const { process } of [writer, target]) {
      const how = await process.stop();
      if (how !== 'status 0')
        throw new Error(`${process.name} ended with ${how}: ${process.stderr}`);
    }
    this.#throwIfBroken();
    this.#bury(writer, 'writer');
    this.#bury(target, 'target');
    this.#acknowledged.verify(this.#options.path);
  }

  async close(): Promise<void> {
    for (const life of [this.#writer, this.#target]) {
      life?.process.kill();
      await life?.process.ended;
    }
    await Promise.all([this.#writers.close(), this.#targets.close()]);
  }

  async #startTarget(): Promise<Life> {
    const process = await this.#targets.take();
    const listening = process.expect<Listening>('listening');
    process.send({ kind: 'serve' });
    this.#port = (await listening).port;
    return { process, footprints: [] };
  }

  #startSession(writer: SoakProcess): void {
    this.#acknowledged.startSession();
    writer.onReport = (report) => this.#hear(report);
    this.#session = writer.next<SessionEnd>('ended');
    this.#session.catch(() => undefined); // a killed writer says nothing
    const seed = this.#random.next();
    const { mutant } = this.#options;
    writer.send({ kind: 'write', port: this.#port, seed, mutant } satisfies WriteCommand);
  }

  #hear(report: Report): void {
    this.#acknowledged.add(report);
    if (report.kind === 'broken') this.#broken ??= (report satisfies Broken).what;
    if (report.kind === 'resumed') {
      const { trim, commit } = this.#acknowledged.seen;
      if (report.trim !== trim || report.commit !== commit) {
        this.#broken ??= `the writer read ${report.trim} to ${report.commit}, the file has ${trim} to ${commit}`;
      }
    }
    this.#onTold?.();
  }

  #throwIfBroken(): void {
    if (this.#broken !== null) throw new Error(this.#broken);
  }

  /** During set-up, after some acknowledgements, or after some time. */
  async #moment(): Promise<void> {
    const random = this.#random;
    const kind = random.below(4);
    if (kind === 0) return lastFor(random.below(6));
    if (kind === 1) return lastFor(random.between(5, 40));
    await this.#acknowledgements(random.between(1, 24));
    if (random.below(2) === 0) await lastFor(random.below(4));
  }

  async #acknowledgements(count: number): Promise<void> {
    const wanted = this.#acknowledged.told + count;
    const told = new Promise<void>((resolve) => {
      this.#onTold = () => {
        if (this.#acknowledged.told >= wanted || this.#broken !== null) resolve();
      };
    });
    await withDeadline(told, `${count} acknowledgements`, patienceMs);
    this.#onTold = null;
    this.#throwIfBroken();
  }

  #victim(): Victim {
    if (this.#era.left === 0) {
      this.#era = { left: this.#random.between(20, 60), victims: this.#random.pick(everyEra) };
    }
    this.#era.left--;
    return this.#random.pick(this.#era.victims);
  }

  async #kill({ process }: Life): Promise<void> {
    process.kill();
    const how = await withDeadline(process.ended, `the death of ${process.name}`, patienceMs);
    // One that had ended by itself did so for a reason of its own.
    if (how !== 'SIGKILL') throw new Error(`${process.name} ended with ${how}: ${process.stderr}`);
  }

  async #watchTarget(life: Life, killed: number): Promise<void> {
    const asked = life.process.expect<Quiet>('quiet');
    life.process.send({ kind: 'quiet' });
    const { ends, footprint } = await asked;
    this.#noticed(killed, life);
    for (const how of ends) this.#count(`target ${how}`);
    life.footprints.push(footprint);
  }

  async #watchWriter(life: Life, killed: number): Promise<void> {
    if (this.#session === null) throw new Error('there was no session');
    const told = withDeadline(this.#session, `the word of ${life.process.name}`, patienceMs);
    const { how, accepted, failed, footprint } = await told;
    this.#throwIfBroken();
    this.#noticed(killed, life);
    this.#count(`writer ${how}`);
    if (how === 'established') throw new Error('the session outlived its target');
    this.figures.accepted += accepted;
    this.figures.failed += failed;
    life.footprints.push(footprint);
  }

  #noticed(killed: number, { process }: Life): void {
    const elapsed = performance.now() - killed;
    this.figures.noticeMs.push(elapsed);
    if (elapsed > promptMs) {
      throw new Error(`${process.name} noticed the death after ${elapsed.toFixed(0)} ms`);
    }
  }

  #count(end: string): void {
    this.figures.ends.set(end, (this.figures.ends.get(end) ?? 0) + 1);
  }

  /** Looks back on a life for what it leaked. */
  #bury({ process, footprints }: Life, role: 'writer' | 'target'): void {
    if (role === 'writer') this.#writer = null;
    else this.#target = null;
    const { figures } = this;
    figures.longestLife = Math.max(figures.longestLife, footprints.length);
    const before = footprints[warmRounds];
    const last = footprints.at(-1);
    if (before === undefined || last === undefined || footprints.length < 2 * warmRounds) return;
    figures.watched++;
    figures.growthKiB = Math.max(figures.growthKiB, last.rssKiB - before.rssKiB);
    const leaks = growth(before, last, allowedGrowthKiB);
    const lived = `${process.name}, which survived ${footprints.length} deaths, leaks`;
    if (leaks.length > 0) throw new Error(`${lived}: ${leaks.join('; ')}`);
  }
}
