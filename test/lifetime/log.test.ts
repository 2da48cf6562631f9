// SPDX-License-Identifier: BSD-3-Clause
//
// The log and the ends of those who read it: a worker that has the sink is terminated, a process
// exits with records that nobody took, a sink throws; and the lines on standard error.

import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { describe, it, type TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Peer } from 'rpma';
import { channels, log, type LogRecord } from 'rpma/diagnostics';
import { Child } from '../support/child.js';
import { turn, until, withDeadline } from '../support/deadline.js';

const program = new URL('./programs/logger.js', import.meta.url);

async function run(test: TestContext, mode: string, environment: Record<string, string> = {}) {
  const child = Child.start(test, program, [mode], { env: environment });
  let stdout = '';
  child.process.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  const end = await withDeadline(child.ended, `the program (${mode}) ends`, 30_000);
  assert.deepEqual(end, { code: 0, signal: null }, child.stderr);
  return { stdout, stderr: child.stderr };
}

/** The form of a line on standard error. */
const line =
  /^rpma \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z \[\d+\] notice listener\.cc:\d+ \w+: listens .*$/;

describe('standard error', () => {
  it('has nothing by default', async (test) => {
    const { stderr } = await run(test, 'default');
    assert.equal(stderr, '');
  });

  it('has what RPMA_LOG asks for, whatever the threshold is', async (test) => {
    const started = Date.now();
    const { stderr } = await run(test, 'aux', { RPMA_LOG: 'notice' });
    const lines = stderr.trimEnd().split('\n');
    assert.equal(lines.length, 2, stderr);
    for (const each of lines) assert.match(each, line);
    const time = Date.parse(lines[0]?.split(' ')[1] ?? '');
    assert.ok(time >= started - 1 && time <= Date.now() + 1, `${lines[0]}: not now`);
  });

  it('has nothing of a program that has a sink', async (test) => {
    const { stdout, stderr } = await run(test, 'exit', { RPMA_LOG: 'warning' });
    assert.match(stdout, /^listens no more at 127\.0\.0\.1 port \d+/);
    assert.equal(stderr, '');
  });

  it('says that RPMA_LOG is no level', async (test) => {
    const { stderr } = await run(test, 'aux', { RPMA_LOG: 'loud' });
    assert.match(stderr, /^rpma: RPMA_LOG=loud is no level and is ignored; use disabled, fatal,/);
    assert.equal(stderr.trimEnd().split('\n').length, 1);
  });
});

describe('a sink', () => {
  it('is given the last words of a process that exits', async (test) => {
    const { stdout } = await run(test, 'exit');
    assert.match(stdout, /^listens no more at 127\.0\.0\.1 port \d+; 0 requests[^\n]*\n$/);
  });

  it('that throws is an uncaught exception, and is given the records behind', async (test) => {
    const { stdout } = await run(test, 'throw');
    const told = stdout
      .trimEnd()
      .split('\n')
      .map((text) => (JSON.parse(text) as { kind: string }).kind);
    assert.deepEqual(told, [
      'listens',
      'listens no more',
      'from the sink, 1',
      'from the sink, 2',
      'listens',
      'listens no more',
      'from the sink, 3',
    ]);
  });

  it('ends with its worker, and another thread may set one', async (test) => {
    const worker = new Worker(program, { workerData: 'worker' });
    test.after(() => worker.terminate());
    const told: unknown[] = [];
    worker.on('message', (message) => told.push(message));
    await until(() => told.length === 1, 'the worker has the sink', 30_000);
    const peer = await Peer.open({ localAddress: '127.0.0.1' });
    test.after(() => peer.close());
    test.after(() => {
      log.setSink(null);
      log.threshold = 'warning';
    });
    const endpoint = await peer.listen('127.0.0.1', 0);
    await until(() => told.length === 2, 'the worker is told of what happens here');
    assert.match(String(told[1]), new RegExp(`port ${endpoint.port}$`));
    const mine: LogRecord[] = [];
    log.setSink((record) => mine.push(record));
    await endpoint.close();
    await until(() => mine.length === 1, 'the sink has moved');
    log.setSink(null);
    await worker.terminate();
    log.setSink((record) => mine.push(record));
    await (await peer.listen('127.0.0.1', 0)).close();
    await until(() => mine.length === 3, 'the log goes on without the worker');
    assert.equal(told.length, 2);
  });

  it('that another thread replaced does not come back when that thread ends', async (test) => {
    const old: LogRecord[] = [];
    const published: unknown[] = [];
    const take = (record: unknown): void => void published.push(record);
    subscribe(channels.log, take);
    test.after(() => {
      unsubscribe(channels.log, take);
      log.setSink(null);
      log.threshold = 'warning';
    });
    const peer = await Peer.open({ localAddress: '127.0.0.1' });
    test.after(() => peer.close());
    log.setSink((record) => old.push(record));
    const worker = new Worker(program, { workerData: 'worker' });
    test.after(() => worker.terminate());
    const ready = new Promise((resolve) => worker.once('message', resolve));
    await withDeadline(ready, 'the worker has the sink', 30_000);
    const before = old.length;
    await worker.terminate();
    await (await peer.listen('127.0.0.1', 0)).close();
    await until(() => published.length >= 2, 'this thread reads again');
    assert.equal(old.length, before);
  });

  it('of a worker that is terminated while records come leaves the log to others', async (test) => {
    const peer = await Peer.open({ localAddress: '127.0.0.1' });
    test.after(() => peer.close());
    test.after(() => {
      log.setSink(null);
      log.threshold = 'warning';
    });
    for (let round = 0; round < 5; round++) {
      const worker = new Worker(program, { workerData: 'worker' });
      await withDeadline(
        new Promise((resolve) => worker.once('message', resolve)),
        'the worker has the sink',
        30_000,
      );
      let isOver = false;
      const over = worker.terminate().then(() => (isOver = true));
      while (!isOver) {
        await (await peer.listen('127.0.0.1', 0)).close();
        await turn();
      }
      await over;
    }
    const mine: LogRecord[] = [];
    log.setSink((record) => mine.push(record));
    const { port } = await peer.listen('127.0.0.1', 0);
    await until(
      () => mine.some(({ message }) => message.endsWith(`port ${port}`)),
      'the log works',
    );
  });
});
