// SPDX-License-Identifier: BSD-3-Clause
//
// Immediate data (librpma: rpma_send_with_imm, rpma_write_with_imm): 32 bits that come with a
// message, or that a write leaves in a receive of the other side.

import assert from 'node:assert/strict';
import { MemoryUsage } from 'rpma';
import { argumentError, conform } from '../support/conform.js';
import { takeOk } from '../support/world.js';

const value = argumentError('TypeError', 'INVALID_ARG_VALUE');
const type = argumentError('TypeError', 'INVALID_ARG_TYPE');
const range = argumentError('RangeError', 'OUT_OF_RANGE');
/** Any 32 bits, 0 and the highest bit among them. */
const words = [0, 1, 0x1234_5678, 0x8000_0000, 0xffff_ffff];

conform("librpma's immediate data", ({ it }) => {
  it('rpma_send_with_imm: the number arrives as it was given, with and without bytes', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair);
    const box = await pair.targetPeer.allocate(64, { usage: MemoryUsage.Receive });
    local.bytes.set([7, 8]);
    for (const immediate of words) {
      for (const length of [0, 2]) {
        pair.target.postReceive({ local: box, length: 64, id: 1 });
        if (length === 0) pair.initiator.postSend({ length: 0, immediate });
        else pair.initiator.postSend({ local, length: 2, immediate });
        const sent = await takeOk(pair.initiator.completionQueue);
        assert.deepEqual([sent.operation, sent.immediate], ['send', undefined]);
        const received = await takeOk(pair.target.completionQueue);
        assert.equal(received.operation, 'receive');
        assert.deepEqual([received.immediate, received.length], [immediate, length]);
      }
    }
    assert.deepEqual([...box.bytes.subarray(0, 2)], [7, 8]);
  });

  it('a message without a number is told apart from one with the number 0', async (world) => {
    const pair = await world.pair();
    for (const immediate of [undefined, 0]) {
      pair.target.postReceive({ length: 0 });
      pair.initiator.postSend({ length: 0, immediate });
      await takeOk(pair.initiator.completionQueue);
      assert.equal((await takeOk(pair.target.completionQueue)).immediate, immediate);
    }
  });

  it('rpma_write_with_imm: it consumes a receive, also when nothing is written', async (world) => {
    const pair = await world.pair();
    const local = await world.local(pair);
    const { region, remote } = await world.lend(pair);
    const box = await pair.targetPeer.allocate(64, { usage: MemoryUsage.Receive });
    local.bytes.fill(3, 0, 16);
    for (const immediate of words) {
      for (const length of [0, 16]) {
        region.bytes.fill(0);
        pair.target.postReceive({ local: box, length: 64, id: 2 });
        if (length === 0) pair.initiator.postWrite({ length: 0, immediate });
        else pair.initiator.postWrite({ local, remote, length, immediate });
        assert.equal((await takeOk(pair.initiator.completionQueue)).operation, 'write');
        const received = await takeOk(pair.target.completionQueue);
        assert.equal(received.id, 2);
        assert.equal(received.operation, 'receive-write');
        assert.equal(received.immediate, immediate);
        assert.equal(pair.target.receiveQueueFree, 10);
        assert.equal(region.bytes[15], length === 0 ? 0 : 3, 'written before it is told');
      }
    }
    assert.ok(
      box.bytes.every((byte) => byte === 0),
      'the receive itself is not touched',
    );
  });

  it('rpma_send_with_imm and rpma_write_with_imm: the arguments of send and write are checked', async (world) => {
    const pair = await world.pair();
    const { initiator } = pair;
    const local = await world.local(pair);
    const { remote } = await world.lend(pair);
    const immediate = 5;
    const sends = [
      [{ localOffset: 8, length: 0, immediate }, value],
      [{ length: 8, immediate }, value],
      [{ localOffset: 8, length: 8, immediate }, value],
      [{ local, length: 8, immediate, completion: 0 }, type],
    ] as const;
    for (const [options, refused] of sends) {
      assert.throws(() => initiator.postSend(options as never), refused);
    }
    const writes = [
      [{ remote, length: 8, immediate }, value],
      [{ local, length: 8, immediate }, value],
      [{ localOffset: 8, length: 0, immediate }, value],
      [{ remoteOffset: 8, length: 0, immediate }, value],
      [{ length: 8, immediate }, value],
      [{ localOffset: 8, remoteOffset: 8, length: 8, immediate }, value],
      [{ local, remote, length: 8, immediate, completion: 0 }, type],
    ] as const;
    for (const [options, refused] of writes) {
      assert.throws(() => initiator.postWrite(options as never), refused);
    }
    assert.equal(initiator.sendQueueFree, 10);
    assert.equal(initiator.completionQueue.tryTake(), null);
  });

  it('a number that is none of 32 bits is refused', async (world) => {
    const { initiator } = await world.pair();
    for (const immediate of [-1, 2 ** 32, 1.5, Number.NaN]) {
      assert.throws(() => initiator.postSend({ length: 0, immediate }), range);
      assert.throws(() => initiator.postWrite({ length: 0, immediate }), range);
    }
    for (const immediate of ['1', null, 1n] as never[]) {
      assert.throws(() => initiator.postSend({ length: 0, immediate }), type);
      assert.throws(() => initiator.postWrite({ length: 0, immediate }), type);
    }
    assert.equal(initiator.sendQueueFree, 10);
  });
});
