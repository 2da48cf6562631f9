// SPDX-License-Identifier: BSD-3-Clause
//
// The bare verbs of the promise tier: from an options object to one operation of one or two records
// in the connection's line. A write with a guarantee is a silent write (a completion only if it
// fails) and the flush behind it, posted with one call. Never throws: what is wrong becomes a
// rejection. JS thread only.

import { argumentError } from '../errors.js';
import type {
  AtomicWriteOperation,
  DurableResult,
  FlushOperation,
  Guarantee,
  GuaranteeChoice,
  ReceiveOperation,
  SendOperation,
  TransferOperation,
  WaitOptions,
  WriteOperation,
} from '../types.js';
import { operationNumber, submissionFlags } from './abi.generated.js';
import type { ConnectionCore } from './connection-core.js';
import {
  encodeAtomicWrite,
  encodeFlush,
  encodeReceive,
  encodeSend,
  encodeTransfer,
} from './operations.js';
import type { ResultKind } from './promise-tier.js';
import { asError, checkWaitOptions, refuseWait, requireObject, requireWord } from './validate.js';

const signalled = submissionFlags.signalled;
const silent = 0;
const atomicBytes = 8;
const guarantees: readonly Guarantee[] = ['reusable', 'delivered', 'durable'];

/** What is waited for how long; undefined when there is nothing to watch. */
function waitOf(operation: WaitOptions): WaitOptions | undefined {
  if (operation.signal === undefined && operation.timeoutMs === undefined) return undefined;
  checkWaitOptions(operation);
  return { signal: operation.signal, timeoutMs: operation.timeoutMs };
}

function guaranteeOf(until: Guarantee | undefined): Guarantee {
  if (until === undefined || until === 'reusable') return 'reusable';
  return requireWord(until, 'until', guarantees);
}

/** The first `records` submission records as one operation of the send queue. */
function submitTo(
  core: ConnectionCore,
  number: number,
  result: ResultKind,
  records: number,
  wait: WaitOptions | undefined,
): Promise<unknown> {
  return core.sendLine(number, records, wait).submit(number, result, records, wait);
}

/** Read, or write with a guarantee. */
export function awaitTransfer(
  core: ConnectionCore,
  number: typeof operationNumber.read | typeof operationNumber.write,
  operation: WriteOperation & WaitOptions,
  until: Guarantee,
): Promise<DurableResult | undefined> {
  try {
    requireObject(operation, 'operation');
    const wait = waitOf(operation);
    const isRead = number === operationNumber.read;
    if (guaranteeOf(until) === 'reusable') {
      encodeTransfer(core.submissions, 0, core, number, signalled, operation);
      const result = isRead ? 'nothing' : 'durability';
      return submitTo(core, number, result, 1, wait) as Promise<DurableResult | undefined>;
    }
    refuseImmediate(operation, until);
    encodeTransfer(core.submissions, 0, core, number, silent, operation);
    encodeFlushOf(core, operation, until);
    return submitTo(core, number, 'durability', 2, wait) as Promise<DurableResult>;
  } catch (error) {
    return Promise.reject(asError(error));
  }
}

/** A receiver that acts on the value would do so before what it waited for was reached. */
function refuseImmediate(operation: { readonly immediate?: unknown }, until: Guarantee): void {
  if (operation.immediate === undefined) return;
  throw argumentError(
    'ERR_RPMA_INVALID_ARG_VALUE',
    `immediate goes with until 'reusable' only, and until is '${until}': the value would arrive ` +
      `before that; write until '${until}' first, then send or write with immediate`,
  );
}

/** The flush behind a write. */
function encodeFlushOf(core: ConnectionCore, operation: TransferOperation, until: Guarantee): void {
  const { remote, remoteOffset, length } = operation;
  if (remote === undefined) {
    throw argumentError(
      'ERR_RPMA_INVALID_ARG_VALUE',
      `until is '${until}' without remote: there is nothing to flush`,
    );
  }
  const type = until === 'durable' ? 'persistent' : 'visibility';
  encodeFlush(core.submissions, 1, core, signalled, { remote, remoteOffset, length, type });
}

/** Atomic write with a guarantee. */
export function awaitAtomicWrite(
  core: ConnectionCore,
  operation: AtomicWriteOperation & WaitOptions & GuaranteeChoice,
): Promise<DurableResult> {
  try {
    requireObject(operation, 'operation');
    const wait = waitOf(operation);
    const until = guaranteeOf(operation.until);
    const records = until === 'reusable' ? 1 : 2;
    const flags = records === 1 ? signalled : silent;
    encodeAtomicWrite(core.submissions, 0, flags, operation);
    if (records === 2) {
      const { remote, remoteOffset } = operation;
      const type = until === 'durable' ? 'persistent' : 'visibility';
      const range = { remote, remoteOffset, length: atomicBytes, type } as const;
      encodeFlush(core.submissions, 1, core, signalled, range);
    }
    const number = operationNumber.atomicWrite;
    return submitTo(core, number, 'durability', records, wait) as Promise<DurableResult>;
  } catch (error) {
    return Promise.reject(asError(error));
  }
}

/** Flush. */
export function awaitFlush(
  core: ConnectionCore,
  operation: FlushOperation & WaitOptions,
): Promise<DurableResult> {
  try {
    requireObject(operation, 'operation');
    const wait = waitOf(operation);
    encodeFlush(core.submissions, 0, core, signalled, operation);
    const number = operationNumber.flush;
    return submitTo(core, number, 'durability', 1, wait) as Promise<DurableResult>;
  } catch (error) {
    return Promise.reject(asError(error));
  }
}

/** Send and receive. A receive is not given up: it would swallow the next message. */
export function awaitMessage(
  core: ConnectionCore,
  word: 'send' | 'receive',
  operation: (SendOperation & WaitOptions) | ReceiveOperation,
): Promise<unknown> {
  try {
    requireObject(operation, 'operation');
    if (word === 'receive') {
      refuseWait(operation);
      encodeReceive(core.submissions, 0, core, operation);
      return core.receiveLine().submit(operationNumber.receive, 'message', 1, undefined);
    }
    const wait = waitOf(operation as WaitOptions);
    encodeSend(core.submissions, 0, core, signalled, operation);
    return submitTo(core, operationNumber.send, 'nothing', 1, wait);
  } catch (error) {
    return Promise.reject(asError(error));
  }
}
