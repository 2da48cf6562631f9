// SPDX-License-Identifier: BSD-3-Clause
//
// Where completions come out: the verbs tier's side of it. JS thread only.

import { CompletionBatch } from './completion.js';
import { argumentError, RpmaError } from './errors.js';
import { limits } from './internal/abi.generated.js';
import {
  access,
  constructorKey,
  requireConstructorKey,
  type BatchCore,
} from './internal/access.js';
import { native } from './internal/native.js';
import type { QueueCore } from './internal/queue-core.js';
import { watchForLeak } from './internal/resource.js';
import { asError, checkWaitOptions, requireInteger, wrongType } from './internal/validate.js';
import type { Completion, Source, WaitOptions } from './types.js';

const pollDefault = 16;
const batchCapacity = 64;

let construct: (core: QueueCore) => CompletionQueue;

/**
 * Where completions come out, in the order of their posts per send queue and per receive queue. It
 * cannot overflow. The first consumer claims it for its life: this class's methods for the verbs
 * tier, awaited operations for the promise tier. Failed operations are values; only a broken queue
 * throws. It ends (null, false, iteration done) when its connections have ended and it is empty,
 * and stays readable after `connection.close()`.
 *
 * @remarks Thread safety: per object, on the thread that made it.
 * @see librpma: `rpma_conn_get_cq`, `rpma_conn_get_rcq`, `struct rpma_cq`
 */
export class CompletionQueue implements Source<Completion> {
  readonly #core: QueueCore;

  static {
    access.queue = (value) =>
      typeof value === 'object' && value !== null && #core in value ? value.#core : undefined;
    construct = (core) => {
      return new CompletionQueue(constructorKey, core);
    };
  }

  private constructor(key: typeof constructorKey, core: QueueCore) {
    requireConstructorKey(key, 'CompletionQueue', 'peer.createCompletionQueue()');
    this.#core = core;
    const { handle } = core;
    // A private queue stays readable after its connection; nobody else lets go of it then. The core
    // is what is watched: an open connection, pending waits and iterators hold it and not this.
    const release = (): void => {
      native.queueClose(handle);
    };
    if (core.parent === null) watchForLeak(core, core, { what: '', release, report: false });
  }

  /** Completions that it can hold. */
  get capacity(): number {
    return this.#core.capacity;
  }

  /** Whether its connections have ended and it is empty. */
  get closed(): boolean {
    return this.#core.ended();
  }

  /** Who consumes it; the first to ask decides, for the queue's life. */
  get claimedBy(): 'nobody' | 'verbs-tier' | 'promise-tier' {
    return this.#core.claim;
  }

  /**
   * For epoll(7) and poll(2), made at first use, for the verbs tier: readable, level-triggered,
   * until `poll()`, `pollInto()` or `tryTake()` has returned nothing; readable for good once the
   * queue has ended, until that was seen. The queue owns it: never close or read it.
   *
   * @throws ERR_RPMA_QUEUE_CLAIMED awaited operations consume it
   * @throws ERR_RPMA_SHARED_CHANNEL its connection waits by completionChannel, which has an fd
   * @throws ERR_RPMA_CLOSED it has ended and is empty
   * @throws ERR_RPMA_LIMIT the system has no descriptor left
   * @see librpma: `rpma_cq_get_fd`
   */
  get fd(): number {
    this.#claimWait('completionQueue.fd');
    return this.#core.descriptor.fd;
  }

  /**
   * Takes what is there; never blocks.
   *
   * @param max - most completions, 1 to 65536, default 16
   * @returns fresh objects, in order; empty when there is nothing
   * @throws ERR_RPMA_INVALID_ARG_TYPE max is no number
   * @throws ERR_RPMA_OUT_OF_RANGE max is not a whole number from 1 to 65536
   * @throws ERR_RPMA_QUEUE_CLAIMED awaited operations consume it
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_cq_get_wc`
   */
  poll(max: number = pollDefault): Completion[] {
    requireInteger(max, 'max', 1, limits.queueSizeMax);
    this.#core.claimForVerbs();
    return this.#core.poll(max);
  }

  /**
   * Fills a batch with what is there; never blocks, never allocates.
   *
   * @param batch - overwritten
   * @returns the count, 0 to the batch's capacity, at most 256
   * @throws ERR_RPMA_INVALID_ARG_TYPE batch is no CompletionBatch
   * @throws ERR_RPMA_QUEUE_CLAIMED awaited operations consume it
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_cq_get_wc`
   */
  pollInto(batch: CompletionBatch): number {
    const target = access.batch(batch);
    if (target === undefined) throw wrongType('batch', 'a CompletionBatch', batch);
    this.#core.claimForVerbs();
    target.length = this.#core.pollInto(target.records);
    return target.length;
  }

  /**
   * Waits without blocking the thread until there is something to poll.
   *
   * @param options - signal and deadline
   * @returns true; false at the deadline or once closed
   * @throws ERR_RPMA_INVALID_ARG_TYPE options, timeoutMs or signal has the wrong type
   * @throws ERR_RPMA_OUT_OF_RANGE timeoutMs is out of bounds
   * @throws ERR_RPMA_ABORTED the signal ended the wait
   * @throws ERR_RPMA_QUEUE_CLAIMED awaited operations consume it
   * @throws ERR_RPMA_SHARED_CHANNEL its connection waits by completionChannel
   * @throws ERR_RPMA_BUSY an iterator waits on it
   * @throws ERR_RPMA_AGAIN 1024 waits are pending
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_cq_wait`
   */
  wait(options?: WaitOptions): Promise<boolean> {
    return this.#claimed(
      'completionQueue.wait()',
      () => this.#core.source.waitFor(options, this.#some, false) as Promise<boolean>,
    );
  }

  /**
   * Blocks this thread until there is something to poll.
   *
   * @param timeoutMs - 0 to 2^31-1; Infinity only in a worker, which can still be terminated
   * @returns true; false at the deadline or once closed
   * @throws ERR_RPMA_INVALID_ARG_TYPE timeoutMs is no number
   * @throws ERR_RPMA_OUT_OF_RANGE timeoutMs is out of bounds, or Infinity on the main thread
   * @throws ERR_RPMA_QUEUE_CLAIMED awaited operations consume it
   * @throws ERR_RPMA_SHARED_CHANNEL its connection waits by completionChannel
   * @throws ERR_RPMA_BUSY an iterator waits on it
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_cq_wait`
   */
  waitSync(timeoutMs: number): boolean {
    this.#claimWait('completionQueue.waitSync()');
    return this.#core.source.waitForSync(timeoutMs, this.#some, false) as boolean;
  }

  /**
   * Waits for one completion without blocking the thread.
   *
   * @param options - signal and deadline
   * @returns the completion; null at the deadline or once closed
   * @throws ERR_RPMA_INVALID_ARG_TYPE options, timeoutMs or signal has the wrong type
   * @throws ERR_RPMA_OUT_OF_RANGE timeoutMs is out of bounds
   * @throws ERR_RPMA_ABORTED the signal ended the wait
   * @throws ERR_RPMA_QUEUE_CLAIMED awaited operations consume it
   * @throws ERR_RPMA_SHARED_CHANNEL its connection waits by completionChannel
   * @throws ERR_RPMA_BUSY an iterator waits on it
   * @throws ERR_RPMA_AGAIN 1024 waits are pending
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_cq_wait`, `rpma_cq_get_wc`
   */
  take(options?: WaitOptions): Promise<Completion | null> {
    return this.#claimed('completionQueue.take()', () => this.#core.source.take(options));
  }

  /**
   * Blocks this thread for one completion.
   *
   * @param timeoutMs - 0 to 2^31-1; Infinity only in a worker, which can still be terminated
   * @returns the completion; null at the deadline or once closed
   * @throws ERR_RPMA_INVALID_ARG_TYPE timeoutMs is no number
   * @throws ERR_RPMA_OUT_OF_RANGE timeoutMs is out of bounds, or Infinity on the main thread
   * @throws ERR_RPMA_QUEUE_CLAIMED awaited operations consume it
   * @throws ERR_RPMA_SHARED_CHANNEL its connection waits by completionChannel
   * @throws ERR_RPMA_BUSY an iterator waits on it
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_cq_wait`, `rpma_cq_get_wc`
   */
  takeSync(timeoutMs: number): Completion | null {
    this.#claimWait('completionQueue.takeSync()');
    return this.#core.source.takeSync(timeoutMs);
  }

  /**
   * One completion if there is one; never blocks.
   *
   * @returns the completion, or null
   * @throws ERR_RPMA_QUEUE_CLAIMED awaited operations consume it
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_cq_get_wc`
   */
  tryTake(): Completion | null {
    this.#core.claimForVerbs();
    return this.#core.next();
  }

  /**
   * Yields every completion, also the flushed ones, until the queue has ended. `break` lets go;
   * unread completions stay. A second loop at the same time gets ERR_RPMA_BUSY.
   *
   * @returns an iterator
   * @throws ERR_RPMA_QUEUE_CLAIMED awaited operations consume it
   * @throws ERR_RPMA_SHARED_CHANNEL its connection waits by completionChannel
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_cq_wait`, `rpma_cq_get_wc`
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<Completion> {
    this.#claimWait('iteration over a completion queue');
    return this.#core.source.iterate();
  }

  /**
   * Yields the same {@link CompletionBatch} again and again, refilled: one wake-up, many
   * completions, and nothing is allocated for them. What it holds is valid until the next turn. The
   * rules are those of the plain iteration: one consumer, `break` lets go and leaves what is
   * unread, the end comes when the queue has ended.
   *
   * @param options - capacity: most completions of a turn, 1 to 65536, default 64, at most 256 come
   *   at once; signal: ends the iteration, whose next turn rejects
   * @returns an iterator; next() is to be awaited before it is called again
   * @throws ERR_RPMA_INVALID_ARG_TYPE options, capacity or signal has the wrong type
   * @throws ERR_RPMA_OUT_OF_RANGE capacity is not a whole number from 1 to 65536
   * @throws ERR_RPMA_QUEUE_CLAIMED awaited operations consume it
   * @throws ERR_RPMA_SHARED_CHANNEL its connection waits by completionChannel
   * @throws ERR_RPMA_ABORTED the signal ended the iteration
   * @throws ERR_RPMA_BUSY another consumer waits on it, or the turn before was not awaited
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_cq_wait`, `rpma_cq_get_wc`
   */
  batches(
    options: {
      readonly capacity?: number | undefined;
      readonly signal?: AbortSignal | undefined;
    } = {},
  ): AsyncIterableIterator<CompletionBatch> {
    checkWaitOptions(options);
    const batch = new CompletionBatch(options.capacity ?? batchCapacity);
    this.#claimWait('completionQueue.batches()');
    const target = access.batch(batch) as BatchCore;
    const fill = (): CompletionBatch | null => {
      target.length = this.#core.pollInto(target.records);
      return target.length > 0 ? batch : null;
    };
    return oneAtATime(this.#core.source.iterate(fill, options.signal));
  }

  #claimWait(what: string): void {
    this.#core.requireOwnChannel(what);
    this.#core.claimForVerbs();
  }

  readonly #some = (): true | null => (this.#core.hasSome() ? true : null);

  #claimed<T>(what: string, wait: () => Promise<T>): Promise<T> {
    try {
      this.#claimWait(what);
    } catch (error) {
      return Promise.reject(asError(error));
    }
    return wait();
  }
}

/** A second next() would refill the batch under the eyes of whoever was given it by the first. */
function oneAtATime<T>(iterator: AsyncIterableIterator<T>): AsyncIterableIterator<T> {
  let isPending = false;
  const settled = (): void => {
    isPending = false;
  };
  const guarded: AsyncIterableIterator<T> = {
    next: () => {
      if (isPending) {
        return Promise.reject(
          new RpmaError(
            'ERR_RPMA_BUSY',
            'the batch is still being given to another next(): await that one first',
          ),
        );
      }
      isPending = true;
      const result = iterator.next();
      // Registered before the consumer's own reaction, so it is over when that one runs.
      result.then(settled, settled);
      return result;
    },
    return: () => iterator.return?.() ?? Promise.resolve({ done: true, value: undefined }),
    [Symbol.asyncIterator]: () => guarded,
  };
  return guarded;
}

/** Wraps a core. Library use. */
export function completionQueueOf(core: QueueCore): CompletionQueue {
  return construct(core);
}

/** The core of a queue that may serve the connections of this peer. Library use. */
export function sharedQueueCore(
  queue: CompletionQueue | undefined,
  peer: object,
): QueueCore | null {
  if (queue === undefined) return null;
  const core = access.queue(queue);
  if (core?.parent === peer) return core;
  throw argumentError(
    'ERR_RPMA_INVALID_ARG_VALUE',
    'completionQueue must come from createCompletionQueue() of the same peer',
  );
}
