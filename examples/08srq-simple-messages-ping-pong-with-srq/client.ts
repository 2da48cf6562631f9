// SPDX-License-Identifier: BSD-3-Clause
//
// Exchanges numbers with the server; nothing of the shared receive queue is seen on this side. See
// README.md.

import '../common/failure.js';
import { runNumbersClient } from '../common/numbers-client.js';

await runNumbersClient();
