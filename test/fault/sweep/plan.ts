// SPDX-License-Identifier: BSD-3-Clause
//
// What the sweep tries: each point that a side of a program reaches, at every hit, or in a sample
// at its first hits and, by the seed, at later ones. The first hit fails with each of the point's
// errnos, the others with one.

import type { SeededRandom } from '../../support/random.js';
import { faultPoints } from './points.js';
import type { Program, Side } from './programs.js';
import type { Baseline, Fault } from './run.js';

/** A program with what a run without a fault told of it. */
export interface Known {
  readonly program: Program;
  readonly baseline: Baseline;
  /** How often each side reaches each point. */
  readonly hits: Readonly<Record<Side, Readonly<Record<string, number>>>>;
}

export interface Trial {
  readonly known: Known;
  readonly fault: Fault;
}

/** Hits from 1 on that a sample tries all. */
const hitsInRow = 3;
/** Hits behind them that the seed chooses. */
const hitsChosen = 2;

function chooseHits(hits: number, isWhole: boolean, random: SeededRandom): number[] {
  const first = isWhole ? hits : Math.min(hits, hitsInRow);
  const chosen = Array.from({ length: first }, (_, index) => index + 1);
  for (let n = 0; n < hitsChosen && hits > first; n++) {
    const hit = random.between(first + 1, hits);
    if (!chosen.includes(hit)) chosen.push(hit);
  }
  return chosen;
}

/** Every trial of a point, in the order in which the seed puts them. */
export function trialsOf(
  point: string,
  programs: readonly Known[],
  isWhole: boolean,
  random: SeededRandom,
): Trial[] {
  const errnos = faultPoints[point] ?? [];
  const trials: Trial[] = [];
  for (const known of programs) {
    for (const side of ['server', 'client'] as const) {
      for (const nth of chooseHits(known.hits[side][point] ?? 0, isWhole, random)) {
        for (const errno of nth === 1 ? errnos : [random.pick(errnos)]) {
          trials.push({ known, fault: { side, point, nth, errno } });
        }
      }
    }
  }
  return shuffle(trials, random);
}

export function shuffle<T>(items: readonly T[], random: SeededRandom): T[] {
  const left = [...items];
  const result: T[] = [];
  while (left.length > 0) result.push(...left.splice(random.below(left.length), 1));
  return result;
}
