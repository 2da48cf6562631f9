// SPDX-License-Identifier: BSD-3-Clause
//
// What the processes of the soak say to each other, one JSON object a line: the supervisor's
// commands, and what the writer and the target report. A report is written before the process goes
// on, so what it says had happened when its process was killed.

import type { Footprint } from '../support/footprint.js';
import type { Words } from './log.js';

/** A defect of the writer's protocol, to see that the soak finds it. */
export type Mutant = 'order' | 'torn';

export interface TargetOptions {
  readonly path: string;
  readonly allowVolatile: boolean;
}

export type TargetCommand =
  | { readonly kind: 'serve' }
  /** Report once no connection is open any more. */
  | { readonly kind: 'quiet' }
  | { readonly kind: 'stop' };

export interface WriteCommand {
  readonly kind: 'write';
  readonly port: number;
  readonly seed: number;
  readonly mutant: Mutant | null;
}

export type WriterCommand = WriteCommand | { readonly kind: 'stop' };

export interface Warm {
  readonly kind: 'warm';
}

export interface Listening {
  readonly kind: 'listening';
  readonly port: number;
}

export interface Quiet {
  readonly kind: 'quiet';
  /** How the connections since the last report ended. */
  readonly ends: readonly string[];
  readonly footprint: Footprint;
}

/** What the writer found in the log when it connected; the records were whole. */
export interface Resumed extends Words {
  readonly kind: 'resumed';
}

/** A record whose flush said durable. */
export interface Durable {
  readonly kind: 'durable';
  readonly at: number;
  readonly checksum: number;
}

/** A word whose flush said durable. */
export interface Word {
  readonly kind: 'committed' | 'trimmed';
  readonly at: number;
}

/** The session's end, with the outcomes of all that was accepted. */
export interface SessionEnd {
  readonly kind: 'ended';
  readonly how: string;
  readonly accepted: number;
  readonly failed: number;
  readonly footprint: Footprint;
}

export interface Stopped {
  readonly kind: 'stopped';
}

/** Something that may not be. */
export interface Broken {
  readonly kind: 'broken';
  readonly what: string;
}

export type Report =
  Warm | Listening | Quiet | Resumed | Durable | Word | SessionEnd | Stopped | Broken;
