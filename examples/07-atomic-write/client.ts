// SPDX-License-Identifier: BSD-3-Clause
//
// Appends words to the server's log. Each becomes part of it by an atomic write of what is used,
// which comes after the flush of the word: whenever the power fails, the log holds whole words. See
// README.md.

import '../common/failure.js';
import { MemoryUsage, Peer, PeerConfig } from 'rpma';
import { readClientArguments } from '../common/arguments.js';
import { unpackCommonData } from '../common/common-data.js';
import { disconnectAndWait, nextCompletion } from '../common/connection.js';
import { checkedUsed } from './log.js';

const flushId = 0xf01d;
const usedBytes = 8;

const { address, port, rest } = readClientArguments(
  'client <address> <port> <word> [<word> ...]',
  1,
);
const words = rest.map((word) => new TextEncoder().encode(`${word}\0`));

await using peer = await Peer.open({ remoteAddress: address });
await using local = await peer.allocate(Math.max(usedBytes, ...words.map((word) => word.length)), {
  usage: MemoryUsage.ReadDestination | MemoryUsage.WriteSource,
});

await using connection = await peer.connect(address, port);
const { dataOffset: usedOffset, region: remote } = unpackCommonData(connection.privateData);
// The C server grants persistent flushes but sends no peer configuration, so the client vouches for
// it, as the C client does. A server of this package needs no such trust: it persists the range.
connection.applyRemotePeerConfig(new PeerConfig({ directWriteToPmem: true }));
const type = connection.canFlush(remote, 'persistent') ? 'persistent' : 'visibility';
console.log(`Flush: ${type}`);

connection.postRead({ local, remote, remoteOffset: usedOffset, length: usedBytes });
await nextCompletion(connection);
const used = new DataView(local.bytes.buffer, local.bytes.byteOffset).getBigUint64(0, true);
let end = checkedUsed(used, remote.sizeBytes);
console.log(`Used: ${end}`);
for (const word of words) end = await append(word, end);
await disconnectAndWait(connection);

async function append(word: Uint8Array, at: number): Promise<number> {
  const { length } = word;
  const newEnd = at + length;
  if (newEnd > remote.sizeBytes) {
    throw new Error(`the log is full: ${remote.sizeBytes - at} bytes are left, not ${length}`);
  }
  local.bytes.set(word);
  const range = { remote, remoteOffset: at, length, completion: 'on-error' } as const;
  connection.postWrite({ ...range, local });
  connection.postFlush({ ...range, type });
  const usedWord = { remote, remoteOffset: usedOffset };
  connection.postAtomicWrite({ ...usedWord, value: BigInt(newEnd), completion: 'on-error' });
  connection.postFlush({ ...usedWord, length: usedBytes, type, id: flushId });

  const { id, durability = 'none' } = await nextCompletion(connection);
  if (id !== flushId) throw new Error(`unexpected id 0x${id.toString(16)}`);
  console.log(`Appended ${length} bytes at ${at}, used: ${newEnd}, durability ${durability}`);
  return newEnd;
}
