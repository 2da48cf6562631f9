// SPDX-License-Identifier: BSD-3-Clause
//
// Captures of the examples from 07 and on.

import { describeCaptures } from './example-captures.js';

describeCaptures((number) => number >= 7);
