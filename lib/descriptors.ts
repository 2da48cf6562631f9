// SPDX-License-Identifier: BSD-3-Clause
//
// The entry `rpma/descriptors`: what is needed to read and make descriptors. Pure JavaScript: it
// never loads the addon, so control planes can use it anywhere.

export { PeerConfig, type PeerConfigOptions } from './peer-config.js';
export { RemoteRegion } from './remote-region.js';
export { type FlushType, MemoryUsage } from './types.js';
