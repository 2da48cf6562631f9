// SPDX-License-Identifier: BSD-3-Clause
//
// Imported into every process of the sweep, before its program. Waits between the attempts of an
// example become short. Of the demonstration's two processes, which share one environment, only the
// one that RPMA_SWEEP_FAULTY names gets the fault, and each has a report of its own.

import { syncBuiltinESMExports } from 'node:module';
import { basename } from 'node:path';
import timers from 'node:timers/promises';

const patienceMs = 50;
const wait = timers.setTimeout;
timers.setTimeout = (delayMs, ...rest) => wait(Math.min(delayMs ?? 0, patienceMs), ...rest);
syncBuiltinESMExports();

const program = basename(process.argv[1] ?? '');
const { RPMA_SWEEP_FAULTY: faulty, RPMA_SWEEP_FAULT: fault } = process.env;
if (fault !== undefined) process.env['RPMA_FAULT'] = faulty === program ? fault : '';
const folder = process.env['RPMA_SWEEP_REPORTS'];
if (folder !== undefined) process.env['RPMA_FAULT_REPORT'] = `${folder}/${program}.json`;
