// SPDX-License-Identifier: BSD-3-Clause
//
// Checks of arguments: each message names the argument, what it was, and what it must be.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import * as validate from '../../lib/internal/validate.js';

const type = { name: 'TypeError', code: 'ERR_RPMA_INVALID_ARG_TYPE' };
const value = { name: 'TypeError', code: 'ERR_RPMA_INVALID_ARG_VALUE' };
const range = { name: 'RangeError', code: 'ERR_RPMA_OUT_OF_RANGE' };

describe('whole numbers', () => {
  test('within the bounds pass, all else is refused by its name', () => {
    fc.assert(
      fc.property(fc.integer(), fc.nat(1000), (min, span) => {
        const max = min + span;
        assert.equal(validate.requireInteger(max, 'x', min, max), max);
        assert.throws(() => validate.requireInteger(max + 1, 'x', min, max), range);
        assert.throws(() => validate.requireInteger(min - 1, 'x', min, max), range);
      }),
    );
  });

  test('fractions, NaN and infinities are out of range, other types are wrong', () => {
    for (const wrong of [0.5, NaN, Infinity, -Infinity, 2 ** 53]) {
      assert.throws(() => validate.requireInteger(wrong, 'length', 0, 10), {
        ...range,
        message: `length must be a whole number from 0 to 10, but is ${wrong}`,
      });
    }
    for (const wrong of ['1', null, undefined, {}, true, Symbol('s')]) {
      assert.throws(() => validate.requireInteger(wrong, 'length', 0, 10), type);
    }
    assert.throws(() => validate.requireInteger(5n, 'length', 0, 10), {
      ...type,
      message: 'length must be a number (not a bigint), but is 5n',
    });
  });

  test('a default stands in for undefined only', () => {
    assert.equal(validate.optionalInteger(undefined, 'x', 1, 5, 3), 3);
    assert.throws(() => validate.optionalInteger(null, 'x', 1, 5, 3), type);
  });
});

describe('words, booleans, bytes', () => {
  test('an unknown word is a wrong value, another type a wrong type', () => {
    assert.equal(validate.requireWord('b', 'x', ['a', 'b']), 'b');
    assert.throws(() => validate.requireWord('c', 'x', ['a', 'b']), {
      ...value,
      message: "x must be 'a' or 'b', but is 'c'",
    });
    assert.throws(() => validate.requireWord(1, 'x', ['a', 'b']), type);
  });

  test('booleans, strings and bytes', () => {
    assert.equal(validate.optionalBoolean(undefined, 'x', true), true);
    assert.throws(() => validate.optionalBoolean(0, 'x', true), type);
    assert.throws(() => validate.requireString('', 'x'), value);
    assert.throws(() => validate.requireString(1, 'x'), type);
    assert.throws(() => validate.requireBytes(new ArrayBuffer(1), 'x'), type);
    assert.equal(validate.optionalPrivateData(undefined, 3).length, 0);
    assert.throws(() => validate.optionalPrivateData(new Uint8Array(4), 3), range);
  });
});

describe('waits', () => {
  test('a timeout is 0 to 2^31 - 1, Infinity or left out', () => {
    assert.equal(validate.requireTimeout(undefined, 't'), Infinity);
    assert.equal(validate.requireTimeout(Infinity, 't'), Infinity);
    assert.equal(validate.requireTimeout(0, 't'), 0);
    assert.throws(() => validate.requireTimeout(-1, 't'), range);
    assert.throws(() => validate.requireTimeout(NaN, 't'), range);
    assert.throws(() => validate.requireTimeout(2 ** 31, 't'), range);
    assert.throws(() => validate.requireTimeout('1', 't'), type);
  });

  test('options must be an object, a signal a signal', () => {
    validate.checkWaitOptions(undefined);
    validate.checkWaitOptions({ signal: new AbortController().signal, timeoutMs: 5 });
    assert.throws(() => {
      validate.checkWaitOptions(5 as never);
    }, type);
    assert.throws(() => {
      validate.checkWaitOptions({ signal: {} as never });
    }, type);
  });
});

describe('what a value is called', () => {
  test('is short, and never a whole object', () => {
    assert.equal(validate.describe(null), 'null');
    assert.equal(validate.describe(undefined), 'undefined');
    assert.equal(validate.describe(new Map()), 'an instance of Map');
    assert.equal(validate.describe(Object.create(null)), 'an object');
    assert.equal(
      validate.describe(() => 1),
      'a function',
    );
    assert.ok(validate.describe('x'.repeat(1000)).length < 50);
  });
});
