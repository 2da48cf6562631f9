// SPDX-License-Identifier: BSD-3-Clause
//
// What a device says of itself and what it is told of memory (librpma:
// utils_ibv_context_is_odp_capable, mr_advise).

import assert from 'node:assert/strict';
import { devices, MemoryUsage } from 'rpma';
import { argumentError, conform, withCode } from '../support/conform.js';

const type = argumentError('TypeError', 'INVALID_ARG_TYPE');
const value = argumentError('TypeError', 'INVALID_ARG_VALUE');
const range = argumentError('RangeError', 'OUT_OF_RANGE');

conform("librpma's devices", ({ provider, it }) => {
  it('on-demand paging is a capability: asking cannot fail, and says yes or no', async (world) => {
    const peer = await world.peer();
    assert.equal(typeof peer.capabilities.onDemandPaging, 'boolean');
    for (const device of await devices()) {
      assert.equal(typeof device.capabilities.onDemandPaging, 'boolean', device.name);
      if (device.provider === provider && device.available) {
        assert.equal(device.capabilities.onDemandPaging, peer.capabilities.onDemandPaging);
      }
    }
  });

  it('rpma_mr_advise: taken for a range of the region, or not supported by name', async (world) => {
    const peer = await world.peer();
    const region = await peer.register(await world.file(8192), {
      usage: MemoryUsage.ReadSource | MemoryUsage.WriteDestination,
    });
    for (const kind of ['prefetch', 'prefetch-write', 'prefetch-no-fault'] as const) {
      const advice = [{ kind }, { kind, offset: 4096, length: 100 }, { kind, flush: true }];
      for (const each of advice) {
        if (peer.capabilities.regionAdvice) await region.advise(each);
        else await assert.rejects(region.advise(each), withCode('NOT_SUPPORTED'));
      }
    }
  });

  it('B11: rpma_mr_advise checks its arguments', async (world) => {
    const peer = await world.peer();
    const region = await peer.allocate(4096, { usage: MemoryUsage.ReadSource });
    for (const advice of [null, undefined, 5] as never[]) {
      await assert.rejects(region.advise(advice), type);
    }
    await assert.rejects(region.advise({ kind: 'forget' as never }), value);
    await assert.rejects(region.advise({ kind: 'prefetch', offset: 4097 }), range);
    await assert.rejects(region.advise({ kind: 'prefetch', offset: 8, length: 4096 }), range);
    await assert.rejects(region.advise({ kind: 'prefetch', length: -1 }), range);
    await region.close();
    await assert.rejects(region.advise({ kind: 'prefetch' }), withCode('CLOSED'));
  });
});
