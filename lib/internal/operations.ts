// SPDX-License-Identifier: BSD-3-Clause
//
// From an options object to a submission record: every check of the data path, then one encode. The
// quick checks come first and are few; only when one fails does a slow function find out what was
// wrong and say how to cure it. Nothing is kept of the options object. JS thread only; no addon.

import { argumentError, RpmaError } from '../errors.js';
import type {
  AtomicWriteOperation,
  Capabilities,
  FlushOperation,
  Operation,
  PostOptions,
  ReceiveOperation,
  SendOperation,
  WriteOperation,
} from '../types.js';
import {
  flushTypeNumber,
  limits,
  memoryUsage,
  operationNumber,
  submissionFlags,
} from './abi.generated.js';
import { access, type RemoteCore } from './access.js';
import type { RegionCore } from './region-core.js';
import { noPlace, recordHead, type SubmissionRecords } from './submission.js';
import {
  describe,
  outOfRange,
  requireInteger,
  requireObject,
  requireWord,
  wrongType,
} from './validate.js';

/** What the checks of a receive must know. */
export interface ReceiveScope {
  /** Regions of another peer are foreign. */
  readonly peer: object;
}

/** What the checks must know of the connection. */
export interface OperationScope extends ReceiveScope {
  /** Whether persistent flushes need no word of the operator, or have it. */
  readonly persistentFlush: boolean;
  /** As far as they are known; `agreed` asks anew, and is null while it is not established. */
  readonly capabilities: Pick<Capabilities, 'immediateData'>;
  readonly agreed: Pick<Capabilities, 'immediateData' | 'nativeFlush'> | null;
}

const signalled = submissionFlags.signalled;
const atomicBytes = 8;
/** The value stands in front of a send's bytes, and both count. */
const immediateSendBytesMax = limits.messageBytesMax - 8;
const immediateMax = 2 ** 32 - 1;
const wordMax = 2n ** 64n;

/** Flags of a record: one completion, or one only on failure. */
export function completionFlag(completion: unknown): number {
  if (completion === undefined || completion === 'always') return signalled;
  if (completion === 'on-error') return 0;
  requireWord(completion, 'completion', ['always', 'on-error']);
  return signalled;
}

/** The id, checked. */
export function checkedId(id: unknown): number {
  if (id === undefined) return 0;
  if (Number.isSafeInteger(id) && (id as number) >= 0) return id as number;
  return requireInteger(id, 'id', 0, Number.MAX_SAFE_INTEGER);
}

/** A read or write. */
export function encodeTransfer(
  records: SubmissionRecords,
  index: number,
  scope: OperationScope,
  operation: typeof operationNumber.read | typeof operationNumber.write,
  flags: number,
  options: WriteOperation & PostOptions,
): void {
  requireOptions(options);
  const isRead = operation === operationNumber.read;
  const immediate = isRead ? undefined : checkedImmediate(scope, 'write', options);
  const id = checkedId(options.id);
  const head = recordHead(operation, flags | immediateFlag(immediate), 0);
  const { local, remote, length } = options;
  if (local === undefined || remote === undefined) {
    requireEmpty(options, true);
    records.encode(index, head, id, 0, 0, noPlace, 0, 0);
    if (immediate !== undefined) records.setImmediate(index, immediate);
    return;
  }
  const localRight = isRead ? memoryUsage.readDestination : memoryUsage.writeSource;
  const remoteRight = isRead ? memoryUsage.readSource : memoryUsage.writeDestination;
  const localOffset = options.localOffset ?? 0;
  const remoteOffset = options.remoteOffset ?? 0;
  const region = localRegion(scope, local, localRight, localOffset, length);
  const target = remoteRegion(remote, remoteRight, remoteOffset, length);
  const most = isRead ? limits.readBytesMax : limits.messageBytesMax;
  if (length > most) throw outOfRange('length', `at most ${most} bytes`, length);
  records.encode(index, head, id, region.handle, localOffset, target, remoteOffset, length);
  if (immediate !== undefined) records.setImmediate(index, immediate);
}

/** A flush. */
export function encodeFlush(
  records: SubmissionRecords,
  index: number,
  scope: OperationScope,
  flags: number,
  options: FlushOperation & PostOptions,
): void {
  requireOptions(options);
  const id = checkedId(options.id);
  const { remote, length } = options;
  const persistent = options.type === 'persistent';
  if (!persistent && options.type !== 'visibility') {
    requireWord(options.type, 'type', ['visibility', 'persistent']);
  }
  const right = persistent ? memoryUsage.flushPersistent : memoryUsage.flushVisibility;
  const remoteOffset = options.remoteOffset ?? 0;
  const target = remoteRegion(remote, right, remoteOffset, length);
  if (persistent && !scope.persistentFlush) throw notPersistent();
  const type = persistent ? flushTypeNumber.persistent : flushTypeNumber.visibility;
  const head = recordHead(operationNumber.flush, flags, type);
  records.encode(index, head, id, 0, 0, target, remoteOffset, length);
}

/** An atomic write. */
export function encodeAtomicWrite(
  records: SubmissionRecords,
  index: number,
  flags: number,
  options: AtomicWriteOperation & PostOptions,
): void {
  requireOptions(options);
  const id = checkedId(options.id);
  const { remote, value } = options;
  const offset = options.remoteOffset ?? 0;
  const target = remoteRegion(remote, memoryUsage.writeDestination, offset, atomicBytes);
  if (((target.low % atomicBytes) + (offset % atomicBytes)) % atomicBytes !== 0) {
    throw argumentError(
      'ERR_RPMA_ALIGNMENT',
      `remoteOffset ${offset} is not on 8 bytes: the region's address plus remoteOffset must be a ` +
        `multiple of 8, and the address is ${target.low % atomicBytes} modulo 8`,
    );
  }
  checkAtomicValue(value);
  const head = recordHead(operationNumber.atomicWrite, flags, 0);
  records.encode(index, head, id, 0, 0, target, offset, atomicBytes);
  records.setValue(index, value);
}

/** A send. */
export function encodeSend(
  records: SubmissionRecords,
  index: number,
  scope: OperationScope,
  flags: number,
  options: SendOperation & PostOptions,
): void {
  requireOptions(options);
  const immediate = checkedImmediate(scope, 'send', options);
  const head = recordHead(operationNumber.send, flags | immediateFlag(immediate), 0);
  const most = immediate === undefined ? limits.messageBytesMax : immediateSendBytesMax;
  encodeMessage(records, index, scope, head, memoryUsage.send, options, most);
  if (immediate !== undefined) records.setImmediate(index, immediate);
}

/** A receive; always with a completion. */
export function encodeReceive(
  records: SubmissionRecords,
  index: number,
  scope: ReceiveScope,
  options: ReceiveOperation,
): void {
  requireOptions(options);
  const head = recordHead(operationNumber.receive, signalled, 0);
  const most = limits.messageBytesMax;
  encodeMessage(records, index, scope, head, memoryUsage.receive, options, most);
}

function encodeMessage(
  records: SubmissionRecords,
  index: number,
  scope: ReceiveScope,
  head: number,
  right: number,
  options: ReceiveOperation,
  most: number,
): void {
  const id = checkedId(options.id);
  const { local, length } = options;
  if (local === undefined) {
    requireEmpty(options, false);
    records.encode(index, head, id, 0, 0, noPlace, 0, 0);
    return;
  }
  const offset = options.localOffset ?? 0;
  const region = localRegion(scope, local, right, offset, length);
  if (length > most) throw outOfRange('length', `at most ${most} bytes`, length);
  records.encode(index, head, id, region.handle, offset, noPlace, 0, length);
}

function requireOptions(options: unknown): void {
  if (typeof options !== 'object' || options === null) requireObject(options, 'operation');
}

/** The immediate data, checked, where it can travel. */
function checkedImmediate(
  scope: OperationScope,
  word: 'write' | 'send',
  options: { readonly immediate?: unknown },
): number | undefined {
  const { immediate } = options;
  if (immediate === undefined) return undefined;
  const value = requireInteger(immediate, 'immediate', 0, immediateMax);
  requireImmediate(scope, word);
  return value;
}

/** Throws when the other side takes no immediate data. */
export function requireImmediate(scope: OperationScope, word: 'write' | 'send'): void {
  if (scope.capabilities.immediateData) return;
  // Whether the connection is up at all is for the post to say.
  const { agreed } = scope;
  if (agreed?.immediateData === false) throw noImmediate(word, agreed.nativeFlush);
}

function noImmediate(word: 'write' | 'send', isExtended: boolean): Error {
  const cause = isExtended
    ? "speaks this library's extension without it (another version?)"
    : "does not speak this library's extension (Linux' siw, an iWARP card, another library)";
  return new RpmaError(
    'ERR_RPMA_NOT_SUPPORTED',
    `${word}: immediate data cannot travel on this connection, because the other side ${cause}: ` +
      "send the value in a message of its own, behind the write; requireNative: ['immediate'] " +
      'finds out at connect, capabilities.immediateData afterwards',
    { operation: word },
  );
}

function immediateFlag(immediate: number | undefined): number {
  return immediate === undefined ? 0 : submissionFlags.immediate;
}

function localRegion(
  scope: ReceiveScope,
  local: unknown,
  right: number,
  offset: number,
  length: number,
): RegionCore {
  const region = access.region(local);
  if (region === undefined) throw wrongType('local', 'a MemoryRegion', local);
  if (
    region.peer === scope.peer &&
    (region.usage & right) !== 0 &&
    region.usable &&
    isWithin(offset, length, region.sizeBytes)
  ) {
    return region;
  }
  throw whyNotLocal(scope, region, right, offset, length);
}

function remoteRegion(remote: unknown, right: number, offset: number, length: number): RemoteCore {
  const region = access.remote(remote);
  if (region === undefined) throw wrongType('remote', 'a RemoteRegion', remote);
  if ((region.usage & right) !== 0 && isWithin(offset, length, region.sizeBytes)) return region;
  throw whyNotRemote(region, right, offset, length);
}

function isWithin(offset: number, length: number, sizeBytes: number): boolean {
  return (
    Number.isSafeInteger(offset) &&
    Number.isSafeInteger(length) &&
    offset >= 0 &&
    length >= 0 &&
    offset <= sizeBytes - length
  );
}

/** Why this region cannot be the local memory of an operation. */
export function whyNotLocal(
  scope: ReceiveScope,
  region: RegionCore,
  right: number,
  offset: number,
  length: number,
): Error {
  if (region.peer !== scope.peer) {
    return new RpmaError(
      'ERR_RPMA_FOREIGN',
      "local belongs to another peer than the connection: register it with the connection's peer",
    );
  }
  if (!region.usable) return new RpmaError('ERR_RPMA_CLOSED', 'local: the region is closed');
  if ((region.usage & right) === 0) return missingRight('local', right, region.usage);
  return whyNotWithin('local', offset, length, region.sizeBytes);
}

function whyNotRemote(region: RemoteCore, right: number, offset: number, length: number): Error {
  if ((region.usage & right) === 0) return missingRight('remote', right, region.usage);
  return whyNotWithin('remote', offset, length, region.sizeBytes);
}

function whyNotWithin(
  place: 'local' | 'remote',
  offset: number,
  length: number,
  sizeBytes: number,
): Error {
  try {
    requireInteger(length, 'length', 0, Number.MAX_SAFE_INTEGER);
    requireInteger(offset, `${place}Offset`, 0, Number.MAX_SAFE_INTEGER);
  } catch (error) {
    return error as Error;
  }
  return argumentError(
    'ERR_RPMA_OUT_OF_RANGE',
    `${place}Offset ${offset} plus length ${length} goes beyond ${place}, which has ${sizeBytes} bytes`,
  );
}

/** Names of the rights, for messages. */
function usageName(right: number): string {
  const name = Object.entries(memoryUsage).find(([, bit]) => bit === right)?.[0] ?? `${right}`;
  return `MemoryUsage.${name.charAt(0).toUpperCase()}${name.slice(1)}`;
}

function missingRight(place: 'local' | 'remote', right: number, usage: number): Error {
  const who = place === 'local' ? 'the region' : 'the region on the other side';
  return new RpmaError(
    'ERR_RPMA_USAGE',
    `${place} lacks ${usageName(right)} (its usage is 0x${usage.toString(16)}): register ${who} with it`,
  );
}

/** The error of a persistent flush that nothing stands behind. */
export function notPersistent(): Error {
  return new RpmaError(
    'ERR_RPMA_NOT_PERSISTENT',
    'a persistent flush would be emulated by a read on this connection, and nothing says that what ' +
      'the other side receives is persistent: apply its peer configuration with directWriteToPmem ' +
      '(connection.applyRemotePeerConfig), or flush to visibility',
    { operation: 'flush' },
  );
}

interface PossiblyEmpty {
  readonly local?: unknown;
  readonly localOffset?: unknown;
  readonly remote?: unknown;
  readonly remoteOffset?: unknown;
  readonly length?: unknown;
}

/** The zero-byte form: no memory, offsets of 0 or none, length 0. */
function requireEmpty(options: PossiblyEmpty, both: boolean): void {
  const { local, localOffset, remote, remoteOffset, length } = options;
  if (both && (local !== undefined || remote !== undefined)) {
    throw argumentError(
      'ERR_RPMA_INVALID_ARG_VALUE',
      `${local === undefined ? 'local' : 'remote'} is missing: give both local and remote, or ` +
        'neither with length 0',
    );
  }
  for (const [name, offset] of Object.entries({ localOffset, ...(both && { remoteOffset }) })) {
    if (offset === undefined || offset === 0) continue;
    throw argumentError('ERR_RPMA_INVALID_ARG_VALUE', `${name} is given without its region`);
  }
  if (length === 0) return;
  requireInteger(length, 'length', 0, Number.MAX_SAFE_INTEGER);
  throw argumentError(
    'ERR_RPMA_INVALID_ARG_VALUE',
    `length is ${describe(length)} without ${both ? 'local and remote' : 'local'}: only 0 bytes ` +
      'need no memory',
  );
}

function checkAtomicValue(value: unknown): void {
  if (typeof value === 'bigint') {
    if (value < 0n || value >= wordMax)
      throw outOfRange('value', 'from 0n to 2n ** 64n - 1n', value);
    return;
  }
  if (!(value instanceof Uint8Array)) {
    throw wrongType('value', 'a bigint or a Uint8Array of 8 bytes', value);
  }
  if (value.length !== atomicBytes) throw outOfRange('value.length', '8 bytes', value.length);
}

/** Operation words by number, for errors. */
export const operationWords: Readonly<Record<number, Operation>> = {
  [operationNumber.read]: 'read',
  [operationNumber.write]: 'write',
  [operationNumber.atomicWrite]: 'atomic-write',
  [operationNumber.flush]: 'flush',
  [operationNumber.send]: 'send',
  [operationNumber.receive]: 'receive',
  [operationNumber.receiveWrite]: 'receive-write',
};
