// SPDX-License-Identifier: BSD-3-Clause
//
// The log of the process: two thresholds, one sink, records in order, the channel `rpma:log` and
// the bridge to pino. How sinks end with their threads and processes is test/lifetime/log.test.ts.

import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { pino } from 'pino';
import { PmemFile } from 'rpma';
import { type BridgedLogger, bridgeLog, channels, log, type LogLevel } from 'rpma/diagnostics';
import type { LogRecord } from 'rpma/diagnostics';
import { argumentError, conform, withCode } from '../support/conform.js';
import { until, withDeadline } from '../support/deadline.js';
import type { World } from '../support/world.js';

/** Puts the log back as it was found. */
function restored(world: World, threshold: LogLevel): void {
  log.threshold = threshold;
  world.after(() => {
    log.setSink(null);
    log.threshold = 'warning';
    log.auxThreshold = 'disabled';
  });
}

/** What the sink is given from now on. */
function collected(world: World, threshold: LogLevel): LogRecord[] {
  restored(world, threshold);
  const records: LogRecord[] = [];
  log.setSink((record) => records.push(record));
  return records;
}

function matching(records: readonly LogRecord[], text: RegExp): LogRecord[] {
  return records.filter(({ message }) => text.test(message));
}

conform('log', ({ it, provider }) => {
  it('has the thresholds of librpma at first: warning, and nothing to standard error', () => {
    assert.equal(log.threshold, 'warning');
    assert.equal(log.auxThreshold, 'disabled');
  });

  it('takes every level as a threshold, and nothing else', (world) => {
    restored(world, 'warning');
    const levels = ['disabled', 'fatal', 'error', 'warning', 'notice', 'info', 'debug'] as const;
    for (const level of levels) {
      log.threshold = level;
      assert.equal(log.threshold, level);
      assert.notEqual(log.auxThreshold, 'debug');
    }
    log.auxThreshold = 'fatal';
    assert.deepEqual([log.threshold, log.auxThreshold], ['debug', 'fatal']);
    for (const wrong of ['Warning', '', 'trace']) {
      const refused = argumentError('TypeError', 'INVALID_ARG_VALUE');
      assert.throws(() => (log.threshold = wrong as LogLevel), refused);
      assert.throws(() => (log.auxThreshold = wrong as LogLevel), refused);
    }
    for (const wrong of [undefined, 3, null]) {
      const refused = argumentError('TypeError', 'INVALID_ARG_TYPE');
      assert.throws(() => (log.threshold = wrong as unknown as LogLevel), refused);
    }
    assert.deepEqual([log.threshold, log.auxThreshold], ['debug', 'fatal']);
  });

  it('takes a function or null as its sink', () => {
    const refused = argumentError('TypeError', 'INVALID_ARG_TYPE');
    for (const wrong of [undefined, 'console', {}]) {
      assert.throws(() => log.setSink(wrong as unknown as null), refused);
    }
  });

  it('gives the life of a connection to the sink, in order', async (world) => {
    const records = collected(world, 'notice');
    const before = Date.now();
    const pair = await world.pair();
    const { port } = pair.endpoint;
    await withDeadline(pair.initiator.close(), 'close()');
    await until(() => matching(records, /: closed$/).length === 2, 'both ends are logged');
    const texts = [
      /^listens at/,
      /^connection \d+: connects to/,
      /: established with/,
      /: closed$/,
    ];
    const places = texts.map((text) => records.findIndex(({ message }) => text.test(message)));
    assert.ok(places.every((place, i) => place >= 0 && (i === 0 || place > (places[i - 1] ?? 0))));
    for (const record of records) {
      assert.equal(record.level, 'notice');
      assert.equal(record.provider, provider);
      assert.match(record.file, /^\w+\.cc$/);
      assert.match(record.function, /^\w+$/);
      assert.ok(record.line > 1);
      assert.ok(record.time >= before - 1 && record.time <= Date.now() + 1, String(record.time));
      assert.equal(record.dropped, undefined);
      assert.ok(Object.isFrozen(record));
    }
    assert.match(matching(records, /^listens/)[0]?.message ?? '', new RegExp(`port ${port}$`));
  });

  it('tells why a connection was lost, with no secret in it', async (world) => {
    const pair = await world.pair();
    const { region, remote } = await world.lend(pair);
    const local = await world.local(pair);
    const records = collected(world, 'debug');
    await region.close();
    await assert.rejects(
      pair.initiator.write({ local, remote, length: 8, until: 'delivered' }),
      withCode('WC_REMOTE_ACCESS'),
    );
    await until(() => matching(records, /: lost: /).length === 2, 'both losses are logged');
    const terminate = matching(records, /sends Terminate \d\/\d\/\d+: \S/);
    assert.equal(terminate.length, 1);
    assert.equal(terminate[0]?.level, 'warning');
    assert.equal(matching(records, /received Terminate \d\/\d\/\d+: \S/).length, 1);
    const secrets = [remote.address.toString(), remote.address.toString(16)];
    for (const { message } of records) assert.ok(!secrets.some((each) => message.includes(each)));
  });

  it('says what the system refused', async (world) => {
    const records = collected(world, 'error');
    await assert.rejects(PmemFile.map('/nowhere/at/all'), withCode('PROVIDER'));
    await until(() => records.length > 0, 'the failure is logged');
    assert.match(records[0]?.message ?? '', /^a call failed: open: ENOENT \(2\): \S/);
    assert.equal(records[0]?.level, 'error');
    assert.equal(records[0].provider, undefined);
  });

  it('keeps nothing below its threshold, and nothing after null', async (world) => {
    const records = collected(world, 'warning');
    const pair = await world.pair();
    log.threshold = 'notice';
    log.setSink(null);
    await pair.endpoint.close();
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    log.setSink((record) => records.push(record));
    await endpoint.close();
    await until(() => records.length > 0, 'the new sink has something');
    assert.deepEqual(
      records.map(({ message }) => message),
      [
        `listens no more at 127.0.0.1 port ${endpoint.port}; 0 requests were not fetched and are rejected`,
      ],
    );
  });

  it('counts what a busy thread made it lose', async (world) => {
    const peer = await world.peer();
    const endpoints = [];
    for (let i = 0; i < 300; i++) endpoints.push(await peer.listen('127.0.0.1', 0));
    const records = collected(world, 'notice');
    // No turn of the loop in between: nobody reads the ring.
    for (const endpoint of endpoints) void endpoint.close();
    await until(() => records.length >= 256, 'what found room');
    assert.equal(records.length, 256);
    assert.ok(records.every(({ dropped }) => dropped === undefined));
    await (await peer.listen('127.0.0.1', 0)).close();
    await until(() => records.length >= 258, 'what came after');
    assert.deepEqual([records[256]?.dropped, records[257]?.dropped], [300 - 256, undefined]);
  });

  it('publishes records on its channel, with a sink and without', async (world) => {
    restored(world, 'notice');
    const published: LogRecord[] = [];
    const take = (record: unknown): void => void published.push(record as LogRecord);
    subscribe(channels.log, take);
    world.after(() => void unsubscribe(channels.log, take));
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    await until(() => matching(published, /^listens at/).length === 1, 'without a sink');
    const given: LogRecord[] = [];
    log.setSink((record) => given.push(record));
    await endpoint.close();
    await until(() => given.length === 1, 'with a sink');
    assert.equal(published.at(-1), given[0]);
  });

  it('comes during a synchronous wait, too', async (world) => {
    const peer = await world.peer();
    const endpoint = await peer.listen('127.0.0.1', 0);
    const other = await peer.listen('127.0.0.1', 0);
    const records = collected(world, 'notice');
    await other.close();
    const endpoints = [];
    for (let i = 0; i < 20; i++) endpoints.push(await peer.listen('127.0.0.1', 0));
    const seen: string[] = [];
    log.setSink(({ message }) => {
      // A nested wait must not deliver the next record before this one is done.
      seen.push(`begin ${message}`);
      assert.equal(endpoint.takeSync(2), null);
      seen.push(`end ${message}`);
    });
    assert.equal(records.length, 21, 'what came before the sink is the older one’s');
    for (const each of endpoints) void each.close();
    assert.equal(endpoint.takeSync(100), null);
    const closed = endpoints.map(({ port }) => new RegExp(`^listens no more at .* port ${port};`));
    assert.equal(seen.length, 2 * closed.length);
    for (const [i, text] of closed.entries()) {
      const [begin = '', end = ''] = seen.slice(2 * i, 2 * i + 2);
      assert.match(begin.replace('begin ', ''), text);
      assert.equal(end, begin.replace('begin', 'end'));
    }
  });

  it('feeds pino, and stops', async (world) => {
    restored(world, 'debug');
    const lines: Record<string, unknown>[] = [];
    const stream = {
      write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>),
    };
    const logger = pino({ level: 'debug' }, stream);
    const stop = bridgeLog(logger);
    const pair = await world.pair();
    pair.initiator.destroy();
    const has = (level: number, text: RegExp): boolean =>
      lines.some((line) => line['level'] === level && text.test(String(line['msg'])));
    await until(() => has(40, /: lost: recv: ECONNRESET/), 'a warning is warn');
    assert.ok(has(30, /: established with/), 'a notice is info');
    const { rpma } = lines[0] as { rpma?: Record<string, unknown> };
    assert.deepEqual(Object.keys(rpma ?? {}).sort(), [
      'file',
      'function',
      'line',
      'provider',
      'time',
    ]);
    stop();
    const before = lines.length;
    await pair.endpoint.close();
    const records = collected(world, 'notice');
    await (await pair.targetPeer.listen('127.0.0.1', 0)).close();
    await until(() => records.length === 2, 'the next sink has it');
    stop();
    await (await pair.targetPeer.listen('127.0.0.1', 0)).close();
    await until(() => records.length === 4, 'stopping twice takes no other sink away');
    assert.equal(lines.length, before);
  });

  it('refuses a logger that lacks a method', () => {
    const refused = argumentError('TypeError', 'INVALID_ARG_TYPE');
    assert.throws(() => bridgeLog(null as unknown as BridgedLogger), refused);
    const half = { fatal() {}, error() {}, warn() {}, info() {} };
    assert.throws(() => bridgeLog(half as unknown as BridgedLogger), refused);
  });
});
