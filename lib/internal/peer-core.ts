// SPDX-License-Identifier: BSD-3-Clause
//
// What is behind a Peer: its handle, and what was made from it. JS thread only; the native peer's
// threads are none of its business.

import type { Peer } from '../peer.js';
import type { Capabilities, ProviderName } from '../types.js';
import { publish } from './channels.js';
import type { ConnectionCore } from './connection-core.js';
import { check } from './environment.js';
import { native, type Handle } from './native.js';
import { endLeakWatch, Resource } from './resource.js';

/** By handle, as long as the program has them. */
const peers = new Map<Handle, WeakRef<PeerCore>>();

/** The peer that this thread has under the handle. */
export function peerOfHandle(handle: Handle): PeerCore | undefined {
  return peers.get(handle)?.deref();
}

/**
 * Ends the native side of what was collected and not yet reported, so that what is adopted now does
 * not find a peer that nobody has.
 */
export function forgetCollectedPeers(): void {
  for (const [handle, peer] of peers) {
    if (peer.deref() !== undefined) continue;
    peers.delete(handle);
    native.peerClose(handle);
  }
}

export class PeerCore extends Resource {
  readonly handle: Handle;
  readonly provider: ProviderName;
  readonly capabilities: Capabilities;
  /** The public object, for `connection.peer` and its like. */
  readonly owner: Peer;
  /** Of requests that nobody has spent. What is seen of one may be collected: it is no child. */
  readonly requests: Set<ConnectionCore> = new Set();
  #statistics: Readonly<Record<string, number>> = Object.freeze({});

  constructor(handle: Handle, provider: ProviderName, capabilities: Capabilities, owner: Peer) {
    super('peer', null);
    this.handle = handle;
    this.provider = provider;
    this.capabilities = capabilities;
    this.owner = owner;
    peers.set(handle, new WeakRef(this));
  }

  /** Ends connections and endpoints now; what has to be waited for follows in the background. */
  override destroy(reason?: Error): void {
    for (const child of [...this.children].reverse()) child.destroy(reason);
    // Nobody awaits it here; close() gives the same promise to who wants to know.
    this.close().catch(() => undefined);
  }

  /** Unspent requests end first: receives posted to them hold regions, which are waited for. */
  override close(): Promise<void> {
    for (const request of this.requests) request.releaseRequest();
    return super.close();
  }

  /** Of the native peer, so of every thread that shares it. */
  statistics(): Readonly<Record<string, number>> {
    const now = native.peerStatistics(this.handle);
    if (now !== null) this.#statistics = Object.freeze({ ...now.peer, ...now.connections });
    return this.#statistics;
  }

  protected override shut(): Promise<void> {
    endLeakWatch(this);
    peers.delete(this.handle);
    return new Promise((resolve) => {
      this.statistics(); // they stay readable
      check(native.peerClose(this.handle), 'peer.close()');
      publish('peerClose', () => ({ peer: this.owner }));
      resolve();
    });
  }
}
