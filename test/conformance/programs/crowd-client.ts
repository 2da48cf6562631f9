// SPDX-License-Identifier: BSD-3-Clause
//
// The client of a thousand connections: one process, one peer, one JavaScript thread. Arguments:
// provider, tier, connections, rounds, port. Messages: connected, worked, closed; each step waits
// for a word of the test.

import {
  type CompletionQueue,
  type Connection,
  MemoryUsage,
  Peer,
  type ProviderName,
  RemoteRegion,
} from 'rpma';
import { commands, report } from '../../support/child.js';
import {
  type Closed,
  type Connected,
  held,
  messageBytes,
  placeBytes,
  type Question,
  type Worked,
} from './crowd.js';

const [provider = 'iwarp', tier = 'verbs', ...numbers] = process.argv.slice(2);
const [count = 1000, rounds = 1, port = 0] = numbers.map(Number);
/** Set-ups under way: an endpoint takes 256, and each ends by itself. */
const atOnce = 100;

interface Member {
  readonly connection: Connection;
  readonly remote: RemoteRegion;
  readonly place: number;
}

const peer = await Peer.open({
  localAddress: '127.0.0.1',
  provider: provider as ProviderName,
});
const bytesEach = placeBytes + 2 * messageBytes;
const local = await peer.allocate(count * bytesEach, {
  usage: MemoryUsage.WriteSource | MemoryUsage.Send | MemoryUsage.Receive,
});
const words = new BigUint64Array(local.bytes.buffer, local.bytes.byteOffset, count * 10);
const members: Member[] = [];
const wrong: string[] = [];
let answers = 0;

const start = (place: number): number => place * bytesEach;
const writeOf = ({ place, remote }: Member) => ({
  local,
  localOffset: start(place),
  remote,
  remoteOffset: place * placeBytes,
  length: placeBytes,
});
const sendOf = ({ place }: Member) => ({
  local,
  localOffset: start(place) + placeBytes,
  length: messageBytes,
});
const receiveOf = ({ place }: Member) => ({
  local,
  localOffset: start(place) + placeBytes + messageBytes,
  length: messageBytes,
});

async function connectAll(queue: CompletionQueue | undefined): Promise<void> {
  const connection = { sendQueueSize: 4, receiveQueueSize: 2, completionQueue: queue };
  for (let left = count; left > 0; left -= atOnce) {
    const some = Array.from({ length: Math.min(left, atOnce) }, () =>
      peer.connect('127.0.0.1', port, { connection, timeoutMs: 30_000 }),
    );
    for (const each of await Promise.all(some)) {
      const data = Buffer.from(each.privateData);
      const remote = RemoteRegion.fromDescriptor(data.subarray(4));
      members.push({ connection: each, remote, place: data.readUInt32LE() });
    }
  }
}

/** A number that no other connection and no other round has. */
function numberOf(place: number, round: number): bigint {
  return BigInt(round * count + place) << 8n;
}

function prepare({ place }: Member, round: number): void {
  const first = start(place) / 8;
  for (let word = 0; word < 8; word++) words[first + word] = numberOf(place, round) + BigInt(word);
  words[first + 8] = numberOf(place, round);
}

function check({ place }: Member, round: number): void {
  const found = words[start(place) / 8 + 9];
  answers++;
  if (found === numberOf(place, round) + 1n || wrong.length > 5) return;
  wrong.push(`place ${place}, round ${round}: answer ${found}`);
}

async function roundOfPosts(queue: CompletionQueue, round: number): Promise<void> {
  const byNumber = new Map<number, Member>();
  for (const member of members) {
    const { connection, remote, place } = member;
    byNumber.set(connection.queuePairNumber, member);
    prepare(member, round);
    connection.postReceive(receiveOf(member));
    connection.postWrite({ ...writeOf(member), completion: 'on-error' });
    const remoteOffset = place * placeBytes;
    connection.postFlush({ remote, remoteOffset, length: placeBytes, type: 'visibility' });
  }
  let left = members.length;
  for await (const batch of queue.batches({ capacity: 256 })) {
    for (let i = 0; i < batch.length; i++) {
      const member = byNumber.get(batch.queuePairNumber(i));
      if (member === undefined || !batch.ok(i)) {
        throw new Error(`${batch.operation(i)} completed as ${batch.status(i)}`);
      }
      // The write is visible there: now it may be spoken of.
      if (batch.operation(i) === 'flush') {
        member.connection.postSend({ ...sendOf(member), completion: 'on-error' });
      } else {
        check(member, round);
        left--;
      }
    }
    if (left === 0) break;
  }
}

async function roundOfPromises(round: number): Promise<void> {
  await Promise.all(
    members.map(async (member) => {
      prepare(member, round);
      const receiving = member.connection.receive(receiveOf(member));
      await member.connection.write({ ...writeOf(member), until: 'delivered', timeoutMs: 30_000 });
      await member.connection.send({ ...sendOf(member), timeoutMs: 30_000 });
      await receiving;
      check(member, round);
    }),
  );
}

const queue = tier === 'verbs' ? await peer.createCompletionQueue() : undefined;
const steps = commands<Question>();
const timed = async (work: () => Promise<void>): Promise<number> => {
  const from = performance.now();
  await work();
  return Math.round(performance.now() - from);
};

const connected = await timed(() => connectAll(queue));
report<Connected>({ kind: 'connected', ms: connected, ...held() });
await steps.next();
const worked = await timed(async () => {
  for (let round = 1; round <= rounds; round++) {
    if (queue === undefined) await roundOfPromises(round);
    else await roundOfPosts(queue, round);
  }
});
report<Worked>({ kind: 'worked', ms: worked, answers, wrong, ...held() });
await steps.next();
const closed = await timed(async () => {
  await Promise.all(members.map(({ connection }) => connection.close()));
});
report<Closed>({ kind: 'closed', ms: closed, ...held() });
await steps.next(); // the end of its input
await peer.close();
