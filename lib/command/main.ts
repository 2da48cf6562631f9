#!/usr/bin/env node
// SPDX-License-Identifier: BSD-3-Clause
//
// The program `rpma`. Its status is what the run says; the process ends when all is closed.

import { run } from './program.js';

process.exitCode = await run(process.argv.slice(2));
