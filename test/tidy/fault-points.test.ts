// SPDX-License-Identifier: BSD-3-Clause
//
// What can fail in native/ can be made to fail: every system call, every creation that Node may
// refuse and every allocation whose failure is answered has a fault point next to it, and the sweep
// (test/fault/sweep) knows each point.
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { faultPoints } from '../fault/sweep/points.js';
import { stripCpp } from './cpp.js';
import { expectNone, nativeFiles, read } from './tree.js';

const productFiles = nativeFiles.filter((file) => !file.startsWith('native/test/'));
/** How many lines above a call its point may stand, in front of a loop or a condition. */
const linesAbove = 8;

/** Calls of the system that have no point, and why none is needed. */
const exempt: Readonly<Record<string, string>> = {
  clock_gettime: 'cannot fail for the clocks that every system has',
  close: 'the descriptor is gone whatever it answers',
  gettid: 'cannot fail',
  inet_ntop: 'only formats; the buffer is large enough',
  inet_pton: 'only parses',
  nanosleep: 'of the fault points themselves',
  pthread_detach: 'cannot fail for a thread of ours',
  pthread_equal: 'cannot fail',
  pthread_join: 'cannot fail for a thread of ours',
  pthread_self: 'cannot fail',
  pthread_setname_np: 'only for people who debug',
  pthread_sigmask: 'cannot fail for a valid operation',
  strerrorname_np: 'only looks up a name',
  sigaction: 'cannot fail for SIGBUS and a valid action',
  sysconf: 'cannot fail for the page size',
};

/** Creations that Node may refuse; others end the process when the engine has no memory. */
const creations = new Set([
  'napi_add_async_cleanup_hook',
  'napi_async_init',
  'napi_create_async_work',
  'napi_create_external_arraybuffer',
  'napi_create_function',
  'napi_create_promise',
  'napi_create_reference',
  'napi_get_uv_event_loop',
  'napi_open_callback_scope',
  'napi_open_handle_scope',
  'napi_queue_async_work',
  'napi_set_instance_data',
  'uv_poll_init',
]);

const systemCall = /(?<![\w:>])::([a-z]\w*)\(/g;
const creation = /\b((?:napi|uv)_\w+)\(/g;
const allocation = /\b(new \(std::nothrow\))/g;
/**
 * Of a member that is in the set: nothing is allocated and nothing looked up that may be absent.
 */
const cannotFail = /^::epoll_ctl\([^;]*EPOLL_CTL_(MOD|DEL)/;

function pointsOf(text: string): string[] {
  return [...text.matchAll(/RPMA_FAULT_POINT\("([^"]+)"\)/g)].map(([, name = '']) => name);
}

/** A point in the lines, or the caller's, or a comment that names the one that stands elsewhere. */
function hasPoint(lines: string): boolean {
  if (pointsOf(lines).length > 0 || /\bFaultAction&? fault,/.test(lines)) return true;
  const flat = lines.replace(/\s*\/\/\s*/g, ' ');
  const named = /[Ff]ault points? (?:is|are) ([\w.-]+)/.exec(flat)?.[1];
  return named !== undefined && Object.hasOwn(faultPoints, named);
}

/** One 'file:line: call' for each call of the source that has no point. */
function withoutPoint(file: string, source: string): string[] {
  const code = stripCpp(source);
  const lines = source.split('\n');
  const calls = [
    ...[...code.matchAll(systemCall)].filter(([, name = '']) => !Object.hasOwn(exempt, name)),
    ...[...code.matchAll(creation)].filter(([, name = '']) => creations.has(name)),
    ...code.matchAll(allocation),
  ];
  return calls.flatMap(({ 1: name = '', index }) => {
    if (cannotFail.test(code.slice(index))) return [];
    const line = code.slice(0, index).split('\n').length;
    const near = lines.slice(Math.max(0, line - 1 - linesAbove), line).join('\n');
    return hasPoint(near) ? [] : [`${file}:${line}: ${name}`];
  });
}

test('every call that can fail has a fault point next to it', () => {
  expectNone(productFiles.flatMap((file) => withoutPoint(file, read(file))));
});

test('the rule sees a call without a point', () => {
  const bare = 'int made = ::socket(AF_INET, SOCK_STREAM, 0);';
  const point = 'const auto fault = RPMA_FAULT_POINT("iwarp.socket");';
  const elsewhere = '// Its fault point is iwarp.socket in another function.';
  const far = '\n'.repeat(linesAbove + 1);
  assert.deepEqual(withoutPoint('x.cc', bare), ['x.cc:1: socket']);
  assert.deepEqual(withoutPoint('x.cc', `${point}${far}${bare}`).length, 1);
  assert.deepEqual(withoutPoint('x.cc', `${point}\n${bare}`), []);
  assert.deepEqual(withoutPoint('x.cc', `${elsewhere}\n${bare}`), []);
  assert.deepEqual(withoutPoint('x.cc', 'napi_create_promise(env, a, b);').length, 1);
  assert.deepEqual(withoutPoint('x.cc', 'T* t = new (std::nothrow) T[4];').length, 1);
  assert.deepEqual(withoutPoint('x.cc', '::epoll_ctl(set, EPOLL_CTL_DEL, fd, nullptr);'), []);
});

test('no exemption is left over', () => {
  const code = productFiles.map((file) => stripCpp(read(file))).join('\n');
  const called = new Set([...code.matchAll(systemCall)].map(([, name]) => name));
  expectNone(Object.keys(exempt).filter((name) => !called.has(name)));
});

test('the sweep knows every point, with errnos that exist', () => {
  const inSources = new Set(productFiles.flatMap((file) => pointsOf(stripLines(read(file)))));
  assert.deepEqual([...inSources].sort(), Object.keys(faultPoints).sort());
  for (const [point, errnos] of Object.entries(faultPoints)) {
    assert.ok(errnos.length > 0, `${point} has no errno`);
    for (const errno of errnos) assert.ok(errno in constants.errno, `${point}: ${errno}`);
  }
});

/** Without the lines that only speak of points. */
function stripLines(source: string): string {
  return source.replace(/^\s*\/\/.*$/gm, '');
}
