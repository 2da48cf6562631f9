// SPDX-License-Identifier: BSD-3-Clause
//
// The writing side of a bandwidth trial, in a process of its own. Batches of writes that complete
// only on error, each ended by one that always completes; two batches are on their way at any time.
// The clock stops when a flush has said that the last byte is there. Message to the driver:
// streamed.

import { CompletionBatch, MemoryUsage, Peer, RemoteRegion } from 'rpma';
import { fromHex, report } from '../support/child.js';
import type { Streamed, StreamOptions } from './bandwidth.js';

const options = JSON.parse(process.argv[2] ?? '{}') as StreamOptions;
const batchLength = 8;
const batchesOut = 2;

const peer = await Peer.open({ remoteAddress: '127.0.0.1' });
const local = await peer.allocate(options.sizeBytes, { usage: MemoryUsage.WriteSource });
local.bytes.fill(0x5a);
const connection = await peer.connect('127.0.0.1', options.port, {
  connection: { crc: options.crc, sendQueueSize: 2 * batchLength * batchesOut },
});
const remote = RemoteRegion.fromDescriptor(fromHex(options.descriptor));
const queue = connection.completionQueue;
const done = new CompletionBatch(batchLength);
const write = { local, remote, length: options.sizeBytes };

function postBatch(): void {
  for (let n = 1; n < batchLength; n++) connection.postWrite({ ...write, completion: 'on-error' });
  connection.postWrite(write);
}

/** Waits for completions without spinning: the processor is for sending. */
async function reap(): Promise<number> {
  while (!(await queue.wait({ timeoutMs: 10_000 }))) throw new Error('nothing completed in 10 s');
  const count = queue.pollInto(done);
  for (let n = 0; n < count; n++) {
    if (!done.ok(n)) throw new Error(`a write completed as ${done.status(n)}`);
  }
  return count;
}

/** Writes for a while; gives the bytes that were delivered and the seconds it took. */
async function stream(seconds: number): Promise<Streamed> {
  const start = performance.now();
  const end = start + seconds * 1000;
  let batches = 0;
  let out = 0;
  while (performance.now() < end || out > 0) {
    while (out < batchesOut && performance.now() < end) {
      postBatch();
      batches++;
      out++;
    }
    if (out > 0) out -= await reap();
  }
  connection.postFlush({ remote, length: options.sizeBytes, type: 'visibility' });
  await reap();
  const bytes = batches * batchLength * options.sizeBytes;
  return { kind: 'streamed', bytes, seconds: (performance.now() - start) / 1000 };
}

await stream(0.1);
report(await stream(options.seconds));
connection.destroy();
await peer.close();
