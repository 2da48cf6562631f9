// SPDX-License-Identifier: BSD-3-Clause
//
// A reporter for Node's test runner, inside a test's own process: one JSON line per test into the
// file given as destination, and a last line that says the run came to its regular end. A file, not
// standard output, because native code and child processes may print there.

function message(error) {
  // The runner wraps what was thrown.
  const cause = error?.cause ?? error;
  return typeof cause === 'string' ? cause : String(cause?.stack ?? cause?.message ?? cause);
}

function outcome(event, name) {
  const { data } = event;
  const isSuite = data.details?.type === 'suite';
  if (event.type === 'test:pass') {
    if (isSuite) return null;
    if (data.skip !== undefined) {
      return { skipped: name, reason: typeof data.skip === 'string' ? data.skip : '' };
    }
    if (data.todo !== undefined) return { skipped: name, reason: `to do: ${data.todo || ''}` };
    return { passed: name };
  }
  // A parent that fails because of its children would count them twice.
  const error = data.details?.error;
  if (error?.failureType === 'subtestsFailed') return null;
  return { failed: name, message: message(error) };
}

export default async function* report(source) {
  const names = [];
  for await (const event of source) {
    if (event.type === 'test:start') {
      names.length = event.data.nesting;
      names.push(event.data.name);
    }
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue;
    const path = [...names.slice(0, event.data.nesting), event.data.name];
    const record = outcome(event, path.join(' > '));
    if (record !== null) yield `${JSON.stringify(record)}\n`;
  }
  yield '{"end":true}\n';
}
