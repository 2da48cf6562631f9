// SPDX-License-Identifier: BSD-3-Clause
//
// How internal code gets from a public object to what is behind it, without a public member: each
// class hands in, from a static block, a function that reads its private field, and gives undefined
// for anything that is not its instance. A private field costs the data path about a nanosecond.

import { argumentError } from '../errors.js';
import type { CompletionRecords } from './completion-codec.js';
import type { ConnectionCore } from './connection-core.js';
import type { FileCore } from './file-core.js';
import type { OperationBatchCore } from './operation-batch-core.js';
import type { QueueCore } from './queue-core.js';
import type { RegionCore } from './region-core.js';
import type { SharedReceiveQueueCore } from './shared-receive-queue-core.js';
import type { RemotePlace } from './submission.js';

/** What is behind a RemoteRegion. */
export interface RemoteCore extends RemotePlace {
  readonly sizeBytes: number;
  readonly usage: number;
}

type Reader<T> = (value: unknown) => T | undefined;

function nothing(): undefined {
  return undefined;
}

/** One reader a class; filled in when the class's file is loaded. */
export const access: {
  region: Reader<RegionCore>;
  remote: Reader<RemoteCore>;
  queue: Reader<QueueCore>;
  connection: Reader<ConnectionCore>;
  file: Reader<FileCore>;
  sharedReceiveQueue: Reader<SharedReceiveQueueCore>;
  batch: Reader<BatchCore>;
  operations: Reader<OperationBatchCore>;
} = {
  region: nothing,
  remote: nothing,
  queue: nothing,
  connection: nothing,
  file: nothing,
  sharedReceiveQueue: nothing,
  batch: nothing,
  operations: nothing,
};

/** What is behind a CompletionBatch. */
export interface BatchCore {
  readonly records: CompletionRecords;
  length: number;
}

/** What only the library's own constructors calls know. */
export const constructorKey: unique symbol = Symbol('rpma.constructor');

/** Makes `new X()` by the program an error that says where an X comes from. */
export function requireConstructorKey(key: unknown, name: string, from: string): void {
  if (key === constructorKey) return;
  throw argumentError('ERR_RPMA_INVALID_ARG_VALUE', `a ${name} is not made with new: use ${from}`);
}
