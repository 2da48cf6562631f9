// SPDX-License-Identifier: BSD-3-Clause
// flavour: test
//
// Workers that end in every state of connections.

import '../support/test-flavour.js';
import { connectionStates } from './states/connections.js';
import { describeWorkerEndings } from './states/worker-endings.js';

describeWorkerEndings(connectionStates);
