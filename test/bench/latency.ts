// SPDX-License-Identifier: BSD-3-Clause
//
// The latency rows: a target and a client, each a fresh process, on the processors the row names.

import { Child } from '../support/child.js';
import { pinned } from './placement.js';
import type { Row, Trial, TrialContext } from './row.js';

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

interface Shaped {
  readonly shape: Shape;
  readonly sizeBytes: number;
  readonly busyPollMicroseconds: number;
}

const warmUp = 2000;

async function measure(
  { shape, sizeBytes, busyPollMicroseconds }: Shaped,
  { seconds, placement }: TrialContext,
): Promise<Measured & { provider: string }> {
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
      new URL('./latency-client.js', import.meta.url),
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

function besidePingPong(shaped: Shaped, isSpinning = false): Row['run'] {
  return async (context): Promise<Trial> => {
    const { yardsticks, placement, seconds } = context;
    const baseline = await yardsticks.pingPong(placement, seconds, isSpinning);
    const { median, provider } = await measure(shaped, context);
    return { value: median, baseline, provider };
  };
}

async function p99(context: TrialContext): Promise<Trial> {
  const measured = await measure(small, context);
  return { value: measured.p99, baseline: measured.median, provider: measured.provider };
}

const small: Shaped = { shape: 'write-flush', sizeBytes: 64, busyPollMicroseconds: 0 };
const echo: Shaped = { ...small, shape: 'echo', sizeBytes: 8 };
const polled: Shaped = { ...small, shape: 'polled', busyPollMicroseconds: 1_000_000 };

const common = {
  sizeBytes: 64,
  unit: 'us',
  yardstick: 'pingpong_blocking',
  placement: 'one processor',
  isRate: false,
  bar: null,
  aim: null,
} as const;

export const latencyRows: readonly Row[] = [
  {
    ...common,
    name: 'rma_write_flush_lat',
    what: '64 B write + flush, awaited',
    bar: 2.0,
    aim: 1.3,
    run: besidePingPong(small),
  },
  {
    ...common,
    name: 'rma_write_flush_lat_free',
    what: 'the same, unpinned',
    placement: 'free',
    run: besidePingPong(small),
  },
  {
    ...common,
    name: 'rma_write_flush_lat_polled',
    what: '64 B write + flush, polled',
    yardstick: 'pingpong_spinning',
    placement: 'one each',
    bar: 1.6,
    aim: 1.2,
    run: besidePingPong(polled, true),
  },
  {
    ...common,
    name: 'rma_write_flush_p99',
    what: 'p99 of the awaited row to its median',
    yardstick: 'own median',
    bar: 3,
    aim: 2,
    run: p99,
  },
  {
    ...common,
    name: 'rma_read_lat',
    what: '64 B read, awaited',
    run: besidePingPong({ ...small, shape: 'read' }),
  },
  {
    ...common,
    name: 'msg_pingpong',
    what: '8 B message and answer',
    sizeBytes: 8,
    run: besidePingPong(echo),
  },
  {
    ...common,
    name: 'msg_pingpong_free',
    what: 'the same, unpinned',
    sizeBytes: 8,
    placement: 'free',
    run: besidePingPong(echo),
  },
];
