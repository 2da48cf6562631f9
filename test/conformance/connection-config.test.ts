// SPDX-License-Identifier: BSD-3-Clause
//
// Connection options (librpma: conn_cfg_*).

import assert from 'node:assert/strict';
import { ConnectionConfig } from 'rpma';
import { conform } from '../support/conform.js';

const argumentClasses = (error: unknown): boolean =>
  error instanceof TypeError || error instanceof RangeError;

conform('connection configuration', ({ it }) => {
  it("has librpma's defaults and those of the house", () => {
    const config = new ConnectionConfig();
    assert.equal(config.resolveTimeoutMs, 1000);
    assert.equal(config.connectTimeoutMs, 10_000);
    assert.equal(config.completionQueueSize, 10);
    assert.equal(config.sendQueueSize, 10);
    assert.equal(config.receiveQueueSize, 10);
    assert.equal(config.receiveCompletionQueueSize, 0);
    assert.equal(config.closeTimeoutMs, 5000);
    assert.equal(config.deadPeerTimeoutMs, 10_000);
    assert.equal(config.receiverNotReadyTimeoutMs, Infinity);
    assert.equal(config.completionQueue, undefined);
    assert.deepEqual([...config.requireNative], []);
    assert.equal(config.crc, true);
    assert.equal(config.maxFrameBytes, 'auto');
    assert.equal(config.inboundReads, 32);
    assert.equal(config.outboundReads, 32);
  });

  it('keeps what it was given and is itself given as options', () => {
    const config = new ConnectionConfig({ sendQueueSize: 33, crc: 'required', inboundReads: 8 });
    assert.equal(config.sendQueueSize, 33);
    assert.equal(config.crc, 'required');
    assert.equal(config.inboundReads, 8);
    assert.equal(config.receiveQueueSize, 10);
    assert.equal(new ConnectionConfig(config).sendQueueSize, 33);
  });

  it('refuses negative times, as librpma, and sizes and words it cannot use', () => {
    for (const options of [
      { resolveTimeoutMs: -1 },
      { connectTimeoutMs: -1 },
      { closeTimeoutMs: -5 },
      { deadPeerTimeoutMs: -1 },
      { receiverNotReadyTimeoutMs: -1 },
      { resolveTimeoutMs: Number.NaN },
      { sendQueueSize: -1 },
      { sendQueueSize: 1.5 },
      { sendQueueSize: 2 ** 32 },
      { receiveQueueSize: -1 },
      { completionQueueSize: -1 },
      { receiveCompletionQueueSize: -1 },
      { inboundReads: -1 },
      { outboundReads: 1e9 },
      { maxFrameBytes: 1 << 20 },
      { maxFrameBytes: 'jumbo' as 'mss' },
      { crc: 'sometimes' as 'required' },
      { requireNative: ['teleport' as 'flush'] },
    ]) {
      assert.throws(() => new ConnectionConfig(options), argumentClasses, JSON.stringify(options));
    }
  });

  it('is read when it is given: later changes of the object change nothing', async (world) => {
    const options = { sendQueueSize: 7 };
    const peer = await world.peer();
    const request = await peer.createConnectionRequest('127.0.0.1', 9, { connection: options });
    options.sendQueueSize = 1;
    assert.equal(request.config.sendQueueSize, 7);
    request.destroy();
  });

  it('decides the queues of both ends, each for itself', async (world) => {
    const pair = await world.pair({
      initiator: { sendQueueSize: 3, receiveQueueSize: 5 },
      target: { sendQueueSize: 17, receiveQueueSize: 1 },
    });
    assert.equal(pair.initiator.sendQueueFree, 3);
    assert.equal(pair.initiator.receiveQueueFree, 5);
    assert.equal(pair.target.sendQueueFree, 17);
    assert.equal(pair.target.receiveQueueFree, 1);
    assert.equal(pair.initiator.config.sendQueueSize, 3);
    assert.equal(pair.target.config.sendQueueSize, 17);
  });
});
