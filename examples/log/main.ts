// SPDX-License-Identifier: BSD-3-Clause
//
// The log, without a network: thresholds, a function of the program's, and the default. What there
// is to log is a file that cannot be mapped. See README.md.

import '../common/failure.js';
import { constants } from 'node:os';
import { PmemFile, RpmaError } from 'rpma';
import { log } from 'rpma/diagnostics';

/** Fails, and so has the library log a line at 'error'. */
async function mapMissingFile(): Promise<void> {
  try {
    await PmemFile.map('no-such-folder/no-such-file.pmem');
  } catch (error) {
    if (error instanceof RpmaError && error.errno === -constants.errno.ENOENT) return;
    throw error;
  }
}

console.log(`at first: threshold ${log.threshold}, to standard error ${log.auxThreshold}`);
log.threshold = 'info';
log.auxThreshold = 'info';
console.log(`then: threshold ${log.threshold}, to standard error ${log.auxThreshold}`);

log.setSink(({ level, message }) => {
  console.log(`our function was given, at level ${level}: ${message}`);
});
await mapMissingFile();

// Records come a little later, in a turn of the event loop; whoever replaces its function is given
// first what was logged before.
log.setSink(null);
console.log('the default writes to standard error');
await mapMissingFile();

log.auxThreshold = 'disabled';
console.log('and nothing once that is disabled');
await mapMissingFile();
