// SPDX-License-Identifier: BSD-3-Clause
//
// librpma's error codes and what stands for each here (librpma: err_2str, the RPMA_E codes): a
// class, a code, and a message that says what happened.

import assert from 'node:assert/strict';
import { completionError, isRpmaError, type Peer, RemoteRegion, RpmaError } from 'rpma';
import { conform, withCode } from '../support/conform.js';
import { descriptorBytes } from '../support/scripted-peer.js';
import { plainResponder } from '../support/plain-peer.js';
import { takeAll, type World } from '../support/world.js';

/** What was thrown or rejected with. */
async function caught(attempt: () => unknown): Promise<Error> {
  try {
    await attempt();
  } catch (error) {
    assert.ok(error instanceof Error);
    assert.ok(isRpmaError(error), String(error));
    assert.match(error.message, /^\S.{8,}/, 'a message that says something');
    assert.doesNotMatch(error.message, /undefined|\[object|NaN/);
    return error;
  }
  throw new Error('nothing was thrown');
}

async function occupiedPort(world: World): Promise<[Peer, number]> {
  const peer = await world.peer();
  const endpoint = await peer.listen('127.0.0.1', 0);
  return [peer, endpoint.port];
}

conform("librpma's errors", ({ provider, it }) => {
  it('RPMA_E_INVAL is a TypeError or RangeError with a code', async (world) => {
    const { initiator } = await world.pair();
    const wrong = await caught(() => initiator.postWrite({ length: 8 } as never));
    assert.ok(wrong instanceof TypeError && !(wrong instanceof RpmaError));
    withCode('INVALID_ARG_VALUE')(wrong);
    const beyond = await caught(() => initiator.completionQueue.poll(0));
    assert.ok(beyond instanceof RangeError && !(beyond instanceof RpmaError));
    withCode('OUT_OF_RANGE')(beyond);
  });

  it('RPMA_E_PROVIDER carries the errno and the call that failed, which librpma logs only', async (world) => {
    const [peer, port] = await occupiedPort(world);
    const error = await caught(() => peer.listen('127.0.0.1', port));
    withCode('PROVIDER', { syscall: 'bind', retryable: false })(error);
    assert.ok(error instanceof RpmaError);
    assert.equal(error.errno, -98); // EADDRINUSE
    assert.match(error.message, /bind: EADDRINUSE/);
  });

  it('RPMA_E_PROVIDER of a full queue has a code of its own and is retryable', async (world) => {
    const { initiator } = await world.pair({ initiator: { sendQueueSize: 1 } });
    initiator.postWrite({ length: 0 });
    const error = await caught(() => initiator.postWrite({ length: 0 }));
    withCode('AGAIN', { retryable: true, mayHaveTakenEffect: false })(error);
    await takeAll(initiator.completionQueue, 1);
    initiator.postWrite({ length: 0 });
  });

  it('RPMA_E_NOMEM is NO_MEMORY', async (world) => {
    const peer = await world.peer();
    withCode('NO_MEMORY')(await caught(() => peer.allocate(2 ** 50, { usage: 1 })));
  });

  it('RPMA_E_NOSUPP of a flush that the region does not grant names the grant', async (world) => {
    const pair = await world.pair();
    const { remote } = await world.lend(pair, 64, 0x08);
    const flush = { remote, length: 8, type: 'visibility' as const };
    const granted = await caught(() => pair.initiator.postFlush(flush));
    withCode('USAGE')(granted);
    assert.match(granted.message, /FlushVisibility/);
  });

  it(
    'RPMA_E_NOSUPP of a persistent flush that nobody vouches for names the cure',
    async (world) => {
      const { connection } = await plainResponder(world);
      const far = { base: 4096n, lengthBytes: 64n, stag: 1, usage: 0x38 };
      const remote = RemoteRegion.fromDescriptor(descriptorBytes(far));
      const flush = { remote, length: 8, type: 'persistent' as const };
      const vouched = await caught(() => connection.postFlush(flush));
      withCode('NOT_PERSISTENT')(vouched);
      assert.match(vouched.message, /applyRemotePeerConfig/);
    },
    { skip: provider === 'iwarp' ? false : 'needs a scripted peer' },
  );

  it('RPMA_E_NO_COMPLETION and RPMA_E_NO_EVENT are no errors: null, [] or 0', async (world) => {
    const { initiator, endpoint } = await world.pair();
    assert.equal(initiator.completionQueue.tryTake(), null);
    assert.deepEqual(initiator.completionQueue.poll(), []);
    assert.equal(initiator.events.tryTake()?.type, 'established');
    assert.equal(initiator.events.tryTake(), null);
    assert.equal(endpoint.tryTake(), null);
  });

  it('a failed completion becomes an error with its own code', async (world) => {
    const pair = await world.pair();
    pair.target.postReceive({ length: 0, id: 1 });
    pair.target.destroy();
    const [failed] = await takeAll(pair.target.completionQueue, 1);
    assert.ok(failed !== undefined);
    const error = completionError(failed);
    withCode('WC_FLUSHED', { operation: 'receive', retryable: false })(error);
    assert.match(error.message, /receive/);
  });

  it('an error is told by its code: RpmaError and isRpmaError know it, others they do not', async (world) => {
    const [peer, port] = await occupiedPort(world);
    const error = await caught(() => peer.listen('127.0.0.1', port));
    assert.ok(error instanceof RpmaError && isRpmaError(error));
    for (const other of [new Error('x'), new TypeError('x'), null, undefined, 0, -100_004, {}]) {
      assert.equal(isRpmaError(other), false);
      assert.equal(other instanceof RpmaError, false);
    }
  });

  it('success is no value to look at: what succeeds returns or resolves', async (world) => {
    const pair = await world.pair();
    assert.equal(pair.initiator.postWrite({ length: 0 }), undefined);
    await takeAll(pair.initiator.completionQueue, 1);
    assert.equal(await pair.target.send({ length: 0 }), undefined);
  });
});
