// SPDX-License-Identifier: BSD-3-Clause
//
// From memory and options to a registered region: what may be registered, for what, and which part.
// JS thread only.

import { argumentError, RpmaError } from '../errors.js';
import { memoryUsage } from './abi.generated.js';
import { access } from './access.js';
import { check } from './environment.js';
import type { FileCore } from './file-core.js';
import { native, type Handle } from './native.js';
import type { PeerCore } from './peer-core.js';
import { RegionCore } from './region-core.js';
import { pinUserBuffer, requireStableBytes } from './user-memory.js';
import {
  describe,
  optionalBoolean,
  optionalInteger,
  refuseUnoffered,
  requireInteger,
  requireObject,
  wrongType,
} from './validate.js';

const allUsages = 0xff;
/** Rights by which memory is changed, which a read-only mapping does not bear. */
const changing = memoryUsage.readDestination | memoryUsage.writeDestination | memoryUsage.receive;

interface Choice {
  readonly usage: unknown;
  readonly offset?: unknown;
  readonly length?: unknown;
  readonly connection?: unknown;
}

/** Memory of the program or of a file. */
export function registerRegion(peer: PeerCore, memory: unknown, options: Choice): RegionCore {
  const what = 'peer.register()';
  requireObject(options, 'options');
  refuseUnoffered(options, 'shareWholeFile', false, 'operation');
  const usage = checkedUsage(options.usage);
  const file = access.file(memory);
  const bytes = file === undefined ? requireStableBytes(memory) : null;
  if (file === undefined) refusePersistent(usage);
  else refuseReadOnly(file, usage);
  const size = file?.sizeBytes ?? bytes?.length ?? 0;
  const offset = optionalInteger(options.offset, 'offset', 0, size - 1, 0);
  const length = optionalInteger(options.length, 'length', 1, size - offset, size - offset);
  const bound = boundConnection(peer, options.connection);
  peer.requireOpen(what);
  if (file !== undefined) {
    file.requireOpen(what);
    const { handle } = peer;
    const made = native.regionRegisterFile(handle, file.handle, offset, length, usage, bound);
    return new RegionCore(check(made, what), peer, length, usage, null, file, memory);
  }
  const part = (bytes ?? new Uint8Array(0)).subarray(offset, offset + length);
  const made = check(native.regionRegister(peer.handle, part, usage, bound), what);
  pinUserBuffer(part);
  return new RegionCore(made, peer, length, usage, part, null, null);
}

/** Memory of the library. */
export function allocateRegion(
  peer: PeerCore,
  sizeBytes: unknown,
  options: { readonly usage: unknown; readonly hugePages?: unknown },
): RegionCore {
  const what = 'peer.allocate()';
  const size = requireInteger(sizeBytes, 'sizeBytes', 1, Number.MAX_SAFE_INTEGER);
  requireObject(options, 'options');
  const usage = checkedUsage(options.usage);
  const hugePages = optionalBoolean(options.hugePages, 'hugePages', false);
  refusePersistent(usage);
  peer.requireOpen(what);
  const made = check(native.regionAllocate(peer.handle, size, usage, hugePages), what);
  return new RegionCore(made, peer, size, usage, null, null, null);
}

function checkedUsage(usage: unknown): number {
  if (typeof usage !== 'number') throw wrongType('usage', 'MemoryUsage bits', usage);
  if (Number.isInteger(usage) && usage > 0 && usage <= allUsages) return usage;
  throw argumentError(
    'ERR_RPMA_INVALID_ARG_VALUE',
    `usage must be MemoryUsage bits, at least one, but is ${describe(usage)}`,
  );
}

function refusePersistent(usage: number): void {
  if ((usage & memoryUsage.flushPersistent) === 0) return;
  throw new RpmaError(
    'ERR_RPMA_NOT_PERSISTENT',
    'usage has FlushPersistent, but this memory does not outlive the process: register a PmemFile, or ' +
      'grant FlushVisibility',
  );
}

function refuseReadOnly(file: FileCore, usage: number): void {
  if (!file.readOnly || (usage & changing) === 0) return;
  throw argumentError(
    'ERR_RPMA_INVALID_ARG_VALUE',
    'usage lets memory be changed, but the file was mapped readOnly: map it without, or leave out ' +
      'WriteDestination, ReadDestination and Receive',
  );
}

function boundConnection(peer: PeerCore, connection: unknown): Handle {
  if (connection === undefined) return 0;
  const core = access.connection(connection);
  if (core === undefined) throw wrongType('connection', 'a Connection', connection);
  if (core.peer !== peer) {
    throw new RpmaError('ERR_RPMA_FOREIGN', 'connection belongs to another peer');
  }
  core.requireOpen('peer.register()');
  return core.handle;
}
