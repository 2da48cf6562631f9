// SPDX-License-Identifier: BSD-3-Clause
// flavour: test
//
// Workers that end in every state of shared receive queues.

import '../support/test-flavour.js';
import { sharedReceiveStates } from './states/shared-receives.js';
import { describeWorkerEndings } from './states/worker-endings.js';

describeWorkerEndings(sharedReceiveStates);
