// SPDX-License-Identifier: BSD-3-Clause
// flavour: test
//
// Workers that end in every state of waiting by descriptor.

import '../support/test-flavour.js';
import { waitingStates } from './states/waiting.js';
import { describeWorkerEndings } from './states/worker-endings.js';

describeWorkerEndings(waitingStates);
