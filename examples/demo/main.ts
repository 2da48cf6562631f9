// SPDX-License-Identifier: BSD-3-Clause
//
// The demonstration of npm start. This process writes records into a file that another process
// lends, kills that process in the middle of it, and then looks whether every record that was
// acknowledged as durable is in the file. Its last line and its exit status say how it went.

import { describeFailure } from '../common/failure.js';
import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Durability, isRpmaError, MemoryUsage, Peer, type PmemFile, RemoteRegion } from 'rpma';
import { DemoError } from './error.js';
import { choosePlace } from './folder.js';
import { summariseLatency } from './latency.js';
import { type DemoOptions, readOptions, usage } from './options.js';
import { recordBytes } from './records.js';
import { TargetProcess } from './target-process.js';
import { verifyRecords } from './verify.js';
import { lanes, RecordWriter } from './writer.js';

/** Room behind the counted records, for those that are written while the target is killed. */
const spareRecords = 4_096;
/** Records that are acknowledged with all lanes busy before the kill. */
const recordsBeforeKill = 2 * lanes;
const runMsMax = 30_000;

interface Outcome {
  readonly writer: RecordWriter;
  readonly seed: number;
  readonly medium: PmemFile['durability'];
  /** Latencies of one write at a time, in milliseconds. */
  readonly latenciesMs: readonly number[];
}

/** Everything but the check: ends with the target dead. */
async function writeAndKill(
  path: string,
  options: DemoOptions,
  inMemory: boolean,
): Promise<Outcome> {
  const sizeBytes = (options.records + spareRecords) * recordBytes;
  const target = TargetProcess.start(path, sizeBytes, inMemory);
  process.once('exit', () => target.kill());
  const { address, port, durability: medium } = await target.report();
  console.log(`target: process ${target.pid}, listening on ${address}:${port}`);

  await using peer = await Peer.open({ provider: 'iwarp', remoteAddress: address });
  await using local = await peer.allocate(lanes * recordBytes, { usage: MemoryUsage.WriteSource });
  await using connection = await peer.connect(address, port, {
    connection: { sendQueueSize: 4 * lanes },
  });
  const remote = RemoteRegion.fromDescriptor(connection.privateData);
  const seed = randomInt(2 ** 32);
  const writer = new RecordWriter(connection, local, remote, seed);

  console.log(
    `writing records of ${recordBytes} bytes; one counts when it is durable at the target`,
  );
  await writeCounted(writer, options);
  const latenciesMs = [...writer.latenciesMs];
  await writeThroughKill(writer, target);
  await target.whenKilled();
  connection.destroy();
  const counts = `${writer.acknowledged.length} records acknowledged, ${writer.unacknowledged} in flight`;
  console.log(`killed the target (SIGKILL) in mid-stream: ${counts} and not promised`);
  return { writer, seed, medium, latenciesMs };
}

/** One record at a time. */
async function writeCounted(writer: RecordWriter, options: DemoOptions): Promise<void> {
  const end = performance.now() + (options.writeTimeMs ?? Infinity);
  while (writer.acknowledged.length < options.records && performance.now() < end) {
    await writer.write(0);
  }
}

/** All lanes at once, until the kill ends the connection under them. */
async function writeThroughKill(writer: RecordWriter, target: TargetProcess): Promise<void> {
  const killAt = writer.acknowledged.length + recordsBeforeKill;
  let killed = false;
  const writeLane = async (lane: number): Promise<void> => {
    while (writer.hasRoom) {
      try {
        await writer.write(lane);
      } catch (error) {
        if (killed && isRpmaError(error)) return;
        throw error;
      }
      if (!killed && writer.acknowledged.length >= killAt) {
        killed = true;
        target.kill();
      }
    }
  };
  await Promise.all(Array.from({ length: lanes }, (_, lane) => writeLane(lane)));
}

/** What the given durability survives, in a sentence. */
function meaningOf(durability: Durability, medium: PmemFile['durability']): string {
  if (durability === 'volatile') {
    return 'the file lies in memory (tmpfs): records outlive the process, not a reboot or power loss';
  }
  const means =
    medium === 'pmem'
      ? 'flushed each record to persistent memory'
      : 'had each record written to the storage (msync)';
  const survived = 'records outlive process, reboot and power loss';
  return `the target's library ${means} before it acknowledged it: ${survived}`;
}

async function check(path: string, { writer, seed, medium, latenciesMs }: Outcome): Promise<void> {
  const { verified, damages } = await verifyRecords(path, seed, writer.acknowledged);
  if (damages.length > 0) {
    const total = writer.acknowledged.length;
    throw new DemoError(`${damages.length} of ${total} acknowledged records lost: ${damages[0]}`);
  }
  const { durability } = writer;
  if (durability !== 'persisted' && durability !== 'volatile') {
    throw new DemoError(`unexpected durability: ${durability ?? 'none'}`);
  }
  console.log(`reopened the file and found every acknowledged record, byte for byte`);
  console.log(`durability ${durability}: ${meaningOf(durability, medium)}`);
  console.log(`latency of a durable write, one at a time: ${summariseLatency(latenciesMs)}`);
  console.log(`persisted: verified ${verified} records, provider iwarp, durability ${durability}`);
}

function makeFolder(parent: string): string {
  try {
    return mkdtempSync(join(parent, 'rpma-demo-'));
  } catch (error) {
    throw new DemoError(`cannot make a folder in ${parent}: ${String(error)}`);
  }
}

async function run(options: DemoOptions): Promise<void> {
  const { folder, medium } = choosePlace(options.fileFolder, options.allowMemory);
  const ownFolder = makeFolder(resolve(folder));
  process.once('exit', () => rmSync(ownFolder, { recursive: true, force: true }));
  const path = join(ownFolder, 'records.pmem');
  console.log(`file: ${path} (${medium})`);
  await check(path, await writeAndKill(path, options, medium === 'memory'));
}

function fail(error: unknown): never {
  console.error('failed:', error instanceof DemoError ? error.message : describeFailure(error));
  process.exit(1); // the 'exit' listeners kill the target and remove the file
}

process.once('SIGINT', () => process.exit(130));
process.once('SIGTERM', () => process.exit(143));
try {
  const options = readOptions(process.argv.slice(2));
  const bound = options.writeTimeMs === null ? runMsMax + options.records * 20 : runMsMax;
  setTimeout(() => fail(new DemoError(`no end after ${bound / 1_000} s`)), bound).unref();
  if (options.help) console.log(usage);
  else await run(options);
} catch (error) {
  fail(error);
}
