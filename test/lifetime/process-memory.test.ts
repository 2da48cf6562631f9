// SPDX-License-Identifier: BSD-3-Clause
// flavour: test
//
// Processes that end in every state of regions and mapped files.

import '../support/test-flavour.js';
import { memoryStates } from './states/memory.js';
import { describeProcessEndings } from './states/process-endings.js';

describeProcessEndings(memoryStates);
