// SPDX-License-Identifier: BSD-3-Clause
// flavour: test
//
// Processes that end in every state of shared receive queues.

import '../support/test-flavour.js';
import { sharedReceiveStates } from './states/shared-receives.js';
import { describeProcessEndings } from './states/process-endings.js';

describeProcessEndings(sharedReceiveStates);
