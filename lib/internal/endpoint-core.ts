// SPDX-License-Identifier: BSD-3-Clause
//
// What is behind an Endpoint: its handle, and the waiting for requests. JS thread only.

import { check, holderCount, listen, sourceEnvironment, unlisten } from './environment.js';
import type { ReadyListener } from './environment.js';
import { KeepAlive } from './keep-alive.js';
import { native, type Handle, type NativeConnectionOptions, type NativeReport } from './native.js';
import type { PeerCore } from './peer-core.js';
import { SourceDescriptor } from './readiness.js';
import { Resource } from './resource.js';
import { SourceCore, type SourceHooks } from './source.js';

export class EndpointCore<T> extends Resource implements ReadyListener {
  readonly handle: Handle;
  readonly peer: PeerCore;
  readonly keepAlive: KeepAlive = new KeepAlive(holderCount);
  readonly source: SourceCore<T>;
  readonly descriptor: SourceDescriptor;
  readonly #tell: (reports: readonly NativeReport[]) => void;

  /** `next` fetches one request with the endpoint's own configuration; `tell` must not throw. */
  constructor(
    handle: Handle,
    peer: PeerCore,
    next: () => T | null,
    tell: (reports: readonly NativeReport[]) => void,
  ) {
    super('endpoint', peer);
    this.#tell = tell;
    this.handle = handle;
    this.peer = peer;
    const hooks: SourceHooks<T> = {
      name: 'endpoint',
      next,
      ended: () => this.state !== 'open',
      // Every request is announced; there is nothing to ask for.
      arm: () => true,
    };
    this.source = new SourceCore(hooks, this.keepAlive, sourceEnvironment);
    this.descriptor = new SourceDescriptor(this, {
      name: hooks.name,
      watch: (readiness) => {
        // Requests that wait are announced by it.
        check(native.readinessWatch(readiness, handle, true), hooks.name);
      },
      rearm: (readiness) => native.readinessClear(readiness),
      hasKept: () => false,
      ended: () => hooks.ended(),
    });
    this.keepAlive.hold();
    listen(handle, this);
    this.join();
  }

  /** The handle of the next request, 0 when there is none. */
  fetch(options: NativeConnectionOptions): Handle {
    const fetched = this.descriptor.take(() => {
      if (this.state !== 'open') return null;
      const next = native.endpointNext(this.handle, options);
      return check(next, 'the next connection request') || null;
    });
    return fetched ?? 0;
  }

  onReady(): void {
    this.source.ready();
    const reports = native.endpointReports(this.handle);
    if (reports !== null) this.#tell(reports);
  }

  override destroy(): void {
    this.close().catch(() => undefined);
  }

  /** Stops listening at once; only the promise takes a turn. */
  override close(): Promise<void> {
    if (this.state !== 'open') return super.close();
    const closing = super.close();
    unlisten(this.handle);
    native.endpointClose(this.handle);
    this.descriptor.close();
    this.keepAlive.release();
    this.source.ready();
    return closing;
  }

  protected override shut(): Promise<void> {
    return Promise.resolve();
  }
}
