// SPDX-License-Identifier: BSD-3-Clause
//
// The log (librpma: log_set_threshold, log_get_threshold, log_set_function): two thresholds and one
// function that everything goes to.

import assert from 'node:assert/strict';
import { log, type LogLevel, type LogRecord } from 'rpma/diagnostics';
import { argumentError, conform } from '../support/conform.js';
import { until } from '../support/deadline.js';
import type { World } from '../support/world.js';

const levels: readonly LogLevel[] = [
  'disabled',
  'fatal',
  'error',
  'warning',
  'notice',
  'info',
  'debug',
];

/** Restores what a test changes. */
function restoring(world: World): void {
  const { threshold, auxThreshold } = log;
  world.after(() => {
    log.threshold = threshold;
    log.auxThreshold = auxThreshold;
    log.setSink(null);
  });
}

conform("librpma's log", ({ it }) => {
  it('thresholds are warning and disabled at first', () => {
    assert.equal(log.threshold, 'warning');
    assert.equal(log.auxThreshold, 'disabled');
  });

  it('each threshold takes every level and gives it back, without touching the other', (world) => {
    restoring(world);
    for (const level of levels) {
      log.threshold = level;
      assert.equal(log.threshold, level);
      assert.equal(log.auxThreshold, 'disabled');
    }
    log.threshold = 'warning';
    log.auxThreshold = 'fatal';
    assert.deepEqual([log.threshold, log.auxThreshold], ['warning', 'fatal']);
  });

  it('a level that is none is refused, and nothing changes', (world) => {
    restoring(world);
    const refused = argumentError('TypeError', 'INVALID_ARG_TYPE', 'INVALID_ARG_VALUE');
    for (const level of ['', 'warn', 'WARNING', 6, -2, null, undefined] as never[]) {
      assert.throws(() => (log.threshold = level), refused);
      assert.throws(() => (log.auxThreshold = level), refused);
    }
    assert.deepEqual([log.threshold, log.auxThreshold], ['warning', 'disabled']);
  });

  it('a threshold that is none does not exist', () => {
    assert.throws(() => Object.assign(log, { thirdThreshold: 'info' }), TypeError);
  });

  it('what is set gets the records, and null sets the default again', async (world) => {
    restoring(world);
    const records: LogRecord[] = [];
    log.threshold = 'debug';
    log.setSink((record) => records.push(record));
    const pair = await world.pair();
    pair.target.destroy();
    await until(() => records.length > 0, 'a record');
    for (const { level, message, time, file, line } of records) {
      assert.ok(levels.includes(level));
      assert.ok(message.length > 0 && file.length > 0 && line > 0 && time > 0);
    }
    log.setSink(null);
    const count = records.length;
    (await world.pair()).target.destroy();
    assert.equal(records.length, count);
  });

  it('nothing less severe than the threshold comes, and nothing at all when disabled', async (world) => {
    restoring(world);
    const seen: string[] = [];
    log.setSink(({ level }) => seen.push(level));
    for (const threshold of ['error', 'disabled'] as const) {
      seen.length = 0;
      log.threshold = threshold;
      const pair = await world.pair();
      pair.target.destroy();
      await pair.initiator.whenClosed();
      const allowed = levels.slice(1, levels.indexOf(threshold) + 1);
      for (const level of seen) assert.ok(allowed.includes(level as LogLevel), level);
    }
  });

  it('a function that is NULL is the default, and what is no function is refused', (world) => {
    restoring(world);
    const refused = argumentError('TypeError', 'INVALID_ARG_TYPE');
    for (const sink of [5, 'text', {}] as never[]) assert.throws(() => log.setSink(sink), refused);
    log.setSink(null);
  });
});
