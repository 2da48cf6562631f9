// SPDX-License-Identifier: BSD-3-Clause
//
// The 28 bytes of private data by which librpma's examples describe memory to each other:
//
//   0  u16  where the user's data starts inside the region, in host order
//   2  u8   size of the region's descriptor (21)
//   3  u8   size of the peer's descriptor (1 in example 05, else 0)
//   4  24   the region's descriptor, at once followed by the peer's; the rest is zero
//
// The private data of an InfiniBand connection arrives padded, so a longer block is accepted.

import { PeerConfig, RemoteRegion } from 'rpma/descriptors';

/** The largest offset that the block has room for. */
export const dataOffsetMax = 0xffff;

const blockBytes = 28;
const descriptorsOffset = 4;

export interface CommonData {
  readonly dataOffset: number;
  readonly region: RemoteRegion;
  /** What the other side says of itself; null when it said nothing. */
  readonly config: PeerConfig | null;
}

export function packCommonData(
  dataOffset: number,
  region: Uint8Array,
  config: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const block = new Uint8Array(blockBytes);
  new DataView(block.buffer).setUint16(0, dataOffset, true);
  block[2] = region.length;
  block[3] = config.length;
  block.set(region, descriptorsOffset);
  block.set(config, descriptorsOffset + region.length);
  return block;
}

export function unpackCommonData(block: Uint8Array): CommonData {
  if (block.length < blockBytes) {
    throw new Error(`the other side sent ${block.length} bytes of private data, not ${blockBytes}`);
  }
  const view = new DataView(block.buffer, block.byteOffset, blockBytes);
  const regionEnd = descriptorsOffset + view.getUint8(2);
  const configEnd = regionEnd + view.getUint8(3);
  if (configEnd > blockBytes) {
    throw new Error('the descriptors do not fit into the private data that the other side sent');
  }
  return {
    dataOffset: view.getUint16(0, true),
    region: RemoteRegion.fromDescriptor(block.subarray(descriptorsOffset, regionEnd)),
    config:
      configEnd > regionEnd
        ? PeerConfig.fromDescriptor(block.subarray(regionEnd, configEnd))
        : null,
  };
}
