// SPDX-License-Identifier: BSD-3-Clause
//
// A target that waits until its network namespace has been set up. Messages: ready, then those of
// target.ts.

import { createInterface } from 'node:readline';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import { report } from '../../support/child.js';
import { until } from '../../support/deadline.js';
import type { TargetOptions } from './target.js';

report({ kind: 'ready' });
const lines = createInterface({ input: process.stdin });
await once(lines, 'line');
lines.close();
process.stdin.unref();
const { address } = JSON.parse(process.argv[2] ?? '{}') as TargetOptions;
// A cable is there a moment after both of its ends are up.
await until(() => {
  const known = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  return known.some((each) => each.address === address);
}, 'the address of this end');
await import('./target.js');
