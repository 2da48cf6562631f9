// SPDX-License-Identifier: BSD-3-Clause
//
// Records of operations and completions lie where abi/layout.json says.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  completionFlags,
  completionLayout,
  completionStatusNumber,
  operationNumber,
  submissionFlags,
  submissionLayout,
} from '../../lib/internal/abi.generated.js';
import { CompletionRecords } from '../../lib/internal/completion-codec.js';
import { noPlace, recordHead, SubmissionRecords } from '../../lib/internal/submission.js';

const safe = fc.nat(Number.MAX_SAFE_INTEGER);
const word = fc.nat(2 ** 32 - 1);

describe('submission records', () => {
  test('carry every field at its offset', () => {
    const fields = fc.tuple(fc.nat(3), safe, safe, safe, safe, safe, word, word, word);
    fc.assert(
      fc.property(fields, ([index, id, region, local, remote, length, low, high, key]) => {
        const records = new SubmissionRecords(4);
        const head = recordHead(operationNumber.flush, submissionFlags.signalled, 1);
        records.encode(index, head, id, region, local, { low, high, key }, remote, length);
        const at = index * submissionLayout.sizeBytes;
        const view = new DataView(records.buffer, at, submissionLayout.sizeBytes);
        assert.equal(view.getUint8(submissionLayout.operation), operationNumber.flush);
        assert.equal(view.getUint8(submissionLayout.flags), submissionFlags.signalled);
        assert.equal(view.getUint8(submissionLayout.flushType), 1);
        assert.equal(view.getUint8(submissionLayout.reserved), 0);
        assert.equal(view.getUint32(submissionLayout.remoteKey, true), key);
        assert.equal(view.getFloat64(submissionLayout.id, true), id);
        assert.equal(view.getFloat64(submissionLayout.localRegion, true), region);
        assert.equal(view.getFloat64(submissionLayout.localOffset, true), local);
        assert.equal(view.getUint32(submissionLayout.remoteBaseLow, true), low);
        assert.equal(view.getUint32(submissionLayout.remoteBaseHigh, true), high);
        assert.equal(view.getFloat64(submissionLayout.remoteOffset, true), remote);
        assert.equal(view.getFloat64(submissionLayout.length, true), length);
        assert.equal(view.getBigUint64(submissionLayout.value, true), 0n);
      }),
    );
  });

  test("an atomic write's value is 8 bytes as they shall lie in memory", () => {
    const records = new SubmissionRecords(2);
    const view = new DataView(
      records.buffer,
      submissionLayout.sizeBytes + submissionLayout.value,
      8,
    );
    records.setValue(1, 0x0102030405060708n);
    assert.equal(view.getBigUint64(0, true), 0x0102030405060708n);
    records.setValue(1, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
    assert.equal(view.getBigUint64(0, false), 0x0102030405060708n);
  });

  test('immediate data lies in the first four bytes of the value', () => {
    const records = new SubmissionRecords(2);
    records.encode(1, recordHead(operationNumber.send, 3, 0), 9, 8, 7, noPlace, 6, 5);
    records.setImmediate(1, 2 ** 32 - 2);
    const at = submissionLayout.sizeBytes + submissionLayout.value;
    const view = new DataView(records.buffer, at, 8);
    assert.equal(view.getUint32(0, true), 2 ** 32 - 2);
    assert.equal(view.getUint32(4, true), 0);
    records.encode(1, recordHead(operationNumber.send, 1, 0), 9, 8, 7, noPlace, 6, 5);
    assert.equal(view.getUint32(0, true), 0, 'the next record has none');
  });

  test('saved records come back where they are put', () => {
    const records = new SubmissionRecords(4);
    records.encode(2, recordHead(operationNumber.send, 1, 0), 9, 8, 7, noPlace, 6, 5);
    const saved = records.save(2, 1);
    records.encode(2, 0, 0, 0, 0, noPlace, 0, 0);
    records.restore(saved, 1);
    records.setId(1, 42);
    const view = new DataView(records.buffer, submissionLayout.sizeBytes);
    assert.equal(view.getUint8(submissionLayout.operation), operationNumber.send);
    assert.equal(view.getFloat64(submissionLayout.id, true), 42);
    assert.equal(view.getFloat64(submissionLayout.localRegion, true), 8);
  });
});

describe('completion records', () => {
  test('are read from their offsets', () => {
    fc.assert(
      fc.property(safe, word, word, fc.integer({ min: 0, max: 133 }), (id, pair, length, errno) => {
        const records = new CompletionRecords(2);
        const view = new DataView(records.buffer, completionLayout.sizeBytes);
        view.setFloat64(completionLayout.id, id, true);
        view.setUint8(completionLayout.operation, operationNumber.receive);
        view.setUint8(completionLayout.status, completionStatusNumber.remoteAccess);
        view.setUint32(completionLayout.queuePairNumber, pair, true);
        view.setUint32(completionLayout.length, length, true);
        view.setInt32(completionLayout.providerError, errno, true);
        assert.deepEqual(records.decode(1), {
          id,
          ok: false,
          status: 'remote-access',
          operation: 'receive',
          length,
          immediate: undefined,
          queuePairNumber: pair,
          providerError: errno,
          durability: undefined,
          mayHaveTakenEffect: true,
        });
      }),
    );
  });

  test('immediate data is told with its flag only', () => {
    const records = new CompletionRecords(1);
    const view = new DataView(records.buffer);
    view.setUint8(completionLayout.operation, operationNumber.receiveWrite);
    view.setUint32(completionLayout.immediate, 0xfedc_ba98, true);
    assert.equal(records.immediate(0), undefined);
    view.setUint8(completionLayout.flags, completionFlags.immediate);
    assert.equal(records.immediate(0), 0xfedc_ba98);
    assert.equal(records.decode(0).immediate, 0xfedc_ba98);
    assert.equal(records.decode(0).operation, 'receive-write');
  });

  test('an untouched failure surely changed nothing; durability is told of successes only', () => {
    const records = new CompletionRecords(1);
    const view = new DataView(records.buffer);
    view.setUint8(completionLayout.operation, operationNumber.flush);
    view.setUint8(completionLayout.durability, 1);
    assert.equal(records.decode(0).durability, 'persisted');
    view.setUint8(completionLayout.status, completionStatusNumber.flushed);
    view.setUint8(completionLayout.flags, 2);
    assert.equal(records.decode(0).durability, undefined);
    assert.equal(records.decode(0).mayHaveTakenEffect, false);
  });

  test('copies keep every bit', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 96, maxLength: 96 }), (bytes) => {
        const from = new CompletionRecords(3);
        new Uint8Array(from.buffer).set(bytes);
        const to = new CompletionRecords(2);
        to.copyFrom(from, 1, 2);
        assert.deepEqual(new Uint8Array(to.buffer), bytes.slice(32));
      }),
    );
  });
});
