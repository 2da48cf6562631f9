// SPDX-License-Identifier: BSD-3-Clause
//
// How programs tell each other of a region in private data. Integers are little-endian.
//
//   librpma's examples, 28 bytes          fio's librpma engines, 28 bytes
//   0  u16  where the data start          0  u16  most messages at once
//   2  u8   size of the region's          2  u8   direct write to persistent memory
//           descriptor: 21                3  u8   size of the region's descriptor: 21
//   3  u8   size of the peer's: 0 or 1    4  24   the region's descriptor; the rest is zero
//   4  24   the region's descriptor, at
//           once followed by the peer's;
//           the rest is zero
//
// A bare region descriptor (21 bytes) or peer descriptor (1 byte) is known as well. Private data
// may arrive padded with zeroes, as on InfiniBand. Pure; no addon.

import { PeerConfig, RemoteRegion } from '../descriptors.js';

const blockBytes = 28;
const regionBytes = 21;
const headBytes = 4;

/** A region, where its data start, and what its owner says of itself. */
export interface RegionNotice {
  readonly kind: 'region' | 'example-block' | 'fio-block';
  readonly region: RemoteRegion;
  readonly key: number;
  readonly dataOffset: number;
  /** null when nothing was said. */
  readonly config: PeerConfig | null;
  /** Of fio's block. */
  readonly messagesMax: number | null;
}

/** Only what a peer says of itself. */
export interface PeerNotice {
  readonly kind: 'peer';
  readonly config: PeerConfig;
  readonly byte: number;
}

export const knownForms: string =
  'a peer descriptor (1 byte), a region descriptor (21 bytes), ' +
  "the block of librpma's examples or of fio (28 bytes, or padded with zeroes)";

/** The block that goes into private data; the data start at 0. */
export function exampleBlock(region: Uint8Array, config: PeerConfig): Uint8Array {
  const block = new Uint8Array(blockBytes);
  const peer = config.toDescriptor();
  block[2] = region.length;
  block[3] = peer.length;
  block.set(region, headBytes);
  block.set(peer, headBytes + region.length);
  return block;
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

function regionAt(bytes: Uint8Array, offset: number): { region: RemoteRegion; key: number } {
  const region = RemoteRegion.fromDescriptor(bytes.subarray(offset, offset + regionBytes));
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, regionBytes);
  return { region, key: view.getUint32(16, true) };
}

function blockOf(bytes: Uint8Array): RegionNotice | null {
  const head = new DataView(bytes.buffer, bytes.byteOffset, headBytes);
  const first = head.getUint16(0, true);
  const [second = 0, third = 0] = [head.getUint8(2), head.getUint8(3)];
  const peerAt = headBytes + regionBytes;
  if (second === regionBytes && third <= 1 && isZero(bytes.subarray(peerAt + third))) {
    const config = third === 1 ? PeerConfig.fromDescriptor(bytes.subarray(peerAt)) : null;
    const found = regionAt(bytes, headBytes);
    return { kind: 'example-block', ...found, dataOffset: first, config, messagesMax: null };
  }
  if (third === regionBytes && second <= 1 && isZero(bytes.subarray(peerAt))) {
    const config = new PeerConfig({ directWriteToPmem: second === 1 });
    const found = regionAt(bytes, headBytes);
    return { kind: 'fio-block', ...found, dataOffset: 0, config, messagesMax: first };
  }
  return null;
}

/**
 * What the bytes say; null when they have no known form.
 *
 * @throws ERR_RPMA_DESCRIPTOR the form is known, and the region's descriptor in it malformed
 */
export function readNotice(bytes: Uint8Array): RegionNotice | PeerNotice | null {
  if (bytes.length === 1) {
    const byte = bytes[0] ?? 0;
    return { kind: 'peer', config: PeerConfig.fromDescriptor(bytes), byte };
  }
  if (bytes.length === regionBytes) {
    const found = regionAt(bytes, 0);
    return { kind: 'region', ...found, dataOffset: 0, config: null, messagesMax: null };
  }
  return bytes.length >= blockBytes ? blockOf(bytes) : null;
}
