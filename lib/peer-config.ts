// SPDX-License-Identifier: BSD-3-Clause
//
// What a peer says of itself: librpma's 1-byte peer descriptor. An immutable value; pure
// JavaScript, no addon, any thread.

import { argumentError } from './errors.js';
import { limits } from './internal/abi.generated.js';
import { optionalBoolean, requireBytes, requireObject } from './internal/validate.js';

/** What {@link PeerConfig} is made of. */
export interface PeerConfigOptions {
  /**
   * What other sides write reaches persistent memory without our processor's help; default false.
   */
  readonly directWriteToPmem?: boolean | undefined;
}

/**
 * What a peer's operator says of it. It matters to the other side only where a persistent flush is
 * emulated.
 *
 * @remarks Thread safety: an immutable value; any thread.
 * @see librpma: `rpma_peer_cfg_new`, `rpma_peer_cfg_delete`
 */
export class PeerConfig {
  readonly #directWriteToPmem: boolean;

  /**
   * Makes a configuration.
   *
   * @param options - what to say
   * @throws ERR_RPMA_INVALID_ARG_TYPE options is no object, or directWriteToPmem no boolean
   * @remarks Thread safety: any thread.
   * @see librpma: `rpma_peer_cfg_new`, `rpma_peer_cfg_set_direct_write_to_pmem`
   */
  constructor(options: PeerConfigOptions = {}) {
    requireObject(options, 'options');
    this.#directWriteToPmem = optionalBoolean(
      options.directWriteToPmem,
      'directWriteToPmem',
      false,
    );
    Object.freeze(this);
  }

  /**
   * Whether what other sides write reaches persistent memory directly.
   *
   * @see librpma: `rpma_peer_cfg_get_direct_write_to_pmem`
   */
  get directWriteToPmem(): boolean {
    return this.#directWriteToPmem;
  }

  /**
   * Reads a descriptor: a first byte that is not 0 means directWriteToPmem; a longer tail is
   * ignored.
   *
   * @param bytes - at least 1 byte
   * @returns the configuration
   * @throws ERR_RPMA_INVALID_ARG_TYPE bytes is no Uint8Array
   * @throws ERR_RPMA_DESCRIPTOR bytes is empty
   * @remarks Thread safety: any thread.
   * @see librpma: `rpma_peer_cfg_from_descriptor`
   */
  static fromDescriptor(bytes: Uint8Array): PeerConfig {
    const first = requireBytes(bytes, 'bytes')[0];
    if (first === undefined) {
      const needed = `${limits.peerDescriptorBytes} is needed`;
      throw argumentError(
        'ERR_RPMA_DESCRIPTOR',
        `malformed peer descriptor: 0 bytes, and ${needed}`,
      );
    }
    return new PeerConfig({ directWriteToPmem: first !== 0 });
  }

  /**
   * The byte to give to the other side.
   *
   * @returns 1 byte, a fresh copy
   * @remarks Thread safety: any thread.
   * @see librpma: `rpma_peer_cfg_get_descriptor`, `rpma_peer_cfg_get_descriptor_size`
   */
  toDescriptor(): Uint8Array {
    return Uint8Array.of(this.#directWriteToPmem ? 1 : 0);
  }
}
