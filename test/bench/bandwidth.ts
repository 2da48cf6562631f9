// SPDX-License-Identifier: BSD-3-Clause
//
// The bandwidth rows: writes of 1 MiB, batched from JavaScript, until the last is delivered, beside
// a loop of send() and recv().

import { Child } from '../support/child.js';
import type { Listening, TargetOptions } from './latency.js';
import { pinned } from './placement.js';
import type { Row, TrialContext } from './row.js';

export interface StreamOptions {
  readonly sizeBytes: number;
  readonly seconds: number;
  readonly crc: boolean;
  readonly port: number;
  readonly descriptor: string;
}

export interface Streamed {
  readonly kind: 'streamed';
  readonly bytes: number;
  readonly seconds: number;
}

const sizeBytes = 1 << 20;

function stream(crc: boolean): Row['run'] {
  return async ({ seconds, placement, yardsticks }: TrialContext) => {
    const baseline = await yardsticks.stream(placement, seconds);
    const targetOptions: TargetOptions = { sizeBytes, echo: false, busyPollMicroseconds: 0 };
    const target = Child.spawn(
      new URL('./target.js', import.meta.url),
      [JSON.stringify(targetOptions)],
      pinned(placement.target),
    );
    let client: Child | null = null;
    try {
      const { port, descriptor, provider } = await target.expect<Listening>('listening');
      const options: StreamOptions = { sizeBytes, seconds, crc, port, descriptor };
      client = Child.spawn(
        new URL('./bandwidth-client.js', import.meta.url),
        [JSON.stringify(options)],
        pinned(placement.client),
      );
      const streamed = await client.expect<Streamed>('streamed', 30_000 + seconds * 2000);
      await client.ended;
      await target.ended;
      return { value: streamed.bytes / streamed.seconds / 1e9, baseline, provider };
    } finally {
      await client?.kill();
      await target.kill();
    }
  };
}

const common = {
  sizeBytes,
  unit: 'GB/s',
  yardstick: 'stream',
  placement: 'one each',
  isRate: true,
} as const;

export const bandwidthRows: readonly Row[] = [
  {
    ...common,
    name: 'rma_write_bw',
    what: '1 MiB writes, batched',
    bar: 0.7,
    aim: 0.85,
    run: stream(true),
  },
  {
    ...common,
    name: 'rma_write_bw_nocrc',
    what: 'the same without CRC',
    bar: 0.8,
    aim: 0.95,
    run: stream(false),
  },
];
