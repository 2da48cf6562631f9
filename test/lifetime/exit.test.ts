// SPDX-License-Identifier: BSD-3-Clause
// flavour: test
//
// What keeps a process: open endpoints and connections do, as net.Server and net.Socket; what is
// under way does until it is done; nothing else does. How processes end in every state is told by
// process-*.test.ts.

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { Child } from '../support/child.js';
import { lastFor } from '../support/deadline.js';
import { diskFolder, removeFolder } from '../support/folders.js';
import type { StateOptions } from './programs/state-holder.js';
import { diagnoseMs, orThreads } from './states/expect.js';
import { openPartner } from './states/partners.js';
import { states } from './states/states.js';

const program = new URL('./programs/state-holder.js', import.meta.url);
const outlivedMs = 500;

/** A process in the state, with nothing to do but what the state gives it. */
async function leftAlone(test: TestContext, name: string): Promise<Child> {
  const folder = await diskFolder();
  test.after(() => removeFolder(folder));
  const partner = await openPartner(test, states[name]?.partner ?? 'none');
  test.after(() => partner.close());
  const options: StateOptions = {
    state: name,
    folder,
    partner: { port: partner.port, descriptor: partner.descriptor },
    ending: 'none',
    diagnoseMs,
  };
  const child = Child.start(test, program, [JSON.stringify(options)]);
  let message = await child.expectAny(diagnoseMs);
  if (message.kind === 'listening') message = await child.expectAny(diagnoseMs);
  assert.equal(message.kind, 'ready');
  await partner.met();
  child.send({ kind: 'end' });
  await child.expect('left');
  return child;
}

describe('a process with nothing left to do', () => {
  for (const name of [
    'endpoint: listening',
    'connection: established',
    'connection: connecting, no reply',
    'queue: shared, of two connections, with a pending take()',
    'region: being closed with pending reads into it',
  ]) {
    it(`stays (${name})`, async (test) => {
      const child = await leftAlone(test, name);
      const ended = await Promise.race([child.ended, lastFor(outlivedMs)]);
      assert.equal(ended, undefined, child.stderr);
    });
  }

  for (const name of [
    'nothing opened',
    'peer: open',
    'peer: closed',
    'request: outgoing, unspent',
    'region: open over an ArrayBuffer',
    'region: open, allocated, with views',
    'file: mapped',
    'file: a persist under way',
    'file: unmapping behind a persist',
    'connection: closed by the other side, with unread completions',
    'connection: lost, with unread completions',
    'connection: destroyed',
    'connection: disconnecting',
    'peer: closing',
  ]) {
    it(`ends (${name})`, async (test) => {
      const child = await leftAlone(test, name);
      const pid = child.process.pid ?? 'self';
      const { code, signal } = await orThreads(child.ended, 'the process ends', pid);
      assert.deepEqual([code, signal, child.stderr], [0, null, '']);
    });
  }
});
