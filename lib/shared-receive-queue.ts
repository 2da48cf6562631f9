// SPDX-License-Identifier: BSD-3-Clause
//
// A receive queue that several connections take their receives from. What is behind it is
// internal/shared-receive-queue-core.ts. JS thread only; the peer's threads fill the receives.

import { completionQueueOf, type CompletionQueue } from './completion-queue.js';
import { limits, operationNumber } from './internal/abi.generated.js';
import { access, constructorKey, requireConstructorKey } from './internal/access.js';
import { check } from './internal/environment.js';
import { native } from './internal/native.js';
import { encodeReceive } from './internal/operations.js';
import type { PeerCore } from './internal/peer-core.js';
import { SharedReceiveQueueCore } from './internal/shared-receive-queue-core.js';
import { asError, optionalInteger, refuseWait, requireObject } from './internal/validate.js';
import type { Peer } from './peer.js';
import type { ReceiveOperation, ReceiveResult, SharedReceiveQueueOptions } from './types.js';

let construct: (core: SharedReceiveQueueCore) => SharedReceiveQueue;

/**
 * Receives for several connections: whichever gets a message takes the oldest. A completion names
 * the connection by its `queuePairNumber`. A message that finds no receive waits with its
 * connection; who waits longest is served first. Give it to connections as
 * `connection: { sharedReceiveQueue }`.
 *
 * Its receives complete in its own completion queue; without one (receiveCompletionQueueSize 0) in
 * that of the connection which took them: its receiveCompletionQueue, else its completionQueue.
 *
 * Being open does not keep the process alive, waits and awaited receives do.
 *
 * @remarks Thread safety: per object, on the thread that made it.
 * @see librpma: `struct rpma_srq`, `struct rpma_srq_cfg`
 */
export class SharedReceiveQueue implements AsyncDisposable {
  readonly #core: SharedReceiveQueueCore;
  readonly #queue: CompletionQueue | null;

  static {
    access.sharedReceiveQueue = (value) =>
      typeof value === 'object' && value !== null && #core in value ? value.#core : undefined;
    construct = (core) => new SharedReceiveQueue(constructorKey, core);
  }

  private constructor(key: typeof constructorKey, core: SharedReceiveQueueCore) {
    requireConstructorKey(key, 'SharedReceiveQueue', 'peer.createSharedReceiveQueue()');
    this.#core = core;
    this.#queue = core.queue === null ? null : completionQueueOf(core.queue);
  }

  /** The peer it belongs to. */
  get peer(): Peer {
    return this.#core.peer.owner;
  }

  /**
   * Receives that it holds.
   *
   * @see librpma: `rpma_srq_cfg_set_rq_size`, `rpma_srq_cfg_get_rq_size`
   */
  get receiveQueueSize(): number {
    return this.#core.size;
  }

  /**
   * What was asked for; its completion queue holds at least receiveQueueSize. 0: it has none.
   *
   * @see librpma: `rpma_srq_cfg_set_rcq_size`, `rpma_srq_cfg_get_rcq_size`
   */
  get receiveCompletionQueueSize(): number {
    return this.#core.completionSize;
  }

  /** Receives that can be posted before ERR_RPMA_AGAIN; 0 once closed. */
  get receiveQueueFree(): number {
    return this.#core.free;
  }

  /**
   * Where its receives complete; null with receiveCompletionQueueSize 0. It ends when the shared
   * receive queue is closed and it is empty.
   *
   * @see librpma: `rpma_srq_get_rcq`
   */
  get completionQueue(): CompletionQueue | null {
    return this.#queue;
  }

  /**
   * Posts a receive for whichever connection gets a message next.
   *
   * Guarantee on completion: the message is in local memory.
   *
   * @param operation - where the message goes; read during the call only
   * @throws ERR_RPMA_INVALID_ARG_TYPE operation, or something in it, has the wrong type
   * @throws ERR_RPMA_INVALID_ARG_VALUE an offset or a length without local
   * @throws ERR_RPMA_OUT_OF_RANGE beyond the region, or no safe integer
   * @throws ERR_RPMA_USAGE the region lacks Receive
   * @throws ERR_RPMA_FOREIGN the region belongs to another peer
   * @throws ERR_RPMA_CLOSED the shared receive queue or the region is closed
   * @throws ERR_RPMA_AGAIN it is full; nothing was posted
   * @throws ERR_RPMA_QUEUE_CLAIMED awaited receives consume its completion queue
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_srq_recv`
   */
  postReceive(operation: ReceiveOperation): void {
    const core = this.#core;
    core.requirePostable();
    encodeReceive(core.submissions, 0, core, operation);
    core.postOne();
  }

  /**
   * Receives a message of whichever connection gets one next. Needs a completion queue of its own.
   * When it is full the receive waits its turn.
   *
   * Guarantee on completion: the message is in local memory.
   *
   * @param operation - where the message goes; read during the call only; `id` is ignored
   * @returns length of the message, and the connection it came from
   * @throws ERR_RPMA_INVALID_ARG_TYPE operation, or something in it, has the wrong type
   * @throws ERR_RPMA_INVALID_ARG_VALUE an offset or a length without local, or a bound of the wait
   * @throws ERR_RPMA_OUT_OF_RANGE beyond the region, or no safe integer
   * @throws ERR_RPMA_USAGE the region lacks Receive
   * @throws ERR_RPMA_FOREIGN the region belongs to another peer
   * @throws ERR_RPMA_NOT_SUPPORTED it has no completion queue of its own
   * @throws ERR_RPMA_CLOSED the shared receive queue or the region is closed
   * @throws ERR_RPMA_AGAIN 1024 receives wait for room already
   * @throws ERR_RPMA_QUEUE_CLAIMED the program consumes its completion queue, or posted receives
   * @throws ERR_RPMA_WC_LENGTH the message was longer than its receive
   * @throws ERR_RPMA_WC_FLUSHED the connection ended in mid-message, or it was closed
   * @throws ERR_RPMA_WC_LOCAL_PROTECTION local memory is gone
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_srq_recv`
   */
  receive(operation: ReceiveOperation): Promise<ReceiveResult> {
    try {
      requireObject(operation, 'operation');
      refuseWait(operation);
      const core = this.#core;
      encodeReceive(core.submissions, 0, core, operation);
      const received = core.line().submit(operationNumber.receive, 'message', 1, undefined);
      return received as Promise<ReceiveResult>;
    } catch (error) {
      return Promise.reject(asError(error));
    }
  }

  /**
   * Undoes unref().
   *
   * @returns this
   * @remarks Thread safety: per object, on the thread that made it.
   */
  ref(): this {
    this.#core.keepAlive.setReferenced(true);
    return this;
  }

  /**
   * Neither waits on its completion queue nor awaited receives keep the process alive any more.
   *
   * @returns this
   * @remarks Thread safety: per object, on the thread that made it.
   */
  unref(): this {
    this.#core.keepAlive.setReferenced(false);
    return this;
  }

  /**
   * Closes it. What is posted completes as flushed, with queuePairNumber 0, in its own completion
   * queue, which stays readable; without one it ends without a completion, as nothing is left
   * where it could come out. Refused, it stays as it was.
   *
   * @returns a promise, the same each time once it was not refused
   * @throws ERR_RPMA_BUSY a connection or an unspent request uses it
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_srq_delete`
   */
  close(): Promise<void> {
    return this.#core.close();
  }

  /**
   * close().
   *
   * @returns the promise of close()
   * @remarks Thread safety: per object, on the thread that made it.
   */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Makes one. Library use. */
export function createSharedReceives(
  peer: PeerCore,
  options: SharedReceiveQueueOptions,
): SharedReceiveQueue {
  const what = 'peer.createSharedReceiveQueue()';
  requireObject(options, 'options');
  const size = (name: keyof SharedReceiveQueueOptions, min: number): number =>
    optionalInteger(options[name], name, min, limits.queueSizeMax, limits.sharedReceiveQueueSize);
  const receives = size('receiveQueueSize', 1);
  const completions = size('receiveCompletionQueueSize', 0);
  peer.requireOpen(what);
  const handle = check(native.sharedReceiveQueueCreate(peer.handle, receives, completions), what);
  return construct(new SharedReceiveQueueCore(handle, peer, receives, completions));
}
