// SPDX-License-Identifier: BSD-3-Clause
//
// `rpma ping`: writes to the region that the other side lends and flushes it, again and again, one
// at a time, and tells how long each took. The write completes only if it fails; the flush's
// completion ends the round trip.

import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import {
  type Completion,
  completionError,
  type Connection,
  type Durability,
  type FlushType,
  isRpmaError,
  type MemoryRegion,
  MemoryUsage,
  Peer,
  type PeerOptions,
  type RemoteRegion,
  RpmaError,
} from '../index.js';
import { formatPlace, formatSize } from './arguments.js';
import { knownForms, readNotice, type RegionNotice } from './blocks.js';
import { attempting, CommandError, failureOf } from './failure.js';
import type { CommandContext } from './output.js';
import { Latencies, round } from './latencies.js';
import { Stop } from './stop.js';

/** Options of `rpma ping`, checked. */
export interface PingOptions {
  readonly type?: FlushType;
  readonly length: number;
  readonly count?: number;
  /** Milliseconds. */
  readonly interval: number;
  /** Milliseconds. */
  readonly timeout: number;
  readonly polled?: true;
  readonly overwrite?: true;
  readonly provider?: NonNullable<PeerOptions['provider']>;
}

/** How long a poll spins before the event loop has a turn, so that a signal is noticed. */
const spinMs = 10;

/** What is written where, and how it is flushed. */
interface Course {
  readonly connection: Connection;
  readonly local: MemoryRegion;
  readonly remote: RemoteRegion;
  readonly remoteOffset: number;
  readonly length: number;
  readonly type: FlushType;
}

/** The region that the other side told of when it accepted. */
function regionOf(connection: Connection): RegionNotice {
  const { privateData } = connection;
  const notice = readNotice(privateData);
  if (notice !== null && notice.kind !== 'peer') return notice;
  throw new CommandError(
    `the other side told of no region: it sent ${formatSize(privateData.length)} of private data`,
    { cure: `lend one with 'rpma serve', or send ${knownForms.replace(/^.*?\), /, '')}` },
  );
}

function chooseType(connection: Connection, { region }: RegionNotice, type?: FlushType): FlushType {
  const wanted = type === undefined ? (['persistent', 'visibility'] as const) : [type];
  const found = wanted.find((each) => connection.canFlush(region, each));
  if (found !== undefined) return found;
  const granted = region.flushTypes.length === 0 ? 'no flush' : region.flushTypes.join(' and ');
  const isVouched = type === 'persistent' && region.flushTypes.includes('persistent');
  throw new CommandError(
    isVouched
      ? 'no persistent flush here: the other side cannot do it itself, and nobody vouches for it'
      : `the region allows ${granted}, not ${wanted.join(' or ')}`,
    {
      cure:
        type === 'persistent'
          ? "ping with --type visibility, or lend a file with 'rpma serve'"
          : 'lend it with --usage read,write,flush',
    },
  );
}

function checkRange(
  { region, dataOffset }: RegionNotice,
  { length, overwrite }: PingOptions,
): void {
  const room = region.sizeBytes - dataOffset;
  if (length > room) {
    const cure = room > 0 ? `ping with --length ${room} or less` : 'lend a larger region';
    throw new CommandError(`the region has room for ${formatSize(Math.max(0, room))}`, { cure });
  }
  if ((region.usage & MemoryUsage.WriteDestination) === 0) {
    const cure = 'lend it with --usage read,write,flush';
    throw new CommandError('the region cannot be written', { cure });
  }
  if ((region.usage & MemoryUsage.ReadSource) === 0 && overwrite !== true) {
    throw new CommandError('the region cannot be read, so its bytes cannot be written back', {
      cure: 'lend it with --usage read,write,flush, or let --overwrite write zeroes',
    });
  }
}

function timedOut(options: PingOptions): RpmaError {
  const waited = `${options.timeout / 1000} s`;
  return new RpmaError('ERR_RPMA_TIMEOUT', `no answer came in ${waited}`);
}

/** The next completion, awaited or polled for; fails when there is none in time. */
async function nextCompletion(
  { connection }: Course,
  options: PingOptions,
  stop: Stop,
): Promise<Completion> {
  const queue = connection.completionQueue;
  if (options.polled !== true) {
    const wait = { timeoutMs: options.timeout, signal: stop.signal };
    const completion = await queue.take(wait);
    if (completion !== null) return completion;
  } else {
    const end = performance.now() + options.timeout;
    for (let spinEnd = performance.now() + spinMs; ;) {
      const completion = queue.tryTake();
      if (completion !== null) return completion;
      const now = performance.now();
      if (now > end || queue.closed) break;
      if (now <= spinEnd) continue;
      await nextTurn(undefined, { signal: stop.signal });
      spinEnd = performance.now() + spinMs;
    }
  }
  if (connection.state === 'established') throw timedOut(options);
  const { error } = await connection.whenClosed();
  throw error ?? new RpmaError('ERR_RPMA_CONNECTION_LOST', 'the other side closed the connection');
}

/** Puts what the range holds into local memory, so that writing changes nothing. */
async function readFirst(course: Course, options: PingOptions, stop: Stop): Promise<void> {
  const { connection, local, remote, remoteOffset, length } = course;
  if ((remote.usage & MemoryUsage.ReadSource) === 0) return;
  connection.postRead({ local, remote, remoteOffset, length });
  const completion = await nextCompletion(course, options, stop);
  if (!completion.ok) throw completionError(completion);
}

/** One write and its flush: milliseconds, and what stands behind the answer. */
async function once(
  course: Course,
  id: number,
  options: PingOptions,
  stop: Stop,
): Promise<{ readonly ms: number; readonly durability: Durability | undefined }> {
  const { connection, local, remote, remoteOffset, length, type } = course;
  const start = performance.now();
  connection.postWrite({ local, remote, remoteOffset, length, completion: 'on-error' });
  connection.postFlush({ remote, remoteOffset, length, type, id });
  const completion = await nextCompletion(course, options, stop);
  const ms = performance.now() - start;
  if (!completion.ok) throw completionError(completion);
  return { ms, durability: completion.durability };
}

/** What was sent and answered, told as it comes and in the end. */
class Tally {
  readonly #context: CommandContext;
  readonly #latencies: Latencies = new Latencies();
  readonly #startMs: number = performance.now();
  #sent = 0;

  constructor(context: CommandContext) {
    this.#context = context;
  }

  get answered(): number {
    return this.#latencies.count;
  }

  /** Numbers the next one. */
  next(): number {
    this.#sent += 1;
    return this.#sent;
  }

  answer(course: Course, ms: number, durability: Durability | undefined): void {
    const { output, json } = this.#context;
    this.#latencies.record(ms);
    const { length, type } = course;
    const sequence = this.#sent;
    if (json) {
      const event = { event: 'answer', sequence, lengthBytes: length, latencyUs: round(ms) };
      output.json(durability === undefined ? event : { ...event, durability });
      return;
    }
    const reached = type === 'persistent' ? `durable (${durability ?? 'unknown'})` : 'delivered';
    const time = output.colour('bold', `time=${ms.toFixed(3)} ms`);
    output.line(`${formatSize(length)} ${reached}: seq=${sequence} ${time}`);
  }

  /** The last words; `error` is what ended it, if it was no order. */
  summarise(place: string, error: Error | undefined): void {
    const { output, json } = this.#context;
    const summary = this.#latencies.summary();
    const counts = { sent: this.#sent, answered: this.answered };
    if (json) {
      const failed = error === undefined ? {} : { error: failureOf(error) };
      const { cause, code } = failed.error ?? {};
      const told = failed.error === undefined ? {} : { error: { code, message: cause } };
      output.json({ event: 'summary', ...counts, ...summary, ...told });
      return;
    }
    if (counts.sent === 0) return;
    const seconds = ((performance.now() - this.#startMs) / 1000).toFixed(1);
    output.line('');
    output.line(`--- ${place}: ${counts.sent} sent, ${counts.answered} answered, ${seconds} s`);
    if (summary === null) return;
    const values = [summary.minUs, summary.medianUs, summary.p99Us, summary.maxUs];
    const texts = values.map((us) => (us / 1000).toFixed(3)).join('/');
    output.line(`round trip min/median/p99/max = ${texts} ms`);
  }
}

async function pingAlong(
  course: Course,
  tally: Tally,
  options: PingOptions,
  stop: Stop,
): Promise<void> {
  await readFirst(course, options, stop);
  const { count = Infinity, interval } = options;
  for (let due = performance.now(); tally.answered < count && !stop.isAsked;) {
    const { ms, durability } = await once(course, tally.next(), options, stop);
    tally.answer(course, ms, durability);
    if (tally.answered === count) return;
    due = Math.max(due + interval, performance.now());
    const pause = due - performance.now();
    // Even without a pause the event loop has its turn: signals come through it.
    if (pause > 0) await sleep(pause, undefined, { signal: stop.signal });
    else await nextTurn(undefined, { signal: stop.signal });
  }
}

function introduce({ output, json }: CommandContext, place: string, course: Course): void {
  const { connection, remote, remoteOffset, length, type } = course;
  const provider = connection.peer.provider;
  if (json) {
    const region = { sizeBytes: remote.sizeBytes, dataOffset: remoteOffset };
    const { remoteAddress: address } = connection;
    output.json({ event: 'connected', address, provider, ...region, lengthBytes: length, type });
    return;
  }
  const range = `${formatSize(length)} of ${formatSize(remote.sizeBytes)}`;
  output.line(`ping ${place}: write and ${type} flush of ${range}, provider ${provider}`);
}

/** Whether it is only that somebody said stop. */
function isOrder(error: unknown, stop: Stop): boolean {
  if (!stop.isAsked) return false;
  return isRpmaError(error)
    ? error.code === 'ERR_RPMA_ABORTED'
    : error instanceof Error && error.name === 'AbortError';
}

async function connectAndPing(
  address: string,
  port: number,
  options: PingOptions,
  { context, tally, stop }: { context: CommandContext; tally: Tally; stop: Stop },
): Promise<void> {
  const { signal } = stop;
  const { timeout } = options;
  await using peer = await Peer.open({
    remoteAddress: address,
    provider: options.provider,
    signal,
  });
  const usage = MemoryUsage.WriteSource | MemoryUsage.ReadDestination;
  await using local = await peer.allocate(options.length, { usage });
  const connection = await peer.connect(address, port, {
    signal,
    connection: { connectTimeoutMs: timeout, resolveTimeoutMs: timeout, closeTimeoutMs: 1000 },
  });
  try {
    const notice = regionOf(connection);
    if (notice.config !== null) connection.applyRemotePeerConfig(notice.config);
    checkRange(notice, options);
    const type = chooseType(connection, notice, options.type);
    const { region: remote, dataOffset: remoteOffset } = notice;
    const course = { connection, local, remote, remoteOffset, length: options.length, type };
    introduce(context, formatPlace(address, port), course);
    await pingAlong(course, tally, options, stop);
  } catch (error) {
    // Told to stop, the other side sees an orderly end; else what is under way may have none.
    if (!isOrder(error, stop)) connection.destroy();
    throw error;
  } finally {
    await connection.close();
  }
}

export async function ping(
  address: string,
  port: number,
  options: PingOptions,
  context: CommandContext,
): Promise<void> {
  const place = formatPlace(address, port);
  await attempting(`ping ${place}`, async () => {
    using stop = new Stop(context.output.ended);
    const tally = new Tally(context);
    let failure: Error | undefined;
    try {
      await connectAndPing(address, port, options, { context, tally, stop });
    } catch (error) {
      if (!isOrder(error, stop)) {
        failure = error instanceof Error ? error : new Error(String(error));
      }
    }
    tally.summarise(place, failure);
    if (failure !== undefined) throw failure;
    if (tally.answered === 0 && !context.output.ended.aborted) {
      const cure = 'let it run until something answers';
      throw new CommandError('nothing had answered when it was stopped', { cure });
    }
  });
}
