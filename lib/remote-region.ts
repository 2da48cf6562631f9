// SPDX-License-Identifier: BSD-3-Clause
//
// A region of another process, known by librpma's 21-byte descriptor: address u64, size u64, key
// u32, usage u8, little-endian, nothing else. An immutable value; pure JavaScript, no addon, any
// thread.

import { argumentError } from './errors.js';
import { limits, memoryUsage } from './internal/abi.generated.js';
import { access, type RemoteCore } from './internal/access.js';
import { requireBytes } from './internal/validate.js';
import type { FlushType } from './types.js';

const sizeAt = 8;
const keyAt = 16;
const usageAt = 20;

function malformed(why: string): Error {
  return argumentError('ERR_RPMA_DESCRIPTOR', `malformed region descriptor: ${why}`);
}

/**
 * A region of another process, known by its descriptor. Nothing to close.
 *
 * @remarks Thread safety: an immutable value; any thread may build one from the same bytes.
 * @see librpma: `rpma_mr_remote_from_descriptor`, `rpma_mr_remote_get_size`,
 * `rpma_mr_remote_get_flush_type`, `rpma_mr_remote_delete`
 */
export class RemoteRegion {
  readonly #core: RemoteCore;
  readonly #descriptor: Uint8Array;

  static {
    access.remote = (value) =>
      typeof value === 'object' && value !== null && #core in value ? value.#core : undefined;
  }

  /** The owner's base address: opaque here. */
  readonly address: bigint;
  /** Bytes. */
  readonly sizeBytes: number;
  /** MemoryUsage bits that the owner granted. */
  readonly usage: number;
  /** The flush types that the owner granted. */
  readonly flushTypes: readonly FlushType[];

  private constructor(descriptor: Uint8Array) {
    const view = new DataView(descriptor.buffer, descriptor.byteOffset, descriptor.byteLength);
    const size = view.getBigUint64(sizeAt, true);
    this.address = view.getBigUint64(0, true);
    this.usage = view.getUint8(usageAt);
    if (this.usage === 0) throw malformed('its usage is 0');
    if (size === 0n) throw malformed('its size is 0');
    if (size > BigInt(Number.MAX_SAFE_INTEGER))
      throw malformed(`its size is ${size}, beyond 2^53 - 1`);
    if (this.address + size > 2n ** 64n) throw malformed('its address plus size goes beyond 2^64');
    this.sizeBytes = Number(size);
    const types: FlushType[] = [];
    if ((this.usage & memoryUsage.flushVisibility) !== 0) types.push('visibility');
    if ((this.usage & memoryUsage.flushPersistent) !== 0) types.push('persistent');
    this.flushTypes = Object.freeze(types);
    this.#descriptor = descriptor;
    this.#core = {
      low: view.getUint32(0, true),
      high: view.getUint32(4, true),
      key: view.getUint32(keyAt, true),
      sizeBytes: this.sizeBytes,
      usage: this.usage,
    };
    Object.freeze(this);
  }

  /**
   * Reads a descriptor. A longer tail than 21 bytes is ignored, as librpma does.
   *
   * @param bytes - what the owner's `region.toDescriptor()` gave; copied
   * @returns the region
   * @throws ERR_RPMA_INVALID_ARG_TYPE bytes is no Uint8Array
   * @throws ERR_RPMA_DESCRIPTOR too short, usage or size 0, size over 2^53-1, or end over 2^64
   * @remarks Thread safety: any thread.
   * @see librpma: `rpma_mr_remote_from_descriptor`
   */
  static fromDescriptor(bytes: Uint8Array): RemoteRegion {
    requireBytes(bytes, 'bytes');
    if (bytes.length < limits.descriptorBytes) {
      throw malformed(`it has ${bytes.length} bytes, and ${limits.descriptorBytes} are needed`);
    }
    return new RemoteRegion(Uint8Array.prototype.slice.call(bytes, 0, limits.descriptorBytes));
  }

  /**
   * The descriptor again.
   *
   * @returns the same 21 bytes, a fresh copy
   * @remarks Thread safety: any thread.
   * @see librpma: `rpma_mr_get_descriptor`
   */
  toDescriptor(): Uint8Array {
    return new Uint8Array(this.#descriptor);
  }
}
