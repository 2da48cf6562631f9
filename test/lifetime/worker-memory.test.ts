// SPDX-License-Identifier: BSD-3-Clause
// flavour: test
//
// Workers that end in every state of regions and mapped files.

import '../support/test-flavour.js';
import { memoryStates } from './states/memory.js';
import { describeWorkerEndings } from './states/worker-endings.js';

describeWorkerEndings(memoryStates);
