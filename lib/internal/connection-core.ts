// SPDX-License-Identifier: BSD-3-Clause
//
// What is behind a connection from its request to its end: handle, queues, events, the two lines of
// the promise tier. The addon's events are fetched as they come and kept for `connection.events`
// (at most 8); the end is told after the last completion, so what is still unanswered then will not
// be answered. Once ended it leaves its peer by itself: only its queue stays, until it is empty. JS
// thread only.

import { RpmaError } from '../errors.js';
import type {
  Capabilities,
  ConnectionEvent,
  ConnectionState,
  Operation,
  WaitOptions,
} from '../types.js';
import type { ConnectionConfig } from '../connection-config.js';
import type { Connection } from '../connection.js';
import { connectionStates, statusNumber, ticketKindNumber } from './abi.generated.js';
import { access } from './access.js';
import { placeName } from './address.js';
import { publish } from './channels.js';
import type { ConnectionChannel } from './channel-core.js';
import { eventOf, UnreadEvents, type EventContext } from './connection-events.js';
import { closedError, leftBehindError, postError } from './connection-failure.js';
import { ConnectionLines } from './connection-lines.js';
import { encodeNote, type ConnectionNote, type QueueNote } from './connection-note.js';
import type { Adopted, ConnectionSizes, EndEvent, Place } from './connection-parts.js';
import { sendRoomOf } from './connection-room.js';
import { timeoutError } from './deadline.js';
import {
  check,
  holderCount,
  later,
  listen,
  sourceEnvironment,
  submissions,
  unlisten,
  type ReadyListener,
} from './environment.js';
import { describeEvents } from './event-descriptor.js';
import type { FailureContext } from './failure.js';
import { KeepAlive } from './keep-alive.js';
import { native, type Handle, type NativeEvent, type NativeResult } from './native.js';
import { operationWords } from './operations.js';
import type { PeerCore } from './peer-core.js';
import { refuseHopeless, type Line, type LinePort } from './promise-tier.js';
import { QueueFullNotes } from './queue-full.js';
import { handedOverError, QueueCore } from './queue-core.js';
import type { SourceDescriptor } from './readiness.js';
import { endLeakWatch, Resource } from './resource.js';
import type { SendRoom } from './send-room.js';
import { refuseIfShared } from './shared-receive-queue-core.js';
import { SourceCore } from './source.js';
import type { SubmissionRecords } from './submission.js';

export class ConnectionCore extends Resource implements ReadyListener, LinePort {
  readonly handle: Handle;
  readonly peer: PeerCore;
  readonly sizes: ConnectionSizes;
  readonly queuePairNumber: number;
  readonly queue: QueueCore;
  /** The same as `queue` without a queue of its own for receives. */
  readonly receiveQueue: QueueCore;
  readonly keepAlive: KeepAlive = new KeepAlive(holderCount);
  readonly events: SourceCore<ConnectionEvent>;
  readonly eventDescriptor: SourceDescriptor;
  /** Set by the connection that has one. */
  channel: ConnectionChannel | null = null;
  readonly submissions: SubmissionRecords = submissions;
  readonly failureContext: FailureContext;
  readonly #established: SourceCore<true>;
  readonly #ended: SourceCore<ConnectionEvent>;
  readonly #unread: UnreadEvents = new UnreadEvents();
  capabilities: Capabilities;
  localAddress: string;
  remoteAddress: string;
  privateData: Uint8Array;
  #remotePort: number;
  vouched = false;
  /** The public object, for messages; null while it is a request. */
  owner: Connection | null = null;
  readonly #queueFull: QueueFullNotes = new QueueFullNotes();
  #phase: 'request' | 'active' | 'ended' = 'request';
  #wasEstablished = false;
  #endEvent: ConnectionEvent | null = null;
  #rawEnd: NativeEvent | null = null;
  /** What is kept of it once the native object is let go of. */
  #statistics: Readonly<Record<string, number>> | null = null;
  isHandedOver = false;
  #reason: Error | undefined;
  readonly #lines: ConnectionLines;
  readonly room: SendRoom;

  /**
   * `goal`: where an outgoing one leads; the addon knows the other side once it has answered.
   * `adopted`: of one that was handed over; handle 0 then says that it has ended.
   */
  constructor(
    handle: Handle,
    peer: PeerCore,
    sizes: ConnectionSizes,
    shared: QueueCore | null,
    goal: Place | null,
    adopted: Adopted | null = null,
  ) {
    super('connection', peer);
    this.handle = handle;
    this.peer = peer;
    this.sizes = sizes;
    this.failureContext = { provider: peer.provider };
    const note = adopted?.note ?? null;
    const info =
      adopted === null
        ? native.connectionInfo(handle)
        : {
            ...adopted.note,
            completionQueue: adopted.queue,
            receiveCompletionQueue: adopted.receiveQueue,
          };
    this.queuePairNumber = info.queuePairNumber;
    this.localAddress = info.localAddress;
    this.remoteAddress = goal?.address ?? info.remoteAddress;
    this.#remotePort = goal?.port ?? info.remotePort;
    this.privateData = info.privateData;
    this.capabilities = Object.freeze(info.capabilities);
    const { completionQueue: main, receiveCompletionQueue: own } = info;
    const hasOwn = note === null ? own !== 0 && own !== main : note.receiveQueue !== null;
    const make = (queue: Handle, of: QueueNote | null | undefined, inUse: boolean): QueueCore =>
      new QueueCore(queue, null, this.keepAlive, of, inUse);
    const { sendQueueSize, receiveQueueSize } = sizes;
    const sends =
      note !== null && this.#isInUse(main, () => native.sendQueueFree(handle) < sendQueueSize);
    const receives =
      note !== null && this.#isInUse(own, () => native.receiveQueueFree(handle) < receiveQueueSize);
    this.queue = shared ?? make(main, note?.queue, sends || (!hasOwn && receives));
    this.receiveQueue = hasOwn ? make(own, note?.receiveQueue, receives) : this.queue;
    const sharedReceives = access.sharedReceiveQueue(sizes.sharedReceiveQueue);
    if (sharedReceives?.queue === null) this.receiveQueue.servesSharedReceives = true;
    this.#lines = new ConnectionLines(this, this);
    this.room = sendRoomOf(this);
    this.eventDescriptor = describeEvents(this, this.#unread, () =>
      this.#phase === 'active' ? handle : 0,
    );
    this.events = this.#source('connection events', () =>
      this.eventDescriptor.take(() => this.#nextEvent()),
    );
    this.#established = this.#source('connection', () =>
      this.#wasEstablished || this.#endEvent !== null ? true : null,
    );
    this.#ended = this.#source('connection', () => this.#endEvent);
    if (handle !== 0) peer.requests.add(this);
    if (note !== null) this.#continue(note);
  }

  /** Whether a persistent flush is carried out natively or vouched for. */
  get persistentFlush(): boolean {
    return this.vouched || this.capabilities.persistentFlush;
  }

  /** What both sides agreed on, once they have; the event that tells it may be unread. */
  get agreed(): Capabilities | null {
    if (this.connectionState !== 'established') return null;
    return native.connectionInfo(this.handle).capabilities;
  }

  get isRequest(): boolean {
    return this.#phase === 'request';
  }

  get connectionState(): ConnectionState {
    if (this.#phase === 'ended') return 'closed';
    if (this.#phase === 'request') return 'connecting';
    if (this.state !== 'open') return 'closing';
    return connectionStates[native.connectionState(this.handle)] ?? 'closed';
  }

  /**
   * The request is spent: from now on this is a connection, kept by its peer and keeping the
   * process.
   */
  begin(): void {
    this.#phase = 'active';
    this.peer.requests.delete(this);
    this.keepAlive.hold();
    listen(this.handle, this);
    this.#queues().forEach((queue) => {
      queue.serve();
    });
    this.join();
  }

  statistics(): Readonly<Record<string, number>> {
    this.requireHere('connection.statistics()');
    const kept = this.#statistics ?? native.connectionStatistics(this.handle) ?? {};
    return Object.freeze(kept);
  }

  /** Lets go of a request that did not become a connection. */
  releaseRequest(): void {
    endLeakWatch(this);
    if (this.#phase !== 'request') return;
    this.#phase = 'ended';
    this.peer.requests.delete(this);
    native.connectionRelease(this.handle);
    for (const queue of this.#queues()) if (queue.parent === null) queue.release();
    this.markClosed();
  }

  /** Also what came and was not announced yet: a program need not let the loop turn for it. */
  #nextEvent(): ConnectionEvent | null {
    const kept = this.#unread.take();
    if (kept !== null || this.#phase !== 'active') return kept;
    this.onReady();
    return this.#unread.take();
  }

  onReady(): void {
    for (;;) {
      const event = native.connectionNextEvent(this.handle);
      if (event === null) break;
      this.#take(event);
      if (this.#endEvent !== null) break;
    }
    this.room.ready();
  }

  async whenEstablished(options: WaitOptions | undefined): Promise<void> {
    const up = await this.#established.take(options);
    if (up === null) {
      const what = `the connection with ${this.#place} was not established`;
      throw timeoutError(what, options?.timeoutMs ?? 0, this.failureContext);
    }
    // It may have come up and ended again before we came to look: up it was.
    if (!this.#wasEstablished && this.#endEvent !== null) {
      throw this.#endEvent.error ?? closedError(this, 'connection.whenEstablished()');
    }
  }

  async whenClosed(options: WaitOptions | undefined): Promise<ConnectionEvent> {
    const event = await this.#ended.take(options);
    if (event !== null) return event;
    const what = `the connection with ${this.#place} did not end`;
    throw timeoutError(what, options?.timeoutMs ?? 0, this.failureContext);
  }

  // Handing over.

  /**
   * The token of a ticket, or why there is none (lastError() has the cause). Throws ERR_RPMA_BUSY
   * when somebody waits for something here. Nothing of it is this thread's any more then.
   */
  handOver(config: ConnectionConfig, timeoutMs: number, what: string): string | NativeResult {
    this.#refuseBusy(what);
    const kind = this.isRequest ? ticketKindNumber.request : ticketKindNumber.connection;
    const hasEnded = this.#phase === 'ended';
    const token = native.connectionHandOver(
      this.peer.handle,
      hasEnded ? 0 : this.handle,
      this.queue.liveHandle,
      this.queue === this.receiveQueue ? 0 : this.receiveQueue.liveHandle,
      kind,
      encodeNote(this.#note(config)),
      timeoutMs,
    );
    if (typeof token === 'string') this.#leave();
    return token;
  }

  /** Throws when another thread has it. */
  requireHere(what: string): void {
    if (this.isHandedOver) throw handedOverError(what, this.failureContext);
  }

  #refuseBusy(what: string): void {
    const queues = this.#queues();
    let why = '';
    if (queues.some((queue) => queue.parent !== null)) {
      why = 'its completion queue is one of peer.createCompletionQueue(); use one of its own';
    } else if (this.sizes.sharedReceiveQueue !== undefined) {
      why = 'its receives come from a shared receive queue; use receives of its own';
    } else if (this.state === 'closing' || (this.#phase === 'ended' && this.state === 'open')) {
      why = 'it is being closed; await close() or whenClosed() first';
    } else if (this.#lines.waitingSends > 0 || queues.some((queue) => queue.isAwaited)) {
      why = 'operations or completions are awaited; await them first';
    } else if (this.channel?.source.isAwaited === true) {
      why = 'its completion channel is awaited; end these waits first';
    } else if (
      [this.events, this.#established, this.#ended, this.room].some((each) => each.isAwaited)
    ) {
      why =
        'its events, whenEstablished(), whenSendQueueFree() or whenClosed() are awaited; end these ' +
        'waits first';
    }
    if (why === '') return;
    throw new RpmaError('ERR_RPMA_BUSY', `${what}: ${why}`, this.failureContext);
  }

  #note(config: ConnectionConfig): ConnectionNote {
    return {
      config,
      phase: this.#phase,
      wasEstablished: this.#wasEstablished,
      vouched: this.vouched,
      queuePairNumber: this.queuePairNumber,
      localAddress: this.localAddress,
      remoteAddress: this.remoteAddress,
      remotePort: this.#remotePort,
      privateData: this.privateData,
      capabilities: this.capabilities,
      statistics: this.#statistics,
      unread: this.#unread.raw,
      end: this.#rawEnd,
      queue: this.queue.note(),
      receiveQueue: this.queue === this.receiveQueue ? null : this.receiveQueue.note(),
    };
  }

  #leave(): void {
    const wasActive = this.#phase === 'active';
    this.isHandedOver = true;
    this.#phase = 'ended';
    this.peer.requests.delete(this);
    if (wasActive) unlisten(this.handle);
    for (const queue of this.#queues()) queue.leave();
    this.eventDescriptor.close();
    this.channel?.descriptor.close();
    this.markClosed();
    if (wasActive) this.keepAlive.release();
  }

  /** Of a queue that was adopted: operations are in flight or unread, or left by the end. */
  #isInUse(queue: Handle, isAnyTaken: () => boolean): boolean {
    if (this.handle !== 0) return isAnyTaken();
    return queue !== 0 && native.queueDrained(queue) === 0;
  }

  /** Goes on where the giver left off. */
  #continue(note: ConnectionNote): void {
    this.#statistics = note.statistics;
    this.vouched = note.vouched;
    this.#wasEstablished = note.wasEstablished;
    for (const raw of note.unread) {
      const event = eventOf(raw, this.#eventContext);
      if (event !== null) this.#unread.keep(raw, event);
    }
    if (note.phase === 'active') this.begin();
    this.#lines.restore(this.queue, note.queue);
    if (note.receiveQueue !== null) this.#lines.restore(this.receiveQueue, note.receiveQueue);
    if (note.phase !== 'ended') return;
    this.#phase = 'ended';
    this.#rawEnd = note.end;
    this.#endEvent = note.end === null ? null : eventOf(note.end, this.#eventContext);
    for (const queue of this.#queues()) queue.adoptEnded();
    this.markClosed();
  }

  // Verbs tier.

  /** Before anything is encoded for the send queue. */
  requireSendable(what: string): void {
    if (this.state !== 'open') throw closedError(this, what);
    this.queue.requireVerbs();
  }

  requireReceivable(what: string): void {
    refuseIfShared(this, what);
    if (this.state !== 'open') throw closedError(this, what);
    this.receiveQueue.requireVerbs();
  }

  /** Posts the one record that was encoded. */
  postOne(queue: QueueCore, operation: Operation): void {
    const accepted = native.post(this.handle, 1);
    if (accepted === 1) {
      queue.verbsPosted = true;
      return;
    }
    if (accepted === 0 || accepted === -statusNumber.again) this.#queueFull.note(this, operation);
    throw this.postFailure(accepted < 0 ? -accepted : statusNumber.again, {
      ...this.failureContext,
      operation,
    });
  }

  post(count: number): number {
    return native.post(this.handle, count);
  }

  postFailure(status: number, context: FailureContext): Error {
    return postError(this, status, context);
  }

  // Promise tier.

  /**
   * The line of the send queue. The first operation claims the completion queue by it, but not one
   * that is refused before it is posted.
   */
  sendLine(operation: number, records: number, wait: WaitOptions | undefined): Line {
    const made = this.#lines.madeSends;
    if (made !== null && this.state === 'open') return made;
    const word = operationWords[operation];
    const context = { ...this.failureContext, operation: word };
    if (this.state !== 'open') throw closedError(this, word ?? 'the operation', context);
    refuseHopeless(operation, records, this.sizes.sendQueueSize, wait, context);
    if (this.connectionState !== 'established') {
      throw this.postFailure(statusNumber.state, context);
    }
    return this.#lines.sends;
  }

  receiveLine(): Line {
    refuseIfShared(this, 'receive');
    if (this.#lines.madeReceives === null || this.state !== 'open') this.requireActive('receive');
    return this.#lines.receives;
  }

  requireActive(what: string): void {
    this.requireHere(what);
    if (this.state !== 'open') throw closedError(this, what);
  }

  get hasWaitingSends(): boolean {
    return this.#lines.waitingSends > 0;
  }

  idle(): void {
    this.room.ready();
  }

  // Ending.

  disconnect(): void {
    this.requireHere('connection.disconnect()');
    if (this.#phase !== 'active') return;
    native.connectionDisconnect(this.handle, this.sizes.closeTimeoutMs);
    this.room.end();
  }

  closeWithin(timeoutMs: number): Promise<void> {
    return this.closeWith(async () => {
      await this.#end(timeoutMs);
      this.#letGo();
    });
  }

  override close(): Promise<void> {
    return this.closeWithin(this.sizes.closeTimeoutMs);
  }

  override destroy(reason?: Error): void {
    if (this.#phase === 'request') this.releaseRequest();
    if (this.#phase === 'ended') {
      this.#letGo();
      return;
    }
    this.#reason ??= reason;
    native.connectionDestroy(this.handle);
    this.room.end();
    this.closeWith(() => this.#untilEnded()).catch(() => undefined);
  }

  protected override async shut(): Promise<void> {
    await this.#end(this.sizes.closeTimeoutMs);
    this.#letGo();
  }

  /** It has ended, and the program wants no more of it: descriptors are not kept for the end. */
  #letGo(): void {
    this.eventDescriptor.close();
    for (const queue of this.#queues()) queue.closeIfEmpty();
    this.channel?.closeIfEmpty();
  }

  async #end(timeoutMs: number): Promise<void> {
    if (this.#phase !== 'active') return;
    this.room.end();
    const start = performance.now();
    // It may be up although the loop has not turned since.
    if (!this.#wasEstablished) this.onReady();
    if (!this.#wasEstablished) {
      native.connectionDestroy(this.handle);
    } else {
      await this.#lines.untilPosted(timeoutMs);
      const left = Math.max(0, Math.ceil(timeoutMs - (performance.now() - start)));
      if (this.#endEvent === null) native.connectionDisconnect(this.handle, left);
    }
    await this.#untilEnded();
  }

  async #untilEnded(): Promise<void> {
    await this.#ended.take();
  }

  /** Why it has ended or is ending, where there is a reason. */
  get endCause(): Error | undefined {
    return this.#endEvent?.error ?? this.#reason;
  }

  get #eventContext(): EventContext {
    return { failureContext: this.failureContext, place: this.#place, reason: this.#reason };
  }

  /** The other side, for messages. */
  get #place(): string {
    return placeName(this.remoteAddress, this.#remotePort);
  }

  #source<T>(name: string, next: () => T | null): SourceCore<T> {
    const here = (): T | null => {
      this.requireHere(name);
      return next();
    };
    const hooks = { name, next: here, ended: () => this.#phase === 'ended', arm: () => true };
    return new SourceCore(hooks, this.keepAlive, sourceEnvironment);
  }

  #queues(): QueueCore[] {
    return this.queue === this.receiveQueue ? [this.queue] : [this.queue, this.receiveQueue];
  }

  #take(raw: NativeEvent): void {
    const event = eventOf(raw, this.#eventContext);
    if (event === null) return;
    this.#unread.keep(raw, event);
    const connection = this.owner;
    if (connection !== null) publish('connectionEvent', () => ({ connection, event }));
    if (event.type === 'established') {
      this.#up(raw.privateData);
    } else if (event.type !== 'device') {
      this.#rawEnd = raw;
      this.#over(event as EndEvent);
    }
    this.events.ready();
  }

  #up(privateData: Uint8Array): void {
    this.#wasEstablished = true;
    if (privateData.length > 0) this.privateData = privateData;
    const info = native.connectionInfo(this.handle);
    this.capabilities = Object.freeze(info.capabilities);
    this.localAddress = info.localAddress;
    this.remoteAddress = info.remoteAddress;
    this.#remotePort = info.remotePort;
    this.#established.ready();
  }

  #over(event: EndEvent): void {
    this.#endEvent = event;
    this.#statistics = this.statistics();
    this.#phase = 'ended';
    unlisten(this.handle);
    for (const queue of this.#queues()) queue.connectionEnded();
    native.connectionRelease(this.handle);
    this.room.end();
    this.#finish();
  }

  /** Answers what is left, then tells the end: it must come after every completion. */
  #finish(): void {
    this.#lines.failWaiting(leftBehindError(this, false));
    if (this.#lines.isBusy) {
      later(() => {
        this.#finish();
      });
      return;
    }
    this.#lines.failPosted(() => leftBehindError(this, true));
    // In a loop of synchronous waits no promise goes on: what the program ended is let go of here.
    if (this.state !== 'open') this.#letGo();
    this.markClosed();
    this.#established.ready();
    this.#ended.ready();
    this.events.ready();
    this.keepAlive.release();
  }
}

/** The result of a control call on a connection, or its error. */
export function checkConnection(result: number, what: string, core: ConnectionCore): number {
  return check(result, what, core.failureContext);
}
