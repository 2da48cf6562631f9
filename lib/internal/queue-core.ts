// SPDX-License-Identifier: BSD-3-Clause
//
// What is behind a CompletionQueue: its handle, who consumes it, and what was fetched and not given
// out yet. A private queue belongs to its connection and outlives it until it is empty; one made by
// the program serves several connections and ends with its peer. JS thread only.

import { RpmaError } from '../errors.js';
import type { Completion } from '../types.js';
import { limits, statusNumber } from './abi.generated.js';
import { CompletionRecords } from './completion-codec.js';
import type { QueueNote } from './connection-note.js';
import {
  check,
  completions,
  holderCount,
  later,
  listen,
  sourceEnvironment,
  unlisten,
  withinBudget,
  type ReadyListener,
} from './environment.js';
import type { FailureContext } from './failure.js';
import { KeepAlive } from './keep-alive.js';
import { native, type Handle } from './native.js';
import { Pump, type PumpQueue } from './promise-tier.js';
import { SourceDescriptor } from './readiness.js';
import { Resource } from './resource.js';
import { SourceCore, type SourceHooks } from './source.js';

export type Claim = 'nobody' | 'verbs-tier' | 'promise-tier';

/** Of whatever belongs to a connection that was handed over. */
export function handedOverError(what: string, context: FailureContext = {}): RpmaError {
  return new RpmaError(
    'ERR_RPMA_CLOSED',
    `${what}: the connection was handed over with handOver(): use the one that ` +
      'Connection.adopt() gives',
    context,
  );
}

/** What is told of a queue whose completion channel is shared. */
export interface QueueChannel {
  readonly source: { ready(): void };
}

/** How many completions are fetched ahead for take(), tryTake() and `for await`. */
const fetchAhead = 16;

export class QueueCore
  extends Resource
  implements ReadyListener, PumpQueue, SourceHooks<Completion>
{
  readonly name = 'completion queue';
  readonly handle: Handle;
  readonly source: SourceCore<Completion>;
  readonly descriptor: SourceDescriptor;
  readonly records: CompletionRecords = completions;
  /** Who waits for both queues of the connection, if its channel is shared. */
  channel: QueueChannel | null = null;
  /** What may be consumed by take(): a copy, because the next poll overwrites the environment's. */
  #aheadRecords: CompletionRecords | null = null;
  #capacity: number;
  #aheadAt = 0;
  #aheadEnd = 0;
  #claim: Claim = 'nobody';
  #pump: Pump | null = null;
  /** Connections that may still complete something, and whether there ever was one. */
  #live = 0;
  #served = false;
  #dead = false;
  /** The connection was handed over: whoever uses the queue is told so. */
  #isHandedOver = false;
  /** Receives of a shared receive queue, posted by the verbs tier, complete in it. */
  servesSharedReceives = false;
  /** Operations were posted by the verbs tier: their completions are not the promise tier's. */
  verbsPosted = false;
  armed = false;

  /**
   * `peer`: of a queue that the program made; null for a connection's own. `note`: of one that was
   * handed over; handle 0 then says that the native queue had nothing left. `inUse`: operations
   * are in flight or unread, so it keeps its tier.
   */
  constructor(
    handle: Handle,
    peer: Resource | null,
    keepAlive?: KeepAlive,
    note: QueueNote | null = null,
    inUse: boolean = false,
  ) {
    super('queue', peer);
    this.handle = handle;
    this.#dead = handle === 0;
    this.#capacity = this.#dead
      ? (note?.capacity ?? 0)
      : check(native.queueCapacity(handle), 'completion queue');
    if (note !== null) {
      this.#aheadEnd = this.#ahead.restore(note.ahead);
      const keeps = inUse || this.#aheadEnd > 0;
      this.verbsPosted = note.verbsPosted && keeps;
      if (note.claim === 'verbs-tier' && keeps) this.#claim = 'verbs-tier';
    }
    this.next = this.next.bind(this);
    this.source = new SourceCore(this, keepAlive ?? new KeepAlive(holderCount), sourceEnvironment);
    this.descriptor = new SourceDescriptor(this, {
      name: this.name,
      watch: (readiness) => {
        if (this.#dead) return;
        check(native.readinessWatch(readiness, handle, true), this.name);
        native.readinessRearm(readiness, handle, 0);
      },
      // The addon does it in the poll that finds nothing.
      rearm: () => undefined,
      hasKept: () => this.#aheadAt < this.#aheadEnd,
      ended: () => this.ended(),
    });
    if (peer !== null) listen(handle, this);
    this.join();
  }

  /** Made by the first use: an idle connection has none. */
  get #ahead(): CompletionRecords {
    return (this.#aheadRecords ??= new CompletionRecords(fetchAhead));
  }

  /** Grows with every connection that the queue serves. */
  get capacity(): number {
    const capacity = this.#dead ? 0 : native.queueCapacity(this.handle);
    if (capacity > 0) this.#capacity = capacity;
    return this.#capacity;
  }

  get claim(): Claim {
    return this.#claim;
  }

  /** Nothing is left and nothing will come. */
  get finished(): boolean {
    return this.ended();
  }

  /** A connection begins to use it. */
  serve(): void {
    this.#served = true;
    this.#live++;
    if (this.parent === null) listen(this.handle, this);
  }

  /** Its connection had ended when it was handed over: what is left can be read. */
  adoptEnded(): void {
    this.#served = true;
  }

  /** Whether promises or waits are pending on it. */
  get isAwaited(): boolean {
    return this.source.isAwaited || this.#pump?.isAwaited === true;
  }

  /** What the adopter has to know. */
  note(): QueueNote {
    return {
      capacity: this.capacity,
      claim: this.#claim,
      verbsPosted: this.verbsPosted,
      ahead: this.#ahead.save(this.#aheadAt, this.#aheadEnd - this.#aheadAt),
      slots: this.#pump?.notes() ?? [],
    };
  }

  /** The native queue, 0 when there is none any more. */
  get liveHandle(): Handle {
    return this.#dead ? 0 : this.handle;
  }

  /** The native queue is another thread's. */
  leave(): void {
    this.#dead = true;
    this.#isHandedOver = true;
    this.#aheadAt = this.#aheadEnd;
    unlisten(this.handle);
    this.descriptor.close();
  }

  /** A connection has ended; its last completion is in the queue already. */
  connectionEnded(): void {
    this.#live--;
    if (this.parent === null && this.#live === 0) unlisten(this.handle);
    this.#pump?.drain();
    this.#tellReady();
  }

  /** Its connection has ended and the program closed it: what nobody can read any more goes. */
  closeIfEmpty(): void {
    if (this.parent !== null || this.#dead || this.#live > 0) return;
    if (this.#aheadAt === this.#aheadEnd && this.#nothingLeft()) this.release();
  }

  /** Throws when it is waited for through the connection's completion channel. */
  requireOwnChannel(what: string): void {
    if (this.channel === null) return;
    throw new RpmaError(
      'ERR_RPMA_SHARED_CHANNEL',
      `${what}: the connection's queues share a completion channel: wait on ` +
        'connection.completionChannel, then poll() the queue that it gives',
    );
  }

  /**
   * The shared receive queue whose own it is was closed. A connection that is ending may still
   * flush the receive of its last message: that is heard of, and takes a moment.
   */
  sharedReceivesEnded(): void {
    const over = this.#dead || native.queueOver(this.handle) !== 0;
    if (this.#live > 0) this.#live--;
    if (over) unlisten(this.handle);
    this.#pump?.drain();
    this.#tellReady();
    if (over) {
      this.closeIfEmpty();
      return;
    }
    const again = (): void => {
      this.sharedReceivesEnded();
    };
    setTimeout(again, 1).unref();
  }

  claimForVerbs(): void {
    if (this.#isHandedOver) throw handedOverError('completion queue');
    if (this.#claim === 'verbs-tier') return;
    if (this.#claim === 'promise-tier') {
      throw new RpmaError(
        'ERR_RPMA_QUEUE_CLAIMED',
        'awaited operations consume this completion queue: use the promise tier on it, or a ' +
          'connection whose operations are not awaited',
      );
    }
    this.#claim = 'verbs-tier';
  }

  /** Before a postX: its completion must not reach the pump. */
  requireVerbs(): void {
    if (this.#claim === 'promise-tier') this.claimForVerbs();
  }

  claimForPromises(): Pump {
    if (this.#pump !== null) return this.#pump;
    if (this.#claim === 'verbs-tier' || this.verbsPosted || this.servesSharedReceives) {
      let cause = 'operations were posted with postX() on this completion queue';
      if (this.#claim === 'verbs-tier') {
        cause = 'the program polls or takes from this completion queue';
      } else if (this.servesSharedReceives) {
        cause = 'receives of a shared receive queue complete in this completion queue';
      }
      throw new RpmaError(
        'ERR_RPMA_QUEUE_CLAIMED',
        `${cause}: awaited operations need a queue that nothing else consumes`,
      );
    }
    this.#claim = 'promise-tier';
    this.#pump = new Pump(this);
    return this.#pump;
  }

  onReady(): void {
    this.armed = false;
    if (this.#pump !== null) this.#pump.drain();
    else this.#tellReady();
  }

  fetch(): number {
    return this.pollRecords(limits.completionsPerPoll);
  }

  /** Fills the environment's records; a queue that is gone has nothing. */
  pollRecords(max: number): number {
    if (this.#dead) {
      this.descriptor.close();
      return 0;
    }
    const count = native.poll(this.handle, max);
    if (count > 0) return count;
    if (count === 0) {
      this.#releaseWhenDone();
      return 0;
    }
    if (count === -statusNumber.closed) {
      this.#dead = true;
      return 0;
    }
    return check(count, 'completion queue');
  }

  arm(): boolean {
    if (this.armed || this.#dead) return true;
    const result = native.queueArm(this.handle);
    if (result === -statusNumber.closed) {
      this.#dead = true;
      return true;
    }
    this.armed = check(result, 'completion queue') > 0;
    return this.armed;
  }

  withinBudget(): boolean {
    return withinBudget();
  }

  later(callback: () => void): void {
    later(callback);
  }

  /** Fetches ahead if nothing is there; whether something is. */
  hasSome(): boolean {
    if (this.#aheadAt < this.#aheadEnd) return true;
    const count = this.pollRecords(fetchAhead);
    this.#ahead.copyFrom(this.records, 0, count);
    this.#aheadAt = 0;
    this.#aheadEnd = count;
    return count > 0;
  }

  next(): Completion | null {
    if (this.#isHandedOver) throw handedOverError('completion queue');
    return this.hasSome() ? this.#ahead.decode(this.#aheadAt++) : null;
  }

  ended(): boolean {
    if (this.#aheadAt < this.#aheadEnd) return false;
    return this.#dead || (this.#served && this.#live === 0 && this.#nothingLeft());
  }

  /** Completions into a batch's records; what was fetched ahead comes first. */
  pollInto(target: CompletionRecords): number {
    const ahead = Math.min(this.#aheadEnd - this.#aheadAt, target.capacity);
    if (ahead > 0) {
      target.copyFrom(this.#ahead, this.#aheadAt, ahead);
      this.#aheadAt += ahead;
      return ahead;
    }
    const count = this.pollRecords(Math.min(target.capacity, limits.completionsPerPoll));
    target.copyFrom(this.records, 0, count);
    return count;
  }

  /** Up to max fresh completions. */
  poll(max: number): Completion[] {
    const found: Completion[] = [];
    while (found.length < max && this.#aheadAt < this.#aheadEnd) {
      found.push(this.#ahead.decode(this.#aheadAt++));
    }
    while (found.length < max) {
      const wanted = Math.min(max - found.length, limits.completionsPerPoll);
      const count = this.pollRecords(wanted);
      for (let i = 0; i < count; i++) found.push(this.records.decode(i));
      if (count < wanted) break;
    }
    return found;
  }

  override destroy(): void {
    this.close().catch(() => undefined);
  }

  /** Lets go of the handle; what was fetched ahead stays readable. */
  release(): void {
    if (this.#dead) return;
    this.#dead = true;
    unlisten(this.handle);
    native.queueClose(this.handle);
    if (this.#aheadAt < this.#aheadEnd) this.descriptor.raise();
    else this.descriptor.close();
    this.#tellReady();
  }

  protected override shut(): Promise<void> {
    const lost = new RpmaError('ERR_RPMA_CLOSED', 'the completion queue was closed', {
      mayHaveTakenEffect: true,
    });
    this.#pump?.failOperationsOf(null, lost);
    this.release();
    return Promise.resolve();
  }

  #tellReady(): void {
    this.source.ready();
    this.channel?.source.ready();
  }

  /** Once every connection has ended an empty queue stays empty. */
  #nothingLeft(): boolean {
    const count = native.queueDrained(this.handle);
    if (count === -statusNumber.closed) this.#dead = true;
    return count !== 0;
  }

  #releaseWhenDone(): void {
    if (this.parent !== null || !this.#served || this.#live > 0) return;
    if (native.queueOver(this.handle) !== 0) this.release();
  }
}
