// SPDX-License-Identifier: BSD-3-Clause
//
// The process that lends the file. After it accepted the connection its JavaScript has nothing more
// to do: the library's own thread places what arrives and persists it. It runs until it is killed,
// or until the process that started it is gone.

import '../common/failure.js';
import { MemoryUsage, Peer, PmemFile } from 'rpma';
import type { TargetReport } from './target-process.js';

const [path = '', sizeBytes, allowVolatile] = process.argv.slice(2);
process.on('disconnect', () => process.exit(1));
process.once('uncaughtException', () => process.channel?.unref()); // nobody will be told anything

await using peer = await Peer.open({ provider: 'iwarp', localAddress: '127.0.0.1' });
await using file = await PmemFile.map(path, {
  create: true,
  sizeBytes: Number(sizeBytes),
  allowVolatile: allowVolatile === 'volatile',
});
await using region = await peer.register(file, {
  usage: MemoryUsage.WriteDestination | MemoryUsage.FlushPersistent,
});
await using endpoint = await peer.listen('127.0.0.1', 0);
const report: TargetReport = {
  address: endpoint.address,
  port: endpoint.port,
  durability: file.durability,
};
process.send?.(report);
for await (const request of endpoint) request.accept({ privateData: region.toDescriptor() });
