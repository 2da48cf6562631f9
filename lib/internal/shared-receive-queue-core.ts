// SPDX-License-Identifier: BSD-3-Clause
//
// What is behind a SharedReceiveQueue: its handle, its completion queue, the line of its awaited
// receives. The connections that use it are counted by the addon, which refuses a close before the
// last of them ends. JS thread only; the peer's threads fill the receives.

import type { ConnectionConfig } from '../connection-config.js';
import { RpmaError } from '../errors.js';
import { statusNumber } from './abi.generated.js';
import { access } from './access.js';
import { check, holderCount, submissions } from './environment.js';
import { failureOf, type FailureContext } from './failure.js';
import { KeepAlive } from './keep-alive.js';
import { native, type Handle } from './native.js';
import type { ReceiveScope } from './operations.js';
import type { PeerCore } from './peer-core.js';
import { Line, type LinePort } from './promise-tier.js';
import { QueueCore } from './queue-core.js';
import { Resource } from './resource.js';
import type { SubmissionRecords } from './submission.js';

export class SharedReceiveQueueCore extends Resource implements LinePort, ReceiveScope {
  readonly handle: Handle;
  readonly peer: PeerCore;
  readonly size: number;
  readonly completionSize: number;
  /** Its own completion queue, if it has one. */
  readonly queue: QueueCore | null;
  readonly keepAlive: KeepAlive = new KeepAlive(holderCount);
  readonly submissions: SubmissionRecords = submissions;
  readonly failureContext: FailureContext;
  #line: Line | null = null;

  constructor(handle: Handle, peer: PeerCore, size: number, completionSize: number) {
    super('shared receive queue', peer);
    this.handle = handle;
    this.peer = peer;
    this.size = size;
    this.completionSize = completionSize;
    this.failureContext = { provider: peer.provider };
    const own = check(native.sharedReceiveQueueCompletions(handle), 'shared receive queue');
    this.queue = own === 0 ? null : new QueueCore(own, null, this.keepAlive);
    // Until it is closed more may come, whichever connections end.
    this.queue?.serve();
    this.join();
  }

  get free(): number {
    return this.state === 'open' ? Math.max(0, native.sharedReceiveQueueFree(this.handle)) : 0;
  }

  /** Before a receive is encoded for the verbs tier. */
  requirePostable(): void {
    if (this.state !== 'open') throw this.#closedError();
    this.queue?.requireVerbs();
  }

  /** Posts the one record that was encoded. */
  postOne(): void {
    const accepted = this.post(1);
    if (accepted < 0) throw this.postFailure(-accepted, this.failureContext);
    if (this.queue !== null) this.queue.verbsPosted = true;
  }

  post(count: number): number {
    return native.sharedReceiveQueuePost(this.handle, count);
  }

  postFailure(status: number, context: FailureContext): Error {
    if (status !== statusNumber.again) return failureOf(native.lastError(), 'receive', context);
    return new RpmaError(
      'ERR_RPMA_AGAIN',
      'receive: the shared receive queue is full; poll the completion queue where its receives ' +
        'complete and look at receiveQueueFree',
      { ...context, operation: 'receive' },
    );
  }

  /** The line of awaited receives; the first of them claims the completion queue by it. */
  line(): Line {
    if (this.state !== 'open') throw this.#closedError();
    if (this.queue === null) {
      throw new RpmaError(
        'ERR_RPMA_NOT_SUPPORTED',
        'receive: an awaited receive needs a completion queue of the shared receive queue itself: ' +
          'create it with a receiveCompletionQueueSize above 0, or use postReceive() and the ' +
          "connections' completion queues",
        { ...this.failureContext, operation: 'receive' },
      );
    }
    this.#line ??= new Line(this, this.queue.claimForPromises(), this.size, this.keepAlive);
    return this.#line;
  }

  override destroy(): void {
    this.close().catch(() => undefined);
  }

  /** Ends at once, or is refused and stays as it was; only the promise takes a turn. */
  override close(): Promise<void> {
    if (this.state !== 'open') return super.close();
    const result = native.sharedReceiveQueueClose(this.handle);
    if (result === -statusNumber.busy) {
      return Promise.reject(
        new RpmaError(
          'ERR_RPMA_BUSY',
          'sharedReceiveQueue.close(): a connection or an unspent request uses it; close ' +
            'connections, and connect, accept or destroy requests first',
          this.failureContext,
        ),
      );
    }
    check(result, 'sharedReceiveQueue.close()', this.failureContext);
    const closing = super.close();
    this.#line?.failWaiting(
      new RpmaError(
        'ERR_RPMA_WC_FLUSHED',
        'receive: the shared receive queue was closed before it was posted',
        { ...this.failureContext, operation: 'receive' },
      ),
    );
    // What was posted is in the queue as flushed.
    this.queue?.sharedReceivesEnded();
    return closing;
  }

  protected override shut(): Promise<void> {
    return Promise.resolve();
  }

  #closedError(): RpmaError {
    return new RpmaError('ERR_RPMA_CLOSED', 'receive: the shared receive queue is closed', {
      ...this.failureContext,
      operation: 'receive',
    });
  }
}

/** Throws when the receives of the connection are those of a shared receive queue. */
export function refuseIfShared(
  connection: {
    readonly sizes: { readonly sharedReceiveQueue?: object | undefined };
    readonly failureContext: FailureContext;
  },
  what: string,
): void {
  if (connection.sizes.sharedReceiveQueue === undefined) return;
  throw new RpmaError(
    'ERR_RPMA_NOT_SUPPORTED',
    `${what}: the receives of this connection come from its shared receive queue: use ` +
      'postReceive() or receive() of that',
    { ...connection.failureContext, operation: 'receive' },
  );
}

/**
 * Throws unless connections of this peer may be made with this configuration's shared receive
 * queue.
 */
export function requireSharedReceives(config: ConnectionConfig, peer: PeerCore): void {
  const core = access.sharedReceiveQueue(config.sharedReceiveQueue);
  if (core === undefined) return;
  const context = { provider: peer.provider };
  if (core.peer !== peer) {
    throw new RpmaError('ERR_RPMA_FOREIGN', 'sharedReceiveQueue belongs to another peer', context);
  }
  core.requireOpen('sharedReceiveQueue');
  if (core.queue !== null || config.receiveCompletionQueueSize > 0) return;
  // Its receives would come out among operations that are awaited by their ids.
  if (access.queue(config.completionQueue)?.claim !== 'promise-tier') return;
  throw new RpmaError(
    'ERR_RPMA_QUEUE_CLAIMED',
    'sharedReceiveQueue without a completion queue of its own: awaited operations consume ' +
      'completionQueue; give the shared receive queue or the connection a receiveCompletionQueueSize',
    context,
  );
}
