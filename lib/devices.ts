// SPDX-License-Identifier: BSD-3-Clause
//
// What this machine offers, and which versions meet here. JS thread only.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isRpmaError } from './errors.js';
import { abiHash, limits } from './internal/abi.generated.js';
import { localAddresses } from './internal/address.js';
import { check, startEnvironment } from './internal/environment.js';
import { native } from './internal/native.js';
import { missingRdmaPackages, rdmaDevices } from './internal/rdma-devices.js';
import { asError } from './internal/validate.js';
import type { Capabilities, DeviceInfo, ProviderName } from './types.js';

/** Version of the iWARP extension that this library speaks to its own kind. */
const iwarpExtension = limits.extensionVersion;

const none: Capabilities = Object.freeze({
  nativeFlush: false,
  nativeAtomicWrite: false,
  persistentFlush: false,
  immediateData: false,
  sharedReceiveQueue: false,
  backgroundProgress: false,
  onDemandPaging: false,
  regionAdvice: false,
  maxMessageBytes: 0,
  maxPrivateDataBytes: 0,
  maxQueueEntries: 0,
  maxInlineBytes: 0,
});

function packageVersion(): string {
  const start = dirname(fileURLToPath(import.meta.url));
  for (let folder = start; dirname(folder) !== folder; folder = dirname(folder)) {
    const file = join(folder, 'package.json');
    if (!existsSync(file)) continue;
    const content = JSON.parse(readFileSync(file, 'utf8')) as { name?: unknown; version?: unknown };
    if (content.name === 'rpma' && typeof content.version === 'string') return content.version;
  }
  return 'unknown';
}

/** Versions that meet in this process. */
export const versions: {
  /** Of this package. */
  readonly rpma: string;
  /** Hash of the record layouts that JavaScript and the addon share. */
  readonly abi: string;
  /** Of the iWARP extension for flush and atomic write. */
  readonly iwarpExtension: number;
} = Object.freeze({ rpma: packageVersion(), abi: abiHash, iwarpExtension });

/** What the iWARP provider is on this machine. Library use. */
export function iwarpDevice(capabilities: Capabilities): DeviceInfo {
  return Object.freeze({
    provider: 'iwarp',
    name: 'iwarp',
    available: true,
    addresses: Object.freeze(localAddresses()),
    capabilities,
  });
}

interface Absence {
  readonly provider: ProviderName;
  readonly name?: string;
  readonly reason: string;
  readonly remedy: string;
  readonly addresses?: readonly string[];
}

function absent({ provider, name, reason, remedy, addresses }: Absence): DeviceInfo {
  return Object.freeze({
    provider,
    name: name ?? provider,
    available: false,
    reason,
    remedy,
    addresses: Object.freeze([...(addresses ?? [])]),
    capabilities: none,
  });
}

/**
 * What this machine offers, provider by provider, the absent ones with the reason and what helps.
 * An RDMA device that the kernel has is listed by its name and addresses even where no provider
 * uses it.
 *
 * @returns one entry a device, at least one a provider; frozen
 * @remarks Thread safety: any thread.
 * @see librpma: `rpma_utils_get_ibv_context`
 */
export async function devices(): Promise<DeviceInfo[]> {
  const reason = 'this version does not use shared memory between processes';
  const shm = absent({ provider: 'shm', reason, remedy: useIwarp });
  const [iwarp, verbs] = await Promise.all([iwarpOrReason(), verbsDevices()]);
  return [iwarp, ...verbs, shm];
}

const useIwarp = "open the peer with provider 'iwarp', which needs no device";

/** Of this version nothing makes them available: what else is missing is told, but is no remedy. */
async function verbsDevices(): Promise<DeviceInfo[]> {
  const [found, missing] = await Promise.all([rdmaDevices(), missingRdmaPackages()]);
  const provider = 'verbs';
  const unused = 'this version does not use RDMA devices';
  const packages = missing.length === 0 ? '' : `${missing.join(' and ')} not installed`;
  if (found.length === 0) {
    const lacks = ['the kernel has none', packages].filter((each) => each !== '').join(', ');
    return [absent({ provider, reason: `${unused} (here: ${lacks})`, remedy: useIwarp })];
  }
  const reason = packages === '' ? unused : `${unused} (here: ${packages})`;
  return found.map(({ name, addresses }) =>
    absent({ provider, name, addresses, reason, remedy: useIwarp }),
  );
}

/** Capabilities are a peer's to tell, so one is opened for the question. */
function iwarpOrReason(): Promise<DeviceInfo> {
  return new Promise((resolve) => {
    try {
      startEnvironment();
      const handle = check(
        native.peerOpen('iwarp', 0, false),
        "opening a peer of provider 'iwarp'",
      );
      const capabilities = Object.freeze(native.peerCapabilities(handle));
      native.peerClose(handle);
      resolve(iwarpDevice(capabilities));
    } catch (error) {
      const failure = asError(error);
      const remedy =
        isRpmaError(failure) && failure.code === 'ERR_RPMA_LIMIT'
          ? 'raise the limits on open files and threads (ulimit -n, ulimit -u)'
          : 'remove the cause that the reason names, then ask again';
      resolve(absent({ provider: 'iwarp', reason: failure.message, remedy }));
    }
  });
}
