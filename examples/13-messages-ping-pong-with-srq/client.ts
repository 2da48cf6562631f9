// SPDX-License-Identifier: BSD-3-Clause
//
// One of the clients: exchanges numbers with the server. See README.md.

import '../common/failure.js';
import { runNumbersClient } from '../common/numbers-client.js';

await runNumbersClient();
