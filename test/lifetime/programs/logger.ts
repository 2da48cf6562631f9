// SPDX-License-Identifier: BSD-3-Clause
//
// A program or a worker that logs: the mode says how it ends. Standard output has what its sink was
// given, a line a record.

import { writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { Peer } from 'rpma';
import { log } from 'rpma/diagnostics';
import { report } from '../../support/child.js';
import { until } from '../../support/deadline.js';

/** Logs two notices without a turn of the loop in between: it listens, and listens no more. */
async function listenOnce(peer: Peer): Promise<void> {
  await (await peer.listen('127.0.0.1', 0)).close();
}

const mode = parentPort === null ? process.argv[2] : String(workerData);
const peer = await Peer.open({ localAddress: '127.0.0.1' });
if (mode !== 'aux') log.threshold = 'notice';

switch (mode) {
  case 'exit': {
    const endpoint = await peer.listen('127.0.0.1', 0);
    log.setSink(({ message }) => writeSync(1, `${message}\n`));
    void endpoint.close();
    process.exit(0);
    break;
  }
  case 'throw': {
    process.on('uncaughtException', (error) => report({ kind: error.message }));
    let given = 0;
    log.setSink(({ message }) => {
      given++;
      report({ kind: message.split(' at ')[0] ?? '' });
      throw new Error(`from the sink, ${given}`);
    });
    await listenOnce(peer);
    await until(() => given === 2, 'two records are given');
    // And at the exit, where no tick comes any more.
    await listenOnce(peer);
    process.exit();
    break;
  }
  case 'worker':
    log.setSink(({ message }) => parentPort?.postMessage(message));
    parentPort?.postMessage('ready');
    parentPort?.on('message', () => undefined);
    break;
  default:
    await listenOnce(peer);
}
if (mode !== 'worker') await peer.close();
