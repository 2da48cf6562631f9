// SPDX-License-Identifier: BSD-3-Clause
//
// The reader of C++ behind the house rules, on code of every shape that once misled it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { functionLengths, includesOf, stripCpp } from './cpp.js';

function lengths(...lines: string[]): [number, number][] {
  return functionLengths(lines.join('\n')).map(({ line, lines: count }) => [line, count]);
}

test('functions are measured from header to last brace, inside namespaces and classes', () => {
  const source = [
    'namespace a {',
    'class B {',
    '  int f() { return 1; }',
    '};',
    'void g(',
    '    int x)',
  ];
  assert.deepEqual(lengths(...source, '{', '  if (x) {', '  }', '}', '}'), [
    [3, 1],
    [5, 6],
  ]);
});

test('initialisers in braces are part of a header', () => {
  assert.deepEqual(lengths('A::A(int x) : a_{x}, b_{} {', '  run();', '}'), [[1, 3]]);
  assert.deepEqual(lengths('constexpr int table[] = {1, 2};', 'int f() {', '}'), [[2, 2]]);
});

test('braces in comments, texts, characters and macros do not count', () => {
  const body = ['void f() {', '  // }', '  call("}", \'}\');', "  int n = 1'000;", '}'];
  assert.deepEqual(lengths('#define OPEN {', ...body, 'void g() {}'), [
    [2, 5],
    [7, 1],
  ]);
});

test('templates, attributes and structs as results are functions', () => {
  assert.deepEqual(lengths('template <class T>', '[[nodiscard]] T f(T t) {', '}'), [[1, 3]]);
  assert.deepEqual(lengths('struct stat f(int fd) {', '}'), [[1, 2]]);
});

test('stripping keeps every line where it is', () => {
  const source = 'a /* x\ny */ b // c\n"d" e';
  assert.equal(stripCpp(source).split('\n').length, 3);
  assert.deepEqual(stripCpp(source).split(/\s+/).filter(Boolean), ['a', 'b', 'e']);
});

test('includes are found with their kind', () => {
  assert.deepEqual(includesOf('#include <a.h>\n  # include "b/c.h"'), [
    { name: 'a.h', isSystem: true, line: 1 },
    { name: 'b/c.h', isSystem: false, line: 2 },
  ]);
});
