// SPDX-License-Identifier: BSD-3-Clause
//
// Registered memory. JS thread only; the bytes themselves are read and written by the peer's
// threads on behalf of other sides.

import { constants } from 'node:buffer';
import { argumentError, RpmaError } from './errors.js';
import { adviceKinds } from './internal/abi.generated.js';
import { adoptersPeer } from './internal/adoption.js';
import { access, constructorKey, requireConstructorKey } from './internal/access.js';
import { publish } from './internal/channels.js';
import { check } from './internal/environment.js';
import { failureOf } from './internal/failure.js';
import { ticketOf, ticketTimeout, tokenOf } from './internal/hand-over.js';
import { isNativeError, native } from './internal/native.js';
import { forgetCollectedPeers } from './internal/peer-core.js';
import { RegionCore } from './internal/region-core.js';
import {
  optionalBoolean,
  optionalInteger,
  requireInteger,
  requireObject,
  requireWord,
} from './internal/validate.js';
import type { Peer } from './peer.js';
import type { HandOverOptions, HandOverTicket, RegionAdvice } from './types.js';

let construct: (core: RegionCore) => MemoryRegion;

/**
 * Memory that this peer may use in operations, and that others may use as far as `usage` says. It
 * stays open until it or its peer is closed, even when the program drops it.
 *
 * @remarks Thread safety: per object, on the thread that made it. Words that others write are read
 * with `Atomics.load` on a view.
 * @see librpma: `struct rpma_mr_local`, `rpma_mr_reg`
 */
export class MemoryRegion implements AsyncDisposable {
  readonly #core: RegionCore;
  #bytes: Uint8Array | undefined;
  #descriptor: Uint8Array | undefined;

  static {
    access.region = (value) =>
      typeof value === 'object' && value !== null && #core in value ? value.#core : undefined;
    construct = (core) => {
      return new MemoryRegion(constructorKey, core);
    };
  }

  private constructor(key: typeof constructorKey, core: RegionCore) {
    requireConstructorKey(key, 'MemoryRegion', 'peer.register() or peer.allocate()');
    this.#core = core;
    core.owner = this;
    publish('regionRegister', () => ({ region: this }));
  }

  /**
   * The same region in this thread, whose peer was adopted here before (`Peer.adopt()`).
   *
   * @param ticket - what `region.share()` gave, in whichever thread
   * @returns the region: the same memory and descriptor; open until it is closed here
   * @throws ERR_RPMA_INVALID_ARG_TYPE ticket is no ticket
   * @throws ERR_RPMA_HAND_OVER it was used, has expired, is of another kind or another process, or
   *   came without the SharedArrayBuffer
   * @throws ERR_RPMA_FOREIGN the region's peer is not open in this thread; the ticket stays good
   * @throws ERR_RPMA_CLOSED the peer is being closed in this thread
   * @throws ERR_RPMA_LIMIT no handle is left for it
   * @remarks Thread safety: any thread; the region belongs to the one that adopted it.
   * @see librpma: none; there an `rpma_mr_local` is used by every thread
   */
  static adopt(ticket: HandOverTicket): MemoryRegion {
    const what = 'MemoryRegion.adopt()';
    const token = tokenOf(ticket);
    const { memory } = ticket;
    forgetCollectedPeers();
    const held = memory instanceof SharedArrayBuffer ? new Uint8Array(memory) : null;
    const adopted = native.regionAdopt(token, held);
    if (typeof adopted === 'number') {
      check(adopted, what);
      throw new RpmaError('ERR_RPMA_INTERNAL', `${what}: nothing was adopted`);
    }
    const { region, sizeBytes, usage, offset } = adopted;
    const peer = adoptersPeer(adopted.peer, what, () => void native.regionClose(region));
    const isHeld = held !== null && offset >= 0;
    const bytes = isHeld ? held.subarray(offset, offset + sizeBytes) : null;
    return construct(new RegionCore(region, peer, sizeBytes, usage, bytes, null, memory));
  }

  /** The peer it was registered with. */
  get peer(): Peer {
    return this.#core.peer.owner;
  }

  /**
   * Bytes.
   *
   * @see librpma: `rpma_mr_get_size`
   */
  get sizeBytes(): number {
    return this.#core.sizeBytes;
  }

  /** MemoryUsage bits. */
  get usage(): number {
    return this.#core.usage;
  }

  /**
   * The memory itself, the same object each time. Of length 0 once closed.
   *
   * @throws ERR_RPMA_OUT_OF_RANGE larger than one ArrayBuffer (4 GiB on Node 20): use view()
   * @throws ERR_RPMA_NO_MEMORY the engine made no ArrayBuffer for it
   * @throws ERR_RPMA_NOT_SUPPORTED the region is over a file that was mapped readOnly
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_mr_get_ptr`
   */
  get bytes(): Uint8Array {
    const core = this.#core;
    if (!core.usable) return this.#withoutBytes();
    if (core.memory !== null) return core.memory;
    if (core.sizeBytes > constants.MAX_LENGTH) {
      throw argumentError(
        'ERR_RPMA_OUT_OF_RANGE',
        `region.bytes: ${core.sizeBytes} bytes do not fit one ArrayBuffer here: use view(offset, length)`,
      );
    }
    this.#bytes ??= this.view(0, core.sizeBytes);
    return this.#bytes;
  }

  /**
   * A window of the memory, without a copy. Of length 0 once closed, unless the memory is the
   * program's own.
   *
   * @param offset - first byte
   * @param length - bytes
   * @returns the window
   * @throws ERR_RPMA_INVALID_ARG_TYPE offset or length is no number
   * @throws ERR_RPMA_OUT_OF_RANGE beyond the region, or longer than one ArrayBuffer
   * @throws ERR_RPMA_NO_MEMORY the engine made no ArrayBuffer for it
   * @throws ERR_RPMA_NOT_SUPPORTED the region is over a file that was mapped readOnly
   * @throws ERR_RPMA_CLOSED the region is closed
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_mr_get_ptr`
   */
  view(offset: number, length: number): Uint8Array {
    const core = this.#core;
    core.requireOpen('region.view()');
    requireInteger(offset, 'offset', 0, core.sizeBytes);
    requireInteger(length, 'length', 0, Math.min(core.sizeBytes - offset, constants.MAX_LENGTH));
    if (core.memory !== null) return core.memory.subarray(offset, offset + length);
    const window = native.regionView(core.handle, offset, length);
    if (typeof window !== 'number') return new Uint8Array(window);
    check(window, 'region.view()');
    return new Uint8Array(0);
  }

  /**
   * The descriptor to give to the other side: a secret, since it is all that is needed to use the
   * region.
   *
   * @returns librpma's 21 bytes, a fresh copy
   * @throws ERR_RPMA_CLOSED the region is closed
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_mr_get_descriptor`, `rpma_mr_get_descriptor_size`
   */
  toDescriptor(): Uint8Array {
    this.#core.requireOpen('region.toDescriptor()');
    this.#descriptor ??= native.regionDescriptor(this.#core.handle);
    return this.#descriptor.slice();
  }

  /** Operations accepted and not yet completed that use it. */
  get inFlight(): number {
    if (this.#core.state === 'closed') return 0;
    return check(native.regionInFlight(this.#core.handle), 'region.inFlight');
  }

  /**
   * Has the memory's pages brought in before they are needed, on a thread of Node's pool: a first
   * access then costs no fault, neither the program's nor another side's. It holds the region: a
   * close() waits for it, 16 MiB at most.
   *
   * @param advice - which bytes, what for, and whether to wait for the end of it
   * @returns a promise: with `flush` resolved once it is done, else once it is under way; what
   *   fails then is only logged
   * @throws ERR_RPMA_INVALID_ARG_TYPE advice, or a member, has the wrong type
   * @throws ERR_RPMA_INVALID_ARG_VALUE an unknown kind, `prefetch-write` of a read-only file, or
   *   memory that is gone (a truncated file)
   * @throws ERR_RPMA_OUT_OF_RANGE beyond the region, or no byte
   * @throws ERR_RPMA_NOT_SUPPORTED `capabilities.regionAdvice` is false, or the memory's kind is
   *   not one that can be advised
   * @throws ERR_RPMA_PROVIDER the system refused (errno)
   * @throws ERR_RPMA_CLOSED the region is closed, or was before it was done
   * @throws ERR_RPMA_LIMIT no thread of the pool is left
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_mr_advise`
   */
  async advise(advice: RegionAdvice): Promise<void> {
    const what = 'region.advise()';
    requireObject(advice, 'advice');
    const core = this.#core;
    const kind = adviceKinds.indexOf(requireWord(advice.kind, 'kind', adviceKinds));
    const offset = optionalInteger(advice.offset, 'offset', 0, core.sizeBytes - 1, 0);
    const rest = core.sizeBytes - offset;
    const length = optionalInteger(advice.length, 'length', 1, rest, rest);
    const flush = optionalBoolean(advice.flush, 'flush', false);
    core.requireOpen(what);
    const { provider, capabilities } = core.peer;
    if (!capabilities.regionAdvice) {
      const why = `${what}: provider '${provider}' has no regionAdvice`;
      throw new RpmaError('ERR_RPMA_NOT_SUPPORTED', why, { provider });
    }
    const result = await native.regionAdvise(core.handle, offset, length, kind, flush);
    if (isNativeError(result)) throw failureOf(result, what, { provider });
  }

  /**
   * A ticket by which another thread of this process opens the same region. Not for memory in an
   * ArrayBuffer, which belongs to one thread. It holds the region open, unless it is over a
   * SharedArrayBuffer: then some thread must keep it open until the ticket is adopted.
   *
   * @param options - how long it is good; then it is let go of
   * @returns the ticket, for one `MemoryRegion.adopt()`
   * @throws ERR_RPMA_INVALID_ARG_TYPE options is no object, or timeoutMs no number
   * @throws ERR_RPMA_OUT_OF_RANGE timeoutMs is no whole number from 1 to 2^31-1
   * @throws ERR_RPMA_NOT_SUPPORTED the region is over an ArrayBuffer
   * @throws ERR_RPMA_CLOSED the region is closed
   * @throws ERR_RPMA_LIMIT 1024 tickets are outstanding, or no thread is left
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: none; there an `rpma_mr_local` is used by every thread
   */
  share(options: HandOverOptions = {}): HandOverTicket {
    const what = 'region.share()';
    const timeoutMs = ticketTimeout(options);
    const core = this.#core;
    core.requireOpen(what);
    const buffer = core.memory?.buffer;
    if (buffer instanceof ArrayBuffer) {
      throw new RpmaError(
        'ERR_RPMA_NOT_SUPPORTED',
        `${what}: an ArrayBuffer belongs to one thread: register a SharedArrayBuffer, or use ` +
          'peer.allocate()',
      );
    }
    return ticketOf('region', native.regionShare(core.handle, timeoutMs), what, buffer);
  }

  /**
   * Revokes remote access at once, then waits for operations in flight, then lets go of the memory.
   * Of a region that is open in other threads too, or that a ticket holds, only this thread's share
   * ends: the last one revokes.
   *
   * @returns a promise, the same each time; once resolved nothing uses the memory any more, as far
   *   as it is not shared
   * @throws ERR_RPMA_PROVIDER deregistration failed; the region is closed all the same
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `rpma_mr_dereg`
   */
  close(): Promise<void> {
    this.#core.usable = false;
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

  #withoutBytes(): Uint8Array {
    // Views of library memory are detached by the addon; the program's own memory is not ours to
    // detach.
    if (this.#core.memory !== null || this.#bytes === undefined) return new Uint8Array(0);
    return this.#core.state === 'closed' ? this.#bytes : new Uint8Array(0);
  }
}

/** Wraps a core. Library use. */
export function memoryRegionOf(core: RegionCore): MemoryRegion {
  return construct(core);
}
