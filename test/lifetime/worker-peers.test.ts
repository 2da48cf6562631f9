// SPDX-License-Identifier: BSD-3-Clause
// flavour: test
//
// Workers that end in every state of peers, endpoints, requests and queues.

import '../support/test-flavour.js';
import { peersStates } from './states/peers.js';
import { describeWorkerEndings } from './states/worker-endings.js';

describeWorkerEndings(peersStates);
