// SPDX-License-Identifier: BSD-3-Clause
//
// Captures of the examples from 01 to 06.

import { describeCaptures } from './example-captures.js';

describeCaptures((number) => number < 7);
