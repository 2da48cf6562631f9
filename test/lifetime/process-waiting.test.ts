// SPDX-License-Identifier: BSD-3-Clause
// flavour: test
//
// Processes that end in every state of waiting by descriptor.

import '../support/test-flavour.js';
import { waitingStates } from './states/waiting.js';
import { describeProcessEndings } from './states/process-endings.js';

describeProcessEndings(waitingStates);
