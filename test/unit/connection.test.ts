// SPDX-License-Identifier: BSD-3-Clause
//
// A connection is one object to the program, although its operations live in bases of their own.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Connection } from 'rpma';

const notWithNew = {
  name: 'TypeError',
  code: 'ERR_RPMA_INVALID_ARG_VALUE',
  message: 'a Connection is not made with new: use peer.connect() or request.accept()',
};

/** The class and the classes that it extends. */
function lineage(): (new () => unknown)[] {
  const found: (new () => unknown)[] = [];
  for (let each: unknown = Connection; typeof each === 'function' && 'prototype' in each;) {
    found.push(each as new () => unknown);
    each = Object.getPrototypeOf(each);
  }
  return found;
}

test('neither a connection nor what it extends is made with new', () => {
  assert.equal(lineage().length, 3);
  for (const Class of lineage()) assert.throws(() => new Class(), notWithNew);
});

test('what a base declares is found at the class, and knows a connection from a stranger', () => {
  const posts = [
    'postRead',
    'postWrite',
    'postAtomicWrite',
    'postFlush',
    'postSend',
    'postReceive',
  ];
  const awaits = ['read', 'write', 'writeDurable', 'atomicWrite', 'flush', 'send', 'receive'];
  for (const name of [...posts, ...awaits]) {
    const member: unknown = Reflect.get(Connection.prototype, name);
    assert.equal(typeof member, 'function', name);
    assert.throws(() => void Reflect.apply(member as () => void, {}, [{}]), TypeError, name);
  }
});
