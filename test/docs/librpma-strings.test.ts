// SPDX-License-Identifier: BSD-3-Clause
//
// Every text that librpma has for an error or an event has its counterpart in the reference, and
// every code and every event of this library has a text there.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { connectionEvents, statuses } from '../../lib/internal/abi.generated.js';
import { packageRoot } from '../support/folders.js';
import { readPage } from './support.js';

/** rpma_err_2str, by value. */
const errorTexts: Readonly<Record<number, string>> = {
  0: 'Success',
  [-100000]: 'Unknown error',
  [-100001]: 'Not supported',
  [-100002]: 'Provider error occurred',
  [-100003]: 'Out of memory',
  [-100004]: 'Invalid argument',
  [-100005]: 'No next completion available',
  [-100006]: 'No next event available',
  [-100007]: 'Temporary error, try again',
  [-100008]: 'Completion channel is shared',
  [-100009]: 'Completion channel is not shared',
};

/** rpma_utils_conn_event_2str, by value. */
const eventTexts: Readonly<Record<number, string>> = {
  [-1]: 'Undefined connection event',
  0: 'Connection established',
  1: 'Connection closed',
  2: 'Connection lost',
  3: 'Connection rejected',
  4: 'Connection unreachable',
};

interface LibrpmaError {
  readonly value: number;
  readonly text: string;
  readonly codes: readonly string[];
  readonly instead?: string;
}

interface LibrpmaEvent {
  readonly word: string | null;
  readonly value: number | null;
  readonly text: string;
  readonly meaning: string;
}

const { errors, events } = JSON.parse(
  readFileSync(join(packageRoot(), 'abi', 'librpma.json'), 'utf8'),
) as { readonly errors: readonly LibrpmaError[]; readonly events: readonly LibrpmaEvent[] };

function textsOf(
  entries: readonly { value: number | null; text: string }[],
): Record<string, string> {
  const valued = entries.filter(({ value }) => value !== null);
  return Object.fromEntries(valued.map(({ value, text }) => [String(value), text]));
}

describe('the texts of librpma', () => {
  test('for errors all have a counterpart: a code that exists, or what is there instead', () => {
    assert.deepEqual(textsOf(errors), errorTexts);
    const known = new Set<string>(statuses.map(({ code }) => code));
    for (const { text, codes, instead } of errors) {
      for (const code of codes) assert.ok(known.has(`ERR_RPMA_${code}`), `${text}: ${code}`);
      assert.equal(codes.length === 0, instead !== undefined, text);
    }
  });

  test('for events all have a counterpart: a word that exists, or nothing', () => {
    assert.deepEqual(textsOf(events), eventTexts);
    const words = events.flatMap(({ word }) => (word === null ? [] : [word]));
    assert.deepEqual(
      words.toSorted(),
      connectionEvents.filter((word) => word !== 'none').toSorted(),
    );
    const undefinedEvent = events.find(({ value }) => value === -1);
    assert.equal(undefinedEvent?.word, null);
  });
});

describe('the reference', () => {
  test('has a text for each code', () => {
    const page = readPage('docs/reference/errors.md');
    for (const { code, message, class: kind } of statuses) {
      if (kind === 'none') continue;
      const row = page.split('\n').find((line) => line.startsWith(`| \`${code}\` |`));
      assert.ok(row?.endsWith(`| ${message} |`), code);
      assert.ok(message.length > 8, code);
    }
    for (const { text } of errors) assert.ok(page.includes(`| ${text} |`), text);
  });

  test('has a text for each event', () => {
    const page = readPage('docs/reference/events.md');
    for (const word of connectionEvents) {
      if (word === 'none') continue;
      assert.match(page, new RegExp(`^\\| \`${word}\` \\| \\S.{8,} \\|`, 'm'));
    }
    for (const text of Object.values(eventTexts)) assert.ok(page.includes(`: ${text} |`), text);
  });
});
