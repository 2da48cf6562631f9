// SPDX-License-Identifier: BSD-3-Clause
//
// devices(): each provider is there, with what it can do or with why not and what helps.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { devices } from 'rpma';
import { conform } from '../support/conform.js';

/** The kernel's RDMA devices; none on most machines. */
function kernelDevices(): string[] {
  try {
    return readdirSync('/sys/class/infiniband');
  } catch {
    return [];
  }
}

conform('devices()', ({ provider, it }) => {
  it('tells of each provider', async () => {
    const found = await devices();
    assert.deepEqual(
      [...new Set(found.map((device) => device.provider))],
      ['iwarp', 'verbs', 'shm'],
    );
    assert.ok(found.some((device) => device.provider === provider && device.available));
    assert.ok(
      found.every((device) => Object.isFrozen(device) && Object.isFrozen(device.addresses)),
    );
  });

  it('tells addresses that a peer can be opened for, and its capabilities', async (world) => {
    const device = (await devices()).find((each) => each.provider === provider);
    assert.ok(device !== undefined && device.addresses.length > 0);
    assert.equal(device.reason, undefined);
    assert.equal(device.remedy, undefined);
    for (const localAddress of device.addresses) {
      const peer = await world.peer({ localAddress });
      assert.deepEqual(peer.capabilities, device.capabilities);
      assert.deepEqual(peer.device, device);
    }
  });

  it('iwarp has every address of this machine', async () => {
    const iwarp = (await devices()).find((each) => each.provider === 'iwarp');
    const own = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
    for (const { address, scopeid } of own) {
      const isLinkLocal = scopeid !== undefined && scopeid !== 0;
      if (!isLinkLocal) assert.ok(iwarp?.addresses.includes(address), address);
    }
    assert.equal(iwarp?.capabilities.regionAdvice, true);
    assert.equal(iwarp.capabilities.onDemandPaging, false);
  });

  it('says why a provider is absent and what helps, and offers nothing in its name', async () => {
    const absent = (await devices()).filter((device) => !device.available);
    assert.ok(absent.length >= 2);
    for (const { reason, remedy, capabilities } of absent) {
      assert.match(reason ?? '', /^this version does not use \S/);
      assert.match(remedy ?? '', /provider 'iwarp'/);
      assert.ok(Object.values(capabilities).every((value) => value === false || value === 0));
    }
  });

  it('names the RDMA devices that the kernel has, and what the system lacks', async () => {
    const verbs = (await devices()).filter((device) => device.provider === 'verbs');
    const names = kernelDevices().sort();
    assert.deepEqual(
      verbs.map(({ name }) => name),
      names.length === 0 ? ['verbs'] : names,
    );
    if (names.length === 0) assert.match(verbs[0]?.reason ?? '', /the kernel has none/);
  });
});
