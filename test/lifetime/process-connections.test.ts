// SPDX-License-Identifier: BSD-3-Clause
// flavour: test
//
// Processes that end in every state of connections.

import '../support/test-flavour.js';
import { connectionStates } from './states/connections.js';
import { describeProcessEndings } from './states/process-endings.js';

describeProcessEndings(connectionStates);
