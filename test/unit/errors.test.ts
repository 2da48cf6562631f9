// SPDX-License-Identifier: BSD-3-Clause
//
// The table of errors, and what an error of each code is.

import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { describe, test } from 'node:test';
import { completionError, type Completion, isRpmaError, RpmaError } from 'rpma';
import { completionStatuses, statuses } from '../../lib/internal/abi.generated.js';
import { argumentError, type ArgumentErrorCode, type RpmaErrorCode } from '../../lib/errors.js';
import { placeName } from '../../lib/internal/address.js';
import { timeoutError } from '../../lib/internal/deadline.js';
import { endReason, failureOf, rpmaFailureOf } from '../../lib/internal/failure.js';

const eio = 5;

function completion(status: Completion['status']): Completion {
  return {
    id: 1,
    ok: status === 'success',
    status,
    operation: 'write',
    length: 0,
    immediate: undefined,
    queuePairNumber: 1,
    providerError: 0,
    durability: undefined,
    mayHaveTakenEffect: status !== 'flushed',
  };
}

describe('the table of errors', () => {
  test('every status becomes an error of its class, code and scope', () => {
    for (const [number, row] of statuses.entries()) {
      if (row.class === 'none') continue;
      const error = failureOf({ status: number, errno: 0, syscall: '', detail: '' }, 'trying');
      assert.ok(isRpmaError(error), row.code);
      assert.equal(error.code, row.code);
      assert.match(error.message, /^trying: /);
      const Class = { TypeError, RangeError, RpmaError }[row.class];
      assert.ok(error instanceof Class, `${row.code} is a ${row.class}`);
      if (!(error instanceof RpmaError)) continue;
      assert.equal(error.scope, row.scope);
      assert.equal(error.retryable, row.retryable);
      assert.equal(error.mayHaveTakenEffect, false);
    }
  });

  test('an unknown status is ERR_RPMA_INTERNAL', () => {
    const error = failureOf({ status: 999, errno: 0, syscall: '', detail: '' }, 'trying');
    assert.equal((error as RpmaError).code, 'ERR_RPMA_INTERNAL');
  });

  test("the system's cause is carried as in Node's own errors", () => {
    const native = { status: 23, errno: eio, syscall: 'fsync', detail: '' };
    const error = rpmaFailureOf(native, 'file.persist()', { provider: 'iwarp' });
    assert.equal(error.errno, -eio);
    assert.equal(error.syscall, 'fsync');
    assert.equal(error.provider, 'iwarp');
    assert.match(error.message, /fsync: EIO/);
  });
});

describe('RpmaError', () => {
  test('names of given-up waits are those of the platform', () => {
    assert.equal(new RpmaError('ERR_RPMA_ABORTED', 'x').name, 'AbortError');
    assert.equal(new RpmaError('ERR_RPMA_TIMEOUT', 'x').name, 'TimeoutError');
    assert.equal(new RpmaError('ERR_RPMA_STATE', 'x').name, 'RpmaError');
  });

  test('instanceof goes by the brand, and subclasses stay subclasses', () => {
    class Special extends RpmaError {}
    const foreign = Object.defineProperty(new Error('of another copy'), Symbol.for('rpma.error'), {
      value: 'error',
    });
    assert.ok(foreign instanceof RpmaError);
    assert.ok(new Special('ERR_RPMA_STATE', 'x') instanceof RpmaError);
    assert.ok(!(new RpmaError('ERR_RPMA_STATE', 'x') instanceof Special));
    assert.ok(!(new Error('plain') instanceof RpmaError));
  });

  test('what was not said is no property', () => {
    const error = new RpmaError('ERR_RPMA_STATE', 'x', { cause: undefined });
    for (const name of ['cause', 'errno', 'syscall', 'operation', 'provider', 'privateData']) {
      assert.ok(!Object.hasOwn(error, name), name);
    }
  });

  test('isRpmaError knows the argument errors and nothing else', () => {
    const codes: ArgumentErrorCode[] = ['ERR_RPMA_INVALID_ARG_TYPE', 'ERR_RPMA_ALIGNMENT'];
    for (const code of codes) {
      const error = argumentError(code, 'x');
      assert.ok(isRpmaError(error));
      assert.ok(!(error instanceof RpmaError));
      assert.equal(error.code, code);
    }
    for (const other of [undefined, null, 5, {}, new TypeError('x')]) {
      assert.ok(!isRpmaError(other));
    }
  });
});

describe('completionError', () => {
  test('every failed status has its code', () => {
    for (const status of completionStatuses) {
      if (status === 'success') continue;
      const error = completionError(completion(status));
      const code: RpmaErrorCode =
        `ERR_RPMA_WC_${status.toUpperCase().replaceAll('-', '_')}` as never;
      assert.equal(error.code, code);
      assert.equal(error.operation, 'write');
      assert.equal(error.mayHaveTakenEffect, status !== 'flushed');
    }
  });

  test('a success stands for no error', () => {
    assert.throws(() => completionError(completion('success')), { code: 'ERR_RPMA_STATE' });
    assert.throws(() => completionError(null as never), { code: 'ERR_RPMA_INVALID_ARG_TYPE' });
  });
});

describe('the end of a connection', () => {
  test('what the system says of it is told with the place and the cure', () => {
    const place = '[::1]:7';
    const { ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH, ECONNRESET } = constants.errno;
    assert.match(endReason(ECONNREFUSED, place), /^nothing listens at \[::1\]:7: start the other/);
    assert.match(endReason(ETIMEDOUT, place), /^no answer came in time: check /);
    assert.match(endReason(EHOSTUNREACH, place), /^no route leads there: check /);
    assert.match(endReason(ECONNRESET, place), /: connect again /);
    assert.equal(endReason(0, place), '');
    assert.equal(placeName('::1', 7), place);
  });

  test('a deadline is told in whole milliseconds', () => {
    const { message } = timeoutError('write did not end', 47.00162);
    assert.equal(message, 'write did not end within 48 ms');
  });
});
