// SPDX-License-Identifier: BSD-3-Clause
//
// rpma devices says what devices() says.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { devices } from 'rpma';
import { commandOutput, jsonLines } from '../support/command.js';

test('with --json it is what devices() gives, an object a line', async (context) => {
  const told = jsonLines(await commandOutput(context, ['devices', '--json']));
  assert.deepEqual(told, JSON.parse(JSON.stringify(await devices())));
});

test('each device is told with its addresses, the absent ones with cause and remedy', async (context) => {
  const text = await commandOutput(context, ['devices']);
  for (const device of await devices()) {
    const name = device.name === device.provider ? '' : ` ${device.name}`;
    const title = `${device.provider}${name}: ${device.available ? 'available' : 'absent'}\n`;
    assert.ok(text.includes(title), text);
    for (const address of device.available ? device.addresses : []) {
      assert.match(text, new RegExp(`^ +(addresses +)?${address.replaceAll('.', '\\.')}$`, 'm'));
    }
    if (device.reason !== undefined) assert.ok(text.includes(`because    ${device.reason}\n`));
    if (device.remedy !== undefined) assert.ok(text.includes(`remedy     ${device.remedy}\n`));
  }
});

test('every capability is told, as something that it can, that it cannot, or a bound', async (context) => {
  const text = await commandOutput(context, ['devices']);
  const [iwarp] = await devices();
  assert.ok(iwarp !== undefined);
  const block = text.split('\n\n')[0] ?? '';
  const label = /^ {2}(can|cannot|bounds|addresses) +/;
  const counts = { can: 0, cannot: 0, bounds: 0, addresses: 0 };
  let current: keyof typeof counts = 'addresses';
  for (const line of block.split('\n').slice(1)) {
    current = (label.exec(line)?.[1] as keyof typeof counts | undefined) ?? current;
    counts[current] += 1;
  }
  const values = Object.values(iwarp.capabilities) as unknown[];
  assert.deepEqual(counts, {
    addresses: iwarp.addresses.length,
    can: values.filter((value) => value === true).length,
    cannot: values.filter((value) => value === false).length,
    bounds: values.filter((value) => typeof value === 'number').length,
  });
});
