// SPDX-License-Identifier: BSD-3-Clause
//
// What is behind a MemoryRegion: what the data path checks (peer, size, usage, whether it may be
// used), and its ending. It holds what it is over: the user's buffer or the file. JS thread only.

import type { MemoryRegion } from '../memory-region.js';
import { publish } from './channels.js';
import { failureOf } from './failure.js';
import type { FileCore } from './file-core.js';
import { isNativeError, native, type Handle } from './native.js';
import type { PeerCore } from './peer-core.js';
import { Resource } from './resource.js';

export class RegionCore extends Resource {
  readonly handle: Handle;
  readonly peer: PeerCore;
  readonly sizeBytes: number;
  readonly usage: number;
  /** The user's memory, in place; null for memory of the library or a file. */
  readonly memory: Uint8Array | null;
  readonly file: FileCore | null;
  /** What the program registered: it is not collected before the region. */
  over: unknown;
  /** False from close() on. */
  usable = true;
  /** The public object, for messages; null until it is made. */
  owner: MemoryRegion | null = null;

  constructor(
    handle: Handle,
    peer: PeerCore,
    sizeBytes: number,
    usage: number,
    memory: Uint8Array | null,
    file: FileCore | null,
    over: unknown,
  ) {
    super('region', peer);
    this.handle = handle;
    this.peer = peer;
    this.sizeBytes = sizeBytes;
    this.usage = usage;
    this.memory = memory;
    this.file = file;
    this.over = over;
    if (file !== null) file.regions++;
    this.join();
  }

  override destroy(): void {
    this.close().catch(() => undefined);
  }

  protected override async shut(): Promise<void> {
    this.usable = false;
    try {
      const result = await native.regionClose(this.handle);
      if (isNativeError(result)) {
        this.markClosed();
        throw failureOf(result, 'region.close()');
      }
    } finally {
      if (this.file !== null) this.file.regions--;
      const { owner } = this;
      if (owner !== null) publish('regionClose', () => ({ region: owner }));
    }
    this.over = null;
  }
}
