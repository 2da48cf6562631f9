// SPDX-License-Identifier: BSD-3-Clause
//
// The configuration of connections, setting by setting (librpma: conn_cfg_*): its default, what
// was given comes back, what is refused, and what it decides.

import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { ConnectionConfig, type ConnectionOptions } from 'rpma';
import { argumentError, conform, withCode } from '../support/conform.js';
import { timed, withDeadline } from '../support/deadline.js';
import { takeOk, type World } from '../support/world.js';

const outOfRange = argumentError('RangeError', 'OUT_OF_RANGE');
const wrongType = argumentError('TypeError', 'INVALID_ARG_TYPE');

interface Setting {
  /** librpma's name. */
  readonly name: string;
  readonly option: keyof ConnectionOptions;
  readonly fallback: number;
  readonly least: number;
  readonly kept: readonly number[];
}

const settings: readonly Setting[] = [
  {
    name: 'timeout',
    option: 'resolveTimeoutMs',
    fallback: 1000,
    least: 1,
    kept: [1, 1000, 2 ** 31 - 1],
  },
  { name: 'cq_size', option: 'completionQueueSize', fallback: 10, least: 1, kept: [1, 64, 65_536] },
  {
    name: 'rcq_size',
    option: 'receiveCompletionQueueSize',
    fallback: 0,
    least: 0,
    kept: [0, 1, 65_536],
  },
  { name: 'sq_size', option: 'sendQueueSize', fallback: 10, least: 1, kept: [1, 64, 65_536] },
  { name: 'rq_size', option: 'receiveQueueSize', fallback: 10, least: 1, kept: [1, 64, 65_536] },
];

/** A port at which somebody accepts and says nothing. */
async function silentPort(world: World): Promise<number> {
  const silent = createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  world.after(() => void silent.close());
  const address = silent.address();
  assert.ok(typeof address === 'object' && address !== null);
  return address.port;
}

conform("librpma's connection configuration", ({ provider, it }) => {
  for (const { name, option, fallback } of settings) {
    it(`${name} is ${fallback} by default: ${option}`, () => {
      assert.equal(new ConnectionConfig()[option], fallback);
      assert.equal(new ConnectionConfig({})[option], fallback);
      assert.equal(new ConnectionConfig({ [option]: undefined })[option], fallback);
    });
  }

  it('timeout, cq_size, rcq_size, sq_size and rq_size are kept as given', () => {
    for (const { option, kept } of settings) {
      for (const value of kept) {
        const config = new ConnectionConfig({ [option]: value });
        assert.equal(config[option], value, `${option} ${value}`);
        for (const other of settings.filter((each) => each.option !== option)) {
          assert.equal(config[other.option], other.fallback, `${option} changes ${other.option}`);
        }
      }
    }
  });

  it('a negative timeout is refused', () => {
    for (const value of [-1, -1000, -(2 ** 31)]) {
      assert.throws(() => new ConnectionConfig({ resolveTimeoutMs: value }), outOfRange);
    }
  });

  it('sizes beyond what there can be are refused (librpma cuts them to an int)', () => {
    for (const { option } of settings) {
      for (const value of [2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53, Infinity]) {
        const options = { [option]: value };
        assert.throws(() => new ConnectionConfig(options), outOfRange, `${option} ${value}`);
      }
    }
  });

  it('size 0 and timeout 0 are refused where nothing could work (librpma stores them)', () => {
    for (const { option, least } of settings) {
      const make = (): ConnectionConfig => new ConnectionConfig({ [option]: least - 1 });
      assert.throws(make, outOfRange, option);
    }
  });

  it('NULL in place of a setting, or of all, is a TypeError', () => {
    for (const { option } of settings) {
      for (const value of [null, '10', true, 10n, {}]) {
        const options = { [option]: value } as never;
        assert.throws(() => new ConnectionConfig(options), wrongType, `${option} ${typeof value}`);
      }
    }
    assert.throws(() => new ConnectionConfig(null as never), wrongType);
    assert.throws(() => new ConnectionConfig(5 as never), wrongType);
  });

  it('cannot be changed once made', () => {
    const config = new ConnectionConfig({ sendQueueSize: 5 });
    assert.throws(() => Object.assign(config, { sendQueueSize: 6 }), TypeError);
    assert.equal(config.sendQueueSize, 5);
  });

  it('is copied: one value configures many connections, and what it was made of may change', async (world) => {
    const options = { sendQueueSize: 3 };
    const config = new ConnectionConfig(options);
    options.sendQueueSize = 1;
    const first = await world.pair({ initiator: config, target: config });
    const second = await world.again(first, { initiator: config });
    for (const connection of [first.initiator, first.target, second.initiator]) {
      assert.equal(connection.sendQueueFree, 3);
    }
    assert.equal(second.target.sendQueueFree, 3); // the endpoint's own
  });

  it('timeout is of the look-up alone: connecting has a bound of its own', async (world) => {
    const peer = await world.peer();
    const port = await silentPort(world);
    const config = { resolveTimeoutMs: 1, connectTimeoutMs: 300 };
    const request = await peer.createConnectionRequest('127.0.0.1', port, { connection: config });
    const { value: end, elapsedMs } = await timed(
      withDeadline(request.connect().whenClosed(), 'the end of the attempt'),
    );
    assert.equal(end.type, 'unreachable');
    if (provider === 'iwarp') assert.ok(elapsedMs > 250, `gave up after ${elapsedMs} ms`);
  });

  it('sq_size and rq_size bound what can be posted', async (world) => {
    const { initiator } = await world.pair({
      initiator: { sendQueueSize: 2, receiveQueueSize: 3 },
    });
    for (let n = 0; n < 3; n++) initiator.postReceive({ length: 0 });
    assert.throws(() => initiator.postReceive({ length: 0 }), withCode('AGAIN'));
    for (let n = 0; n < 2; n++) initiator.postWrite({ length: 0 });
    assert.throws(() => initiator.postWrite({ length: 0 }), withCode('AGAIN'));
  });

  it('without rcq_size receives complete in the main queue, with it in their own', async (world) => {
    for (const receiveCompletionQueueSize of [0, 4]) {
      const pair = await world.pair({ target: { receiveCompletionQueueSize } });
      const { initiator, target } = pair;
      const own = target.receiveCompletionQueue;
      assert.equal(own === null, receiveCompletionQueueSize === 0);
      target.postReceive({ length: 0, id: 6 });
      initiator.postSend({ length: 0 });
      const received = await takeOk(own ?? target.completionQueue);
      assert.deepEqual([received.id, received.operation], [6, 'receive']);
      assert.equal(target.completionQueue.tryTake(), null);
    }
  });
});
