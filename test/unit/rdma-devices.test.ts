// SPDX-License-Identifier: BSD-3-Clause
//
// What is read of the kernel's RDMA devices and of the libraries for them, from folders that look
// like the system's.

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { missingRdmaPackages, rdmaDevices } from '../../lib/internal/rdma-devices.js';
import { diskFolder, removeFolder } from '../support/folders.js';

const loopback = 'lo';

async function tree(context: TestContext, files: Readonly<Record<string, string>>) {
  const folder = await diskFolder();
  context.after(() => removeFolder(folder));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, dirname(name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

describe('RDMA devices', () => {
  test('are none where the kernel has no folder for them', async (context) => {
    const folder = await tree(context, {});
    assert.deepEqual(await rdmaDevices(join(folder, 'infiniband')), []);
  });

  test('have the addresses of their interfaces, whichever way the driver tells', async (context) => {
    const folder = await tree(context, {
      'siw0/ports/1/gid_attrs/ndevs/0': `${loopback}\n`,
      'siw0/ports/1/gid_attrs/ndevs/1': `${loopback}\n`,
      'rxe0/parent': `${loopback}\n`,
      'mlx5_0/device/net/lo/mtu': '65536\n',
      'mlx5_1/ports/1/gid_attrs/ndevs/0': '',
      'mlx5_2/ports/1/state': '4: ACTIVE\n',
    });
    const found = await rdmaDevices(folder);
    assert.deepEqual(
      found.map(({ name }) => name),
      ['mlx5_0', 'mlx5_1', 'mlx5_2', 'rxe0', 'siw0'],
    );
    for (const { name, addresses } of found) {
      const isBound = name !== 'mlx5_1' && name !== 'mlx5_2';
      assert.equal(addresses.includes('127.0.0.1'), isBound, `${name}: ${addresses.join(' ')}`);
      assert.equal(new Set(addresses).size, addresses.length, name);
    }
  });
});

describe('the libraries for them', () => {
  const both = ['libibverbs1', 'librdmacm1'];

  test('are missing where neither the linker nor a folder has them', async (context) => {
    const folder = await tree(context, { 'ld.so.cache': 'libc.so.6\0' });
    assert.deepEqual(await missingRdmaPackages(join(folder, 'ld.so.cache'), [folder]), both);
    assert.deepEqual(await missingRdmaPackages(join(folder, 'none'), [join(folder, 'none')]), both);
  });

  test('are found by the linker’s cache, and in folders', async (context) => {
    const folder = await tree(context, {
      'ld.so.cache': 'libc.so.6\0libibverbs.so.1\0',
      'lib/librdmacm.so.1': '',
    });
    const cache = join(folder, 'ld.so.cache');
    assert.deepEqual(await missingRdmaPackages(cache, [folder]), ['librdmacm1']);
    assert.deepEqual(await missingRdmaPackages(cache, [folder, join(folder, 'lib')]), []);
  });
});
