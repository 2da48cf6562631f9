// SPDX-License-Identifier: BSD-3-Clause
//
// docs/reference/statistics.md has one row for each number, in the order of the record, with its
// unit, and no row for anything else.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Peer } from 'rpma';
import { packageRoot } from '../support/folders.js';

const page = readFileSync(path.join(packageRoot(), 'docs/reference/statistics.md'), 'utf8');
const units = new Set(
  'operations posts bytes frames ranges requests messages times turns connections set-ups pauses'.split(
    ' ',
  ),
);

function namesOf(heading: string): string[] {
  const section = page.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  return section
    .split('\n')
    .filter((line) => /^\| `/.test(line))
    .map((line) => {
      const [name = '', unit = '', meaning = ''] = line
        .split('|')
        .slice(1)
        .map((cell) => cell.trim());
      assert.ok(units.has(unit), `${name}: unit '${unit}'`);
      assert.ok(meaning.length > 5, `${name}: no meaning`);
      return name.replaceAll('`', '');
    });
}

test('every number has its row, and every row its number', async () => {
  const target = await Peer.open({ localAddress: '127.0.0.1' });
  const endpoint = await target.listen('127.0.0.1', 0);
  const initiator = await Peer.open({ localAddress: '127.0.0.1' });
  const accepted = endpoint.take().then((request) => request?.accept());
  const connection = await initiator.connect('127.0.0.1', endpoint.port);
  const ofConnection = Object.keys(connection.statistics());
  assert.deepEqual(namesOf('Of a connection'), ofConnection);
  assert.deepEqual(
    [...namesOf('Of a peer alone'), ...ofConnection],
    Object.keys(initiator.statistics()),
  );
  await Promise.all([connection.close(), (await accepted)?.close()]);
  await Promise.all([initiator.close(), target.close()]);
});
