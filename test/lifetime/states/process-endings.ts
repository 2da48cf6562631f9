// SPDX-License-Identifier: BSD-3-Clause
//
// Processes that end in every state of every object: naturally, by process.exit(), by an exception,
// by a signal. None hangs, none crashes, none prints a word of its own accord, and the other side
// learns of it soon. Needs the test flavour.

import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { Child, type Message } from '../../support/child.js';
import { diskFolder, removeFolder } from '../../support/folders.js';
import type { Hangs, StateOptions } from '../programs/state-holder.js';
import { describeHang, diagnoseMs, endMs, orThreads } from './expect.js';
import { openPartner } from './partners.js';
import type { Held } from './scene.js';
import { blocks, type State, states } from './states.js';

const program = new URL('../programs/state-holder.js', import.meta.url);

type Ending = 'natural' | 'exit' | 'throw' | 'SIGTERM';
const codes: Readonly<Record<Ending, number | null>> = {
  natural: 0,
  exit: 7,
  throw: 1,
  SIGTERM: null,
};

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stderr: string;
}

async function runToEnd(test: TestContext, name: string, ending: Ending): Promise<Ended> {
  const { partner: kind } = states[name] as State;
  const folder = await diskFolder();
  test.after(() => removeFolder(folder));
  const partner = await openPartner(test, kind);
  test.after(() => partner.close());
  const options: StateOptions = {
    state: name,
    folder,
    partner: { port: partner.port, descriptor: partner.descriptor },
    ending: ending === 'SIGTERM' ? 'stay' : ending,
    diagnoseMs,
  };
  const child = Child.start(test, program, [JSON.stringify(options)]);
  const pid = child.process.pid ?? 'self';
  for (let isThere = false; !isThere;) {
    const next = child.expectAny<Held | Hangs | (Message & { kind: 'ready' })>(
      endMs,
      `reaching '${name}'`,
    );
    const message = await orThreads(next, 'its next word', pid, 2 * endMs);
    if (message.kind === 'hangs') throw describeHang(message);
    if (message.kind === 'listening') partner.meet(message);
    isThere = message.kind === 'ready';
  }
  await partner.met();
  child.send({ kind: 'end' });
  if (ending === 'SIGTERM') await child.kill('SIGTERM');
  const hangs = child.expectAny<Hangs>(2 * endMs).then(
    (message) => Promise.reject(describeHang(message)),
    () => new Promise<never>(() => undefined), // its end, without another word
  );
  const ended = await orThreads(Promise.race([child.ended, hangs]), 'the process ends', pid);
  await partner.sawEnd();
  await partner.close();
  return { ...ended, stderr: child.stderr };
}

/** A process takes seconds to start under a sanitizer: there every state ends in one way. */
const oneEach = process.env['RPMA_SANITIZED'] !== undefined;

function endingsOf(name: string, index: number): readonly Ending[] {
  const all = everyEndingOf(name);
  return oneEach ? all.filter((_, at) => at === index % Math.min(2, all.length)) : all;
}

function everyEndingOf(name: string): readonly Ending[] {
  if (blocks(name)) return ['SIGTERM'];
  // What rightly keeps the loop has no natural end.
  if (states[name]?.staysAlive !== undefined) return ['exit', 'throw', 'SIGTERM'];
  return ['natural', 'exit', 'throw', 'SIGTERM'];
}

/** All that a process prints about an exception that nobody caught, and nothing else. */
function isUncaughtAlone(stderr: string): boolean {
  const [before = '', after, more] = stderr.split('Error: thrown to end this');
  if (after === undefined || more !== undefined) return false;
  const frames = after.trimEnd().split('\n').slice(0, -1);
  const isStack = frames.every((line) => line.trim() === '' || /^\s+at /.test(line));
  return isStack && /\nNode\.js v\d+\.\d+\.\d+$/.test(after.trimEnd()) && !/==\d+==/.test(before);
}

export function describeProcessEndings(group: Readonly<Record<string, State>>): void {
  describe('a process that ends', { concurrency: 2 }, () => {
    const reason = 'a process takes seconds to start under a sanitizer: one ending for each state';
    if (oneEach) it('in every way, in every state', { skip: reason }, () => undefined);
    for (const [index, name] of Object.keys(group).entries()) {
      for (const ending of endingsOf(name, index)) {
        it(`by ${ending} (${name})`, async (test) => {
          const { code, signal, stderr } = await runToEnd(test, name, ending);
          assert.equal(signal, ending === 'SIGTERM' ? 'SIGTERM' : null, stderr);
          assert.equal(code, codes[ending], stderr);
          if (ending === 'throw') assert.ok(isUncaughtAlone(stderr), stderr);
          else assert.equal(stderr, '');
        });
      }
    }
  });
}
