// SPDX-License-Identifier: BSD-3-Clause
//
// Chooses the test flavour of the addon, which has fault points and the test domain. A test file
// imports this before anything that loads the addon; children inherit the choice.

import { join } from 'node:path';
import { packageRoot } from './folders.js';

process.env['RPMA_NATIVE'] ??= join(packageRoot(), 'build', 'Release', 'rpma_test.node');
