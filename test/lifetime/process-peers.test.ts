// SPDX-License-Identifier: BSD-3-Clause
// flavour: test
//
// Processes that end in every state of peers, endpoints, requests and queues.

import '../support/test-flavour.js';
import { peersStates } from './states/peers.js';
import { describeProcessEndings } from './states/process-endings.js';

describeProcessEndings(peersStates);
