// SPDX-License-Identifier: BSD-3-Clause
//
// Sends a number, takes the answer as the next number, and so on; then sends the end. Awaits
// promises (the promise tier); the server reads its completion queue instead. See README.md.

import '../common/failure.js';
import { disconnectAndWait } from '../common/connection.js';
import { runNumbersClient } from '../common/numbers-client.js';

// One exchange less than asked for, as the C program.
await runNumbersClient((rounds) => rounds - 1, disconnectAndWait);
