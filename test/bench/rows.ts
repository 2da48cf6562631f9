// SPDX-License-Identifier: BSD-3-Clause
//
// The rows of the benchmark, in the order in which they run.

import { bandwidthRows } from './bandwidth.js';
import { connectionRows } from './connections.js';
import { latencyRows } from './latency.js';
import type { Row } from './row.js';
import { startUpRows } from './start-up.js';

export const rows: readonly Row[] = [
  ...latencyRows,
  ...bandwidthRows,
  ...connectionRows,
  ...startUpRows,
];
