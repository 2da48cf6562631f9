// SPDX-License-Identifier: BSD-3-Clause
//
// One trial of a row: a target and a client, each a fresh process, on the processors the row names.

import { Child } from '../support/child.js';

export type Shape = 'write-flush' | 'read' | 'echo' | 'polled';

export interface TargetOptions {
  readonly sizeBytes: number;
  readonly echo: boolean;
  readonly busyPollMicroseconds: number;
}

export interface ClientOptions {
  readonly shape: Shape;
  readonly sizeBytes: number;
  readonly seconds: number;
  readonly warmUp: number;
  readonly port: number;
  readonly descriptor: string;
}

export interface Listening {
  readonly kind: 'listening';
  readonly port: number;
  readonly descriptor: string;
  readonly provider: string;
}

export interface Measured {
  readonly kind: 'measured';
  readonly count: number;
  readonly median: number;
  readonly p99: number;
}

/** Processors of the two sides; null leaves them where the system puts them. */
export interface Placement {
  readonly target: number | null;
  readonly client: number | null;
}

export interface TrialOptions {
  readonly shape: Shape;
  readonly sizeBytes: number;
  readonly seconds: number;
  readonly placement: Placement;
  readonly busyPollMicroseconds: number;
}

const warmUp = 2000;

function pinned(cpu: number | null): { readonly prefix: readonly string[] } {
  return { prefix: cpu === null ? [] : ['taskset', '-c', String(cpu)] };
}

export async function runTrial(options: TrialOptions): Promise<Measured & { provider: string }> {
  const { shape, sizeBytes, seconds, placement, busyPollMicroseconds } = options;
  const targetOptions: TargetOptions = {
    sizeBytes: 4096,
    echo: shape === 'echo',
    busyPollMicroseconds,
  };
  const target = Child.spawn(
    new URL('./target.js', import.meta.url),
    [JSON.stringify(targetOptions)],
    pinned(placement.target),
  );
  let client: Child | null = null;
  try {
    const { port, descriptor, provider } = await target.expect<Listening>('listening');
    const clientOptions: ClientOptions = { shape, sizeBytes, seconds, warmUp, port, descriptor };
    client = Child.spawn(
      new URL('./client.js', import.meta.url),
      [JSON.stringify(clientOptions)],
      pinned(placement.client),
    );
    const measured = await client.expect<Measured>('measured', 30_000 + seconds * 2000);
    await client.ended;
    await target.ended;
    return { ...measured, provider };
  } finally {
    await client?.kill();
    await target.kill();
  }
}
